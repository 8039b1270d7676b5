//! `wss:`, with a certificate made for the occasion.

use capnweb_core::{ConnectFailure, Session, SessionOptions, Stub};
use capnweb_test_support::{TlsServer, trusting};
use capnweb_transport_ws::{Connect, WebSocketTransport, connect};
use tokio_tungstenite::accept_async;

use crate::support::{api, soon};

/// A server for `localhost`: its address, and the server.
async fn serve() -> (String, TlsServer) {
    let server = TlsServer::start(async |socket| {
        // The handshake is somebody else's, as with an HTTP server of one's own.
        let socket = accept_async(socket).await.unwrap().into_inner();
        let options = SessionOptions::new();
        let transport = WebSocketTransport::server(socket, options.limits_ref());
        let (_, mut connection) = Session::server(options);
        connection.set_main(api());
        connection.drive(transport).await;
    })
    .await;
    (format!("wss://localhost:{}/", server.port), server)
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_is_connected_to() {
    let (url, server) = serve().await;
    let config = trusting(server.certificate);
    let api: Stub = soon(Connect::new(&url).tls_config(config).connect())
        .await
        .unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
}

#[tokio::test]
async fn a_server_with_another_certificate_is_not() {
    let (url, _server) = serve().await;
    let error = soon(connect::<Stub>(&url)).await.unwrap_err();
    assert!(error.message().contains("TLS failed"), "{error}");
    assert!(error.message().contains(&url), "{error}");
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Certificate));
}

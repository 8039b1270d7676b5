//! `https:`, with a certificate created for the test.

use capnweb_core::{ConnectFailure, Stub};
use capnweb_test_support::{TlsServer, trusting};
use capnweb_transport_http::{Batch, batch, client_builder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Starts a server for `localhost` that sends the same answer to every request. Returns its URL and
/// the server.
async fn serve() -> (String, TlsServer) {
    let server = TlsServer::start(async |mut socket| {
        let mut request = Vec::new();
        while !request.ends_with(br#"["pull",1]"#) {
            socket.read_buf(&mut request).await.unwrap();
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n[\"resolve\",1,9]";
        socket.write_all(answer).await.unwrap();
    })
    .await;
    (format!("https://localhost:{}/", server.port), server)
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_answers() {
    let (url, server) = serve().await;
    let client = client_builder()
        .tls_backend_preconfigured(trusting(server.certificate))
        .build()
        .unwrap();
    let api: Stub = Batch::new(url).client(client).start();
    assert_eq!(api.call("square", (3,)).fetch::<f64>().await.unwrap(), 9.0);
}

#[tokio::test]
async fn a_server_with_another_certificate_is_sent_nothing() {
    let (url, _server) = serve().await;
    let api: Stub = batch(&url);
    let error = api.call("square", (3,)).await.unwrap_err();
    assert!(error.message().contains("certificate"), "{error}");
    assert!(error.message().contains(&url), "{error}");
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Certificate));
}

//! `wss:`, with a certificate created for the test.

use capnweb_core::{ConnectFailure, Stub};
use capnweb_test_support::trusting;
use capnweb_transport_ws::{Connect, connect};

use crate::support::{serve_tls, soon};

#[tokio::test]
async fn a_server_with_a_trusted_certificate_is_connected_to() {
    let server = serve_tls().await;
    let url = format!("wss://localhost:{}/", server.port);
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
    let server = serve_tls().await;
    let url = format!("wss://localhost:{}/", server.port);
    let error = soon(connect::<Stub>(&url)).await.unwrap_err();
    assert!(error.message().contains("TLS failed"), "{error}");
    assert!(error.message().contains(&url), "{error}");
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Certificate));
}

//! `wss:`, with a certificate made for the occasion.

use std::sync::Arc;

use capnweb_core::{Session, SessionOptions, Stub};
use capnweb_transport_ws::{
    Connect, WebSocketTransport, connect,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;

use crate::support::{api, soon};

/// A server for `localhost`: its address, and its certificate.
async fn serve() -> (String, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(socket) = acceptor.accept(socket).await else {
                continue;
            };
            // The handshake is somebody else's, as with an HTTP server of one's own.
            let socket = accept_async(socket).await.unwrap().into_inner();
            let options = SessionOptions::new();
            let transport = WebSocketTransport::server(socket, options.limits_ref());
            let (_, mut connection) = Session::server(options);
            connection.set_main(api());
            tokio::spawn(connection.drive(transport));
        }
    });
    (format!("wss://localhost:{port}/"), certificate)
}

#[tokio::test]
async fn a_certificate_that_is_trusted() {
    let (url, certificate) = serve().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let api: Stub = soon(Connect::new(&url).tls_config(config).connect())
        .await
        .unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
}

#[tokio::test]
async fn a_certificate_that_is_not() {
    let (url, _) = serve().await;
    let error = soon(connect::<Stub>(&url)).await.unwrap_err();
    assert!(error.message().contains("TLS failed"), "{error}");
    assert!(error.message().contains(&url), "{error}");
}

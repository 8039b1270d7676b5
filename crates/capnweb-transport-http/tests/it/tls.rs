//! `https:`, with a certificate made for the occasion.

use std::sync::Arc;

use capnweb_core::Stub;
use capnweb_transport_http::{
    Batch, batch, client_builder,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A server for `localhost` that gives one answer always: its address, and its certificate.
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
            let Ok(mut socket) = acceptor.accept(socket).await else {
                continue;
            };
            let mut request = Vec::new();
            while !request.ends_with(br#"["pull",1]"#) {
                socket.read_buf(&mut request).await.unwrap();
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n[\"resolve\",1,9]";
            socket.write_all(answer).await.unwrap();
        }
    });
    (format!("https://localhost:{port}/"), certificate)
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
    let client = client_builder()
        .tls_backend_preconfigured(config)
        .build()
        .unwrap();
    let api: Stub = Batch::new(url).client(client).start();
    assert_eq!(api.call("square", (3,)).fetch::<f64>().await.unwrap(), 9.0);
}

#[tokio::test]
async fn a_certificate_that_is_not() {
    let (url, _) = serve().await;
    let api: Stub = batch(&url);
    let error = api.call("square", (3,)).await.unwrap_err();
    assert!(error.message().contains("certificate"), "{error}");
    assert!(error.message().contains(&url), "{error}");
}

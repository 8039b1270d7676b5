//! `capnweb::axum::serve` with TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use capnweb::{
    Stub,
    axum::{TlsListener, rpc, serve},
    http::client_builder,
    ws,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::{io::AsyncReadExt, net::TcpListener, net::TcpStream};

use crate::support::{api, soon};

struct Certificate {
    pem: String,
    key: String,
    der: CertificateDer<'static>,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Certificate {
        pem: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

async fn listen(
    certificate: &Certificate,
    settings: impl FnOnce(TlsListener) -> TlsListener,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pem, key) = (certificate.pem.as_bytes(), certificate.key.as_bytes());
    let listener = settings(TlsListener::from_pem(listener, pem, key).unwrap());
    let app: Router = Router::new().route("/", rpc(api));
    tokio::spawn(async { serve(listener, app).await });
    address
}

fn client_config(certificate: &Certificate) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn square_over_wss(address: SocketAddr, certificate: &Certificate) -> f64 {
    let url = format!("wss://localhost:{}/", address.port());
    let connect = ws::Connect::new(url).tls_config(client_config(certificate));
    let client: Stub = soon(connect.connect()).await.unwrap();
    soon(client.call("square", (3,)).fetch()).await.unwrap()
}

#[tokio::test]
async fn both_transports_work_over_tls() {
    let certificate = certificate();
    let address = listen(&certificate, |listener| listener).await;
    assert_eq!(square_over_wss(address, &certificate).await, 9.0);

    let config = client_config(&certificate);
    let client = client_builder()
        .tls_backend_preconfigured(config)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/", address.port());
    let body = "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";
    let response = soon(client.post(url).body(body).send()).await.unwrap();
    assert_eq!(soon(response.text()).await.unwrap(), r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_delays_nobody_and_is_disconnected() {
    let certificate = certificate();
    let settings = |listener: TlsListener| {
        let listener = listener.handshake_timeout(Duration::from_millis(500));
        listener.max_handshakes(2)
    };
    let address = listen(&certificate, settings).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(square_over_wss(address, &certificate).await, 9.0);
    // There are more clients than may shake hands at a time, so the later ones wait for the
    // timeout.
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(square_over_wss(address, &certificate).await, 9.0);
    assert_eq!(soon(silent.read(&mut [0; 16])).await.unwrap(), 0);
}

#[tokio::test]
async fn handshakes_of_one_address_are_bounded() {
    let certificate = certificate();
    let settings = |listener: TlsListener| listener.max_handshakes_per_address(1);
    let address = listen(&certificate, settings).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    // The first is too young to make way.
    let mut refused = TcpStream::connect(address).await.unwrap();
    assert_eq!(soon(refused.read(&mut [0; 16])).await.unwrap(), 0);
    // Long before the timeout, the first makes way for a client that keeps trying.
    let makes_way = async {
        loop {
            tokio::select! {
                read = silent.read_u8() => break read.unwrap_err(),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            drop(TcpStream::connect(address).await.unwrap());
        }
    };
    soon(makes_way).await;
    // Once the server has noticed that the last connection has ended, others have their turn.
    let connected = async {
        loop {
            let url = format!("wss://localhost:{}/", address.port());
            let connect = ws::Connect::new(url).tls_config(client_config(&certificate));
            if let Ok(client) = connect.connect::<Stub>().await {
                break client;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let client = soon(connected).await;
    let square = soon(client.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(square.unwrap(), 9.0);
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_with_a_reason() {
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let certificate = certificate();
    let other = self::certificate();
    for (pem, key, expected) in [
        ("nothing", certificate.key.as_str(), "certificate"),
        (&certificate.pem, "nothing", "private key"),
        (&certificate.pem, &other.key, "certificate and its key"),
    ] {
        let refused = TlsListener::from_pem(listen().await, pem.as_bytes(), key.as_bytes());
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
    let missing = TlsListener::from_pem_files(listen().await, "/missing.pem", "/missing.pem");
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .starts_with("/missing.pem: ")
    );
}

//! Failures to connect, other than because of certificates.

use std::{
    future::Future,
    net::UdpSocket,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use capnweb_core::{ConnectFailure, Stub};
use capnweb_transport_webtransport::{
    Connect, connect,
    rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, version::TLS13},
};
use wtransport::quinn::{self, EndpointConfig, TokioRuntime, crypto::rustls::QuicServerConfig};

use crate::support::failure;

#[tokio::test]
async fn a_port_at_which_nobody_listens_is_unreachable() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", socket.local_addr().unwrap());
    let connect = Connect::new(&url).timeout(Duration::from_millis(100));
    let (kind, cause) = failure(connect, &url).await;
    assert_eq!(kind, ConnectFailure::Unreachable);
    assert_eq!(cause, "there is no answer over UDP within 100ms");
}

#[tokio::test]
async fn a_host_that_does_not_exist_has_no_address() {
    let url = "https://no.such.host.invalid/";
    let (kind, cause) = failure(Connect::new(url), url).await;
    assert_eq!(kind, ConnectFailure::Dns, "{cause}");
}

#[tokio::test]
async fn an_address_that_cannot_be_is_unreachable() {
    let url = "https://127.0.0.1:0/";
    let (kind, cause) = failure(Connect::new(url), url).await;
    assert_eq!(kind, ConnectFailure::Unreachable, "{cause}");
    assert_eq!(cause, "127.0.0.1:0 cannot be reached");
}

/// Starts a QUIC server that does not speak HTTP/3.
fn other_quic(protocol: &[u8], config: EndpointConfig) -> (quinn::Endpoint, String) {
    let (endpoint, url, _) = quic(protocol, config, |_| ());
    (endpoint, url)
}

/// Starts a QUIC server that handles each connection with `serve`. Returns it with the certificate
/// to trust.
fn quic(
    protocol: &[u8],
    config: EndpointConfig,
    on_connection: impl Fn(quinn::Connection) + Send + 'static,
) -> (quinn::Endpoint, String, RootCertStore) {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![protocol.to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let runtime = Arc::new(TokioRuntime);
    let endpoint = quinn::Endpoint::new(config, Some(server), socket, runtime).unwrap();
    let url = format!("https://{}/", endpoint.local_addr().unwrap());
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            if let Ok(connection) = incoming.await {
                on_connection(connection);
            }
        }
    });
    (endpoint, url, roots)
}

/// Connects to a server that closes every connection with this HTTP/3 code. Returns the cause and
/// the number of connections.
async fn closed_with(code: u32) -> (String, usize) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let (_endpoint, url, roots) = quic(b"h3", EndpointConfig::default(), move |connection| {
        count.fetch_add(1, Ordering::SeqCst);
        connection.close(code.into(), b"");
    });
    let (kind, cause) = failure(Connect::new(&url).roots(roots), &url).await;
    assert_eq!(kind, ConnectFailure::Rejected, "{cause}");
    (cause, connections.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_connection_whose_frames_were_misread_is_tried_again() {
    for code in [0x105, 0x107, 0x10a] {
        let cause = format!("the server closed the connection: {code}");
        assert_eq!(closed_with(code).await, (cause, 3));
    }
    let rejected = 0x10b;
    let cause = format!("the server closed the connection: {rejected}");
    assert_eq!(closed_with(rejected).await, (cause, 1));
}

#[tokio::test]
async fn a_server_of_another_protocol_is_told_from_others() {
    let (_endpoint, url) = other_quic(b"doq", EndpointConfig::default());
    let (kind, cause) = failure(Connect::new(&url), &url).await;
    assert_eq!(kind, ConnectFailure::NotCapnWeb, "{cause}");
    assert_eq!(cause, "the server does not speak HTTP/3");
}

#[tokio::test]
async fn a_server_of_another_version_is_told_from_others() {
    let mut config = EndpointConfig::default();
    // The version of the last draft of QUIC.
    config.supported_versions(vec![0xff00_0022]);
    let (_endpoint, url) = other_quic(b"h3", config);
    let (kind, cause) = failure(Connect::new(&url), &url).await;
    assert_eq!(kind, ConnectFailure::NotCapnWeb, "{cause}");
    assert_eq!(cause, "the server speaks another version of QUIC");
}

#[tokio::test]
async fn urls_that_are_none_are_mistakes() {
    for (url, part) in [
        ("not a url", "relative URL"),
        ("wss://127.0.0.1/", "https, not wss"),
        ("https://ada:secret@127.0.0.1/", "authorization"),
    ] {
        let (kind, cause) = failure(Connect::new(url), url).await;
        assert_eq!(kind, ConnectFailure::InvalidRequest);
        assert!(cause.contains(part), "{cause}");
    }
}

#[tokio::test]
async fn headers_that_are_none_are_mistakes() {
    let url = "https://127.0.0.1:9/";
    let (kind, cause) = failure(Connect::new(url).header("no header", "x"), url).await;
    assert_eq!(kind, ConnectFailure::InvalidRequest);
    assert!(cause.contains("no header"), "{cause}");
    let (_, cause) = failure(Connect::new(url).header(":path", "x"), url).await;
    assert!(cause.contains(":path"), "{cause}");
    let (_, cause) = failure(Connect::new(url).header("x", "line\nline"), url).await;
    assert!(cause.contains("the header x"), "{cause}");
}

#[test]
fn a_client_without_a_runtime_has_an_error() {
    let mut connecting = pin!(connect::<Stub>("https://127.0.0.1:9/"));
    match connecting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Err(error)) => {
            assert!(error.message().contains("no Tokio runtime"), "{error}");
        }
        other => panic!("expected an error, got {other:?}"),
    }
    let server = capnweb_transport_webtransport::Server::new(&crate::support::identity());
    assert!(server.bind("127.0.0.1:0").is_err());
}

#[test]
fn secrets_are_not_shown() {
    let connect = Connect::new("https://127.0.0.1/").header("authorization", "Bearer 1234");
    let shown = format!("{connect:?}");
    assert!(shown.contains("authorization"));
    assert!(!shown.contains("1234"));
}

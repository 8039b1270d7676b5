//! This library's clients on JavaScript hosts.

use capnweb::{
    Encoding, Result, Session, SessionOptions, StubType,
    web::{Connect, webtransport},
};

pub(super) type CertificateHash = [u8; 32];

pub(super) fn parse_hash(text: &str) -> Result<CertificateHash, String> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes
        .try_into()
        .map_err(|_| format!("{text} is no SHA-256 hash"))
}

/// Starts a batch.
pub(super) fn batch<S: StubType>(url: impl AsRef<str>) -> S {
    capnweb::web::batch(url)
}

/// Opens a WebSocket, and returns the server's main object.
pub(super) async fn main<S: StubType>(url: &str) -> Result<S> {
    Ok(S::from_stub(Connect::new(url).open().await?.main()))
}

/// Opens a WebSocket with the given message encoding.
pub(super) async fn encoded(url: &str, encoding: Encoding) -> Result<Session> {
    Connect::new(url).encoding(encoding).open().await
}

pub(super) async fn web_socket(
    url: &str,
    options: SessionOptions,
    main: impl StubType,
) -> Result<Session> {
    let connect = Connect::new(url).options(options).main(main);
    connect.open().await
}

pub(super) async fn webtransport(
    url: &str,
    hash: CertificateHash,
    options: SessionOptions,
    main: impl StubType,
) -> Result<Session> {
    webtransport::Connect::new(url)
        .certificate_hash(hash)
        .options(options)
        .main(main)
        .open()
        .await
}

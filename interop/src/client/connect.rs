//! The clients of this library.

use capnweb::{Encoding, Result, Session, SessionOptions, StubType, http, webtransport, ws};

pub(super) use capnweb::webtransport::CertificateHash;

pub(super) fn parse_hash(text: &str) -> Result<CertificateHash, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// Starts a batch.
pub(super) fn batch<S: StubType>(url: impl AsRef<str>) -> S {
    http::batch(url)
}

/// Opens a WebSocket, and returns the server's main object.
pub(super) async fn main<S: StubType>(url: &str) -> Result<S> {
    ws::connect(url).await
}

/// Opens a WebSocket whose messages are encoded this way.
pub(super) async fn encoded(url: &str, encoding: Encoding) -> Result<Session> {
    ws::Connect::new(url).encoding(encoding).session().await
}

pub(super) async fn web_socket(
    url: &str,
    options: SessionOptions,
    main: impl StubType,
) -> Result<Session> {
    let connect = ws::Connect::new(url).options(options).main(main);
    connect.session().await
}

pub(super) async fn webtransport(
    url: &str,
    hash: CertificateHash,
    options: SessionOptions,
    main: impl StubType,
) -> Result<Session> {
    webtransport::Connect::new(url)
        .certificate_hashes([hash])
        .options(options)
        .main(main)
        .session()
        .await
}

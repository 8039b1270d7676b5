//! What a server prints and a client takes.

use capnweb::webtransport::CertificateHash;

use crate::Result;

/// Over WebTransport: where the server is, and the certificate that it has made for itself.
pub(crate) fn with_certificate(at: &str, hash: CertificateHash) -> String {
    format!("{at}/{hash}")
}

/// The same taken apart.
pub(crate) fn split(address: &str) -> Result<(&str, CertificateHash)> {
    let (at, hash) = address
        .split_once('/')
        .ok_or("an address of WebTransport names a certificate")?;
    Ok((at, hash.parse()?))
}

//! Addresses in the form that servers print and clients accept.

use capnweb::webtransport::CertificateHash;

use crate::Result;

/// Returns an address for WebTransport: the server's address, and the hash of its self-signed
/// certificate.
pub(crate) fn with_certificate(at: &str, hash: CertificateHash) -> String {
    format!("{at}/{hash}")
}

/// Splits such an address.
pub(crate) fn split(address: &str) -> Result<(&str, CertificateHash)> {
    let (at, hash) = address
        .split_once('/')
        .ok_or("an address of WebTransport names a certificate")?;
    Ok((at, hash.parse()?))
}

//! Certificate hashes.

use std::{fmt, str::FromStr};

use wtransport::tls::Certificate;

/// The SHA-256 hash of a certificate. Browsers and this crate's client accept a server by it in
/// place of an authority's signature.
///
/// It is formatted in hexadecimal with colons, which are optional when parsing.
///
/// ```
/// use capnweb::webtransport::CertificateHash;
///
/// let hash: CertificateHash = "0a".repeat(32).parse()?;
/// assert_eq!(hash.to_string(), ["0a"; 32].join(":"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateHash([u8; 32]);

impl CertificateHash {
    /// Creates a hash from its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the hash of a certificate in DER, or `None` if it is not a certificate.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(certificate.to_vec()).ok()?;
        Some(Self(*certificate.hash().as_ref()))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the hash as an element of `serverCertificateHashes` in JavaScript: `{algorithm:
    /// "sha-256", value: new Uint8Array([…])}`.
    pub fn to_javascript(&self) -> String {
        let bytes = self.0.map(|byte| byte.to_string()).join(",");
        format!("{{algorithm: \"sha-256\", value: new Uint8Array([{bytes}])}}")
    }
}

impl fmt::Display for CertificateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertificateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateHash({self})")
    }
}

/// The error for a text that is not a SHA-256 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidHash;

impl fmt::Display for InvalidHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 hash has 64 hexadecimal digits, with or without colons")
    }
}

impl std::error::Error for InvalidHash {}

impl FromStr for CertificateHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut digits = text.trim().chars().filter(|c| *c != ':');
        let mut digit = || digits.next().and_then(|c| c.to_digit(16));
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let (high, low) = digit().zip(digit()).ok_or(InvalidHash)?;
            *byte = u8::try_from(16 * high + low).map_err(|_| InvalidHash)?;
        }
        match digit() {
            None if digits.next().is_none() => Ok(Self(bytes)),
            _ => Err(InvalidHash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let mut byte = 3_u8;
        let bytes = std::array::from_fn(|_| {
            byte = byte.wrapping_mul(7).wrapping_add(1);
            byte
        });
        let hash = CertificateHash::new(bytes);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let bare = hash.to_string().replace(':', "").to_uppercase();
        assert_eq!(bare.parse(), Ok(hash));
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert_eq!(text.parse::<CertificateHash>(), Err(InvalidHash), "{text}");
        }
        assert_eq!(CertificateHash::of(b"no certificate"), None);
    }

    #[test]
    fn a_hash_is_written_for_javascript() {
        let text = CertificateHash::new([7; 32]).to_javascript();
        assert!(text.starts_with("{algorithm: \"sha-256\", value: new Uint8Array([7,7,"));
    }
}

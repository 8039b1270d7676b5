//! Server certificates.

use std::{fmt, sync::Arc};

use capnweb_core::{Error, Result};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use wtransport::tls::WEBTRANSPORT_ALPN;

use crate::CertificateHash;

/// A server's certificate and its private key.
///
/// In production, load one that an authority has issued, with [`from_pem`](Self::from_pem). For
/// development, `self_signed` creates one that browsers accept by its hash.
///
#[cfg_attr(feature = "self-signed", doc = "```")]
#[cfg_attr(not(feature = "self-signed"), doc = "```ignore")]
/// use capnweb::webtransport::Identity;
///
/// let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
/// println!("new WebTransport(url, {{serverCertificateHashes: [{}]}})",
///     identity.certificate_hash().to_javascript());
/// # Ok::<(), capnweb::Error>(())
/// ```
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    hash: CertificateHash,
}

impl Identity {
    /// Loads a certificate chain and its private key from PEM. Let's Encrypt's clients call these
    /// files `fullchain.pem` and `privkey.pem`.
    ///
    /// # Errors
    ///
    /// Returns an error if either is missing or invalid, or if the key does not match the
    /// certificate.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(chain.as_ref())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::new(format!("the certificate is not PEM: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref())
            .map_err(|error| Error::new(format!("the private key is not PEM: {error}")))?;
        Self::from_der(chain, key)
    }

    /// Loads a certificate chain and its private key from DER. The server's certificate is first,
    /// followed by those that lead to its authority.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no certificate, if a certificate or the key is invalid, or if
    /// the key does not match the certificate.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self> {
        let certificate = chain
            .first()
            .cloned()
            .ok_or_else(|| Error::new("there is no certificate"))?;
        let hash = CertificateHash::of(&certificate)
            .ok_or_else(|| Error::new("the certificate cannot be read"))?;
        // The crypto provider is named, so this works whether or not the process has installed one.
        // QUIC requires TLS 1.3.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| refused(&error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| refused(&error))?;
        config.alpn_protocols = vec![WEBTRANSPORT_ALPN.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            certificate,
            hash,
        })
    }

    /// Creates a certificate for development: ECDSA on the curve P-256, valid from an hour ago for
    /// 13 days. Browsers require this of certificates that they accept by hash.
    ///
    /// `names` are the host names and IP addresses of the server. A browser that accepts the
    /// certificate by hash ignores them. This crate's client checks them if the certificate is one
    /// of its roots.
    ///
    /// # Errors
    ///
    /// Returns an error if a name is not valid in a certificate.
    #[cfg(feature = "self-signed")]
    pub fn self_signed(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        use rcgen::{
            CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256,
        };
        use time::{Duration, OffsetDateTime};

        /// An allowance for slow clocks.
        const BEFORE: Duration = Duration::HOUR;
        /// The validity. Browsers allow at most 14 days.
        const VALIDITY: Duration = Duration::days(13);

        let failed = |error| Error::new(format!("the certificate was not made: {error}"));
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "capnweb development");
        params.not_before = OffsetDateTime::now_utc() - BEFORE;
        params.not_after = params.not_before + VALIDITY;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| Error::new(format!("the key was not made: {error}")))?;
        Self::from_der(vec![certificate.der().clone()], key)
    }

    /// Returns the hash of the certificate.
    pub fn certificate_hash(&self) -> CertificateHash {
        self.hash
    }

    /// Returns the certificate itself, in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn tls_config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

fn refused(error: &rustls::Error) -> Error {
    Error::new(format!(
        "the certificate and its key cannot be used: {error}"
    ))
}

impl fmt::Debug for Identity {
    // Do not show the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate_hash", &self.hash)
            .finish_non_exhaustive()
    }
}

//! Certificate verification.

use std::{path::Path, sync::Arc};

use capnweb::webtransport::CertificateHash;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use crate::failure::Failure;

/// The certificates to accept.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Those that the platform trusts.
    Platform,
    /// Those signed by these authorities.
    Roots(RootCertStore),
    /// Those with one of these hashes, over WebTransport.
    Hashes(Vec<CertificateHash>),
    /// All certificates.
    Anything,
}

impl Trust {
    /// Reads the certificates of authorities from a PEM file.
    pub(crate) fn from_pem(path: &Path) -> Result<Self, Failure> {
        let failed = |why: String| {
            Failure::usage(format!("--cacert {}: {why}", path.display()))
                .help("the file holds certificates in PEM, between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----")
        };
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| failed(error.to_string()))?;
        }
        match roots.is_empty() {
            true => Err(failed("there is no certificate in it".to_owned())),
            false => Ok(Self::Roots(roots)),
        }
    }

    /// Returns the TLS configuration for TCP, or `None` for the default one.
    pub(crate) fn config(&self) -> Option<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .ok()?;
        match self {
            Self::Platform | Self::Hashes(_) => None,
            Self::Roots(roots) => Some(
                builder
                    .with_root_certificates(roots.clone())
                    .with_no_client_auth(),
            ),
            Self::Anything => {
                let verifier = Arc::new(AcceptAnything(provider));
                let builder = builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier);
                Some(builder.with_no_client_auth())
            }
        }
    }
}

/// Parses the certificate hash of `--cert-hash`.
pub(crate) fn parse_hash(text: &str) -> Result<CertificateHash, String> {
    text.parse()
        .map_err(|error| format!("this is not the hash of a certificate: {error}"))
}

/// Accepts any certificate, but still checks the signatures of the handshake.
#[derive(Debug)]
struct AcceptAnything(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

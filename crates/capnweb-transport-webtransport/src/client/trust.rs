//! The certificates that a client accepts.

use std::{fmt, sync::Arc};

use capnweb_net::ConnectError;
use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
};
use rustls_platform_verifier::Verifier;
use wtransport::{
    quinn::{self, crypto::rustls::QuicClientConfig},
    tls::{Sha256Digest, WEBTRANSPORT_ALPN, client::ServerHashVerification},
};

use super::{
    failure,
    witness::{Witness, Witnessed},
};
use crate::{CertificateHash, quic};

/// The certificates that a client accepts.
pub(super) enum Trust {
    /// Certificates that the platform accepts.
    Platform,
    /// Certificates that lead up to one of these roots.
    Roots(Arc<RootCertStore>),
    /// Certificates with one of these hashes.
    Hashes(Vec<CertificateHash>),
}

impl Trust {
    /// Returns the settings of a connection. `witness` observes the verification of the server's
    /// certificate.
    pub(super) fn config(
        &self,
        witness: &Arc<Witness>,
    ) -> Result<quinn::ClientConfig, ConnectError> {
        // The crypto provider is named, so this works whether or not the process has installed one.
        let provider = Arc::new(ring::default_provider());
        let verifier = Witnessed {
            inner: self.verifier(&provider)?,
            witness: witness.clone(),
        };
        // QUIC requires TLS 1.3.
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| failure::other(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        tls.alpn_protocols = vec![WEBTRANSPORT_ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| failure::other(&error))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(quic::transport_config());
        Ok(config)
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, ConnectError> {
        Ok(match self {
            Self::Platform => {
                let verifier =
                    Verifier::new(provider.clone()).map_err(|error| failure::other(&error))?;
                Arc::new(verifier)
            }
            Self::Roots(roots) => {
                WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
                    .build()
                    .map_err(|error| failure::other(&error))?
            }
            Self::Hashes(hashes) => {
                let hashes = hashes
                    .iter()
                    .map(|hash| Sha256Digest::new(*hash.as_bytes()));
                Arc::new(ServerHashVerification::new(hashes))
            }
        })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("Platform"),
            Self::Roots(roots) => f.debug_tuple("Roots").field(&roots.len()).finish(),
            Self::Hashes(hashes) => f.debug_tuple("Hashes").field(hashes).finish(),
        }
    }
}

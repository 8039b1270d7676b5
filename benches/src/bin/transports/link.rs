//! Connecting over either transport.

use std::fmt;

use capnweb::{
    Stub,
    webtransport::{
        Connect,
        rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer},
    },
    ws,
};

use crate::Result;

#[derive(Clone, Copy)]
pub(crate) enum Link {
    WebSocket,
    WebTransport,
}

/// The addresses of a server for both transports.
pub(crate) struct Place {
    /// The host and port, for both TCP and UDP.
    pub(crate) web_socket: String,
    pub(crate) webtransport: String,
    /// The only root that clients trust.
    pub(crate) certificate: CertificateDer<'static>,
}

impl Link {
    pub(crate) async fn connect(self, place: &Place) -> Result<Stub> {
        let mut roots = RootCertStore::empty();
        roots.add(place.certificate.clone())?;
        Ok(match self {
            Self::WebSocket => {
                let config = ClientConfig::builder_with_provider(ring::default_provider().into())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                ws::Connect::new(format!("wss://{}/", place.web_socket))
                    .tls_config(config)
                    .connect()
                    .await?
            }
            Self::WebTransport => {
                Connect::new(format!("https://{}/", place.webtransport))
                    .roots(roots)
                    .connect()
                    .await?
            }
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WebSocket => "WebSocket, TLS",
            Self::WebTransport => "WebTransport",
        })
    }
}

//! TLS beneath a client's WebSocket.

use std::{io, sync::Arc};

use capnweb_core::ConnectFailure;
use capnweb_net::ConnectError;
use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

/// Performs the TLS handshake with `host`.
pub(crate) async fn secure<S>(
    stream: S,
    host: &Host<&str>,
    config: Option<Arc<ClientConfig>>,
) -> Result<TlsStream<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = match config {
        Some(config) => config,
        None => default_config()?,
    };
    let name = match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(|_| {
            ConnectError::invalid(format!("{name} cannot be the name in a certificate"))
        })?,
        Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
        Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
    };
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| failure(&error))
}

/// Describes a failed handshake. The library's message for the most common mistake is not helpful.
fn failure(error: &io::Error) -> ConnectError {
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    let (failure, hint) = match cause {
        Some(rustls::Error::InvalidMessage(_)) => (
            ConnectFailure::Tls,
            " (the server does not seem to speak TLS on this port; without TLS the URL begins with `ws://`)",
        ),
        Some(rustls::Error::InvalidCertificate(_)) => (ConnectFailure::Certificate, ""),
        Some(_) => (ConnectFailure::Tls, ""),
        // The connection failed rather than TLS.
        None => (ConnectError::io(error).failure, ""),
    };
    ConnectError::new(failure, format!("TLS failed: {error}{hint}"))
}

/// Returns the default configuration, which verifies certificates as the platform does.
///
/// It names the crypto provider, so it works whether or not the process has installed one.
fn default_config() -> Result<Arc<ClientConfig>, ConnectError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map(|config| Arc::new(config.with_no_client_auth()))
        .map_err(|error| {
            ConnectError::new(
                ConnectFailure::Tls,
                format!("TLS cannot be set up: {error}"),
            )
        })
}

//! `wss:`.

use std::{io, sync::Arc};

use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::{Host, Url};

/// Speaks TLS to the host of `url`.
pub(crate) async fn secure(
    stream: TcpStream,
    url: &Url,
    config: Option<Arc<ClientConfig>>,
) -> Result<TlsStream<TcpStream>, String> {
    let config = match config {
        Some(config) => config,
        None => default_config()?,
    };
    let name = match url.host().ok_or("the URL has no host")? {
        Host::Domain(name) => ServerName::try_from(name.to_owned())
            .map_err(|_| format!("{name} cannot be the name in a certificate"))?,
        Host::Ipv4(address) => ServerName::IpAddress(address.into()),
        Host::Ipv6(address) => ServerName::IpAddress(address.into()),
    };
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| failure(&error))
}

/// Why there is no TLS. What the usual mistake gives says little by itself.
fn failure(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|error| error.downcast_ref());
    let hint = match cause {
        Some(rustls::Error::InvalidMessage(_)) => {
            " (the server does not seem to speak TLS on this port; without TLS the URL begins with `ws://`)"
        }
        _ => "",
    };
    format!("TLS failed: {error}{hint}")
}

/// Certificates are checked as the platform does. The crypto provider is named, so that it does not
/// matter whether the process has installed one.
fn default_config() -> Result<Arc<ClientConfig>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map(|config| Arc::new(config.with_no_client_auth()))
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

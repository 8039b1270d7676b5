//! Connections to the server behind the proxy.

use std::{io, sync::Arc, time::Duration};

use hyper::{Uri, http::uri::Scheme};
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{connect::Trust, failure::Failure};

/// A connection to the server, with or without TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The server behind the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// The host and port for `Host`.
    pub(crate) authority: String,
    host: String,
    port: u16,
    /// The path and query of its address.
    pub(crate) path: String,
    tls: Option<Arc<ClientConfig>>,
    timeout: Option<Duration>,
}

impl Upstream {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// Returns a failure if it is none of `ws`, `wss`, `http` and `https`.
    pub(crate) fn parse(
        text: &str,
        trust: &Trust,
        timeout: Option<Duration>,
    ) -> Result<Self, Failure> {
        let refused = |why: &str| {
            Failure::usage(format!("--to {text}: {why}"))
                .help("the proxy passes on WebSockets and HTTP: ws://host/path, wss://…, http://… or https://…")
        };
        let uri: Uri = text.parse().map_err(|error| refused(&format!("{error}")))?;
        let is_tls = match uri.scheme().map(Scheme::as_str) {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            _ => return Err(refused("this is no address of a server")),
        };
        if !is_tls && !matches!(trust, Trust::Platform) {
            return Err(refused("there are no certificates over this transport"));
        }
        let authority = uri.authority().ok_or_else(|| refused("there is no host"))?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if is_tls { 443 } else { 80 });
        let tls = match is_tls {
            true => Some(Arc::new(
                config(trust).map_err(|error| refused(&error.to_string()))?,
            )),
            false => None,
        };
        Ok(Self {
            authority: match authority.port_u16() {
                Some(port) => format!("{}:{port}", authority.host()),
                None => authority.host().to_owned(),
            },
            host,
            port,
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned()),
            tls,
            timeout,
        })
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Io>> {
        let Some(limit) = self.timeout else {
            return self.dial().await;
        };
        match tokio::time::timeout(limit, self.dial()).await {
            Ok(connected) => connected,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection within {limit:?}"),
            )),
        }
    }

    async fn dial(&self) -> io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(config.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }

    /// Returns the path for a request. The root stands for the path of the address.
    pub(crate) fn path_for(&self, asked: &Uri) -> String {
        match asked.path_and_query() {
            Some(path) if path.path() == "/" => match path.query() {
                None => self.path.clone(),
                Some(query) => {
                    let separator = if self.path.contains('?') { '&' } else { '?' };
                    format!("{}{separator}{query}", self.path)
                }
            },
            Some(path) => path.as_str().to_owned(),
            None => self.path.clone(),
        }
    }
}

fn config(trust: &Trust) -> Result<ClientConfig, rustls::Error> {
    if let Some(config) = trust.config() {
        return Ok(config);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_stands_for_the_path_of_the_address() {
        let upstream = Upstream::parse("ws://[::1]:8080/api?v=1", &Trust::Platform, None).unwrap();
        assert_eq!(
            (upstream.authority.as_str(), upstream.host.as_str()),
            ("[::1]:8080", "::1")
        );
        for (asked, path) in [
            ("/", "/api?v=1"),
            ("/?x=2", "/api?v=1&x=2"),
            ("/other?x", "/other?x"),
        ] {
            assert_eq!(upstream.path_for(&asked.parse().unwrap()), path);
        }
        for address in ["tcp://a:1", "a:1", "/x", "ws://"] {
            let failure = Upstream::parse(address, &Trust::Platform, None).unwrap_err();
            assert!(failure.help.unwrap().contains("wss://"), "{address}");
        }
    }
}

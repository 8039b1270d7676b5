//! Proxies of clients, and tunnels through them. A proxy is set by the environment or the
//! application.

mod http_tunnel;
mod socks;

use std::fmt;

use capnweb_core::ConnectFailure;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncRead, AsyncWrite};
use url::{Host, Url};

use crate::ConnectError;

/// The choice of a proxy.
///
/// A proxy's URL is `http:`, `https:`, `socks5:` or `socks5h:`, with user and password if the proxy
/// requires them. The proxy always resolves names, with either form of SOCKS.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// The proxy that the environment sets: `HTTP_PROXY` for unencrypted connections, `HTTPS_PROXY`
    /// for encrypted ones, and `ALL_PROXY` for either, except for the hosts in `NO_PROXY`.
    #[default]
    Environment,
    /// No proxy.
    Direct,
    /// The proxy with this URL, for all hosts.
    Url(String),
}

impl ProxyChoice {
    /// Returns the proxy for a connection to `target`, whose scheme is `ws`, `wss`, `http` or
    /// `https`. `None` means a direct connection.
    ///
    /// # Errors
    ///
    /// Returns an error if the application's proxy has an invalid URL. An invalid URL in the
    /// environment is ignored.
    pub fn proxy_for(&self, target: &Url) -> Result<Option<Proxy>, ConnectError> {
        let matcher = match self {
            Self::Direct => return Ok(None),
            Self::Environment if self.is_switched_off() => return Ok(None),
            Self::Environment => Matcher::from_env(),
            Self::Url(url) => {
                check(url)?;
                Matcher::builder().all(url.as_str()).build()
            }
        };
        let scheme = match target.scheme() {
            "wss" | "https" => "https",
            _ => "http",
        };
        let (Some(host), Some(port)) = (target.host_str(), target.port_or_known_default()) else {
            return Ok(None);
        };
        let uri = Uri::try_from(format!("{scheme}://{host}:{port}/"))
            .map_err(|error| ConnectError::invalid(error.to_string()))?;
        matcher.intercept(&uri).map(Proxy::new).transpose()
    }

    /// Returns whether the environment excludes all hosts, by `*` in `NO_PROXY`. The library that
    /// this crate and the HTTP client use applies `*` to all names, but not to IP addresses.
    pub fn is_switched_off(&self) -> bool {
        let excluded = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
        let excludes_all =
            excluded.is_ok_and(|list| list.split(',').any(|host| host.trim() == "*"));
        matches!(self, Self::Direct) || matches!(self, Self::Environment) && excludes_all
    }

    /// Checks that the application's proxy is valid, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if its URL is invalid.
    pub fn check(&self) -> Result<(), ConnectError> {
        match self {
            Self::Url(url) => check(url),
            _ => Ok(()),
        }
    }
}

fn check(proxy: &str) -> Result<(), ConnectError> {
    let failed = |cause: &str| {
        ConnectError::invalid(format!(
            "the proxy's URL cannot be used: {cause}; it has to be like `http://proxy:3128`"
        ))
    };
    let url = Url::parse(proxy).map_err(|error| failed(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
        return Err(failed("its scheme must be `http`, `https` or `socks5`"));
    }
    if url.host().is_none() {
        return Err(failed("it has no host"));
    }
    Ok(())
}

/// User and password of the URL are secrets, so they are not shown.
impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Direct => f.write_str("Direct"),
            Self::Url(url) => match Url::parse(url) {
                Ok(url) => write!(f, "Url({}://{:?})", url.scheme(), url.host_str()),
                Err(_) => f.write_str("Url(invalid)"),
            },
        }
    }
}

/// A proxy for one connection.
pub struct Proxy {
    /// The proxy's host: a name, or an IP address without brackets.
    pub host: String,
    /// The proxy's port.
    pub port: u16,
    kind: Kind,
}

enum Kind {
    Http {
        /// True if the connection to the proxy itself uses TLS.
        tls: bool,
        authorization: Option<HeaderValue>,
    },
    Socks {
        login: Option<(String, String)>,
    },
}

impl Proxy {
    fn new(intercept: Intercept) -> Result<Self, ConnectError> {
        let uri = intercept.uri();
        let failed = |cause| ConnectError::new(ConnectFailure::proxy(None), cause);
        let host = uri.host().ok_or_else(|| failed("the proxy has no host"))?;
        let http = |tls| Kind::Http {
            tls,
            authorization: intercept.basic_auth().cloned(),
        };
        let (kind, default_port) = match uri.scheme_str() {
            Some("http") => (http(false), 80),
            Some("https") => (http(true), 443),
            Some("socks5" | "socks5h") => {
                let login = intercept.raw_auth();
                let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
                (Kind::Socks { login }, 1080)
            }
            _ => {
                return Err(failed(
                    "the proxy's scheme must be `http`, `https` or `socks5`",
                ));
            }
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            kind,
        })
    }

    /// Returns whether the connection to the proxy needs a TLS handshake first.
    pub fn is_tls(&self) -> bool {
        matches!(self.kind, Kind::Http { tls: true, .. })
    }

    /// Asks the proxy on `stream` to connect to `host` and `port`. Afterwards, the stream is
    /// connected to that host.
    ///
    /// # Errors
    ///
    /// Returns an error if the proxy refuses, or if the answer is not a proxy's.
    pub async fn tunnel<S>(
        &self,
        stream: &mut S,
        host: &Host<&str>,
        port: u16,
    ) -> Result<(), ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match &self.kind {
            Kind::Http { authorization, .. } => {
                http_tunnel::open(stream, host, port, authorization.as_ref()).await
            }
            Kind::Socks { login } => socks::open(stream, host, port, login.as_ref()).await,
        }
    }

    /// Adds the context that the proxy could not be reached.
    pub fn unreachable(&self, error: &ConnectError) -> ConnectError {
        ConnectError::new(
            ConnectFailure::proxy(None),
            format!("the proxy {} cannot be reached: {}", self.host, error.cause),
        )
    }
}

/// User and password are secrets, so they are not shown.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Returns the failure for a refusal by the proxy, or for an invalid answer.
fn refused(code: Option<u16>, cause: impl fmt::Display) -> ConnectError {
    ConnectError::new(ConnectFailure::proxy(code), format!("the proxy {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_for(proxy: &str, target: &str) -> Result<Option<Proxy>, ConnectError> {
        ProxyChoice::Url(proxy.to_owned()).proxy_for(&target.parse().unwrap())
    }

    #[test]
    fn a_proxy_is_for_all_hosts() {
        for target in ["ws://a.example/x", "wss://127.0.0.1:1/", "https://[::1]/"] {
            let proxy = proxy_for("http://proxy.example:3128", target)
                .unwrap()
                .unwrap();
            assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
            assert!(!proxy.is_tls());
        }
        let proxy = proxy_for("https://[::1]", "ws://a.example")
            .unwrap()
            .unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 443));
        assert!(proxy.is_tls());
        let proxy = proxy_for("socks5h://proxy", "ws://a.example")
            .unwrap()
            .unwrap();
        assert_eq!(proxy.port, 1080);
        let direct = ProxyChoice::Direct.proxy_for(&"ws://a.example".parse().unwrap());
        assert!(direct.unwrap().is_none());
    }

    #[test]
    fn a_url_that_is_no_proxys_is_a_mistake() {
        for proxy in ["proxy:3128", "ftp://proxy", "http://", "", "socks4://proxy"] {
            let error = proxy_for(proxy, "ws://a.example").unwrap_err();
            assert!(error.is_mistake(), "{proxy}: {error:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let choice = ProxyChoice::Url("http://ada:secret@proxy:3128".to_owned());
        let proxy = choice.proxy_for(&"ws://a.example".parse().unwrap());
        let shown = format!("{choice:?} {proxy:?}");
        assert!(
            !shown.contains("secret") && shown.contains("proxy"),
            "{shown}"
        );
    }
}

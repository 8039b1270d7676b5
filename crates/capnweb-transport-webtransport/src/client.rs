//! Opening a session.

mod dial;
mod failure;
mod trust;
mod witness;

use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use capnweb_core::{Result, Session, SessionOptions, StubType};
use capnweb_net::{ClientSettings, ConnectError};
use http::{HeaderName, header};
use tokio::runtime::Handle;
use url::Url;

use self::{trust::Trust, witness::Witness};
use crate::{CertificateHash, stream::SessionStream, transport::SessionTransport};

/// The default time limit for connecting: see [`Connect::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers that are not allowed, because HTTP/3 expresses them differently or not at all.
const RESERVED: [HeaderName; 5] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Connects to `url` and returns the peer's main object.
///
/// The URL is `https:`. The connection lives as long as the stub or any other handle of the
/// session. For other settings than the defaults, use [`Connect`].
///
/// ```no_run
/// use capnweb::Stub;
///
/// # async fn example() -> capnweb::Result<()> {
/// let api: Stub = capnweb::webtransport::connect("https://example.com/api").await?;
/// let greeting: String = api.call("greet", ("Ada",)).fetch().await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Returns the same errors as [`Connect::connect`].
pub async fn connect<S: StubType>(url: impl AsRef<str>) -> Result<S> {
    Connect::new(url).connect().await
}

/// A builder for the connection of a client.
///
/// ```no_run
/// use capnweb::{Object, Stub};
/// use capnweb::webtransport::Connect;
///
/// # async fn example(hash: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let api: Stub = Connect::new("https://127.0.0.1:4433/api")
///     .header("authorization", "Bearer 1234")
///     // The hash of the server's self-signed certificate.
///     .certificate_hashes([hash.parse()?])
///     // The object that the server can call here.
///     .main(Object::new().property("name", "Ada").into_stub())
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "it connects when `connect` or `session` is called"]
pub struct Connect {
    url: String,
    settings: ClientSettings,
    addresses: Option<Vec<SocketAddr>>,
    trust: Trust,
}

impl Connect {
    /// Creates a connection to `url`, which is `https:`.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: ClientSettings::with_timeout(CONNECT_TIMEOUT),
            addresses: None,
            trust: Trust::Platform,
        }
    }

    /// Sets the options of the session, including its limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets the main object that the server can call. Without one, its calls are rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.set_main(&main);
        self
    }

    /// Adds a header to the request, such as a token or an `Origin`. (Browsers do not allow pages
    /// to add headers.)
    ///
    /// HTTP/3 sends the host by other means, so connecting with a `Host` header fails.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.add_header(name, value);
        self
    }

    /// Sets the time limit for connecting. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Connects to these addresses instead of those of the URL's host. The host is still sent to
    /// the server and checked against its certificate.
    ///
    /// The first address that answers is used. The next one is tried when an attempt fails, or
    /// after 250 milliseconds, as for a host with several addresses (RFC 8305).
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = Some(addresses.into_iter().collect());
        self
    }

    /// Accepts only certificates that lead up to one of these roots. By default, certificates are
    /// verified as the platform does.
    pub fn roots(mut self, roots: rustls::RootCertStore) -> Self {
        self.trust = Trust::Roots(roots.into());
        self
    }

    /// Accepts only certificates with one of these hashes. As in browsers, such a certificate must
    /// have an ECDSA key on the curve P-256 and be valid for at most 14 days. Its names are
    /// ignored.
    pub fn certificate_hashes(mut self, hashes: impl IntoIterator<Item = CertificateHash>) -> Self {
        self.trust = Trust::Hashes(hashes.into_iter().collect());
        self
    }

    /// Connects and returns the server's main object.
    ///
    /// The session's driver becomes a task of the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns "WebTransport connection failed: …" with the URL and the cause. An invalid URL or
    /// header is a `TypeError`. For all other errors,
    /// [`Error::is_disconnected`](capnweb_core::Error::is_disconnected) returns true.
    /// [`Error::connect_failure`](capnweb_core::Error::connect_failure) distinguishes the causes:
    ///
    /// | `ConnectFailure` | cause |
    /// |---|---|
    /// | `InvalidRequest` | the URL or a header is invalid |
    /// | `Dns` | the host has no address |
    /// | `Unreachable` | there is no answer over UDP |
    /// | `Certificate` | the server's certificate is not trusted |
    /// | `NotCapnWeb` | the server lacks WebTransport, HTTP/3, or this version of QUIC |
    /// | `Rejected` | the server rejects this path or this client |
    /// | `Refused` | the server accepts no more connections |
    /// | `Timeout` | it took longer than [`timeout`](Self::timeout) |
    /// | `NoRuntime` | there is no Tokio runtime |
    pub async fn connect<S: StubType>(self) -> Result<S> {
        Ok(S::from_stub(self.session().await?.main()))
    }

    /// Connects and returns the session. The connection lives as long as any handle of it.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](Self::connect).
    pub async fn session(self) -> Result<Session> {
        self.open().await.map_err(|error| {
            error.into_error(|cause| {
                format!("WebTransport connection failed: {}: {cause}", self.url)
            })
        })
    }

    async fn open(&self) -> Result<Session, ConnectError> {
        if Handle::try_current().is_err() {
            return Err(ConnectError::no_runtime());
        }
        let witness = Arc::new(Witness::default());
        let timeout = self.settings.timeout.unwrap_or(Duration::MAX);
        let stream = tokio::time::timeout(timeout, self.open_stream(&witness))
            .await
            .unwrap_or_else(|_| Err(failure::timeout(timeout, witness.has_seen_one())))
            .map_err(|error| match witness.refusal() {
                Some(refusal) => failure::certificate(&refusal),
                None => error,
            })?;
        let (session, connection) = self.settings.session("webtransport");
        let transport = SessionTransport::new(stream, self.settings.options.limits());
        tokio::spawn(connection.drive(transport));
        Ok(session)
    }

    async fn open_stream(&self, witness: &Arc<Witness>) -> Result<SessionStream, ConnectError> {
        let url = self.parse_url()?;
        let headers = self.parse_headers()?;
        let config = self.trust.config(witness)?;
        let addresses = self.addresses.as_deref();
        let connection = dial::dial(&url, addresses, &headers, &config).await?;
        let opening = connection
            .open_bi()
            .await
            .map_err(|error| failure::connection(&error))?;
        let stream = opening.await.map_err(|error| failure::other(&error))?;
        Ok(SessionStream::new(connection, stream))
    }

    fn parse_url(&self) -> Result<Url, ConnectError> {
        let mut url =
            Url::parse(&self.url).map_err(|error| ConnectError::invalid(error.to_string()))?;
        if url.scheme() != "https" {
            let scheme = url.scheme();
            return Err(ConnectError::invalid(format!(
                "the scheme has to be https, not {scheme}"
            )));
        }
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConnectError::credentials_in_url());
        }
        Ok(url)
    }

    /// Returns the headers in the form of HTTP/3: with lowercase names, one line per name.
    fn parse_headers(&self) -> Result<HashMap<String, String>, ConnectError> {
        let parsed = self.settings.headers(&RESERVED)?;
        let mut headers = HashMap::<String, String>::new();
        for (name, value) in &parsed {
            let value = value.to_str().map_err(|_| {
                ConnectError::invalid(format!("the header {name} cannot have that value"))
            })?;
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|values| {
                    values.push_str(if name == header::COOKIE { "; " } else { ", " });
                    values.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        Ok(headers)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("addresses", &self.addresses)
            .field("trust", &self.trust)
            .finish()
    }
}

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

/// The time that connecting may take unless [`Connect::timeout`] says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers that HTTP/3 has other places for, or none.
const RESERVED: [HeaderName; 5] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Connects to `url` and returns the peer's main object.
///
/// The URL is `https:`. The connection lives as long as the stub or anything that came by it. For
/// anything but the defaults there is [`Connect`].
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
/// As [`Connect::connect`].
pub async fn connect<S: StubType>(url: impl AsRef<str>) -> Result<S> {
    Connect::new(url).connect().await
}

/// A session to be opened.
///
/// ```no_run
/// use capnweb::{Object, Stub};
/// use capnweb::webtransport::Connect;
///
/// # async fn example(hash: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let api: Stub = Connect::new("https://127.0.0.1:4433/api")
///     .header("authorization", "Bearer 1234")
///     // The server made its certificate itself; this tells it.
///     .certificate_hashes([hash.parse()?])
///     // What the server can call here.
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
    /// A connection to `url`, which is `https:`.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: ClientSettings::with_timeout(CONNECT_TIMEOUT),
            addresses: None,
            trust: Trust::Platform,
        }
    }

    /// Sets the options of the session, its limits among them.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets our main object, which the server can call. Without one its calls are rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.set_main(&main);
        self
    }

    /// Adds a header to the request: a token, an `Origin`. (Browsers let a page add none.)
    ///
    /// HTTP/3 names the host by other means, so a header `Host` is refused when it connects.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.add_header(name, value);
        self
    }

    /// Sets how long connecting may take in all. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Connects to these addresses instead of those that the URL's host has. The host is still what
    /// the server is asked for and what its certificate has to say.
    ///
    /// The first that answers is taken. The next one is tried when an attempt fails, or after 250
    /// milliseconds, as for a host with several addresses (RFC 8305).
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = Some(addresses.into_iter().collect());
        self
    }

    /// Accepts certificates that lead up to one of these, and no others. By default certificates
    /// are checked as the platform does.
    pub fn roots(mut self, roots: rustls::RootCertStore) -> Self {
        self.trust = Trust::Roots(roots.into());
        self
    }

    /// Accepts certificates with one of these hashes, and no others. As in browsers such a
    /// certificate has to have an ECDSA key on the curve P-256 and to be valid for 14 days at most;
    /// the names in it do not matter.
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
    /// "WebTransport connection failed: …" with the URL and the cause. A URL or header that cannot
    /// be used is a `TypeError`; everything else answers
    /// [`Error::is_disconnected`](capnweb_core::Error::is_disconnected).
    /// [`Error::connect_failure`](capnweb_core::Error::connect_failure) tells the causes apart:
    ///
    /// | `ConnectFailure` | cause |
    /// |---|---|
    /// | `InvalidRequest` | the URL or a header is not usable |
    /// | `Dns` | the host has no address |
    /// | `Unreachable` | nobody answers there over UDP |
    /// | `Certificate` | somebody answered, whose certificate is not trusted |
    /// | `NotCapnWeb` | the server speaks another version of QUIC, or no HTTP/3, or no WebTransport |
    /// | `Rejected` | the server says no to this path or this client |
    /// | `Refused` | the server takes no more connections |
    /// | `Timeout` | it took longer than [`timeout`](Self::timeout) |
    /// | `NoRuntime` | there is no Tokio runtime |
    pub async fn connect<S: StubType>(self) -> Result<S> {
        Ok(S::from_stub(self.session().await?.main()))
    }

    /// Connects and returns the session. The connection lives as long as anything of it is held.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
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
        let (session, connection) = self.settings.session();
        let transport = SessionTransport::new(stream, self.settings.options.limits_ref());
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

    /// Returns the headers as HTTP/3 writes them: names in lower case, one line a name.
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

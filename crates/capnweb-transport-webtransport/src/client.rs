//! Opening a session.

mod dial;
mod failure;
mod trust;
mod witness;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use capnweb_core::{LinesTransport, Result, Session, SessionOptions, Stub, StubType};
use http::{HeaderName, HeaderValue};
use tokio::runtime::Handle;
use url::Url;

use self::{failure::Failure, trust::Trust, witness::Witness};
use crate::{CertificateHash, stream::SessionStream};

/// How long connecting may take unless [`Connect::timeout`] says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to `url` and gives the peer's main object.
///
/// The URL is `https:`. The connection lives as long as the stub or anything that came by it. For
/// anything but the defaults there is [`Connect`].
///
/// ```no_run
/// use capnweb_core::Stub;
///
/// # async fn example() -> capnweb_core::Result<()> {
/// let api: Stub = capnweb_transport_webtransport::connect("https://example.com/api").await?;
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
/// use capnweb_core::{Object, Stub};
/// use capnweb_transport_webtransport::Connect;
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
    options: SessionOptions,
    main: Option<Stub>,
    headers: Vec<(String, String)>,
    timeout: Duration,
    trust: Trust,
}

impl Connect {
    /// A connection to `url`, which is `https:`.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            options: SessionOptions::default(),
            main: None,
            headers: Vec::new(),
            timeout: CONNECT_TIMEOUT,
            trust: Trust::Platform,
        }
    }

    /// Sets the options of the session, its limits among them.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets our main object, which the server can call. Without one its calls are rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.main = Some(main.as_stub().clone());
        self
    }

    /// Adds a header to the request: a token, an `Origin`. (Browsers let a page add none.)
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long connecting may take in all. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Accepts certificates that lead up to one of these, and no others. By default certificates are
    /// checked as the platform does.
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

    /// Connects and gives the server's main object.
    ///
    /// The session's driver becomes a task of the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// "WebTransport connection failed: …" with the URL and the cause. The property `code` of the
    /// error tells the causes apart:
    ///
    /// | `code` | what failed |
    /// |---|---|
    /// | `url` | the URL or a header is not usable |
    /// | `address` | the host has no address, or nobody answers there |
    /// | `certificate` | somebody answered, whose certificate is not trusted |
    /// | `version` | the server speaks another version of QUIC, or no HTTP/3, or no WebTransport |
    /// | `refused` | the server says no: to this path, to this client, or because it is full |
    /// | `timeout` | it took longer than [`timeout`](Self::timeout) |
    /// | `runtime` | there is no Tokio runtime |
    /// | `other` | anything else |
    pub async fn connect<S: StubType>(self) -> Result<S> {
        Ok(S::from_stub(self.session().await?.main()))
    }

    /// Like [`connect`](Self::connect), and gives the session. The connection lives as long as
    /// anything of it is held.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn session(self) -> Result<Session> {
        self.open()
            .await
            .map_err(|failure| failure.into_error(&self.url))
    }

    async fn open(&self) -> Result<Session, Failure> {
        if Handle::try_current().is_err() {
            return Err(Failure::no_runtime());
        }
        let witness = Arc::new(Witness::default());
        let stream = tokio::time::timeout(self.timeout, self.open_stream(&witness))
            .await
            .unwrap_or_else(|_| Err(Failure::timeout(self.timeout, witness.has_seen_one())))
            .map_err(|failure| match witness.refusal() {
                Some(refusal) => Failure::certificate(&refusal),
                None => failure,
            })?;

        let (session, mut connection) = Session::client(self.options.clone());
        if let Some(main) = &self.main {
            connection.set_main(main.clone());
        }
        let transport = LinesTransport::new(stream, self.options.limits_ref());
        tokio::spawn(connection.drive(transport));
        Ok(session)
    }

    async fn open_stream(&self, witness: &Arc<Witness>) -> Result<SessionStream, Failure> {
        let url = self.parse_url()?;
        let headers = self.parse_headers()?;
        let connection = dial::dial(&url, &headers, &self.trust.config(witness)?).await?;
        let opening = connection
            .open_bi()
            .await
            .map_err(|error| Failure::connection(&error))?;
        let stream = opening.await.map_err(|error| Failure::other(&error))?;
        Ok(SessionStream::new(connection, stream))
    }

    fn parse_url(&self) -> Result<Url, Failure> {
        let mut url = Url::parse(&self.url).map_err(|error| Failure::url(error.to_string()))?;
        if url.scheme() != "https" {
            let scheme = url.scheme();
            return Err(Failure::url(format!(
                "the scheme has to be https, not {scheme}"
            )));
        }
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::url(
                "a user or password in the URL is not sent; use `Connect::header` with \
                 `authorization`",
            ));
        }
        Ok(url)
    }

    /// The headers as HTTP/3 writes them: names in lower case, one line a name.
    fn parse_headers(&self) -> Result<HashMap<String, String>, Failure> {
        let mut headers = HashMap::<String, String>::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name)
                .map_err(|_| Failure::url(format!("{name:?} cannot be the name of a header")))?;
            HeaderValue::try_from(value)
                .map_err(|_| Failure::url(format!("the header {name} cannot have that value")))?;
            headers
                .entry(parsed.as_str().to_owned())
                .and_modify(|values| {
                    values.push_str(", ");
                    values.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        Ok(headers)
    }
}

impl fmt::Debug for Connect {
    // Headers hold secrets: only their names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("options", &self.options)
            .field("main", &self.main)
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .field("trust", &self.trust)
            .finish()
    }
}

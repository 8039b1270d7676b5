//! Attempts to connect, and the connectors that make them.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use capnweb_core::{Result, Session, SessionOptions, Stub};

/// One attempt to connect to a server.
///
/// [`ClientBuilder::prepare`](crate::ClientBuilder::prepare) receives the attempt first and can add
/// to it, for example a fresh token. A [`Connector`] then makes the attempt.
#[derive(Clone)]
pub struct Attempt {
    url: Arc<str>,
    number: u32,
    headers: Vec<(String, String)>,
    pub(crate) main: Option<Stub>,
    pub(crate) options: SessionOptions,
    pub(crate) timeout: Duration,
}

impl Attempt {
    pub(crate) fn new(url: Arc<str>, number: u32, timeout: Duration) -> Self {
        Self {
            url,
            number,
            headers: Vec::new(),
            main: None,
            options: SessionOptions::new(),
            timeout,
        }
    }

    /// Adds a header to the request. It has an effect only with transports that send a request:
    /// WebSocket and WebTransport.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Connects to `url` instead of the server's own URL, for example with a token in its query.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<Arc<str>>) -> Self {
        self.url = url.into();
        self
    }

    /// Returns the URL to connect to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the number of this attempt since the client was last connected, starting at 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the headers that were added, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the main object that the server can call, if the client has one.
    pub fn main(&self) -> Option<&Stub> {
        self.main.as_ref()
    }

    /// Returns the options of the session.
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// Returns the time limit of the attempt.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Shows only the names of headers, since their values may be secret.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("Attempt")
            .field("url", &self.url)
            .field("number", &self.number)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// The future of a session that is being connected.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Session>> + Send + 'a>>;

/// Makes attempts to connect. A [`Client`](crate::Client) knows nothing else about transports.
///
/// [`Transports`](crate::Transports) is the usual connector. An async closure that takes an
/// [`Attempt`] is a connector too:
///
/// ```
/// use capnweb_client::{Attempt, Client};
/// use capnweb_core::{Object, Result, Session, Stub, pair};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// /// Connects to a server in this process.
/// async fn connect(attempt: Attempt) -> Result<Session> {
///     let (left, right) = pair();
///     let (_, mut server) = Session::server(attempt.options().clone());
///     server.set_main(Object::new().property("version", "1.0").into_stub());
///     tokio::spawn(server.drive(left));
///     let (session, client) = Session::client(attempt.options().clone());
///     tokio::spawn(client.drive(right));
///     Ok(session)
/// }
///
/// let client = Client::to(["here"]).connector(connect).start();
/// let api: Stub = client.main();
/// assert_eq!(api.get("version").fetch::<String>().await?, "1.0");
/// # Ok(()) }
/// ```
pub trait Connector: Send + Sync + 'static {
    /// Makes one attempt: opens a client's session with the attempt's main object and options.
    ///
    /// The client enforces the timeout by dropping the future. Its next step depends on how the
    /// session ends, or on the [`connect_failure`](capnweb_core::Error::connect_failure) or
    /// [`session_end`](capnweb_core::Error::session_end) of the returned error.
    ///
    /// # Errors
    ///
    /// Returns an error if no session was established.
    fn connect(&self, attempt: Attempt) -> Connecting<'_>;
}

impl<F, C> Connector for F
where
    F: Fn(Attempt) -> C + Send + Sync + 'static,
    C: Future<Output = Result<Session>> + Send + 'static,
{
    fn connect(&self, attempt: Attempt) -> Connecting<'_> {
        Box::pin(self(attempt))
    }
}

//! One attempt to connect, and what makes it.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use capnweb_core::{Result, Session, SessionOptions, Stub};

/// One attempt to connect to a server.
///
/// [`ClientBuilder::prepare`](crate::ClientBuilder::prepare) gets one before each attempt, and adds
/// what only this attempt has, a fresh token for instance. Then a [`Connector`] makes it.
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

    /// Adds a header to the request, if the transport has requests: WebSocket and WebTransport do.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Connects to this URL instead of the server's own, for instance with a token in its query.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<Arc<str>>) -> Self {
        self.url = url.into();
        self
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of this attempt since the client was last connected, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The headers that were added, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The object that the server can call, if there is one.
    pub fn main(&self) -> Option<&Stub> {
        self.main.as_ref()
    }

    /// The options of the session.
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// The time that the attempt may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Headers hold secrets, so only their names are shown.
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

/// The session that an attempt leads to, on its way.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Session>> + Send + 'a>>;

/// Makes attempts to connect: all that a [`Client`](crate::Client) knows of transports.
///
/// [`Transports`](crate::Transports) is the usual one. An async closure of an [`Attempt`] is one
/// too:
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
    /// Makes one attempt: a client's session with the attempt's main object and options.
    ///
    /// The client sees to the timeout: the future is dropped then. The session's own end, and an
    /// error's [`connect_failure`](capnweb_core::Error::connect_failure) and
    /// [`session_end`](capnweb_core::Error::session_end), decide what the client does next.
    ///
    /// # Errors
    ///
    /// If there is no session.
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

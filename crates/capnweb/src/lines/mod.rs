//! Sessions over byte streams: the common part of [`tcp`](crate::tcp), [`unix`](crate::unix) and
//! [`stdio`](crate::stdio).
//!
//! Messages are lines of JSON. There is no handshake: either side may send as soon as the stream is
//! open. There is no encryption and no authentication. To add them, pass a stream that has them,
//! such as a TLS stream, to [`Client::over`] or [`Server::over`].
//!
//! ```
//! use capnweb::{Object, Result, Stub, lines};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<()> {
//! let (here, there) = tokio::io::duplex(4096);
//! lines::Server::new(|_| Object::new().property("version", "1.0").into_stub()).over(there);
//!
//! let api: Stub = lines::Client::new().over(here).main();
//! assert_eq!(api.get("version").fetch::<String>().await?, "1.0");
//! # Ok(())
//! # }
//! ```

#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
mod accept;

use std::{fmt, net::SocketAddr, time::Duration};

use capnweb_core::{Driver, LinesTransport, Session, SessionOptions, StubType};
use capnweb_net::{ClientSettings, socket::KEEP_ALIVE};
#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
use capnweb_net::{ConnectError, ServerLimits, Sessions, TransportKind};
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
use tokio::runtime::Handle;

#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
pub(crate) use self::accept::Accept;
#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
pub use self::accept::{Listener, serve, serve_with};

/// The default time limit for connecting: see [`Client::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The default time within which a client must send something after connecting: see
/// [`Server::first_message_timeout`].
#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of a client.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is given a stream"]
pub struct Client {
    pub(crate) settings: ClientSettings,
    #[cfg_attr(not(feature = "tcp"), allow(dead_code, reason = "it is for TCP"))]
    pub(crate) tcp_keep_alive: Option<Duration>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            settings: ClientSettings::with_timeout(CONNECT_TIMEOUT),
            tcp_keep_alive: Some(KEEP_ALIVE),
        }
    }
}

impl Client {
    /// Creates the default settings, without a main object.
    pub fn new() -> Self {
        Self::default()
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

    /// Sets the time limit for connecting. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets the idle time after which TCP probes the server. `None` disables probing. Default: 30
    /// seconds.
    ///
    /// A server that does not answer for another 30 seconds ends the session.
    pub fn tcp_keep_alive(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.tcp_keep_alive = idle.into();
        self
    }

    /// Starts a session over `io`. It lives as long as any handle of it.
    ///
    /// Its driver becomes a task of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn over<S>(&self, io: S) -> Session
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, connection) = self.settings.session("stream");
        let transport = LinesTransport::new(io, self.settings.options.limits());
        tokio::spawn(connection.drive(transport));
        session
    }
}

/// Runs `connecting` within the client's time limit.
#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
pub(crate) async fn within<T>(
    client: &Client,
    connecting: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    if Handle::try_current().is_err() {
        return Err(ConnectError::no_runtime());
    }
    let timeout = client.settings.timeout.unwrap_or(Duration::MAX);
    match tokio::time::timeout(timeout, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::timeout(timeout)),
    }
}

/// The settings of a server, and the factory for the main objects of its sessions.
#[derive(Clone)]
#[must_use = "it does nothing until it is given a stream"]
pub struct Server<F> {
    factory: F,
    options: SessionOptions,
    #[cfg_attr(not(feature = "tcp"), allow(dead_code, reason = "it is for TCP"))]
    pub(crate) tcp_keep_alive: Option<Duration>,
    #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
    pub(crate) first_message_timeout: Duration,
    #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
    pub(crate) limits: ServerLimits,
    #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
    pub(crate) sessions: Option<Sessions>,
}

impl<F, S> Server<F>
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    /// Creates a server that serves each client the object that `factory` makes for it. The factory
    /// receives the session, which provides the client's main object and its own end.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            options: SessionOptions::default(),
            tcp_keep_alive: Some(KEEP_ALIVE),
            #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
            first_message_timeout: FIRST_MESSAGE_TIMEOUT,
            #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
            limits: ServerLimits::shared().clone(),
            #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
            sessions: None,
        }
    }

    /// Sets the options of the sessions, including their limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the idle time after which TCP probes a client. `None` disables probing. Default: 30
    /// seconds.
    ///
    /// A client that does not answer for another 30 seconds ends its session.
    pub fn tcp_keep_alive(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.tcp_keep_alive = idle.into();
        self
    }

    /// Sets the time within which a client of [`serve_with`] must send something after connecting.
    /// Default: 60 seconds.
    #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
    pub fn first_message_timeout(mut self, timeout: Duration) -> Self {
        self.first_message_timeout = timeout;
        self
    }

    /// Sets the bounds for all clients of [`serve_with`] together. The default is
    /// [`ServerLimits::shared`], the bounds of the process.
    #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
    pub fn server_limits(mut self, limits: &ServerLimits) -> Self {
        self.limits = limits.clone();
        self
    }

    /// Registers the sessions in `sessions`, so that the application can list and end them, and
    /// [drain](Sessions::drain) the server. While the registry refuses sessions, [`serve_with`]
    /// closes new connections at once.
    #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
    pub fn tracked(mut self, sessions: &Sessions) -> Self {
        self.sessions = Some(sessions.clone());
        self
    }

    /// Starts a session over `io`. It lives until `io` ends.
    ///
    /// Its driver becomes a task of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn over<T>(&mut self, io: T) -> Session
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, driver) = self.driver(io, None);
        tokio::spawn(driver);
        session
    }

    /// Starts a session whose driver the caller must run.
    pub(crate) fn driver<T>(
        &mut self,
        io: T,
        #[cfg_attr(
            not(any(feature = "tcp", all(feature = "unix", unix))),
            allow(unused_variables, reason = "sessions are tracked by listeners")
        )]
        remote_addr: Option<SocketAddr>,
    ) -> (Session, Driver<LinesTransport<T>>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, mut connection) =
            Session::server(self.options.clone().with_transport("stream"));
        #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
        if let Some(sessions) = &self.sessions {
            sessions.track(&session, TransportKind::Stream, remote_addr);
        }
        connection.set_main((self.factory)(&session).as_stub().clone());
        let transport = LinesTransport::new(io, self.options.limits());
        #[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
        let transport = transport.budget(self.limits.unfinished());
        (session, connection.drive(transport))
    }
}

impl<F> fmt::Debug for Server<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

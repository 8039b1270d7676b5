//! Sessions over byte streams: what [`tcp`](crate::tcp), [`unix`](crate::unix) and [`stdio`](crate::stdio) have in
//! common.
//!
//! Messages are lines of JSON. There is no handshake: either side may send as soon as there is a stream. Nothing is
//! encrypted here, and nobody is authenticated; a stream that does so, such as one of TLS, can be given to
//! [`Client::over`] and [`Server::over`] like any other.
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

use std::fmt;

use capnweb_core::{Driver, LinesTransport, Session, SessionOptions, Stub, StubType};
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
pub(crate) use self::accept::{Listener, accept_all};

/// Settings of a client.
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing until it is given a stream"]
pub struct Client {
    options: SessionOptions,
    main: Option<Stub>,
}

impl Client {
    /// The defaults: no main object of our own.
    pub fn new() -> Self {
        Self::default()
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

    /// A session over `io`, which lives as long as anything of it is held.
    ///
    /// Its driver becomes a task of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn over<S>(&self, io: S) -> Session
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, mut connection) = Session::client(self.options.clone());
        if let Some(main) = &self.main {
            connection.set_main(main.clone());
        }
        let transport = LinesTransport::new(io, self.options.limits_ref());
        tokio::spawn(connection.drive(transport));
        session
    }
}

/// Settings of a server, and what makes the main object of each of its sessions.
#[derive(Clone)]
#[must_use = "it does nothing until it is given a stream"]
pub struct Server<F> {
    factory: F,
    options: SessionOptions,
}

impl<F, S> Server<F>
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    /// A server whose clients each see what `factory` makes for them. Its parameter is the session, which knows the
    /// client's main object and its own end.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            options: SessionOptions::default(),
        }
    }

    /// Sets the options of the sessions, their limits among them.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// A session over `io`, which lives until `io` ends.
    ///
    /// Its driver becomes a task of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn over<T>(&mut self, io: T) -> Session
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, driver) = self.driver(io);
        tokio::spawn(driver);
        session
    }

    /// The same with the driver in the caller's hands.
    pub(crate) fn driver<T>(&mut self, io: T) -> (Session, Driver<LinesTransport<T>>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (session, mut connection) = Session::server(self.options.clone());
        connection.set_main((self.factory)(&session).as_stub().clone());
        let transport = LinesTransport::new(io, self.options.limits_ref());
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

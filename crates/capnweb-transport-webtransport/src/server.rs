//! Serving sessions.

mod factory;
mod listener;
mod opening;
mod request;
mod session;
mod shared;

use std::{collections::HashMap, fmt, io, net::ToSocketAddrs, time::Duration};

use capnweb_core::{IntoMain, SessionOptions};
use capnweb_net::{Origins, ServerLimits, Sessions};
use tokio::runtime::Handle;
use wtransport::quinn;

use self::{factory::Factory, shared::Shared};
pub use self::{
    factory::Refusal,
    listener::{Listener, Reloader},
    request::Request,
};
use crate::{Identity, quic::server_config};

/// The default time limit for opening a session: see [`Server::open_timeout`].
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A server of sessions over WebTransport, which must be bound to an address.
///
/// There is a factory for each path, which makes the main object of a session. It receives the
/// [`Request`], may be async, and may refuse the client with a status:
///
#[cfg_attr(feature = "self-signed", doc = "```")]
#[cfg_attr(not(feature = "self-signed"), doc = "```ignore")]
/// use capnweb::{Object, Stub};
/// use capnweb::webtransport::{Identity, Request, Server};
/// use http::StatusCode;
///
/// async fn admin(request: Request) -> Result<Stub, StatusCode> {
///     match request.headers().get("authorization") {
///         Some(token) if token == "Bearer 1234" => Ok(Object::new().into_stub()),
///         _ => Err(StatusCode::UNAUTHORIZED),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::self_signed(["127.0.0.1"])?;
/// let listener = Server::new(&identity)
///     .route("/api", |_| Object::new().property("version", "1.0").into_stub())
///     .route("/admin", admin)
///     .bind("127.0.0.1:0")?;
/// println!("https://{}/api, {}", listener.local_addr(), identity.certificate_hash());
/// # let stopped = async {};
/// // Serve until something happens. `listener.serve().await` serves for ever.
/// listener.serve_until(stopped, std::time::Duration::from_secs(30)).await;
/// # Ok(()) }
/// ```
///
/// # Who may connect
///
/// Any page can open a session with any server, as with WebSocket. But browsers send no cookies
/// with it, so clients can only authenticate with the application's own tokens. Use
/// [`only_from_origins`](Self::only_from_origins) to refuse the pages of others.
#[must_use = "it serves nothing until it is bound and served"]
pub struct Server {
    identity: Identity,
    routes: HashMap<String, Factory>,
    fallback: Option<Factory>,
    options: SessionOptions,
    only_from: Option<Origins>,
    limits: ServerLimits,
    sessions: Option<Sessions>,
    open_timeout: Duration,
}

impl Server {
    /// Creates a server with this certificate.
    pub fn new(identity: &Identity) -> Self {
        Self {
            identity: identity.clone(),
            routes: HashMap::new(),
            fallback: None,
            options: SessionOptions::new(),
            only_from: None,
            limits: ServerLimits::shared().clone(),
            sessions: None,
            open_timeout: OPEN_TIMEOUT,
        }
    }

    /// Serves the objects of `factory` at `path`, with any query. Paths without a route are
    /// answered with 404.
    ///
    /// # Panics
    ///
    /// Panics if no request can have this path: it does not begin with `/`, or it contains a query.
    pub fn route<R, K>(
        mut self,
        path: impl Into<String>,
        factory: impl Fn(Request) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: IntoMain<K, Refusal: Refusal> + 'static,
        K: 'static,
    {
        let path = path.into();
        assert!(
            path.starts_with('/') && !path.contains(['?', '#']),
            "{path:?} can be the path of no request: it begins with `/` and has no query"
        );
        self.routes.insert(path, factory::erase(factory));
        self
    }

    /// Serves the objects of `factory` at all paths without a route of their own.
    pub fn fallback<R, K>(mut self, factory: impl Fn(Request) -> R + Send + Sync + 'static) -> Self
    where
        R: IntoMain<K, Refusal: Refusal> + 'static,
        K: 'static,
    {
        self.fallback = Some(factory::erase(factory));
        self
    }

    /// Sets the options of the sessions, including their limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Refuses pages of other origins with 403. An origin is, for instance, `https://example.com`.
    /// Clients other than browsers send no `Origin`, and are accepted.
    ///
    /// `https://*.example.com` stands for all subdomains of `example.com`: see [`Origins`].
    ///
    /// # Panics
    ///
    /// Panics if no page can have one of the origins, such as `example.com` without `https://`. For
    /// origins from a configuration file, use [`only_from`](Self::only_from).
    pub fn only_from_origins(self, origins: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.only_from(Origins::new(origins).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Refuses pages of other origins, like [`only_from_origins`](Self::only_from_origins).
    pub fn only_from(mut self, origins: Origins) -> Self {
        self.only_from = Some(origins);
        self
    }

    /// Sets the bounds for all clients together. The default is [`ServerLimits::shared`], the
    /// bounds of the process.
    ///
    /// A session beyond the bounds is refused with 503 and `Retry-After`, and a connection is
    /// refused by QUIC. Once half of the [handshakes](ServerLimits::max_handshakes) are in use,
    /// clients have to prove that they own their address.
    pub fn server_limits(mut self, limits: &ServerLimits) -> Self {
        self.limits = limits.clone();
        self
    }

    /// Registers the sessions in `sessions`, so that the application can list and end them, and
    /// [drain](Sessions::drain) the server. The factory receives the entry as [`Request::tracked`].
    ///
    /// While the registry refuses sessions, clients are refused with 503 and `Retry-After`.
    pub fn tracked(mut self, sessions: &Sessions) -> Self {
        self.sessions = Some(sessions.clone());
        self
    }

    /// Sets the time limit for opening a session: the handshakes of TLS and HTTP/3, the request,
    /// the factory, and the opening of the client's stream. If the factory takes longer, it is
    /// dropped, and the client is refused with 503. Default: 10 seconds.
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Binds a UDP address. Clients that connect from now on are answered once the listener is
    /// served.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is not available, or outside a Tokio runtime.
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Listener> {
        if Handle::try_current().is_err() {
            return Err(io::Error::other(
                "there is no Tokio runtime here; bind from within one",
            ));
        }
        let config = server_config(&self.identity)?;
        let endpoint = bind_first(&config, address)?;
        let shared = Shared {
            limits: self.limits,
            sessions: self.sessions,
            routes: self.routes,
            fallback: self.fallback,
            options: self.options,
            only_from: self.only_from,
            open_timeout: self.open_timeout,
        };
        Listener::new(endpoint, shared)
    }
}

fn bind_first(
    config: &quinn::ServerConfig,
    addresses: impl ToSocketAddrs,
) -> io::Result<quinn::Endpoint> {
    let mut failure = None;
    for address in addresses.to_socket_addrs()? {
        match quinn::Endpoint::server(config.clone(), address) {
            Ok(endpoint) => return Ok(endpoint),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes: Vec<&str> = self.routes.keys().map(String::as_str).collect();
        f.debug_struct("Server")
            .field("identity", &self.identity)
            .field("routes", &routes)
            .field("fallback", &self.fallback.is_some())
            .field("options", &self.options)
            .field("only_from", &self.only_from)
            .field("limits", &self.limits)
            .field("sessions", &self.sessions)
            .field("open_timeout", &self.open_timeout)
            .finish()
    }
}

//! Opening a WebSocket.

mod handshake;
mod io;
mod request;

use std::{fmt, net::SocketAddr, time::Duration};

use capnweb_core::{Encoding, Result, Session, SessionOptions, StubType};
use capnweb_net::{
    ClientSettings, ConnectError,
    dial::{dial, dial_host},
    proxy::ProxyChoice,
    socket::KEEP_ALIVE,
};
use http::Request;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Handle,
};
#[cfg(feature = "tls")]
use url::Host;
use url::Url;

use self::{
    handshake::shake_hands,
    io::ByteStream,
    request::{host_and_port, parse_url, request, unbracketed},
};
use crate::WebSocketTransport;

/// The default time limit for connecting: see [`Connect::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to `url` and returns the peer's main object.
///
/// The URL is `ws:` or `wss:`; `http:` and `https:` mean the same. The connection lives as long as
/// the stub or any other handle of the session. For other settings than the defaults, use
/// [`Connect`].
///
/// ```no_run
/// use capnweb::Stub;
///
/// # async fn example() -> capnweb::Result<()> {
/// let api: Stub = capnweb::ws::connect("wss://example.com/api").await?;
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
/// use capnweb::ws::Connect;
///
/// # async fn example() -> capnweb::Result<()> {
/// let api: Stub = Connect::new("wss://example.com/api")
///     .header("authorization", "Bearer 1234")
///     // The object that the server can call here.
///     .main(Object::new().property("name", "Ada").into_stub())
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "it connects when `connect`, `session` or `over` is called"]
pub struct Connect {
    url: String,
    settings: ClientSettings,
    protocols: Vec<String>,
    encoding: Encoding,
    addresses: Option<Vec<SocketAddr>>,
    proxy: ProxyChoice,
    tcp_keep_alive: Option<Duration>,
    #[cfg(feature = "tls")]
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
}

impl Connect {
    /// Creates a connection to `url`, which is `ws:` or `wss:`. `http:` and `https:` mean the same.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: ClientSettings::with_timeout(CONNECT_TIMEOUT),
            protocols: Vec::new(),
            encoding: Encoding::default(),
            addresses: None,
            proxy: ProxyChoice::default(),
            tcp_keep_alive: Some(KEEP_ALIVE),
            #[cfg(feature = "tls")]
            tls: None,
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

    /// Adds a header to the request, such as a token, a cookie or an `Origin`.
    ///
    /// It replaces a header that is sent by default, such as `Host`. Connecting fails with a header
    /// that belongs to the handshake itself, such as `Upgrade`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.add_header(name, value);
        self
    }

    /// Offers a subprotocol, for servers and proxies that require one. The server must accept one
    /// of the offered subprotocols.
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// Sets the time limit for connecting. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets the encoding of messages. The server must use the same one.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Connects to these addresses instead of those of the URL's host, and without a proxy. The
    /// host is still sent to the server and checked against its certificate.
    ///
    /// The first address that answers is used. The next one is tried when an attempt fails, or
    /// after 250 milliseconds, as for a host with several addresses (RFC 8305).
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = Some(addresses.into_iter().collect());
        self
    }

    /// Connects through a proxy: `http:`, `https:` or `socks5:`, with user and password in the URL
    /// if the proxy requires them.
    ///
    /// By default, the environment determines the proxy: `HTTP_PROXY` for `ws:`, `HTTPS_PROXY` for
    /// `wss:`, and `ALL_PROXY` for either, except for the hosts in `NO_PROXY`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Connects directly, ignoring proxies of the environment.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
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

    /// Sets the TLS configuration for `wss:`, for instance to trust your own certificates.
    ///
    /// By default, certificates are verified as the platform does.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<std::sync::Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Connects and returns the server's main object.
    ///
    /// The session's driver becomes a task of the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns "WebSocket connection failed: …" with the URL and the cause. An invalid URL, header
    /// or other setting is a `TypeError`. For all other errors,
    /// [`Error::is_disconnected`](capnweb_core::Error::is_disconnected) returns true.
    /// [`Error::connect_failure`](capnweb_core::Error::connect_failure) distinguishes the causes.
    pub async fn connect<S: StubType>(self) -> Result<S> {
        Ok(S::from_stub(self.session().await?.main()))
    }

    /// Connects and returns the session. The connection lives as long as any handle of it.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](Self::connect).
    pub async fn session(mut self) -> Result<Session> {
        self.settings.add_trace_context();
        self.run(async |url, request| self.open(url, request).await)
            .await
    }

    /// Opens the WebSocket over `stream` and returns the session. The stream can be a tunnel, a
    /// Unix socket, or the end of a pipe in a test. With a `wss:` URL, a TLS handshake comes first.
    ///
    /// Addresses, proxies and TCP options are ignored.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use capnweb::{Object, Session, SessionOptions};
    /// use capnweb::ws::{Connect, Upgrade};
    /// use tokio::net::{UnixListener, UnixStream};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = std::env::temp_dir().join(format!("capnweb-ws-{}", std::process::id()));
    /// let app = Router::new().route("/api", get(async |upgrade: Upgrade| {
    ///     let (_session, mut connection) = Session::server(SessionOptions::new());
    ///     connection.set_main(Object::new().property("version", "1.0").into_stub());
    ///     upgrade.serve(connection)
    /// }));
    /// let listener = UnixListener::bind(&path)?;
    /// tokio::spawn(async { axum::serve(listener, app).await });
    ///
    /// let stream = UnixStream::connect(&path).await?;
    /// let session = Connect::new("ws://localhost/api").over(stream).await?;
    /// assert_eq!(session.main().get("version").fetch::<String>().await?, "1.0");
    /// # std::fs::remove_file(path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](Self::connect).
    pub async fn over<S>(self, stream: S) -> Result<Session>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.run(async |url, request| self.secure(url, request, stream).await)
            .await
    }

    /// Runs `open` within the time limit, and adds context to its failures.
    async fn run(
        &self,
        open: impl AsyncFnOnce(&Url, Request<()>) -> Result<Session, ConnectError>,
    ) -> Result<Session> {
        let opening = async {
            let url = parse_url(&self.url)?;
            let request = request(&url, &self.protocols, &self.settings)?;
            self.proxy.check()?;
            if Handle::try_current().is_err() {
                return Err(ConnectError::no_runtime());
            }
            let timeout = self.settings.timeout.unwrap_or(Duration::MAX);
            match tokio::time::timeout(timeout, open(&url, request)).await {
                Ok(opened) => opened,
                Err(_) => Err(ConnectError::timeout(timeout)),
            }
        };
        opening.await.map_err(|error| {
            error.into_error(|cause| format!("WebSocket connection failed: {}: {cause}", self.url))
        })
    }

    async fn open(&self, url: &Url, request: Request<()>) -> Result<Session, ConnectError> {
        let (host, port) = host_and_port(url)?;
        if let Some(addresses) = &self.addresses {
            let stream = dial(addresses.iter().copied(), self.tcp_keep_alive).await?;
            return self.secure(url, request, stream).await;
        }
        let Some(proxy) = self.proxy.proxy_for(url)? else {
            let stream = self.dial_host(&unbracketed(&host), port).await?;
            return self.secure(url, request, stream).await;
        };
        let stream = self.dial_host(&proxy.host, proxy.port).await;
        let stream = stream.map_err(|error| proxy.unreachable(&error))?;
        let mut stream: Box<dyn ByteStream> = if proxy.is_tls() {
            let secured = self.secure_for_proxy(stream, &proxy.host).await;
            secured.map_err(|error| proxy.unreachable(&error))?
        } else {
            Box::new(stream)
        };
        proxy.tunnel(&mut stream, &host, port).await?;
        self.secure(url, request, stream).await
    }

    async fn dial_host(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        dial_host(host, port, self.tcp_keep_alive).await
    }

    /// Performs the TLS handshake if the URL requires it, and then the WebSocket handshake.
    async fn secure<S>(
        &self,
        url: &Url,
        request: Request<()>,
        stream: S,
    ) -> Result<Session, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        if url.scheme() == "ws" {
            return self.start(request, stream).await;
        }
        #[cfg(feature = "tls")]
        {
            let (host, _) = host_and_port(url)?;
            let stream = crate::tls::secure(stream, &host, self.tls.clone()).await?;
            self.start(request, stream).await
        }
        #[cfg(not(feature = "tls"))]
        Err(ConnectError::invalid("wss: needs the feature `tls`"))
    }

    #[cfg(feature = "tls")]
    async fn secure_for_proxy(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<Box<dyn ByteStream>, ConnectError> {
        let host = match host.parse() {
            Ok(std::net::IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(std::net::IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::Domain(host),
        };
        let stream = crate::tls::secure(stream, &host, self.tls.clone()).await?;
        Ok(Box::new(stream))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "with TLS it takes time")]
    async fn secure_for_proxy(
        &self,
        _: TcpStream,
        _: &str,
    ) -> Result<Box<dyn ByteStream>, ConnectError> {
        Err(ConnectError::invalid(
            "a proxy at an `https:` address needs the feature `tls`",
        ))
    }

    async fn start<S>(&self, request: Request<()>, stream: S) -> Result<Session, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (io, already_read) = shake_hands(request, stream).await?;
        let (session, connection) = self.settings.session("websocket");
        let limits = self.settings.options.limits();
        let transport = WebSocketTransport::client_after(io, already_read, limits);
        tokio::spawn(connection.drive(transport.encoding(self.encoding)));
        Ok(session)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("protocols", &self.protocols)
            .field("encoding", &self.encoding)
            .field("addresses", &self.addresses)
            .field("proxy", &self.proxy)
            .field("tcp_keep_alive", &self.tcp_keep_alive)
            .finish_non_exhaustive()
    }
}

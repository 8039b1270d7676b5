//! Opening a WebSocket.

mod handshake;

use std::{fmt, time::Duration};

use capnweb_core::{Connection, Encoding, Error, Result, Session, SessionOptions, Stub, StubType};
use http::{HeaderName, HeaderValue, Request, header};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::Handle,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use url::{Host, ParseError, Url};

use self::handshake::shake_hands;
use crate::WebSocketTransport;

/// How long connecting may take unless [`Connect::timeout`] says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to `url` and gives the peer's main object.
///
/// The URL is `ws:` or `wss:`; `http:` and `https:` mean the same. The connection lives as long as the
/// stub or anything that came by it. For anything but the defaults there is [`Connect`].
///
/// ```no_run
/// use capnweb_core::Stub;
///
/// # async fn example() -> capnweb_core::Result<()> {
/// let api: Stub = capnweb_transport_ws::connect("wss://example.com/api").await?;
/// let greeting: String = api.call("greet", ("Ada",)).fetch().await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// "WebSocket connection failed: …" with the URL and the cause. Outside of a Tokio runtime too. A URL or header that
/// cannot be used is a `TypeError`; all else answers [`Error::is_disconnected`].
pub async fn connect<S: StubType>(url: impl AsRef<str>) -> Result<S> {
    Connect::new(url).connect().await
}

/// A WebSocket to be opened.
///
/// ```no_run
/// use capnweb_core::{Object, Stub};
/// use capnweb_transport_ws::Connect;
///
/// # async fn example() -> capnweb_core::Result<()> {
/// let api: Stub = Connect::new("wss://example.com/api")
///     .header("authorization", "Bearer 1234")
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
    protocols: Vec<String>,
    timeout: Duration,
    encoding: Encoding,
    #[cfg(feature = "tls")]
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
}

impl Connect {
    /// A connection to `url`, which is `ws:` or `wss:`; `http:` and `https:` mean the same.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            options: SessionOptions::default(),
            main: None,
            headers: Vec::new(),
            protocols: Vec::new(),
            timeout: CONNECT_TIMEOUT,
            encoding: Encoding::default(),
            #[cfg(feature = "tls")]
            tls: None,
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

    /// Adds a header to the request: a token, a cookie, an `Origin`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol, for servers and proxies that want one to be named. The server has to
    /// accept one of those that are offered.
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// Sets how long connecting may take in all. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how messages are encoded. The server has to use the same.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the TLS configuration for `wss:`, for instance to trust a certificate of one's own.
    ///
    /// By default certificates are checked as the platform does.
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<std::sync::Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Connects and gives the server's main object.
    ///
    /// The session's driver becomes a task of the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
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
        let describe =
            |cause: String| format!("WebSocket connection failed: {}: {cause}", self.url);
        let (url, request) = self
            .prepare()
            .map_err(|cause| Error::type_error(describe(cause)))?;
        let connecting = async {
            if Handle::try_current().is_err() {
                return Err("there is no Tokio runtime here; connect from within one".to_owned());
            }
            match tokio::time::timeout(self.timeout, self.open(&url, request)).await {
                Ok(opened) => opened,
                Err(_) => Err(format!("no answer within {:?}", self.timeout)),
            }
        };
        connecting
            .await
            .map_err(|cause| Error::disconnected(describe(cause)))
    }

    /// What is to be asked of whom. It fails for what the caller got wrong, and no later attempt would
    /// put right.
    fn prepare(&self) -> Result<(Url, Request<()>), String> {
        let url = self.parse_url()?;
        let request = self.request(&url)?;
        Ok((url, request))
    }

    async fn open(&self, url: &Url, request: Request<()>) -> Result<Session, String> {
        let stream = dial(url).await?;
        if url.scheme() == "ws" {
            return self.start(request, stream).await;
        }
        #[cfg(feature = "tls")]
        {
            let stream = crate::tls::secure(stream, url, self.tls.clone()).await?;
            self.start(request, stream).await
        }
        #[cfg(not(feature = "tls"))]
        Err("wss: needs the feature `tls`".to_owned())
    }

    /// The URL, its scheme `ws` or `wss`.
    fn parse_url(&self) -> Result<Url, String> {
        let no_scheme = || "the URL has to begin with `ws://` or `wss://`".to_owned();
        let mut url = Url::parse(&self.url).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => no_scheme(),
            error => error.to_string(),
        })?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            // In `localhost:8080/api` the host is taken for one.
            _ => return Err(no_scheme()),
        };
        // Between these schemes it cannot fail.
        let _ = url.set_scheme(scheme);
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a user or password in the URL is not sent; use `Connect::header` with \
                        `authorization`"
                    .to_owned(),
            );
        }
        Ok(url)
    }

    fn request(&self, url: &Url) -> Result<Request<()>, String> {
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::try_from(name)
                    .map_err(|_| format!("{name:?} cannot be the name of a header"))?,
                HeaderValue::try_from(value)
                    .map_err(|_| format!("the header {name} cannot have that value"))?,
            );
        }
        if !self.protocols.is_empty() {
            let offered = self.protocols.join(", ");
            let value = HeaderValue::try_from(&offered)
                .map_err(|_| format!("{offered:?} cannot be subprotocols"))?;
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        Ok(request)
    }

    async fn start<S>(&self, request: Request<()>, stream: S) -> Result<Session, String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (io, already_read) = shake_hands(request, stream).await?;
        let (session, mut connection) = Session::client(self.options.clone());
        if let Some(main) = &self.main {
            connection.set_main(main.clone());
        }
        let limits = self.options.limits_ref();
        let transport = WebSocketTransport::client_after(io, already_read, limits);
        spawn(connection, transport.encoding(self.encoding));
        Ok(session)
    }
}

fn spawn<S>(connection: Connection, transport: WebSocketTransport<S>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    tokio::spawn(connection.drive(transport));
}

async fn dial(url: &Url) -> Result<TcpStream, String> {
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let stream = match url.host().ok_or("the URL has no host")? {
        Host::Domain(name) => TcpStream::connect((name, port)).await,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await,
    };
    let stream = stream.map_err(|error| error.to_string())?;
    // Without it a call may wait for the acknowledgement of the one before.
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    Ok(stream)
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
            .field("protocols", &self.protocols)
            .field("timeout", &self.timeout)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

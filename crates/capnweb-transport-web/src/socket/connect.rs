//! Opening a WebSocket.

use std::{fmt, future::poll_fn, time::Duration};

use capnweb_core::{
    ConnectFailure, Encoding, Error, InSeconds, Result, Session, SessionOptions, StubType,
    runtime::{Instant, spawn, timeout_at},
};
use js_sys::{Array, JsString};
use web_sys::WebSocket;

use super::{close::failed, transport::WebSocketTransport};
use crate::{
    either::{Either, either},
    failure::Failure,
    host::{describe, of_global, resolve_url, set_scheme},
    local,
    settings::Settings,
};

/// The default time limit for opening: see [`Connect::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens a WebSocket to `url` and returns the peer's main object.
///
/// The URL's scheme is `ws:` or `wss:`; `http:` and `https:` are equivalent. In a page the URL may
/// be relative, such as `/api`. Calls can be made immediately, and are sent when the socket is
/// open. The connection stays open until the stub and all other handles of the session are dropped.
/// To change settings, use [`Connect`].
///
/// ```ignore
/// let api: Stub = capnweb::web::connect("wss://example.com/api")?;
/// let greeting: String = api.call("greet", ("Ada",)).fetch().await?;
/// ```
///
/// # Errors
///
/// Returns the same errors as [`Connect::start`].
pub fn connect<S: StubType>(url: impl AsRef<str>) -> Result<S> {
    Connect::new(url).start()
}

/// A WebSocket to be opened.
///
/// Browsers send the cookies of the URL's site, but do not let pages set headers. Pass a token in
/// the URL, or to a method of the main object.
#[must_use = "it connects when `start`, `session` or `open` is called"]
pub struct Connect {
    url: String,
    settings: Settings,
    protocols: Vec<String>,
    encoding: Encoding,
}

impl Connect {
    /// Creates a connection to `url`, as for [`connect`].
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: Settings {
                timeout: Some(CONNECT_TIMEOUT),
                ..Settings::default()
            },
            protocols: Vec::new(),
            encoding: Encoding::default(),
        }
    }

    /// Sets the options of the session, including its limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets the main object that the server can call. Without one, its calls are rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.main = Some(main.as_stub().clone());
        self
    }

    /// Offers a subprotocol, for servers and proxies that require one.
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// Sets the time limit for opening the socket. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets the encoding of messages. The server must use the same one.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Begins to connect and returns the server's main object, which can be called at once.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` if the URL or a subprotocol is invalid, or if the host does not
    /// support WebSockets. If the connection fails later, all calls fail with "WebSocket connection
    /// failed: …". [`Error::is_disconnected`] returns true for that error. Browsers do not tell
    /// pages the cause.
    pub fn start<S: StubType>(self) -> Result<S> {
        Ok(S::from_stub(self.session()?.main()))
    }

    /// Begins to connect and returns the session. The connection stays open until the session's
    /// last handle is dropped.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`start`](Self::start).
    pub fn session(self) -> Result<Session> {
        let mut transport = self.transport()?;
        let (session, mut connection) = self.settings.create(Session::client);
        spawn(async move {
            let unwanted = connection.ended();
            match either(self.opened(&mut transport), unwanted).await {
                Either::First(Ok(())) => {
                    connection.drive(transport).await;
                }
                Either::First(Err(error)) => connection.end(error),
                // Every handle was dropped. Dropping the transport closes the socket.
                Either::Second(_) => {}
            }
        });
        Ok(session)
    }

    /// Connects and returns the session once the socket is open.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`start`](Self::start). Also returns an error if the connection
    /// fails.
    pub async fn open(self) -> Result<Session> {
        local(async move {
            let mut transport = self.transport()?;
            self.opened(&mut transport).await?;
            let (session, connection) = self.settings.create(Session::client);
            spawn(async move {
                connection.drive(transport).await;
            });
            Ok(session)
        })
        .await
    }

    /// Creates the socket, which begins to connect immediately.
    fn transport(&self) -> Result<WebSocketTransport> {
        let socket = self.socket().map_err(|cause| self.invalid(cause))?;
        let limits = self.settings.options.limits();
        Ok(WebSocketTransport::new(socket, limits).encoding(self.encoding))
    }

    fn socket(&self) -> Result<WebSocket, String> {
        if of_global("WebSocket").is_none() {
            return Err("this host has no WebSockets".to_owned());
        }
        let url = resolve_url(&self.url)?;
        set_scheme(&url, "ws:", "wss:")?;
        let socket = if self.protocols.is_empty() {
            WebSocket::new(&url.href())
        } else {
            let protocols: Array = self
                .protocols
                .iter()
                .map(|name| JsString::from(name.as_str()))
                .collect();
            WebSocket::new_with_str_sequence(&url.href(), &protocols)
        };
        socket.map_err(|exception| describe(&exception))
    }

    fn invalid(&self, cause: String) -> Error {
        failed(&self.url, Failure::invalid(cause))
    }

    /// Waits until the socket is open.
    async fn opened(&self, transport: &mut WebSocketTransport) -> Result<()> {
        let opening = poll_fn(|cx| transport.poll_open(cx));
        let limit = self.settings.timeout.unwrap_or(Duration::MAX);
        let Some(deadline) = Instant::now().checked_add(limit) else {
            return opening.await;
        };
        timeout_at(deadline, opening).await.unwrap_or_else(|_| {
            let cause = format!("the server did not answer within {}", InSeconds(limit));
            Err(failed(
                &self.url,
                Failure::new(ConnectFailure::Timeout, cause),
            ))
        })
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("protocols", &self.protocols)
            .field("encoding", &self.encoding)
            .finish()
    }
}

//! Upgrades of HTTP requests in axum.

mod upgraded;

use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    response::{IntoResponse, Response},
};
use capnweb_core::{Connection, Encoding, Error, SessionOptions};
use capnweb_net::{RETRY_AFTER, ServerFull, ServerLimits, SessionPermit, socket::KEEP_ALIVE};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{self, HeaderName},
    request::Parts,
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub use self::upgraded::Upgraded;
use crate::WebSocketTransport;

/// The only version of WebSocket.
const VERSION: &str = "13";

/// The default time limit for receiving the response that opens a WebSocket: see
/// [`Upgrade::timeout`].
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(30);

/// A request to open a WebSocket, as an axum extractor.
///
/// Over HTTP/1 it is a GET with an upgrade. Over HTTP/2 it is an extended CONNECT (RFC 8441), which
/// axum announces if its feature `http2` is on.
///
/// ```
/// use axum::{Router, response::Response, routing::get};
/// use capnweb::{Object, Session, SessionOptions};
/// use capnweb::ws::Upgrade;
///
/// async fn api(upgrade: Upgrade) -> Response {
///     let (_session, mut connection) = Session::server(SessionOptions::default());
///     connection.set_main(Object::new().property("version", "1.0").into_stub());
///     upgrade.serve(connection)
/// }
/// let app: Router = Router::new().route("/api", get(api));
/// ```
///
/// Browsers let any page open a WebSocket to any server, and add their cookies for that server. So
/// a server that relies on cookies must check the `Origin` header first.
#[must_use = "the WebSocket is opened only if `serve` or `accept` makes the response"]
pub struct Upgrade {
    /// The client's key. HTTP/2 has none.
    key: Option<HeaderValue>,
    on_upgrade: OnUpgrade,
    /// The subprotocols that the client offers, in its order of preference.
    offered: Vec<HeaderValue>,
    selected: Option<HeaderValue>,
    encoding: Encoding,
    timeout: Duration,
    tcp_keep_alive: Option<Duration>,
    limits: ServerLimits,
    /// The address of the client, if the server knows it.
    client: Option<IpAddr>,
    /// The session's permit, once there is one.
    permit: Option<SessionPermit>,
}

impl Upgrade {
    /// Returns whether this is a request for a WebSocket, whether well-formed or not.
    pub fn is_requested_by(request: &Parts) -> bool {
        is_extended_connect(request)
            || request.method == Method::GET
                && has_token(&request.headers, &header::UPGRADE, "websocket")
    }

    /// Selects the first subprotocol offered by the client that is in `supported`. If none is
    /// selected, the response contains none, and a browser that has offered some closes the
    /// WebSocket.
    pub fn protocols<'a>(mut self, supported: impl IntoIterator<Item = &'a str>) -> Self {
        let supported: Vec<&str> = supported.into_iter().collect();
        let known = |offer: &&HeaderValue| supported.iter().any(|name| *offer == name);
        self.selected = self.offered.iter().find(known).cloned();
        self
    }

    /// Returns the subprotocol that [`protocols`](Self::protocols) has selected.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.selected.as_ref()?.to_str().ok()
    }

    /// Sets the time limit for the client to receive the response that opens the WebSocket.
    /// Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the idle time after which TCP probes the client. `None` disables probing. Default: 30
    /// seconds.
    ///
    /// A client that does not answer for another 30 seconds ends the session. This has no effect if
    /// the connection is not plain TCP from axum.
    pub fn tcp_keep_alive(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.tcp_keep_alive = idle.into();
        self
    }

    /// Sets the encoding of messages. The client must use the same one.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the bounds for all clients together. The default is [`ServerLimits::shared`], the
    /// bounds of the process.
    pub fn server_limits(mut self, limits: &ServerLimits) -> Self {
        self.limits = limits.clone();
        self
    }

    /// Counts the session towards the [`ServerLimits`], before any work on its main object.
    /// Otherwise [`serve`](Self::serve) and [`accept`](Self::accept) do so, and return the error's
    /// response if the session is refused.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many sessions.
    pub fn admit(&mut self) -> Result<(), UpgradeRejection> {
        if self.permit.is_none() {
            let admitted = self.limits.admit_session(self.client);
            self.permit = Some(admitted.map_err(UpgradeRejection::Full)?);
        }
        Ok(())
    }

    /// Returns the response that opens the WebSocket, and serves the session on it in a task.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn serve(self, connection: Connection) -> Response {
        let options = connection.options().clone();
        self.open(options, async move |opened| {
            let mut connection = connection;
            match opened {
                Ok(transport) => {
                    connection.drive(transport).await;
                }
                Err(reason) => connection.end(reason),
            }
        })
    }

    /// Returns the response that opens the WebSocket, and passes the transport to `on_open` once it
    /// is open. The function's future becomes a task. The function is not called if the client goes
    /// away before that.
    ///
    /// Only the [`Limits`](capnweb_core::Limits) of the options apply here, to incoming messages.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn accept<F, Fut>(self, options: SessionOptions, on_open: F) -> Response
    where
        F: FnOnce(WebSocketTransport<Upgraded>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.open(options, async move |opened| {
            if let Ok(transport) = opened {
                on_open(transport).await;
            }
        })
    }

    fn open<F, Fut>(mut self, options: SessionOptions, on_open: F) -> Response
    where
        F: FnOnce(Result<WebSocketTransport<Upgraded>, Error>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if let Err(rejection) = self.admit() {
            let refused = Error::disconnected(format!("the WebSocket was refused: {rejection}"));
            tokio::spawn(on_open(Err(refused)));
            return rejection.into_response();
        }
        let (on_upgrade, encoding) = (self.on_upgrade, self.encoding);
        let (timeout, tcp_keep_alive) = (self.timeout, self.tcp_keep_alive);
        let (unfinished, permit) = (self.limits.unfinished().clone(), self.permit);
        tokio::spawn(async move {
            let _permit = permit;
            let upgraded = match tokio::time::timeout(timeout, on_upgrade).await {
                Ok(upgraded) => upgraded.map_err(|error| error.to_string()),
                Err(_) => Err(format!("the client took no answer within {timeout:?}")),
            };
            let opened = match upgraded {
                Ok(upgraded) => {
                    let (io, already_read) = Upgraded::new(upgraded, tcp_keep_alive);
                    let limits = options.limits();
                    let transport = WebSocketTransport::server_after(io, already_read, limits);
                    Ok(transport.encoding(encoding).budget(&unfinished))
                }
                Err(cause) => {
                    tracing::debug!(target: "capnweb", %cause, "a WebSocket was not opened");
                    Err(Error::disconnected(format!(
                        "the WebSocket was not opened: {cause}"
                    )))
                }
            };
            on_open(opened).await;
        });
        let mut response = match self.key {
            Some(key) => switching_protocols(&key),
            // Any success status opens an HTTP/2 tunnel.
            None => StatusCode::OK.into_response(),
        };
        let selected = self.selected;
        response
            .headers_mut()
            .extend(selected.map(|name| (header::SEC_WEBSOCKET_PROTOCOL, name)));
        response
    }
}

/// Returns the HTTP/1 response that opens a WebSocket.
fn switching_protocols(key: &HeaderValue) -> Response {
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
    let mut response = (
        StatusCode::SWITCHING_PROTOCOLS,
        [
            (header::CONNECTION, HeaderValue::from_static("Upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
        ],
    )
        .into_response();
    // A key in base64 is always a valid header value.
    response
        .headers_mut()
        .extend(accept.map(|accept| (header::SEC_WEBSOCKET_ACCEPT, accept)));
    response
}

/// Returns whether this is an HTTP/2 request for a WebSocket.
///
/// An extended CONNECT has a path, which an ordinary one lacks, and one for a WebSocket states its
/// version. The `:protocol` is not checked: using hyper's type for it would add HTTP/2 to every
/// server.
fn is_extended_connect(request: &Parts) -> bool {
    request.method == Method::CONNECT
        && request.version == Version::HTTP_2
        && request.uri.path_and_query().is_some()
        && request.headers.contains_key(header::SEC_WEBSOCKET_VERSION)
}

/// Returns the key of a request, of which there must be exactly one.
fn key(headers: &HeaderMap) -> Result<HeaderValue, UpgradeRejection> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).into_iter();
    let key = keys.next().ok_or(UpgradeRejection::NoKey)?;
    if keys.next().is_some() || !is_key(key.as_bytes()) {
        return Err(UpgradeRejection::InvalidKey);
    }
    Ok(key.clone())
}

/// Returns whether this is 16 bytes in base64.
fn is_key(value: &[u8]) -> bool {
    value.strip_suffix(b"==").is_some_and(|digits| {
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        digits.len() == 22 && digits.iter().all(is_digit)
    })
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = UpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, UpgradeRejection> {
        let headers = &parts.headers;
        let is_http2 = is_extended_connect(parts);
        if !is_http2 {
            if parts.method != Method::GET {
                return Err(UpgradeRejection::NotGet);
            }
            if !has_token(headers, &header::UPGRADE, "websocket")
                || !has_token(headers, &header::CONNECTION, "upgrade")
            {
                return Err(UpgradeRejection::NotAnUpgrade);
            }
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != VERSION)
        {
            return Err(UpgradeRejection::WrongVersion);
        }
        let key = if is_http2 { None } else { Some(key(headers)?) };
        let offered = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
            .filter_map(|name| HeaderValue::try_from(name).ok())
            .collect();
        let on_upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or(UpgradeRejection::NotPossible)?;
        Ok(Self {
            key,
            on_upgrade,
            offered,
            selected: None,
            encoding: Encoding::default(),
            timeout: UPGRADE_TIMEOUT,
            tcp_keep_alive: Some(KEEP_ALIVE),
            limits: ServerLimits::shared().clone(),
            client: client(parts),
            permit: None,
        })
    }
}

/// Returns the address of the client, if the server knows it.
fn client(request: &Parts) -> Option<IpAddr> {
    let ConnectInfo(address) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip())
}

/// Iterates over the elements of a header that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|candidate| candidate.eq_ignore_ascii_case(token))
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("offered", &self.offered)
            .field("selected", &self.selected)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// The reason why a request cannot open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeRejection {
    /// The request is not a GET. The response is 405.
    #[error("a WebSocket is opened with GET")]
    NotGet,
    /// The request does not ask for an upgrade to WebSocket. The response is 426.
    #[error("this address serves WebSockets: the request has to ask for an upgrade to one")]
    NotAnUpgrade,
    /// The request asks for another version of WebSocket. The response is 426.
    #[error("the version of WebSocket here is {VERSION}: `Sec-WebSocket-Version` has to say so")]
    WrongVersion,
    /// The request has no key. The response is 400.
    #[error("the header `Sec-WebSocket-Key` is missing")]
    NoKey,
    /// The key of the request is invalid. The response is 400.
    #[error("the header `Sec-WebSocket-Key` has to be one key: 16 bytes in base64")]
    InvalidKey,
    /// The server does not support upgrades, or a middleware has already taken this one. The
    /// response is 501.
    #[error("this connection cannot become a WebSocket")]
    NotPossible,
    /// The server is full. The response is 503 with `Retry-After`.
    #[error("{0}")]
    Full(ServerFull),
}

impl IntoResponse for UpgradeRejection {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnUpgrade | Self::WrongVersion => StatusCode::UPGRADE_REQUIRED,
            Self::NoKey | Self::InvalidKey => StatusCode::BAD_REQUEST,
            Self::NotPossible => StatusCode::NOT_IMPLEMENTED,
            Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = (status, self.to_string()).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static(VERSION),
            );
        }
        response
    }
}

//! Upgrading an HTTP request, for axum.

mod upgraded;

use std::{fmt, future::Future};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use capnweb_core::{Connection, Encoding, Error, SessionOptions};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{self, HeaderName},
    request::Parts,
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub use self::upgraded::Upgraded;
use crate::WebSocketTransport;

/// The only version of WebSocket there is.
const VERSION: &str = "13";

/// A request to become a WebSocket: an axum extractor.
///
/// ```
/// use axum::{Router, response::Response, routing::get};
/// use capnweb_core::{Object, Session, SessionOptions};
/// use capnweb_transport_ws::Upgrade;
///
/// async fn api(upgrade: Upgrade) -> Response {
///     let (_session, mut connection) = Session::server(SessionOptions::default());
///     connection.set_main(Object::new().property("version", "1.0").into_stub());
///     upgrade.serve(connection)
/// }
/// let app: Router = Router::new().route("/api", get(api));
/// ```
///
/// Browsers let any page open a WebSocket to any server, with the cookies that they have for it.
/// A server that goes by cookies has to look at the `Origin` header first.
#[must_use = "the WebSocket is opened only if `serve` or `accept` makes the response"]
pub struct Upgrade {
    key: HeaderValue,
    on_upgrade: OnUpgrade,
    /// The subprotocols that the client offers, in its order of preference.
    offered: Vec<HeaderValue>,
    chosen: Option<HeaderValue>,
    encoding: Encoding,
}

impl Upgrade {
    /// Whether these are the headers of a request for a WebSocket, be it a well-formed one or not.
    pub fn is_asked_for(headers: &HeaderMap) -> bool {
        has_token(headers, &header::UPGRADE, "websocket")
    }

    /// Takes the first of the subprotocols that the client offers and `supported` names. If there is
    /// none, none is named in the response.
    pub fn protocols<'a>(mut self, supported: impl IntoIterator<Item = &'a str>) -> Self {
        let supported: Vec<&str> = supported.into_iter().collect();
        let known = |offer: &&HeaderValue| supported.iter().any(|name| *offer == name);
        self.chosen = self.offered.iter().find(known).cloned();
        self
    }

    /// Sets how messages are encoded. The client has to use the same.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Makes the response that opens the WebSocket, and serves the session on it in a task of its
    /// own.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
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

    /// Makes the response that opens the WebSocket, and hands the transport over once it is open. The
    /// function's future becomes a task. It is not called if the client goes away before that.
    ///
    /// Of the options only [`Limits`](capnweb_core::Limits) matter here: they bound what is read.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
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

    fn open<F, Fut>(self, options: SessionOptions, on_open: F) -> Response
    where
        F: FnOnce(Result<WebSocketTransport<Upgraded>, Error>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (on_upgrade, encoding) = (self.on_upgrade, self.encoding);
        tokio::spawn(async move {
            let opened = match on_upgrade.await {
                Ok(upgraded) => {
                    let (io, already_read) = Upgraded::new(upgraded);
                    let limits = options.limits_ref();
                    let transport = WebSocketTransport::server_after(io, already_read, limits);
                    Ok(transport.encoding(encoding))
                }
                Err(error) => {
                    tracing::debug!(target: "capnweb", %error, "a WebSocket was not opened");
                    Err(Error::disconnected(format!(
                        "the WebSocket was not opened: {error}"
                    )))
                }
            };
            on_open(opened).await;
        });
        let accept = HeaderValue::try_from(derive_accept_key(self.key.as_bytes()));
        let mut response = (
            StatusCode::SWITCHING_PROTOCOLS,
            [
                (header::CONNECTION, HeaderValue::from_static("Upgrade")),
                (header::UPGRADE, HeaderValue::from_static("websocket")),
            ],
        )
            .into_response();
        let headers = response.headers_mut();
        // A key in base64 is always a valid value.
        headers.extend(accept.map(|accept| (header::SEC_WEBSOCKET_ACCEPT, accept)));
        headers.extend(
            self.chosen
                .map(|chosen| (header::SEC_WEBSOCKET_PROTOCOL, chosen)),
        );
        response
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = UpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, UpgradeRejection> {
        let headers = &parts.headers;
        if parts.method != Method::GET {
            return Err(UpgradeRejection::NotGet);
        }
        if !Self::is_asked_for(headers) || !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err(UpgradeRejection::NotAnUpgrade);
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != VERSION)
        {
            return Err(UpgradeRejection::WrongVersion);
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .ok_or(UpgradeRejection::NoKey)?
            .clone();
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
            chosen: None,
            encoding: Encoding::default(),
        })
    }
}

/// The elements of a header that is a list.
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
            .field("chosen", &self.chosen)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// Why a request cannot become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeRejection {
    /// 405.
    #[error("a WebSocket is opened with GET")]
    NotGet,
    /// 426.
    #[error("this address serves WebSockets: the request has to ask for an upgrade to one")]
    NotAnUpgrade,
    /// 426.
    #[error("the version of WebSocket here is {VERSION}: `Sec-WebSocket-Version` has to say so")]
    WrongVersion,
    /// 400.
    #[error("the header `Sec-WebSocket-Key` is missing")]
    NoKey,
    /// 501: the connection is HTTP/2, or a middleware has taken its upgrade away.
    #[error("this connection cannot become a WebSocket")]
    NotPossible,
}

impl IntoResponse for UpgradeRejection {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnUpgrade | Self::WrongVersion => StatusCode::UPGRADE_REQUIRED,
            Self::NoKey => StatusCode::BAD_REQUEST,
            Self::NotPossible => StatusCode::NOT_IMPLEMENTED,
        };
        let mut response = (status, self.to_string()).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
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

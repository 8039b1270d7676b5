//! The handler for batches (POST) and WebSockets (upgrades).

use std::{fmt, marker::PhantomData, net::SocketAddr, time::Duration};

use ::axum::{
    body::Body,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{self, MethodRouter},
};
use capnweb_core::{Encoding, Session, SessionOptions};
use capnweb_net::{
    Origins, RETRY_AFTER, ServerLimits, SessionPermit, Sessions, TransportKind, normalize_origin,
    socket::KEEP_ALIVE,
};
use capnweb_transport_http::answer_with;
use capnweb_transport_ws::Upgrade;

use super::{Factory, Peer, Subprotocol, Tracked, guarded_body::GuardedBody};

/// The time limit for the rest of a batch, or for the upgrade to a WebSocket.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Creates a route that serves the objects that `factory` makes, over both WebSockets and HTTP
/// batches. See the [module documentation](super), and [`Rpc`] for options.
pub fn rpc<S, M, F>(factory: F) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    M: 'static,
    F: Factory<S, M>,
{
    Rpc::new(factory).route()
}

/// A route with options.
///
/// ```
/// use axum::Router;
/// use capnweb::{Limits, Object, SessionOptions, axum::Rpc};
///
/// let api = Rpc::new(|| Object::new().property("version", "1.0").into_stub())
///     .options(SessionOptions::new().with_limits(Limits::default().with_max_message_size(1 << 20)))
///     .allow_origin("https://example.com");
/// let app: Router = Router::new().route("/api", api.route());
/// ```
#[must_use = "it serves nothing until its `route` is part of a router"]
pub struct Rpc<F, S, M> {
    factory: F,
    options: SessionOptions,
    /// The value of `Access-Control-Allow-Origin`.
    allow_origin: Option<HeaderValue>,
    /// The value of `Access-Control-Allow-Headers`, for browsers that request it.
    allow_headers: Option<HeaderValue>,
    /// The origins whose pages may connect, unless all may.
    only_from: Option<Origins>,
    protocols: Vec<String>,
    encoding: Encoding,
    timeout: Duration,
    tcp_keep_alive: Option<Duration>,
    limits: ServerLimits,
    sessions: Option<Sessions>,
    marker: PhantomData<fn(S, M)>,
}

impl<F, S, M> Rpc<F, S, M>
where
    S: Clone + Send + Sync + 'static,
    M: 'static,
    F: Factory<S, M>,
{
    /// Creates a route that serves the objects that `factory` makes.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            options: SessionOptions::new(),
            allow_origin: None,
            allow_headers: None,
            only_from: None,
            protocols: Vec::new(),
            encoding: Encoding::default(),
            timeout: TIMEOUT,
            tcp_keep_alive: Some(KEEP_ALIVE),
            limits: ServerLimits::shared().clone(),
            sessions: None,
            marker: PhantomData,
        }
    }

    /// Sets the options of the sessions, including their limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the subprotocols that WebSockets may have. The first one that the client offers is
    /// selected. The factory receives it as [`Subprotocol`].
    ///
    /// If a browser offers subprotocols and none of them is selected, it closes the WebSocket.
    /// Pages use a subprotocol to send a token, since they cannot send headers: `new WebSocket(url,
    /// ["capnweb", "bearer.1234"])`.
    ///
    /// ```
    /// use axum::http::{HeaderMap, StatusCode};
    /// use capnweb::{Object, Stub, axum::Rpc};
    ///
    /// async fn connect(headers: HeaderMap) -> Result<Stub, StatusCode> {
    ///     let offered = headers.get("sec-websocket-protocol");
    ///     let offered = offered.and_then(|value| value.to_str().ok());
    ///     let mut offered = offered.unwrap_or_default().split(',').map(str::trim);
    ///     match offered.find_map(|name| name.strip_prefix("bearer.")) {
    ///         Some("1234") => Ok(Object::new().into_stub()),
    ///         _ => Err(StatusCode::UNAUTHORIZED),
    ///     }
    /// }
    /// let app: axum::Router =
    ///     axum::Router::new().route("/api", Rpc::new(connect).protocols(["capnweb"]).route());
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a name is not a valid subprotocol, for instance because it contains a space or
    /// comma.
    pub fn protocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.protocols = names.into_iter().map(Into::into).collect();
        for name in &self.protocols {
            // The rule for subprotocols is the same as for header names.
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                panic!("{name:?} can be the name of no subprotocol");
            }
        }
        self
    }

    /// Sets the encoding of messages on WebSockets. Clients must use the same encoding, but text is
    /// always accepted. Batches are always text.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the bounds for all clients together. Pass the same value to
    /// [`Serve::server_limits`](super::Serve::server_limits). The default is
    /// [`ServerLimits::shared`], the bounds of the process.
    ///
    /// A session or batch beyond the bounds is refused with 503 and `Retry-After`.
    pub fn server_limits(mut self, limits: &ServerLimits) -> Self {
        self.limits = limits.clone();
        self
    }

    /// Registers the sessions and batches in `sessions`, so that the application can list and end
    /// them, and [drain](Sessions::drain) the server. The factory receives the entry as
    /// [`Tracked`].
    ///
    /// While the registry refuses sessions, requests are answered with 503 and `Retry-After`.
    pub fn tracked(mut self, sessions: &Sessions) -> Self {
        self.sessions = Some(sessions.clone());
        self
    }

    /// Sets the time limit for each 16 KiB of a batch's body (or its rest), and for the upgrade to
    /// a WebSocket. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the idle time of a WebSocket after which TCP probes the client. `None` disables
    /// probing. Default: 30 seconds.
    pub fn tcp_keep_alive(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.tcp_keep_alive = idle.into();
        self
    }

    /// Lets pages of this origin read the responses to batches; `*` means all origins. For other
    /// features of CORS, such as several origins or cookies, wrap the router in a CORS layer.
    ///
    /// # Panics
    ///
    /// Panics if no page can have this origin.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        let origin = match origin {
            "*" => "*".to_owned(),
            origin => normalize_origin(origin).unwrap_or_else(|error| panic!("{error}")),
        };
        self.allow_origin = Some(header_value(&origin));
        self
    }

    /// Lets these pages send headers of these names with a batch, such as `authorization`. Browsers
    /// request permission with an OPTIONS request first, which is then granted.
    ///
    /// # Panics
    ///
    /// Panics if a name is not a valid header name.
    pub fn allow_headers<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        self.allow_headers = Some(header_value(&names.join(", ")));
        self
    }

    /// Refuses pages of other origins with 403, for both WebSockets and batches. Clients other than
    /// browsers send no `Origin`, and are accepted.
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

    /// Returns the route.
    pub fn route(self) -> MethodRouter<S> {
        routing::any(move |State(state): State<S>, request: Request| async move {
            let mut response = self.respond(request, &state).await;
            if let Some(origin) = self.allow_origin {
                response
                    .headers_mut()
                    .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            response
        })
    }

    async fn respond(&self, request: Request, state: &S) -> Response {
        let (mut parts, body) = request.into_parts();
        let upgrade = match parts.method {
            Method::POST => None,
            _ if Upgrade::is_requested_by(&parts) => {
                match Upgrade::from_request_parts(&mut parts, state).await {
                    Ok(upgrade) => Some(self.configure(upgrade)),
                    Err(rejection) => return rejection.into_response(),
                }
            }
            Method::OPTIONS if is_preflight(&parts.headers) => {
                return match &self.allow_headers {
                    Some(names) => permission(names.clone()),
                    None => not_allowed(),
                };
            }
            _ => return not_allowed(),
        };
        if self.is_foreign(&parts.headers) {
            return (
                StatusCode::FORBIDDEN,
                "Pages of this origin may not connect here.",
            )
                .into_response();
        }
        if self.sessions.as_ref().is_some_and(Sessions::is_refusing) {
            return unavailable("The server is about to stop.");
        }
        let client = client(&parts);
        let kind = match upgrade {
            Some(mut upgrade) => match upgrade.admit() {
                Ok(()) => Kind::WebSocket(upgrade),
                Err(rejection) => return rejection.into_response(),
            },
            None => match self.limits.admit_session(client.map(|client| client.ip())) {
                Ok(permit) => Kind::Batch(permit),
                Err(limit) => return unavailable(limit.to_string()),
            },
        };
        let options = self.options.clone();
        let transport = match kind {
            Kind::WebSocket(_) => TransportKind::WebSocket,
            Kind::Batch(_) => TransportKind::Batch,
        };
        let options = options.with_transport(transport.as_str());
        #[cfg(feature = "opentelemetry")]
        let options = options.with_span(capnweb_net::session_span(&parts.headers));
        let (session, mut connection) = match kind {
            Kind::WebSocket(_) => Session::server(options),
            Kind::Batch(_) => Session::server_batch(options),
        };
        if let Some(sessions) = &self.sessions {
            let tracked = sessions.track(&session, transport, client);
            parts.extensions.insert(Tracked(tracked));
        }
        parts.extensions.insert(Peer(session.main()));
        let selected = match &kind {
            Kind::WebSocket(upgrade) => upgrade.selected_protocol(),
            Kind::Batch(_) => None,
        };
        parts
            .extensions
            .insert(Subprotocol(selected.map(str::to_owned)));
        let main = match self.factory.make(&mut parts, state).await {
            Ok(main) => main,
            Err(refusal) => return refusal,
        };
        connection.set_main(main);
        // From here on, only the factory can hold the client's main object.
        drop((session, parts));
        match kind {
            Kind::WebSocket(upgrade) => upgrade.serve(connection),
            Kind::Batch(permit) => {
                let response = answer_with(self.timeout, &self.limits, body, connection).await;
                response.map(|body| Body::new(GuardedBody::new(body, permit)))
            }
        }
    }

    fn configure(&self, upgrade: Upgrade) -> Upgrade {
        upgrade
            .protocols(self.protocols.iter().map(String::as_str))
            .encoding(self.encoding)
            .timeout(self.timeout)
            .tcp_keep_alive(self.tcp_keep_alive)
            .server_limits(&self.limits)
    }

    /// Returns whether the request comes from a page that may not connect. If there are several
    /// origins, all of them must be allowed.
    fn is_foreign(&self, headers: &HeaderMap) -> bool {
        let Some(allowed) = &self.only_from else {
            return false;
        };
        let mut origins = headers.get_all(header::ORIGIN).into_iter();
        origins.any(|origin| !origin.to_str().is_ok_and(|origin| allowed.allow(origin)))
    }
}

/// A session that was admitted.
enum Kind {
    WebSocket(Upgrade),
    Batch(SessionPermit),
}

/// Returns the address of the client, if the server knows it.
fn client(request: &Parts) -> Option<SocketAddr> {
    let ConnectInfo(address) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(*address)
}

fn unavailable(reason: impl Into<String>) -> Response {
    let retry_after = [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, retry_after, reason.into()).into_response()
}

fn header_value(text: &str) -> HeaderValue {
    match HeaderValue::from_str(text) {
        Ok(value) => value,
        Err(error) => panic!("{text:?} cannot be part of a header: {error}"),
    }
}

/// Returns whether the request is a browser's CORS preflight.
fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Returns the response that permits a batch with these headers.
fn permission(names: HeaderValue) -> Response {
    let headers = [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("POST"),
        ),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, names),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn not_allowed() -> Response {
    let allow: [(HeaderName, &str); 1] = [(header::ALLOW, "GET, POST")];
    let text = "This endpoint accepts POST requests (HTTP batches) and WebSockets only.";
    (StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response()
}

impl<F: Clone, S, M> Clone for Rpc<F, S, M> {
    fn clone(&self) -> Self {
        Self {
            factory: self.factory.clone(),
            options: self.options.clone(),
            allow_origin: self.allow_origin.clone(),
            allow_headers: self.allow_headers.clone(),
            only_from: self.only_from.clone(),
            protocols: self.protocols.clone(),
            encoding: self.encoding,
            timeout: self.timeout,
            tcp_keep_alive: self.tcp_keep_alive,
            limits: self.limits.clone(),
            sessions: self.sessions.clone(),
            marker: PhantomData,
        }
    }
}

impl<F, S, M> fmt::Debug for Rpc<F, S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc")
            .field("options", &self.options)
            .field("allow_origin", &self.allow_origin)
            .field("allow_headers", &self.allow_headers)
            .field("only_from", &self.only_from)
            .field("protocols", &self.protocols)
            .field("encoding", &self.encoding)
            .field("timeout", &self.timeout)
            .field("tcp_keep_alive", &self.tcp_keep_alive)
            .field("server_limits", &self.limits)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

//! The handler: POST is a batch, an upgrade is a WebSocket.

use std::{fmt, marker::PhantomData};

use ::axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{self, MethodRouter},
};
use capnweb_core::{Session, SessionOptions};
use capnweb_transport_http::answer;
use capnweb_transport_ws::Upgrade;

use super::{Factory, Peer};

/// A route that serves what `factory` makes, to WebSockets and HTTP batches alike. See the
/// [module documentation](super); for options see [`Rpc`].
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
///     .options(SessionOptions::new().limits(Limits::default().with_max_message_size(1 << 20)))
///     .allow_origin("https://example.com");
/// let app: Router = Router::new().route("/api", api.route());
/// ```
#[must_use = "it serves nothing until its `route` is part of a router"]
pub struct Rpc<F, S, M> {
    factory: F,
    options: SessionOptions,
    /// Sent as `Access-Control-Allow-Origin`.
    allow_origin: Option<HeaderValue>,
    /// Sent as `Access-Control-Allow-Headers` to browsers that ask.
    allow_headers: Option<HeaderValue>,
    /// The origins whose pages may connect, if not all may.
    only_from: Option<Vec<HeaderValue>>,
    marker: PhantomData<fn(S, M)>,
}

impl<F, S, M> Rpc<F, S, M>
where
    S: Clone + Send + Sync + 'static,
    M: 'static,
    F: Factory<S, M>,
{
    /// Serves what `factory` makes.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            options: SessionOptions::new(),
            allow_origin: None,
            allow_headers: None,
            only_from: None,
            marker: PhantomData,
        }
    }

    /// The sessions' settings.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Lets the pages of this origin read the answers to batches; `*` is all. For more of CORS, such as
    /// several origins or cookies, put a layer for it around the router.
    ///
    /// # Panics
    ///
    /// If HTTP allows no header of this value.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.allow_origin = Some(header_value(origin));
        self
    }

    /// Lets these pages send headers of these names with a batch, such as `authorization`. Browsers ask
    /// for permission first, by an OPTIONS request, which is answered then instead of refused.
    ///
    /// # Panics
    ///
    /// If HTTP allows no header of such a name.
    pub fn allow_headers<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        self.allow_headers = Some(header_value(&names.join(", ")));
        self
    }

    /// Refuses pages of other origins with 403, WebSockets as well as batches. Clients that are no
    /// browsers send no `Origin`, and pass.
    ///
    /// # Panics
    ///
    /// If HTTP allows no header of such a value.
    pub fn only_from_origins<'a>(mut self, origins: impl IntoIterator<Item = &'a str>) -> Self {
        self.only_from = Some(origins.into_iter().map(header_value).collect());
        self
    }

    /// The route.
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
            Method::GET if Upgrade::is_asked_for(&parts.headers) => {
                match Upgrade::from_request_parts(&mut parts, state).await {
                    Ok(upgrade) => Some(upgrade),
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
        let create = if upgrade.is_some() {
            Session::server
        } else {
            Session::server_batch
        };
        let (session, mut connection) = create(self.options.clone());
        parts.extensions.insert(Peer(session.main()));
        let main = match self.factory.make(&mut parts, state).await {
            Ok(main) => main,
            Err(refusal) => return refusal,
        };
        connection.set_main(main);
        // Of the client's main object nothing is held but what the factory has kept.
        drop((session, parts));
        match upgrade {
            Some(upgrade) => upgrade.serve(connection),
            None => answer(body, connection).await,
        }
    }

    fn is_foreign(&self, headers: &HeaderMap) -> bool {
        match (&self.only_from, headers.get(header::ORIGIN)) {
            (Some(allowed), Some(origin)) => !allowed.contains(origin),
            _ => false,
        }
    }
}

fn header_value(text: &str) -> HeaderValue {
    match HeaderValue::from_str(text) {
        Ok(value) => value,
        Err(error) => panic!("{text:?} cannot be part of a header: {error}"),
    }
}

/// Whether a browser asks what it may send.
fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What it may send: a batch, with these headers.
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
            .finish_non_exhaustive()
    }
}

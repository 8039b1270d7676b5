//! The request handler.

use std::{fmt, sync::Arc};

use capnweb_core::{Connection, Encoding, IntoMain, Session, SessionOptions, Stub, runtime::Scope};
use capnweb_transport_web::{WebSocketTransport, web_sys};
use worker::{Headers, Method, Request, Response, ResponseBuilder, Result, WebSocketPair};

use crate::{batch, refusal::Refuse, wait_until::WaitUntil};

/// Answers a request. A POST request is a batch, and an upgrade request is a WebSocket. Anything
/// else is answered with 405.
///
/// `context` is the [`Context`](worker::Context) of a Worker's `fetch`, or the
/// [`State`](worker::State) of a Durable Object. `main` creates the main object of the session. It
/// may be async, and it may refuse the client: see [`Refuse`].
///
/// Calls whose results nobody awaits continue after the response, through `waitUntil`.
///
/// ```ignore
/// #[event(fetch)]
/// async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
///     capnweb::worker::rpc(req, &ctx, || ApiStub::new(Api { env })).await
/// }
/// ```
///
/// # Errors
///
/// Returns an error if the body cannot be read, or if a call of the Worker's API fails.
pub async fn rpc<M, K>(
    request: Request,
    context: &impl WaitUntil,
    main: impl FnOnce() -> M,
) -> Result<Response>
where
    M: IntoMain<K, Refusal: Refuse>,
{
    Rpc::new().answer(request, context, main).await
}

/// A request handler with custom settings.
///
/// ```ignore
/// Rpc::new()
///     .options(SessionOptions::new().with_limits(limits))
///     .allow_origin("https://example.com")
///     .answer(req, &ctx, || ApiStub::new(Api { env }))
///     .await
/// ```
#[derive(Clone, Default)]
pub struct Rpc {
    options: SessionOptions,
    encoding: Encoding,
    origin: Option<String>,
    on_session: Option<Arc<dyn Fn(&Session) + Send + Sync>>,
}

impl Rpc {
    /// Creates a handler with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the options of sessions, including their limits.
    #[must_use]
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the encoding of messages over WebSocket. Clients must use the same one.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Allows pages of this origin to read the responses to batches. `*` allows any origin.
    ///
    /// This is no protection: any page can open a WebSocket or send a batch, and the browser adds
    /// its cookies for the Worker. A Worker that relies on cookies must check the `Origin` header
    /// itself.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets a function that receives each session when it begins. For example, it can store the
    /// session in a Durable Object.
    #[must_use]
    pub fn on_session(mut self, see: impl Fn(&Session) + Send + Sync + 'static) -> Self {
        self.on_session = Some(Arc::new(see));
        self
    }

    /// Answers a request, as [`rpc`] does.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`rpc`].
    pub async fn answer<M, K>(
        &self,
        request: Request,
        context: &impl WaitUntil,
        main: impl FnOnce() -> M,
    ) -> Result<Response>
    where
        M: IntoMain<K, Refusal: Refuse>,
    {
        Scope::new(!context.shares_io())
            .run(self.answer_in_scope(request, context, main))
            .await
    }

    async fn answer_in_scope<M, K>(
        &self,
        request: Request,
        context: &impl WaitUntil,
        main: impl FnOnce() -> M,
    ) -> Result<Response>
    where
        M: IntoMain<K, Refusal: Refuse>,
    {
        let headers = self.headers(&request)?;
        let kind = Kind::of(&request)?;
        if kind == Kind::Preflight {
            return self.preflight(&request, headers);
        }
        if kind == Kind::Other {
            headers.set("allow", "GET, POST")?;
            let text = "This endpoint accepts POST requests (HTTP batches) and WebSockets only.";
            return respond(405, headers, text);
        }
        let main = match main().into_main().await {
            Ok(main) => main,
            Err(refusal) => {
                let (status, text) = refusal.refuse();
                return respond(status, headers, &text);
            }
        };
        if kind == Kind::Batch {
            let (session, connection) = self.session(Session::server_batch, main);
            return batch::answer(request, headers, context, session, connection).await;
        }
        let (session, connection) = self.session(Session::server, main);
        let pair = WebSocketPair::new()?;
        pair.server.accept()?;
        let socket: &web_sys::WebSocket = pair.server.as_ref();
        let transport =
            WebSocketTransport::new(socket.clone(), self.options.limits()).encoding(self.encoding);
        let idle = session.idle();
        context.wait_until(Scope::current().run(async move {
            connection.drive(transport).await;
            // Handlers may continue for the session's grace period.
            idle.await;
        }));
        Response::from_websocket(pair.client)
    }

    fn session(
        &self,
        new: fn(SessionOptions) -> (Session, Connection),
        main: Stub,
    ) -> (Session, Connection) {
        let (session, mut connection) = new(self.options.clone());
        connection.set_main(main);
        if let Some(see) = &self.on_session {
            see(&session);
        }
        (session, connection)
    }

    /// Returns the headers that are common to all responses.
    fn headers(&self, request: &Request) -> Result<Headers> {
        let headers = Headers::new();
        if let Some(allowed) = &self.origin {
            let origin = request.headers().get("origin")?;
            if allowed == "*" || origin.as_ref() == Some(allowed) {
                headers.set("access-control-allow-origin", allowed)?;
            }
            if allowed != "*" {
                headers.set("vary", "origin")?;
            }
        }
        Ok(headers)
    }

    /// Answers a preflight request, with which a browser asks whether a page may send a batch with
    /// more headers.
    fn preflight(&self, request: &Request, headers: Headers) -> Result<Response> {
        if headers.has("access-control-allow-origin")? {
            headers.set("access-control-allow-methods", "POST")?;
            let asked = request.headers().get("access-control-request-headers")?;
            if let Some(asked) = asked {
                headers.set("access-control-allow-headers", &asked)?;
            }
        }
        Ok(ResponseBuilder::new()
            .with_status(204)
            .with_headers(headers)
            .empty())
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc")
            .field("options", &self.options)
            .field("encoding", &self.encoding)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// The kind of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Batch,
    WebSocket,
    Preflight,
    Other,
}

impl Kind {
    fn of(request: &Request) -> Result<Self> {
        let headers = request.headers();
        let upgrade = headers.get("upgrade")?;
        Ok(match request.method() {
            Method::Post => Self::Batch,
            Method::Get
                if upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) =>
            {
                Self::WebSocket
            }
            Method::Options if headers.has("access-control-request-method")? => Self::Preflight,
            _ => Self::Other,
        })
    }
}

/// Returns a response with a text.
pub(crate) fn respond(status: u16, headers: Headers, text: &str) -> Result<Response> {
    headers.set("content-type", "text/plain; charset=utf-8")?;
    Ok(ResponseBuilder::new()
        .with_status(status)
        .with_headers(headers)
        .fixed(text.as_bytes().to_vec()))
}

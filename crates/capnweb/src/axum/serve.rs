//! Serving an app, with settings that suit small messages and time limits for clients that stall.

use std::{
    any::Any,
    convert::Infallible,
    fmt,
    future::{Future, Ready, pending, poll_fn, ready},
    io, mem,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use ::axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, connect_info::Connected},
    http::{Method, StatusCode},
    response::Response,
    routing::MethodRouter,
    serve::Listener,
};
use capnweb_net::{Drain, ServerLimits, Sessions, StallGuard, socket};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{net::TcpStream, sync::watch, time::Instant};
use tower_service::Service;

use super::{guarded_body::GuardedBody, idle::Idle};

/// The time limit for the head of a request, and for idle periods between requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for a client that reads nothing of its response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The time that a connection has for the rest of its last response when it makes way for others.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves `app` on `listener`, as [`axum::serve`](::axum::serve()) does, with settings that suit
/// sessions: see [`Serve`].
///
/// The app is a `Router`, or the result of its
/// `into_make_service_with_connect_info::<SocketAddr>()`. A plain router is enough for a factory
/// with the extractor `ConnectInfo<SocketAddr>`.
///
/// ```no_run
/// use std::net::SocketAddr;
///
/// use axum::{Router, extract::ConnectInfo};
/// use capnweb::Object;
///
/// # async fn example() -> std::io::Result<()> {
/// let app = Router::new().route("/api", capnweb::axum::rpc(
///     |ConnectInfo(client): ConnectInfo<SocketAddr>| {
///         Object::new().property("yourAddress", client.to_string()).into_stub()
///     },
/// ));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// capnweb::axum::serve(listener, app).await
/// # }
/// ```
///
/// # Errors
///
/// Never returns an error in practice, like [`axum::serve`](::axum::serve()).
pub fn serve<L: Listener, M>(listener: L, app: M) -> Serve<L, M> {
    Serve(State::Ready(Config {
        listener,
        app,
        header_timeout: HEADER_TIMEOUT,
        tcp_keep_alive: Some(socket::KEEP_ALIVE),
        write_timeout: WRITE_TIMEOUT,
        limits: ServerLimits::shared().clone(),
        shutdown: Box::pin(pending()),
    }))
}

/// Serves until `shutdown` is ready: see [`Serve::shutdown_on`].
pub fn serve_with_shutdown<L: Listener, M>(
    listener: L,
    app: M,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Serve<L, M> {
    serve(listener, app).shutdown_on(shutdown)
}

/// A server that runs when it is awaited or spawned: see [`serve`].
///
/// It differs from [`axum::serve`](::axum::serve()) as follows:
///
/// - `TCP_NODELAY` is set on every connection, so a small message does not wait for the
///   acknowledgement of the previous one. [TCP keep-alive](Self::tcp_keep_alive) is set too.
/// - A connection that sends no request is [closed](Self::header_timeout). If there are [too
///   many](Self::server_limits), it is closed earlier to make way for others.
/// - A client that does not read its response is [disconnected](Self::write_timeout).
/// - Every request knows the address of its client, as `ConnectInfo<SocketAddr>`.
/// - With the feature `http2`, HTTP/2 is supported, including WebSockets over it.
#[must_use = "it serves nothing until it is awaited or spawned"]
pub struct Serve<L, M>(State<L, M>);

enum State<L, M> {
    Ready(Config<L, M>),
    Running(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>),
    Over,
}

struct Config<L, M> {
    listener: L,
    app: M,
    header_timeout: Duration,
    tcp_keep_alive: Option<Duration>,
    write_timeout: Duration,
    limits: ServerLimits,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<L, M> Serve<L, M> {
    fn configure(mut self, configure: impl FnOnce(&mut Config<L, M>)) -> Self {
        // A running server is pinned and cannot be configured any more.
        if let State::Ready(config) = &mut self.0 {
            configure(config);
        }
        self
    }

    /// Sets the time limit for the head of a request. The same limit applies to the first byte
    /// after the client has connected or received a response. Default: 30 seconds.
    ///
    /// It does not limit the time for answering a request, nor the lifetime of a WebSocket. Over
    /// HTTP/2 it limits the time to the first request. After that, a client that is silent for this
    /// long is sent a ping.
    pub fn header_timeout(self, timeout: Duration) -> Self {
        self.configure(|config| config.header_timeout = timeout)
    }

    /// Sets the idle time after which TCP probes the client. `None` disables probing. Default: 30
    /// seconds.
    ///
    /// A client that does not answer for another 30 seconds is disconnected.
    pub fn tcp_keep_alive(self, idle: impl Into<Option<Duration>>) -> Self {
        self.configure(|config| config.tcp_keep_alive = idle.into())
    }

    /// Sets the time limit for a client that reads nothing of a response that is being sent.
    /// Default: 30 seconds.
    ///
    /// It does not apply to WebSockets.
    pub fn write_timeout(self, timeout: Duration) -> Self {
        self.configure(|config| config.write_timeout = timeout)
    }

    /// Sets the bounds for all clients together. Only
    /// [`max_handshakes`](ServerLimits::max_handshakes) applies here, to connections that wait for
    /// a request. For the other bounds, pass the same value to
    /// [`Rpc::server_limits`](super::Rpc::server_limits). The default is [`ServerLimits::shared`],
    /// the bounds of the process.
    pub fn server_limits(self, limits: &ServerLimits) -> Self {
        self.configure(|config| config.limits = limits.clone())
    }

    /// Stops when `shutdown` completes. The server then accepts no more connections, and waits for
    /// pending requests, including batches, to be answered.
    ///
    /// It neither waits for WebSockets nor ends them. After the upgrade they are tasks of their
    /// own, which end with their session or the runtime; [`drain_on`](Self::drain_on) ends them
    /// properly. Over HTTP/2 it does wait for WebSockets, since they share their connection with
    /// requests.
    pub fn shutdown_on(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        self.configure(|config| config.shutdown = Box::pin(shutdown))
    }

    /// Drains the server when `shutdown` completes: see [`Sessions::drain`]. Pass the same registry
    /// to [`Rpc::tracked`](super::Rpc::tracked).
    ///
    /// The server accepts connections until all sessions are over, so that it can answer health
    /// checks and refuse new clients with 503.
    ///
    /// ```no_run
    /// use axum::Router;
    /// use capnweb::{
    ///     Drain, Object, Sessions,
    ///     axum::{Rpc, health, serve, shutdown_signal},
    /// };
    ///
    /// #[tokio::main]
    /// async fn main() -> std::io::Result<()> {
    ///     let sessions = Sessions::new();
    ///     let api = Rpc::new(|| Object::new().into_stub()).tracked(&sessions);
    ///     let app = Router::new().route("/api", api.route()).merge(health(&sessions));
    ///     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    ///     serve(listener, app).drain_on(shutdown_signal(), &sessions, Drain::new()).await
    /// }
    /// ```
    pub fn drain_on(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
        sessions: &Sessions,
        drain: Drain,
    ) -> Self {
        let sessions = sessions.clone();
        self.shutdown_on(async move {
            shutdown.await;
            let drained = sessions.drain(drain).await;
            tracing::info!(
                target: "capnweb",
                idle = drained.idle,
                cut_off = drained.cut_off,
                "all sessions have ended"
            );
        })
    }
}

// The only pinned content is the future in its box.
impl<L, M> Unpin for Serve<L, M> {}

impl<L, M, S> Future for Serve<L, M>
where
    L: Listener,
    L::Addr: Sync + 'static,
    M: Service<Accepted<L::Addr>, Response = S, Error = Infallible> + Send + 'static,
    M::Future: Send,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match mem::replace(&mut self.0, State::Over) {
                State::Ready(config) => self.0 = State::Running(Box::pin(run(config))),
                State::Running(mut running) => {
                    let served = running.as_mut().poll(cx);
                    if served.is_pending() {
                        self.0 = State::Running(running);
                    }
                    return served;
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

async fn run<L, M, S>(config: Config<L, M>) -> io::Result<()>
where
    L: Listener,
    L::Addr: Sync + 'static,
    M: Service<Accepted<L::Addr>, Response = S, Error = Infallible>,
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Config {
        mut listener,
        mut app,
        header_timeout,
        tcp_keep_alive,
        write_timeout,
        limits,
        mut shutdown,
    } = config;
    // Each connection holds a receiver, so the channel closes when all connections are over.
    let (stop, stopping) = watch::channel(false);
    loop {
        let accepting = async {
            let (io, address) = listener.accept().await;
            let client = (&address as &dyn Any).downcast_ref::<SocketAddr>().copied();
            let handshake = limits.handshake(client.map(|client| client.ip())).await;
            (io, address, client, handshake)
        };
        let (mut io, address, client, handshake) = tokio::select! {
            accepted = accepting => accepted,
            () = &mut shutdown => break,
        };
        let handshake = match handshake {
            Ok(handshake) => handshake,
            // Dropping the stream closes it.
            Err(limit) => {
                tracing::debug!(target: "capnweb", %limit, "a connection was refused");
                continue;
            }
        };
        if let Some(stream) = (&mut io as &mut dyn Any).downcast_mut::<TcpStream>() {
            socket::configure(stream, tcp_keep_alive);
        }
        let service = {
            let Ok(()) = poll_fn(|cx| app.poll_ready(cx)).await;
            let Ok(service) = app.call(Accepted { address }).await;
            service
        };
        let connection = Connection {
            service,
            client,
            header_timeout,
            idle: Idle::new(handshake),
            stopping: stopping.clone(),
        };
        tokio::spawn(connection.serve(StallGuard::new(io, write_timeout)));
    }
    drop((listener, stopping));
    stop.send_replace(true);
    stop.closed().await;
    Ok(())
}

/// An HTTP connection.
struct Connection<S> {
    service: S,
    client: Option<SocketAddr>,
    header_timeout: Duration,
    idle: Idle,
    /// Becomes true when the server stops.
    stopping: watch::Receiver<bool>,
}

impl<S> Connection<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    async fn serve<I>(mut self, io: I)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let asked = Arc::new(AtomicBool::new(false));
        let (service, client, idle) = (self.service, self.client, self.idle);
        let evicted = idle.evicted();
        let service = service_fn({
            let (asked, idle) = (asked.clone(), idle.clone());
            move |mut request: hyper::Request<hyper::body::Incoming>| {
                asked.store(true, Ordering::Relaxed);
                if let Some(client) = client {
                    request.extensions_mut().insert(ConnectInfo(client));
                }
                let mut service = service.clone();
                let (busy, is_connect) = (idle.busy(), request.method() == Method::CONNECT);
                async move {
                    poll_fn(|cx| service.poll_ready(cx)).await?;
                    let response: Response = service.call(request.map(Body::new)).await?;
                    let status = response.status();
                    if status == StatusCode::SWITCHING_PROTOCOLS
                        || is_connect && status.is_success()
                    {
                        busy.becomes_tunnel();
                    }
                    Ok::<_, Infallible>(response.map(|body| GuardedBody::new(body, busy)))
                }
            }
        });
        let builder = builder(self.header_timeout);
        let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
        // Until the first request, the version of HTTP is unknown, and there is nothing else to
        // limit the time.
        let mut late = pin!(tokio::time::sleep(self.header_timeout));
        let (mut is_heard, mut is_stopping, mut is_leaving) = (false, false, false);
        loop {
            tokio::select! {
                served = serving.as_mut() => {
                    if let Err(error) = served {
                        tracing::debug!(target: "capnweb", %error, "a connection has failed");
                    }
                    return;
                }
                () = &mut late, if !is_heard || is_leaving => {
                    if is_leaving {
                        if !idle.is_busy() {
                            return;
                        }
                        // A request has arrived after all. Its response is the last one.
                        (is_leaving, is_heard) = (false, true);
                        continue;
                    }
                    if !asked.load(Ordering::Relaxed) {
                        tracing::debug!(target: "capnweb", "a connection without a request was closed");
                        return;
                    }
                    is_heard = true;
                }
                () = evicted.notified() => {
                    if idle.is_busy() {
                        continue;
                    }
                    tracing::debug!(
                        target: "capnweb",
                        "a connection without a request made way for another"
                    );
                    if !asked.load(Ordering::Relaxed) {
                        return;
                    }
                    // The end of a response may not have been sent yet.
                    serving.as_mut().graceful_shutdown();
                    late.as_mut().reset(Instant::now() + LAST_WORDS);
                    is_leaving = true;
                }
                _ = self.stopping.wait_for(|stop| *stop), if !is_stopping => {
                    is_stopping = true;
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout);
    #[cfg(feature = "http2")]
    {
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(header_timeout))
            .keep_alive_timeout(header_timeout)
            .enable_connect_protocol();
        builder
    }
    #[cfg(not(feature = "http2"))]
    builder.http1_only()
}

/// An accepted connection, for services that are made for each connection.
///
/// It corresponds to `axum::serve::IncomingStream`. Implement [`Connected`] for it to get a
/// [`ConnectInfo`] extractor of your own type.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<A> {
    address: A,
}

impl<A> Accepted<A> {
    /// Returns the address of the client.
    pub fn remote_addr(&self) -> &A {
        &self.address
    }
}

impl Connected<Accepted<SocketAddr>> for SocketAddr {
    fn connect_info(accepted: Accepted<SocketAddr>) -> Self {
        accepted.address
    }
}

impl<A> Service<Accepted<A>> for Router<()> {
    type Response = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Accepted<A>) -> Self::Future {
        ready(Ok(self.clone()))
    }
}

impl<A> Service<Accepted<A>> for MethodRouter<(), Infallible> {
    type Response = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Accepted<A>) -> Self::Future {
        ready(Ok(self.clone()))
    }
}

impl<L: fmt::Debug, M> fmt::Debug for Serve<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Serve");
        if let State::Ready(config) = &self.0 {
            shown
                .field("listener", &config.listener)
                .field("header_timeout", &config.header_timeout)
                .field("tcp_keep_alive", &config.tcp_keep_alive);
        }
        shown.finish_non_exhaustive()
    }
}

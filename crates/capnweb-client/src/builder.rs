//! The builder for clients.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use capnweb_core::{
    Error, KeepAlive, Result, SessionOptions, StubType,
    lasting::{SlotOptions, WhileDown},
};

use crate::{
    attempt::{Attempt, Connector},
    backoff::Backoff,
    breaker::Breaker,
    client::Client,
    clock::Clocks,
    ending::Ending,
    pool::Pool,
    retry::{Budget, Retry},
    settings::Settings,
};

/// The longest delay of a client's ping.
const PING_PRECISION: Duration = Duration::from_millis(500);

/// The settings of a [`Client`], from [`Client::to`].
#[derive(Clone)]
#[must_use = "it connects once `start` is called"]
pub struct ClientBuilder {
    settings: Settings,
    while_down: WhileDown,
    retry: Retry,
    call_timeout: Option<Duration>,
}

impl Client {
    /// Creates the settings for a client of these servers, in order of preference.
    ///
    /// The scheme of each URL selects the [transport](crate::Transports).
    pub fn to<U: Into<Arc<str>>>(urls: impl IntoIterator<Item = U>) -> ClientBuilder {
        ClientBuilder::new(urls.into_iter().map(Into::into).collect())
    }
}

impl ClientBuilder {
    fn new(urls: Vec<Arc<str>>) -> Self {
        Self {
            settings: Settings::new(urls),
            while_down: WhileDown::default(),
            retry: Retry::default(),
            call_timeout: None,
        }
    }

    /// Sets a closure that prepares each attempt to connect, for example with a fresh token.
    ///
    /// It runs before every attempt, so a token is never older than its connection. If it fails,
    /// the attempt fails.
    ///
    /// ```no_run
    /// # use capnweb_client::Client;
    /// # async fn bearer() -> capnweb_core::Result<String> { Ok(String::new()) }
    /// let client = Client::to(["wss://example.com/api"])
    ///     .prepare(|attempt| async move { Ok(attempt.header("authorization", bearer().await?)) })
    ///     .start();
    /// ```
    pub fn prepare<F, P>(mut self, prepare: F) -> Self
    where
        F: Fn(Attempt) -> P + Send + Sync + 'static,
        P: Future<Output = Result<Attempt>> + Send + 'static,
    {
        self.settings.prepare = Some(Arc::new(move |attempt| Box::pin(prepare(attempt))));
        self
    }

    /// Sets a closure that runs on the main object of each new session, for example to agree on a
    /// version or to sign in. It runs before any derivation and before any waiting call is sent.
    ///
    /// The session is up only once the closure has succeeded. A `TypeError`, for example because a
    /// method does not exist, makes the client give up. The codes `unauthenticated` and
    /// `permission_denied` are treated like status 401. After any other error, the client connects
    /// again.
    pub fn on_connect<S, F, G, T, E>(mut self, greet: F) -> Self
    where
        S: StubType + 'static,
        F: Fn(S) -> G + Send + Sync + 'static,
        G: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Error>,
    {
        self.settings.greet = Some(Arc::new(move |main| {
            let greeting = greet(S::from_stub(main));
            Box::pin(async move { greeting.await.map(drop).map_err(Into::into) })
        }));
        self
    }

    /// Sets our main object, which the server can call, on every session. Without one, the server's
    /// calls are rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.main = Some(main.into_stub());
        self
    }

    /// Sets the options of each session, including its limits. A later call of [`ping`](Self::ping)
    /// replaces their keep-alive settings.
    pub fn options(mut self, options: SessionOptions) -> Self {
        if let Some(keep_alive) = options.keep_alive() {
            self.settings.ping_timeout = keep_alive.timeout();
        }
        self.settings.options = options;
        self
    }

    /// Sets the time limit for one attempt: preparing, connecting and the closure of
    /// [`on_connect`](Self::on_connect) together. Default: 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets the time limit for a call, including the time that it waits for a session. There is
    /// none by default.
    ///
    /// A call over the limit fails with the code `deadline_exceeded`. If it was still waiting, it
    /// is never sent.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// Sets the keep-alive pings, which detect a server that has vanished. A ping is sent after
    /// `interval` without a byte from the server, which then has `timeout` to answer. Default: 20
    /// seconds each.
    pub fn ping(mut self, interval: Duration, timeout: Duration) -> Self {
        let keep_alive = KeepAlive::new()
            .with_interval(interval)
            .with_timeout(timeout)
            .with_precision(PING_PRECISION);
        self.settings.options = self.settings.options.with_keep_alive(keep_alive);
        self.settings.ping_timeout = timeout;
        self
    }

    /// Sets the pauses between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// Sets when a failing server is avoided for a while.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.settings.breaker = breaker;
        self
    }

    /// Sets what happens to calls while there is no session. By default they wait for up to five
    /// seconds; at most 1024 calls of together one mebibyte can wait.
    pub fn while_down(mut self, while_down: WhileDown) -> Self {
        self.while_down = while_down;
        self
    }

    /// Sets which calls are retried after their session was lost. Default: [`Retry::idempotent`],
    /// which retries only methods with `#[rpc(idempotent)]`.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets a closure that decides whether to connect again after a session or an attempt has
    /// ended. By default, [`Ending::reaction`] decides.
    ///
    /// If the closure returns `false`, the client is closed. If it returns `true`, the client
    /// connects again, at least after a pause, even where it would have given up or waited for
    /// [`Client::retry_now`].
    ///
    /// ```
    /// # use capnweb_client::Client;
    /// let builder = Client::to(["wss://example.com/api"])
    ///     // This server uses 4999 for a client that was signed out elsewhere.
    ///     .reconnect_if(|end| end.close_code() != Some(4999) && end.is_passing());
    /// ```
    pub fn reconnect_if(
        mut self,
        decide: impl Fn(&Ending) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.reconnect_if = Some(Arc::new(decide));
        self
    }

    /// Sets the connector, which makes the attempts. Default: [`Transports`](crate::Transports),
    /// which selects the transport by the URL.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.settings.connector = Arc::new(connector);
        self
    }

    /// Sets the clocks that detect when the machine slept, for tests.
    pub fn clocks(mut self, clocks: impl Clocks) -> Self {
        self.settings.clocks = Arc::new(clocks);
        self
    }

    /// Starts the client, which connects in the background. Returns at once.
    ///
    /// The client is one task of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub fn start(self) -> Client {
        let mut slots = SlotOptions::new()
            .while_down(self.while_down)
            .retry(Budget::new(self.retry));
        if let Some(timeout) = self.call_timeout {
            slots = slots.call_timeout(timeout);
        }
        Client::start(self.settings, slots)
    }

    /// Starts one client per server, and spreads calls among them.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub fn start_pool(self) -> Pool {
        let random = self.settings.backoff.random();
        let urls = self.settings.urls.clone();
        let member = |url| {
            let mut builder = self.clone();
            builder.settings.urls = vec![url];
            builder.start()
        };
        Pool::new(urls.into_iter().map(member).collect(), random)
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("urls", &self.settings.urls)
            .field("connect_timeout", &self.settings.connect_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("backoff", &self.settings.backoff)
            .field("breaker", &self.settings.breaker)
            .field("while_down", &self.while_down)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

//! The settings of a client, as applications make them.

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

/// The longest time by which a ping of a client is late.
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
    /// A client of these servers, in order of preference.
    ///
    /// The schemes of the URLs decide the [transports](crate::Transports).
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

    /// Prepares each attempt to connect, with a fresh token for instance.
    ///
    /// It runs before every single attempt, so no token is ever older than the connection that it
    /// opens. An error is like one of connecting.
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

    /// Runs a closure on the main object of each new session, before anything that waits is sent
    /// and before anything is derived: to agree on a version, or to sign in.
    ///
    /// The session is not up before it succeeds. A `TypeError`, such as that of a method that is not
    /// there, makes the client give up; codes `unauthenticated` and `permission_denied` are like a
    /// status of 401; after any other error it connects again.
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

    /// Sets our main object, which the server can call, on every session. Without one its calls are
    /// rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.main = Some(main.into_stub());
        self
    }

    /// Sets the options of each session, its limits among them. A later [`ping`](Self::ping)
    /// replaces the one in it.
    pub fn options(mut self, options: SessionOptions) -> Self {
        if let Some(keep_alive) = options.keep_alive_ref() {
            self.settings.ping_timeout = keep_alive.timeout();
        }
        self.settings.options = options;
        self
    }

    /// Sets how long one attempt may take in all: preparing, connecting and the closure of
    /// [`on_connect`](Self::on_connect). Default: 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Sets how long a call may take, the time that it waits for a session included. By default
    /// there is no bound.
    ///
    /// The error's code is `deadline_exceeded`. A call that still waits is never sent then.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }

    /// Sets how a server that is gone without a word is noticed: a ping after `interval` without a
    /// byte, and `timeout` for the answer. Default: 20 seconds each.
    pub fn ping(mut self, interval: Duration, timeout: Duration) -> Self {
        let keep_alive = KeepAlive::new()
            .with_interval(interval)
            .with_timeout(timeout)
            .with_precision(PING_PRECISION);
        self.settings.options = self.settings.options.keep_alive(keep_alive);
        self.settings.ping_timeout = timeout;
        self
    }

    /// Sets the pauses between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// Sets when a server is left alone for a while.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.settings.breaker = breaker;
        self
    }

    /// Sets what becomes of calls that are made while there is no session. Default: up to 1024 of
    /// them, of a mebibyte in all, wait for up to five seconds.
    pub fn while_down(mut self, while_down: WhileDown) -> Self {
        self.while_down = while_down;
        self
    }

    /// Sets which calls are run again after their session was lost. Default:
    /// [`Retry::idempotent`], which concerns methods with `#[rpc(idempotent)]` only.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Decides whether to connect again after a session or attempt has ended. Without it,
    /// [`Ending::reaction`] decides.
    ///
    /// `false` closes the client. `true` has it connect again, after a pause at least, though it
    /// would have given up or waited for [`Client::retry_now`].
    ///
    /// ```
    /// # use capnweb_client::Client;
    /// let builder = Client::to(["wss://example.com/api"])
    ///     // This server says 4999 to a client that was signed out elsewhere.
    ///     .reconnect_if(|end| end.close_code() != Some(4999) && end.is_passing());
    /// ```
    pub fn reconnect_if(
        mut self,
        decide: impl Fn(&Ending) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.reconnect_if = Some(Arc::new(decide));
        self
    }

    /// Sets what makes the attempts. Default: [`Transports`](crate::Transports), which goes by the URL.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.settings.connector = Arc::new(connector);
        self
    }

    /// Sets the clocks by which the client notices that the machine slept, for tests.
    pub fn clocks(mut self, clocks: impl Clocks) -> Self {
        self.settings.clocks = Arc::new(clocks);
        self
    }

    /// Starts the client, which begins to connect, and returns at once.
    ///
    /// It is one task of the current Tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn start(self) -> Client {
        let mut slots = SlotOptions::new()
            .while_down(self.while_down)
            .retry(Budget::new(self.retry));
        if let Some(timeout) = self.call_timeout {
            slots = slots.call_timeout(timeout);
        }
        Client::start(self.settings, slots)
    }

    /// Starts one client for each server, among which the calls are spread.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
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

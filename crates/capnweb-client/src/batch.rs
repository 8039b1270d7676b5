//! Batches that are sent again after a failure.

use std::{future::Future, sync::Arc, time::Duration};

use capnweb_core::{
    Error, Result, Session, StubType,
    runtime::{Instant, sleep_until},
};
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use capnweb_transport_http::Batch;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use capnweb_transport_web::Batch;
use tokio::sync::Mutex;

use crate::{
    Backoff, Breaker, Ending, Reaction, Retry, Stage,
    random::Random,
    retry::Budget,
    servers::{Servers, spread},
};

type Prepare = dyn Fn(BatchAttempt) -> futures_util::future::BoxFuture<'static, Result<BatchAttempt>>
    + Send
    + Sync;

/// A batch that is about to be sent: see [`BatchClient::prepare`].
#[derive(Debug)]
pub struct BatchAttempt {
    url: Arc<str>,
    batch: Batch,
}

impl BatchAttempt {
    /// Returns the server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|batch| batch.header(name, value))
    }

    /// Changes any other setting of the batch, such as its proxy, its HTTP client or its main
    /// object.
    #[must_use]
    pub fn with(self, change: impl FnOnce(Batch) -> Batch) -> Self {
        Self {
            url: self.url,
            batch: change(self.batch),
        }
    }
}

/// Sends batches over HTTP to one of several servers, and sends them again if they fail.
///
/// A batch is a single exchange, so its stubs do not outlive it. Each batch is a closure that
/// receives the main object of the server that it is sent to.
///
/// ```no_run
/// use std::time::Duration;
///
/// use capnweb_client::{BatchClient, Retry};
/// use capnweb_core::{Result, Stub};
///
/// # async fn token() -> Result<String> { Ok(String::new()) }
/// # async fn example() -> Result<()> {
/// let client = BatchClient::to(["https://a.example/api", "https://b.example/api"])
///     .prepare(|batch| async move { Ok(batch.header("authorization", token().await?)) })
///     .timeout(Duration::from_secs(10))
///     .retry(Retry::idempotent().attempts(3));
/// // It only reads, so it may run twice.
/// let friends = client
///     .run_idempotent(|api: Stub| async move {
///         let user = api.call("user", ());
///         api.call("friends", (user,)).fetch::<Vec<String>>().await
///     })
///     .await?;
/// # Ok(()) }
/// ```
pub struct BatchClient {
    servers: Mutex<Servers>,
    random: Mutex<Random>,
    prepare: Option<Arc<Prepare>>,
    timeout: Duration,
    backoff: Backoff,
    budget: Budget,
    urls: Vec<Arc<str>>,
}

impl BatchClient {
    /// Creates a client of these servers, in order of preference.
    pub fn to<U: Into<Arc<str>>>(urls: impl IntoIterator<Item = U>) -> Self {
        let urls: Vec<Arc<str>> = urls.into_iter().map(Into::into).collect();
        let backoff = Backoff::default();
        Self {
            servers: Mutex::new(Servers::new(urls.iter().cloned(), Breaker::default())),
            random: Mutex::new(backoff.random()),
            prepare: None,
            timeout: Duration::from_secs(30),
            backoff,
            budget: Budget::new(Retry::default()),
            urls,
        }
    }

    /// Sets a closure that prepares each request, for example with a fresh token.
    #[must_use]
    pub fn prepare<F, P>(mut self, prepare: F) -> Self
    where
        F: Fn(BatchAttempt) -> P + Send + Sync + 'static,
        P: Future<Output = Result<BatchAttempt>> + Send + 'static,
    {
        self.prepare = Some(Arc::new(move |batch| Box::pin(prepare(batch))));
        self
    }

    /// Sets the time limit for one request and its answer. Default: 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the pauses between the requests of one batch.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.random = Mutex::new(backoff.random());
        self.backoff = backoff;
        self
    }

    /// Sets when a failing server is avoided for a while.
    #[must_use]
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.servers = Mutex::new(Servers::new(self.urls.iter().cloned(), breaker));
        self
    }

    /// Sets how many requests one batch may take, and the budget for all requests beyond the first.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.budget = Budget::new(retry);
        self
    }

    /// Runs a batch. It is sent again only if it has certainly not run: the server was not reached,
    /// or turned the request away.
    ///
    /// # Errors
    ///
    /// Returns the error of the closure's last run.
    pub async fn run<S, F, B, T>(&self, batch: F) -> Result<T>
    where
        S: StubType,
        F: Fn(S) -> B,
        B: Future<Output = Result<T>>,
    {
        self.run_batch(batch, false).await
    }

    /// Runs a batch that may run twice: it is sent again even if the server may have run it.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`run`](Self::run).
    pub async fn run_idempotent<S, F, B, T>(&self, batch: F) -> Result<T>
    where
        S: StubType,
        F: Fn(S) -> B,
        B: Future<Output = Result<T>>,
    {
        self.run_batch(batch, true).await
    }

    async fn run_batch<S, F, B, T>(&self, batch: F, is_idempotent: bool) -> Result<T>
    where
        S: StubType,
        F: Fn(S) -> B,
        B: Future<Output = Result<T>>,
    {
        let start = Instant::now();
        let mut attempts = 0;
        let mut refusals = 0;
        let mut pause = Duration::ZERO;
        loop {
            let earliest = Instant::now() + pause;
            let Some(choice) = self.servers.lock().await.choose(earliest) else {
                return Err(Error::type_error("the batch client has no server left")
                    .with_may_have_run(false));
            };
            let at = choice.not_before.map_or(earliest, |at| at.max(earliest));
            sleep_until(at).await;
            attempts += 1;
            let error = match self.exchange(&choice.url, &batch).await {
                Ok(value) => {
                    self.servers.lock().await.connected(choice.server);
                    self.budget.earn();
                    return Ok(value);
                }
                Err((stage, error)) if is_of_application(stage, &error) => {
                    // The error is the application's, so the server is healthy.
                    self.servers.lock().await.connected(choice.server);
                    return Err(error);
                }
                Err((stage, error)) => Ending::new(choice.url, stage, error, Duration::ZERO),
            };
            let reaction = error.reaction();
            pause = self.react(&error, choice.server, attempts).await;
            if reaction == Reaction::Renew {
                refusals += 1;
            }
            let error = error.error().clone();
            let again = (is_idempotent || !error.may_have_run() || is_turned_away(&error))
                && refusals < 2
                && reaction != Reaction::GiveUp
                && self.budget.grants(attempts, start.elapsed());
            if !again {
                return Err(error);
            }
        }
    }

    /// Records a failure and returns the pause before the next request.
    async fn react(&self, ending: &Ending, server: usize, attempts: u32) -> Duration {
        let mut random = self.random.lock().await;
        let pause = self.backoff.pause(attempts, &mut random);
        let mut servers = self.servers.lock().await;
        match ending.reaction() {
            Reaction::Renew => return pause,
            Reaction::Wait(time) => {
                let time = match time {
                    Some(time) => time.saturating_add(random.up_to(spread(time))),
                    None => pause,
                };
                if let Some(until) = Instant::now().checked_add(time) {
                    servers.leave_until(server, until);
                }
            }
            _ => {
                servers.failed(server, Instant::now(), &mut random);
            }
        }
        servers.prefer_after(server);
        pause
    }

    async fn exchange<S, B, T>(
        &self,
        url: &Arc<str>,
        batch: impl Fn(S) -> B,
    ) -> Result<T, (Stage, Error)>
    where
        S: StubType,
        B: Future<Output = Result<T>>,
    {
        let attempt = BatchAttempt {
            url: url.clone(),
            batch: Batch::new(url).timeout(self.timeout),
        };
        let attempt = match &self.prepare {
            Some(prepare) => prepare(attempt)
                .await
                .map_err(|error| (Stage::Prepare, error.with_may_have_run(false)))?,
            None => attempt,
        };
        let session: Session = attempt.batch.session();
        let outcome = batch(S::from_stub(session.main())).await;
        outcome.map_err(|error| (Stage::Connect, error))
    }
}

/// Returns whether `error` is the answer to a call.
fn is_of_application(stage: Stage, error: &Error) -> bool {
    stage == Stage::Connect && !error.is_disconnected() && error.connect_failure().is_none()
}

/// Returns whether the server turned the request away without processing it.
fn is_turned_away(error: &Error) -> bool {
    use capnweb_core::ConnectFailure::Status;
    matches!(
        error.connect_failure(),
        Some(Status {
            code: 401 | 403 | 429 | 503,
            ..
        })
    )
}

impl std::fmt::Debug for BatchClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchClient")
            .field("urls", &self.urls)
            .field("timeout", &self.timeout)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

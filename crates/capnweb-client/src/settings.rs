//! The settings of a client.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use capnweb_core::{Error, KeepAlive, Result, SessionOptions, Stub};
use futures_util::FutureExt;

use crate::{
    attempt::{Attempt, Connector},
    backoff::Backoff,
    breaker::Breaker,
    clock::{Clocks, SystemClocks},
    ending::Ending,
    transports::Transports,
};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Prepare = Arc<dyn Fn(Attempt) -> BoxFuture<Result<Attempt>> + Send + Sync>;
type Greet = Arc<dyn Fn(Stub) -> BoxFuture<Result<()>> + Send + Sync>;
type ReconnectIf = Arc<dyn Fn(&Ending) -> bool + Send + Sync>;

/// The settings of a client.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) urls: Vec<Arc<str>>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) prepare: Option<Prepare>,
    pub(crate) greet: Option<Greet>,
    pub(crate) reconnect_if: Option<ReconnectIf>,
    pub(crate) main: Option<Stub>,
    pub(crate) options: SessionOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) breaker: Breaker,
    pub(crate) clocks: Arc<dyn Clocks>,
}

impl Settings {
    pub(crate) fn new(urls: Vec<Arc<str>>) -> Self {
        Self {
            urls,
            connector: Arc::new(Transports::new()),
            prepare: None,
            greet: None,
            reconnect_if: None,
            main: None,
            options: SessionOptions::new(),
            connect_timeout: Duration::from_secs(10),
            ping_timeout: KeepAlive::new().timeout(),
            backoff: Backoff::default(),
            breaker: Breaker::default(),
            clocks: Arc::new(SystemClocks::new()),
        }
    }

    /// Creates an attempt at `url`.
    pub(crate) fn attempt(&self, url: Arc<str>, number: u32) -> Attempt {
        let mut attempt = Attempt::new(url, number, self.connect_timeout);
        attempt.main.clone_from(&self.main);
        attempt.options = self.options.clone();
        attempt
    }

    /// Runs the application's `prepare` closure on an attempt.
    pub(crate) async fn prepare(&self, attempt: Attempt) -> Result<Attempt> {
        match &self.prepare {
            Some(prepare) => guarded(async { prepare(attempt).await }).await,
            None => Ok(attempt),
        }
    }

    /// Runs the application's `on_connect` closure on the main object of a new session.
    pub(crate) async fn greet(&self, main: Stub) -> Result<()> {
        match &self.greet {
            Some(greet) => guarded(async { greet(main).await }).await,
            None => Ok(()),
        }
    }
}

/// Runs a future of the application and turns a panic into an error.
async fn guarded<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let future = pin!(future);
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(output) => output,
        Err(_) => {
            tracing::error!(target: "capnweb", "a closure of a client panicked");
            Err(Error::internal())
        }
    }
}

//! The states and events of a client.

use std::{sync::Arc, time::Duration};

use capnweb_core::{Error, runtime::Instant};
use tokio::sync::{broadcast, watch};

use crate::ending::Ending;

/// The state of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// There is no session.
    #[non_exhaustive]
    Connecting {
        /// The number of the current or next attempt, starting at 1.
        attempt: u32,
        /// The time of the next attempt, or `None` while one is being made.
        next: Option<Instant>,
    },
    /// There is a session.
    #[non_exhaustive]
    Up {
        /// The server's URL.
        url: Arc<str>,
        /// The round-trip time to the server, once it was measured.
        rtt: Option<Duration>,
    },
    /// The server announced that it is going away. It still receives calls until the client has
    /// connected to another one.
    #[non_exhaustive]
    Draining {
        /// The server's URL.
        url: Arc<str>,
        /// The time at which the server goes away.
        deadline: Instant,
    },
    /// The servers refused this client, even with a new token. It waits for
    /// [`Client::retry_now`](crate::Client::retry_now).
    #[non_exhaustive]
    Refused {
        /// The last refusal.
        error: Error,
    },
    /// The client was closed or has given up.
    #[non_exhaustive]
    Closed {
        /// The reason.
        error: Error,
    },
}

impl State {
    /// Returns whether there is a session for calls.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::Draining { .. })
    }

    /// Returns whether the client was closed or has given up.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

/// A handle on the state of a client.
///
/// It holds only the latest state; a slow reader misses those in between.
#[derive(Clone, Debug)]
pub struct States(watch::Receiver<State>);

impl States {
    pub(crate) fn new(receiver: watch::Receiver<State>) -> Self {
        Self(receiver)
    }

    /// Returns the current state.
    pub fn get(&self) -> State {
        self.0.borrow().clone()
    }

    /// Waits for the next change and returns the new state, or `None` if the client is gone.
    pub async fn changed(&mut self) -> Option<State> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// Waits until `wanted` accepts the state, which may be at once, and returns that state.
    /// Returns `None` if the client is gone first.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&State) -> bool) -> Option<State> {
        let found = self.0.wait_for(|state| wanted(state)).await.ok()?;
        Some(found.clone())
    }
}

/// Something that happened to a [`Client`](crate::Client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An attempt begins.
    #[non_exhaustive]
    Attempt {
        /// The server's URL.
        url: Arc<str>,
        /// The number of the attempt since the client was last connected, starting at 1.
        number: u32,
    },
    /// A session is up, and all derivations have been started.
    #[non_exhaustive]
    Connected {
        /// The server's URL.
        url: Arc<str>,
        /// The number of stubs that were derived again.
        derived: usize,
    },
    /// An attempt failed, or a session ended. [`Ending::reaction`] says what the client does next.
    Ended(Ending),
    /// A server's circuit opened, so the server is avoided for a while.
    #[non_exhaustive]
    CircuitOpen {
        /// The server's URL.
        url: Arc<str>,
    },
    /// A server announced that it is going away.
    #[non_exhaustive]
    Draining {
        /// The server's URL.
        url: Arc<str>,
        /// The time until the server goes away.
        time: Duration,
    },
    /// A derivation failed. Its stub and those derived from it are broken.
    #[non_exhaustive]
    DerivationFailed {
        /// The reason.
        error: Error,
        /// The number of stubs that broke.
        broken: usize,
    },
    /// The machine slept, or its clock was turned ahead.
    #[non_exhaustive]
    ClockJump {
        /// The time that the timers missed.
        time: Duration,
    },
    /// The client was closed or has given up.
    #[non_exhaustive]
    Closed {
        /// The reason.
        error: Error,
    },
}

/// The events of a client, in order.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self(receiver)
    }

    /// Waits for the next event. Returns `None` once the client is gone.
    ///
    /// Up to 256 events wait for a slow reader. After that, the oldest are dropped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Returns the next event, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            match self.0.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }
}

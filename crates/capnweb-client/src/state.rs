//! The state and the events of a client.

use std::{sync::Arc, time::Duration};

use capnweb_core::Error;
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use crate::ending::Ending;

/// The state of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// There is no session.
    #[non_exhaustive]
    Connecting {
        /// The number of the attempt that is made, or comes next, from 1.
        attempt: u32,
        /// The time of the next attempt; `None` while one is made.
        next: Option<Instant>,
    },
    /// There is a session.
    #[non_exhaustive]
    Up {
        /// The server.
        url: Arc<str>,
        /// The time to the server and back, once it was measured.
        rtt: Option<Duration>,
    },
    /// The server has announced that it goes away. Calls still go to it, until another one is
    /// connected to.
    #[non_exhaustive]
    Draining {
        /// The server.
        url: Arc<str>,
        /// The time at which it goes.
        deadline: Instant,
    },
    /// The servers refuse this client, after another token as well. It waits for
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
    /// Returns whether calls go through.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::Draining { .. })
    }

    /// Returns whether the client was closed or has given up.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

/// The states of a client, as they change.
///
/// It shows the latest state, and skips those that nobody looked at in time.
#[derive(Clone, Debug)]
pub struct States(watch::Receiver<State>);

impl States {
    pub(crate) fn new(receiver: watch::Receiver<State>) -> Self {
        Self(receiver)
    }

    /// Returns the state.
    pub fn get(&self) -> State {
        self.0.borrow().clone()
    }

    /// Waits until the state changes, and returns the new one. `None` once the client is gone.
    pub async fn changed(&mut self) -> Option<State> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// Waits until the state is one that `wanted` accepts, which may be so now, and returns it.
    /// `None` if the client is gone before.
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
        /// The server.
        url: Arc<str>,
        /// The number of the attempt since the client was last connected, from 1.
        number: u32,
    },
    /// A session is up, and all derivations are on their way.
    #[non_exhaustive]
    Connected {
        /// The server.
        url: Arc<str>,
        /// The number of stubs that were derived again.
        derived: usize,
    },
    /// An attempt failed, or a session ended. [`Ending::reaction`] tells what comes of it.
    Ended(Ending),
    /// A server's circuit is open: it is left alone for a while.
    #[non_exhaustive]
    CircuitOpen {
        /// The server.
        url: Arc<str>,
    },
    /// A server has announced that it goes away.
    #[non_exhaustive]
    Draining {
        /// The server.
        url: Arc<str>,
        /// The time that is left.
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
    /// The machine slept, or its clock was put ahead.
    #[non_exhaustive]
    ClockJump {
        /// The time that the timers have missed.
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

    /// Waits for the next event. `None` once the client is gone.
    ///
    /// Up to 256 events wait for a slow reader, which misses the oldest beyond that.
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

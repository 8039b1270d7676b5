//! Connections that wait for a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capnweb_net::Handshake;
use tokio::sync::Notify;

/// Counts a connection as idle while it waits for a request.
#[derive(Clone)]
pub(super) struct Idle(Arc<Mutex<State>>);

struct State {
    handshake: Handshake,
    /// The number of requests that are being answered.
    requests: usize,
    /// True once the connection also carries something else, such as a WebSocket.
    is_tunnel: bool,
}

impl Idle {
    /// Creates the state of a connection that was just accepted.
    pub(super) fn new(handshake: Handshake) -> Self {
        Self(Arc::new(Mutex::new(State {
            handshake,
            requests: 0,
            is_tunnel: false,
        })))
    }

    /// Returns the notification that the connection must make way for another.
    pub(super) fn evicted(&self) -> Arc<Notify> {
        self.lock().handshake.evicted()
    }

    /// Returns whether a request is being answered, or a tunnel is open.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.lock();
        state.requests > 0 || state.is_tunnel
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn busy(&self) -> Busy {
        let mut state = self.lock();
        state.requests += 1;
        state.handshake.pause();
        drop(state);
        Busy(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
pub(super) struct Busy(Idle);

impl Busy {
    /// Notes that the response opens a tunnel, such as a WebSocket. The connection is no longer
    /// counted.
    pub(super) fn becomes_tunnel(&self) {
        self.0.lock().is_tunnel = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.requests -= 1;
        if state.requests == 0 && !state.is_tunnel {
            state.handshake.resume();
        }
    }
}

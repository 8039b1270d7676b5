//! The checks of all limits.

use super::{
    Role,
    end::AbortNotice,
    inner::{SessionInner, State},
    locked::Locked,
};
use crate::{
    graph::peer_call::Resource,
    limits::{Limit, LimitExceeded, Limits},
};

/// The description of the limit on calls.
const CALLS: &str = "calls in flight (limit max_calls)";

fn exceeded(limit: Limit, bound: usize, what: &str) -> LimitExceeded {
    LimitExceeded::new(limit, format!("the session exceeds {bound} {what}"))
}

impl SessionInner {
    /// Returns whether the peer is within all hard limits.
    #[inline]
    fn is_within_limits(&self, state: &State) -> bool {
        let limits = &self.limits;
        state.exports.bounded_len() <= limits.max_exports()
            && state.calls_in_flight() <= limits.max_calls()
            && state.retained_bytes() <= limits.max_held_bytes()
            && state.counts.of(Resource::StreamBytes) <= limits.max_stream_bytes()
    }

    /// Checks that the peer is within all hard limits.
    ///
    /// # Errors
    ///
    /// Returns an error that names the exceeded limit.
    #[inline]
    pub(super) fn check_limits(&self, state: &State) -> Result<(), LimitExceeded> {
        if self.is_within_limits(state) {
            return Ok(());
        }
        self.find_exceeded(state)
    }

    /// Ends the session if a limit is exceeded.
    #[inline]
    pub(super) fn end_if_passed(&self, state: Locked<'_>) {
        if !self.is_within_limits(&state) {
            self.end_passed(state);
        }
    }

    #[cold]
    fn end_passed(&self, state: Locked<'_>) {
        let checked = self.find_exceeded(&state);
        drop(state);
        if let Err(exceeded) = checked {
            self.end(exceeded.into(), AbortNotice::Sent);
        }
    }

    /// Finds the exceeded limit and returns it as an error.
    #[cold]
    fn find_exceeded(&self, state: &State) -> Result<(), LimitExceeded> {
        let limits = &self.limits;
        let bounds = [
            (
                state.exports.bounded_len(),
                limits.max_exports(),
                Limit::Exports,
                "exports (limit max_exports)",
            ),
            (
                state.calls_in_flight(),
                limits.max_calls(),
                Limit::Calls,
                CALLS,
            ),
            (
                state.retained_bytes(),
                limits.max_held_bytes(),
                Limit::HeldBytes,
                "bytes held for the peer (limit max_held_bytes)",
            ),
            (
                state.counts.of(Resource::StreamBytes),
                limits.max_stream_bytes(),
                Limit::StreamBytes,
                "bytes written to streams and not read (limit max_stream_bytes)",
            ),
        ];
        match bounds.into_iter().find(|(used, bound, ..)| used > bound) {
            None => Ok(()),
            Some((_, bound, limit, what)) => Err(exceeded(limit, bound, what)),
        }
    }

    /// Checks whether a message that is being evaluated may start another call.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many calls. The message that exceeds the limit will end
    /// the session; this only prevents it from starting even more.
    pub(super) fn check_calls(&self, state: &State) -> Result<(), LimitExceeded> {
        let limit = self.limits.max_calls();
        if state.calls_in_flight() <= limit {
            return Ok(());
        }
        Err(exceeded(Limit::Calls, limit, CALLS))
    }

    /// Returns whether new calls have to wait.
    pub(super) fn is_busy(&self, state: &State) -> bool {
        // Only count what shrinks by itself. Unsent bytes do, except in a batch, which is sent at
        // its end. Memory that is held until the peer releases it does not, so calls could wait for
        // ever.
        let unread = self.role != Role::BatchServer
            && state.unsent_bytes() >= self.limits.soft_unsent_bytes();
        state.counts.of(Resource::Calls) >= self.limits.soft_calls() || unread
    }

    /// Returns whether the application should wait before it sends more.
    pub(super) fn is_full(&self, state: &State) -> bool {
        /// The number of unsent bytes from which the application should wait.
        const FULL_BYTES: usize = 1 << 20;
        // A batch is sent as a whole.
        self.role != Role::BatchClient && state.unsent_bytes() >= FULL_BYTES
    }
}

impl State {
    fn calls_in_flight(&self) -> usize {
        self.counts.of(Resource::Calls) + self.queue.len()
    }

    /// Returns the number of bytes that are retained for the peer.
    pub(super) fn retained_bytes(&self) -> usize {
        self.counts.of(Resource::RetainedBytes)
            + self.exports.cost()
            + self.imports.cost()
            + self.queue.cost()
            + self.unsent_bytes()
            + self.out.index_bytes()
    }

    /// Returns the number of bytes that wait to be sent or are held by the driver.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.out.bytes() + self.sending
    }

    /// Returns whether a batch exceeds the bytes that a session may retain.
    pub(super) fn is_batch_too_large(&self, limits: &Limits) -> bool {
        self.out.bytes() > limits.max_held_bytes()
    }
}

//! The one place that decides whether a limit is passed.

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

/// What the limit of calls counts.
const CALLS: &str = "calls in flight (limit max_calls)";

fn exceeded(limit: Limit, bound: usize, what: &str) -> LimitExceeded {
    LimitExceeded::new(limit, format!("the session exceeds {bound} {what}"))
}

impl SessionInner {
    /// Returns whether what the peer holds, or makes us hold, is within the hard limits.
    #[inline]
    fn is_within_limits(&self, state: &State) -> bool {
        let limits = &self.limits;
        state.exports.bounded_len() <= limits.max_exports()
            && state.calls_in_flight() <= limits.max_calls()
            && state.retained_bytes() <= limits.max_held_bytes()
            && state.counts.of(Resource::StreamBytes) <= limits.max_stream_bytes()
    }

    /// Checks whether what the peer holds, or makes us hold, is within the hard limits.
    ///
    /// # Errors
    ///
    /// Fails with an error that names the limit that is passed.
    #[inline]
    pub(super) fn check_limits(&self, state: &State) -> Result<(), LimitExceeded> {
        if self.is_within_limits(state) {
            return Ok(());
        }
        self.find_exceeded(state)
    }

    /// Ends the session if a limit is passed.
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

    /// Finds the limit that is passed, and says so.
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

    /// Checks whether one more call may be started by a message that is being evaluated.
    ///
    /// # Errors
    ///
    /// Fails if there are too many. The message that passes the limit ends the session; here it is
    /// only kept from doing more than that.
    pub(super) fn check_calls(&self, state: &State) -> Result<(), LimitExceeded> {
        let limit = self.limits.max_calls();
        if state.calls_in_flight() <= limit {
            return Ok(());
        }
        Err(exceeded(Limit::Calls, limit, CALLS))
    }

    /// Returns whether new calls have to wait.
    pub(super) fn is_busy(&self, state: &State) -> bool {
        // What waits to be sent gets less by itself, but for a batch, which is sent at its end. What
        // is held until the peer lets go of it would be a reason to wait for ever.
        let unread = self.role != Role::BatchServer
            && state.unsent_bytes() >= self.limits.soft_unsent_bytes();
        state.counts.of(Resource::Calls) >= self.limits.soft_calls() || unread
    }

    /// Returns whether the application should wait before it sends more.
    pub(super) fn is_full(&self, state: &State) -> bool {
        /// Bytes that wait to be sent.
        const FULL_BYTES: usize = 1 << 20;
        // A batch is sent as a whole.
        self.role != Role::BatchClient && state.unsent_bytes() >= FULL_BYTES
    }
}

impl State {
    fn calls_in_flight(&self) -> usize {
        self.counts.of(Resource::Calls) + self.queue.len()
    }

    /// All bytes that are retained for the peer.
    pub(super) fn retained_bytes(&self) -> usize {
        self.counts.of(Resource::RetainedBytes)
            + self.exports.cost()
            + self.imports.cost()
            + self.queue.cost()
            + self.unsent_bytes()
            + self.out.index_bytes()
    }

    /// Bytes that wait to be sent or are in the hands of the driver.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.out.bytes() + self.sending
    }

    /// Returns whether a batch has grown past what a session may retain.
    pub(super) fn is_batch_too_large(&self, limits: &Limits) -> bool {
        self.out.bytes() > limits.max_held_bytes()
    }
}

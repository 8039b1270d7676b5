//! Following sessions: both tables, reconstructed from the messages of both sides.

mod advice;
mod call;
mod held;
mod session;

use std::collections::BTreeMap;

use capnweb_wire::Limits;

pub use self::{
    advice::Advice,
    call::{Call, CallKind, Outcome},
    held::{Held, HeldKind, Origin, Place},
    session::{Changes, Counts, Session},
};
use crate::{Entry, Event, Recording, TransportKind};

/// The limits for reading messages. They are far above those of sessions, which enforce their own.
pub(crate) const LIMITS: Limits = Limits {
    // Spans in a message are 32 bits.
    max_message_size: 1 << 30,
    max_depth: 512,
    max_bigint_digits: usize::MAX,
};

/// The limits on the history that a [`Follower`] keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The maximum number of calls per session. Older calls are dropped. Default: 10,000.
    pub max_calls: usize,
    /// The maximum number of references per session. Further references are counted, but not
    /// followed. Default: 100,000.
    pub max_held: usize,
    /// The maximum number of sessions. Older sessions that have ended are dropped. Default: 1,000.
    pub max_sessions: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_calls: 10_000,
            max_held: 100_000,
            max_sessions: 1_000,
        }
    }
}

impl Options {
    /// Returns options that keep everything, for recordings.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            max_calls: usize::MAX,
            max_held: usize::MAX,
            max_sessions: usize::MAX,
        }
    }

    /// Sets the maximum number of calls per session.
    #[must_use]
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.max_calls = calls.max(1);
        self
    }

    /// Sets the maximum number of references per session.
    #[must_use]
    pub fn max_held(mut self, held: usize) -> Self {
        self.max_held = held.max(2);
        self
    }

    /// Sets the maximum number of sessions.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions.max(1);
        self
    }
}

/// Follows sessions, one entry at a time.
#[derive(Debug, Default)]
pub struct Follower {
    options: Options,
    sessions: BTreeMap<u64, Session>,
    dropped_sessions: u64,
}

impl Follower {
    /// Creates a follower.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Follows a whole recording and keeps everything.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let mut follower = Self::new(Options::unbounded());
        for entry in &recording.entries {
            follower.follow(entry);
        }
        follower
    }

    /// Processes an entry.
    pub fn follow(&mut self, entry: &Entry) {
        let session = self
            .sessions
            .entry(entry.session)
            .or_insert_with(|| Session::new(entry.session, entry.t));
        match &entry.event {
            Event::Open { transport, path } => session.open(entry.t, *transport, path),
            Event::Message { from, body } => session.message(entry.t, *from, body, &self.options),
            Event::Close { reason } => session.close(entry.t, reason),
        }
        while self.sessions.len() > self.options.max_sessions {
            let ended = self
                .sessions
                .iter()
                .find(|(_, session)| session.closed().is_some());
            let Some(id) = ended.map(|(id, _)| *id) else {
                break;
            };
            self.sessions.remove(&id);
            self.dropped_sessions += 1;
        }
    }

    /// Returns the sessions, in the order of their numbers.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// Returns the sessions mutably, to take their [changes](Session::take_changes).
    pub fn sessions_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.sessions.values_mut()
    }

    /// Returns a session by its number.
    #[must_use]
    pub fn session(&self, id: u64) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Returns the number of sessions that were dropped because there were too many.
    #[must_use]
    pub fn dropped_sessions(&self) -> u64 {
        self.dropped_sessions
    }
}

impl TransportKind {
    /// Returns true if the transport ends the session with its answer, so that nothing is left to
    /// release.
    #[must_use]
    pub fn is_batch(self) -> bool {
        matches!(self, Self::Batch)
    }
}

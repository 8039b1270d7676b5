//! References that are still held at the end.

use std::fmt;

use crate::{Follower, Held, HeldKind, Recording, Session, preview::millis};

/// A reference that a side still held when its session or the recording ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Leak {
    /// The number of the session.
    pub session: u64,
    /// The reference, with its holder and the call that it came from.
    pub held: Held,
    /// The age of the reference, in milliseconds.
    pub age: f64,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, age, .. } = self;
        write!(f, "the {} still holds {}", held.holder, held.describe())?;
        if held.refs > 1 {
            write!(f, ", {} times", held.refs)?;
        }
        write!(f, ", for {}", millis(*age))
    }
}

impl Session {
    /// Returns the references that the sides hold, as leaks, the oldest first.
    ///
    /// Call this at the end of a session, or at a time when nothing should be held. Main objects
    /// are not leaks. Neither are references in a batch, because its end releases everything.
    /// References that a side received after its last message are left out, because they may never
    /// have arrived.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        if self.transport().is_batch() {
            return Vec::new();
        }
        // A stream that was closed takes nothing more, whether or not its end is released.
        let is_closed = |held: &Held| {
            held.is_settled && matches!(held.kind, HeldKind::Pipe | HeldKind::Writable)
        };
        let left = self
            .held()
            .filter(|held| self.has_spoken_since(held) && !is_closed(held));
        let leak = |held: &Held| Leak {
            session: self.id(),
            held: held.clone(),
            age: self.last() - held.since,
        };
        let mut leaks: Vec<_> = left.map(leak).collect();
        leaks.sort_by(|one, other| one.held.since.total_cmp(&other.held.since));
        leaks
    }
}

/// Asserts that no session of a recording leaks. For tests.
///
/// ```no_run
/// # fn run_the_client_through_the_proxy() {}
/// use capnweb_inspect::{Recording, assert_no_leaks};
///
/// run_the_client_through_the_proxy();
/// assert_no_leaks(&Recording::open("target/session.jsonl").unwrap());
/// ```
///
/// # Panics
///
/// Panics if something is still held at the end of a session. The message names the call that each
/// reference came from. Also panics if the recording has no session, or if a message cannot be
/// read.
#[track_caller]
pub fn assert_no_leaks(recording: &Recording) {
    let follower = Follower::of(recording);
    assert!(
        follower.sessions().next().is_some(),
        "there is no session in the recording"
    );
    for session in follower.sessions() {
        if let Some(fault) = session.faults().first() {
            panic!("session {}: {fault}", session.id());
        }
    }
    let leaks: Vec<_> = follower.sessions().flat_map(Session::leaks).collect();
    if leaks.is_empty() {
        return;
    }
    let lines: Vec<_> = leaks
        .iter()
        .map(|leak| format!("\n  session {}: {leak}", leak.session))
        .collect();
    panic!(
        "{} leaked:{}",
        crate::preview::plural(leaks.len(), "reference"),
        lines.concat()
    );
}

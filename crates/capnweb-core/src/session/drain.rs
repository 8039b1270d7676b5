//! Announcements of a session's end: section 4 of `docs/protocol.md`.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use capnweb_wire::{
    encode::{self, Envelope, Operation, Target},
    write_i64,
};

use super::{
    inner::{SessionInner, State},
    locked::Locked,
};
use crate::{graph::error::Error, runtime::Instant};

/// The method whose call announces a drain. Main objects never see this call.
pub(super) const METHOD: &str = "$draining";

impl SessionInner {
    /// Announces to the peer that this session will end in `time`.
    pub(crate) fn announce_drain(&self, time: Duration) {
        let mut state = self.lock();
        if state.ended.is_some() || self.role.is_batch() {
            return;
        }
        let id = state.imports.push_announcement();
        let target = Target {
            method: Some(METHOD),
            ..Target::new(0, "[]")
        };
        let envelope = Envelope::Push(Operation::Call(target));
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        state.write(|out| {
            envelope.write(out, |out| {
                out.push(b'[');
                write_i64(out, millis);
                out.push(b']');
            });
        });
        // Nobody waits for an answer, and a peer that does not know the method has none.
        state.write(|out| encode::release(out, id, 1));
    }

    /// Rejects all further calls of the peer with `reason`. The first reason counts.
    pub(crate) fn refuse_calls(&self, reason: Error) {
        let reason = reason.without_stubs();
        let mut state = self.lock();
        if state.ended.is_none() && state.refusal.is_none() {
            state.refusal = Some(reason);
        }
    }

    /// Returns the remaining time until the end that the peer has announced.
    pub(crate) fn time_to_drain(&self) -> Option<Duration> {
        self.lock().time_to_drain()
    }

    /// Waits until the peer announces a drain. Returns `None` if the session ends without one.
    pub(crate) fn poll_draining(&self, cx: &Context<'_>) -> Poll<Option<Duration>> {
        let announced = |state: &State| match state.time_to_drain() {
            None if state.ended.is_some() => Some(None),
            None => None,
            time => Some(time),
        };
        self.poll_state(cx, announced, |waiting| &mut waiting.draining)
    }
}

impl State {
    fn time_to_drain(&self) -> Option<Duration> {
        let until = self.draining_until?;
        Some(until.saturating_duration_since(Instant::now()))
    }
}

impl Locked<'_> {
    /// Records the peer's announcement.
    pub(super) fn drain_announced(&mut self, time: Duration) {
        let now = Instant::now();
        self.draining_until = Some(now.checked_add(time).unwrap_or(now));
        let draining = std::mem::take(&mut self.waiting.draining);
        self.wake(draining);
    }
}

/// Returns the announced time, if the arguments are valid.
pub(super) fn announced_time(args: &str) -> Option<Duration> {
    let millis = args.trim().strip_prefix('[')?.strip_suffix(']')?;
    let millis = capnweb_wire::parse_f64(millis.trim())?;
    Duration::try_from_secs_f64(millis / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_a_time() {
        for (args, millis) in [("[0]", 0), ("[1500]", 1500), (" [ 2.0 ] ", 2)] {
            assert_eq!(announced_time(args), Some(Duration::from_millis(millis)));
        }
        for args in [
            "[]", "[-1]", "[null]", "[1,2]", "[\"1\"]", "1", "[1e999]", "[NaN]",
        ] {
            assert_eq!(announced_time(args), None, "{args}");
        }
    }
}

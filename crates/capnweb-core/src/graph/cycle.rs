//! Outcomes that lead back to the promise whose outcome they are.
//!
//! A promise holds its outcome, so such a circle would never be dropped; and a peer can make as
//! many as it likes, by answering a call with a reference to the very call that waits for the
//! answer. So a promise is rejected before it closes one. What an application's own objects hold is
//! their own affair: a walk ends at them.

use rustc_hash::FxHashSet;

use crate::graph::{
    hook::{Hook, Settled},
    payload::{Cap, Payload},
};

/// What a walk from an outcome found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cycle {
    No,
    Yes,
    /// There is more than is worth looking at.
    TooFar,
}

/// How many promises and values a walk looks at: with every promise that settles there is one.
const MAX_STEPS: usize = 20_000;

/// Whether `outcome`, were it the outcome of `promise`, would hold `promise`.
pub(crate) fn leads_to(outcome: &Hook, promise: &Hook) -> Cycle {
    if outcome.is_plain() {
        return Cycle::No;
    }
    let mut walk = Walk {
        next: vec![outcome.clone()],
        ..Walk::default()
    };
    let mut steps = 0;
    while let Some(hook) = walk.next.pop() {
        if hook.is_same(promise) {
            return Cycle::Yes;
        }
        steps += 1;
        if steps > MAX_STEPS {
            return Cycle::TooFar;
        }
        walk.enter(&hook);
    }
    // A circle is closed by a promise that settles. Where all have, there can be none any more.
    if !walk.unsettled {
        walk.payloads.iter().for_each(Payload::set_settled);
    }
    Cycle::No
}

#[derive(Default)]
struct Walk {
    next: Vec<Hook>,
    seen: FxHashSet<usize>,
    payloads: Vec<Payload>,
    /// There are promises on the way that have not settled.
    unsettled: bool,
}

impl Walk {
    fn is_new(&mut self, identity: Option<usize>) -> bool {
        identity.is_some_and(|identity| self.seen.insert(identity))
    }

    fn enter(&mut self, hook: &Hook) {
        match hook {
            Hook::Promise(_) | Hook::Import(_) => {
                if self.is_new(hook.identity()) {
                    self.enter_promise(hook);
                }
            }
            Hook::Value(payload) => self.enter_payload(payload),
            Hook::Broken(error) => {
                error
                    .props()
                    .into_iter()
                    .for_each(|props| self.enter_payload(props));
                error
                    .thrown_value()
                    .into_iter()
                    .for_each(|value| self.enter_payload(value));
            }
            Hook::Target(_) | Hook::PipeWriter(_) | Hook::Placeholder(_) | Hook::Starting => {}
        }
    }

    fn enter_promise(&mut self, promise: &Hook) {
        // Along a chain in one go, which shortens it for the next walk.
        match promise.follow() {
            Settled::Yes(end) if !end.is_same(promise) => self.next.push(end),
            Settled::Yes(_) => {}
            Settled::Not(end) => {
                self.unsettled = true;
                match &end {
                    // Its outcome is there, while what was queued on it is performed.
                    Hook::Promise(deferred) => self.next.extend(deferred.known_outcome()),
                    Hook::Value(payload) => self.enter_payload(payload),
                    _ => {}
                }
                if !end.is_same(promise) {
                    self.next.push(end);
                }
            }
        }
    }

    fn enter_payload(&mut self, payload: &Payload) {
        if payload.is_settled() || !self.is_new(payload.identity()) {
            return;
        }
        let caps = payload.view().caps.iter();
        self.next.extend(caps.filter_map(|cap| match cap {
            Cap::Stub(located) | Cap::Promise(located) => Some(located.hook.clone()),
            Cap::Error(error) => Some(Hook::Broken(error.clone())),
            // What waits in a stream goes at the end of the session: see `Pipe::session_ended`.
            Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) | Cap::Bytes(..) => None,
        }));
        self.payloads.push(payload.clone());
    }
}

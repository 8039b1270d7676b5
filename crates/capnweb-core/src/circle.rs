//! Outcomes that lead back to the promise whose outcome they are.
//!
//! A promise holds its outcome, so such a circle would never be dropped; and a peer can make as
//! many as it likes, by answering a call with a reference to the very call that waits for the
//! answer. So a promise is rejected before it closes one. What an application's own objects hold is
//! their own affair: a walk ends at them.

use rustc_hash::FxHashSet;

use crate::{
    hook::Hook,
    payload::{Cap, Payload},
};

/// Whether `outcome`, were it the outcome of `promise`, would hold `promise`.
pub(crate) fn leads_to(outcome: &Hook, promise: &Hook) -> bool {
    let mut walk = Walk {
        next: vec![outcome.clone()],
        ..Walk::default()
    };
    while let Some(hook) = walk.next.pop() {
        if hook.is_same(promise) {
            return true;
        }
        walk.enter(&hook);
    }
    // A circle is closed by a promise that settles. Where all have, there can be none any more.
    if !walk.unsettled {
        walk.payloads.iter().for_each(Payload::set_settled);
    }
    false
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
            Hook::Promise(deferred) => {
                if self.is_new(hook.identity()) {
                    let outcome = deferred.known_outcome();
                    self.unsettled |= outcome.is_none();
                    self.next.extend(outcome);
                }
            }
            Hook::Import(import) => {
                if self.is_new(hook.identity()) {
                    let resolution = import.resolution();
                    self.unsettled |= resolution.is_none() && import.is_promise();
                    self.next.extend(resolution);
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
            Hook::Target(_) | Hook::Placeholder(_) | Hook::Starting => {}
        }
    }

    fn enter_payload(&mut self, payload: &Payload) {
        if payload.is_settled() || !self.is_new(payload.identity()) {
            return;
        }
        self.next
            .extend(payload.view().caps.iter().map(|cap| match cap {
                Cap::Stub(located) | Cap::Promise(located) => located.hook.clone(),
                Cap::Error(error) => Hook::Broken(error.clone()),
            }));
        self.payloads.push(payload.clone());
    }
}

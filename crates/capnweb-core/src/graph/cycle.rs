//! Detection of promises that would resolve to themselves.
//!
//! A promise that waits for itself never settles. A peer can create one by answering a call with a
//! reference to the very call that waits for the answer. So a promise is rejected before it closes
//! a short cycle, as in JavaScript. Longer cycles are not detected here: every traversal has bounds
//! of its own, and [`peer_edges`](super::peer_edges) cuts cycles at the end of the session.

use rustc_hash::FxHashSet;

use crate::graph::{
    hook::{Hook, Settled, cycle},
    payload::{Cap, Payload},
};

/// The number of promises and values that one walk visits. There is a walk for every promise that
/// settles.
const MAX_STEPS: usize = 256;

/// Returns `outcome`, or an error if it is found to lead back to `promise`.
pub(crate) fn unless_circular(outcome: Hook, promise: &Hook) -> Hook {
    if !outcome.is_plain() && leads_to(&outcome, promise) {
        Hook::Broken(cycle())
    } else {
        outcome
    }
}

fn leads_to(outcome: &Hook, promise: &Hook) -> bool {
    let mut walk = Walk {
        next: vec![outcome.clone()],
        ..Walk::default()
    };
    for _ in 0..MAX_STEPS {
        let Some(hook) = walk.next.pop() else {
            return false;
        };
        if hook.is_same(promise) {
            return true;
        }
        walk.enter(&hook);
    }
    false
}

#[derive(Default)]
struct Walk {
    next: Vec<Hook>,
    seen: FxHashSet<usize>,
}

impl Walk {
    fn is_new(&mut self, identity: Option<usize>) -> bool {
        identity.is_some_and(|identity| self.seen.insert(identity))
    }

    fn enter(&mut self, hook: &Hook) {
        match hook {
            Hook::Promise(_) | Hook::Call(_) | Hook::Import(_) => {
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
            Hook::Target(_)
            | Hook::PipeWriter(_)
            | Hook::Lasting(_)
            | Hook::Placeholder(_)
            | Hook::Starting => {}
        }
    }

    fn enter_promise(&mut self, promise: &Hook) {
        // Follow a chain as a whole, which shortens it for the next walk.
        match promise.follow() {
            Settled::Yes(end) if !end.is_same(promise) => self.next.push(end),
            Settled::Yes(_) => {}
            Settled::Not(end) => {
                match &end {
                    // The outcome is already set while the calls queued on the promise are
                    // performed.
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
        if !self.is_new(payload.identity()) {
            return;
        }
        // Limit the capabilities to the number that can be visited.
        let caps = payload.view().caps.iter().take(MAX_STEPS);
        self.next.extend(caps.filter_map(|cap| match cap {
            Cap::Stub(located) | Cap::Promise(located) => Some(located.hook.clone()),
            Cap::Error(error) => Some(Hook::Broken(error.clone())),
            Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) | Cap::Bytes(..) => None,
        }));
    }
}

//! The references that a peer's messages create, and how they are cut.
//!
//! A peer can refer to objects that it received in the outcome of a promise that it made. So it can
//! close reference cycles: through promises, streams, errors, maps, and other sessions. There is no
//! search for cycles. Payloads are immutable. A cycle therefore needs a cell whose content is set
//! later, and contains a reference that a peer's message created. So all references that messages
//! create can be cut without regard to where they lead:
//!
//! - An outcome of an [`Import`] is cut in the import. Outcomes of plain data lead nowhere, so they
//!   are not listed.
//! - A reference in a message to something on this side is either to an object, which refers to
//!   nothing that a peer created, or to a [reference](PromiseState::reference) of the session: a
//!   promise that has settled to the actual hook. That promise is cut.
//! - The queue of a pipe is cut by the pipe: see `Pipe::session_ended`.
//!
//! [`PeerEdges`] lists the references that a session has to cut, as weak pointers. They are cut
//! after the end of the session and of its grace period, since calls that still run may use them.
//!
//! # Values that the application keeps
//!
//! Cutting does not change any payload or object. A value that an application keeps retains all of
//! its data, the application's own objects, and the stubs of other sessions that are alive. A proxy
//! may forward those for as long as it holds them. Only references *through* the ended session
//! break: its stubs, its promises, and outcomes that the peer sent for a promise which nothing had
//! read by then. Such an outcome keeps its data, its promises that have settled to data, and its
//! streams and blobs. Its other capabilities break, including those of other sessions, since the
//! peer made the outcome.
//!
//! An application's object that keeps a stub of itself is the application's responsibility, even if
//! the stub came from a peer.

use std::sync::{Arc, Mutex};

use rustc_hash::FxHashMap;

use super::{
    error::Error,
    hook::{Hook, Settled},
    import::Import,
    offload::MANY_ENTRIES,
    payload::{Cap, Payload},
    promise_state::PromiseState,
};
use crate::util::{lock::LockExt, weak_list::WeakList};

/// The references that a peer's messages created, to be cut at the end of the session. The list is
/// proportional to the number of live references.
#[derive(Default)]
pub(crate) struct PeerEdges {
    state: Mutex<EdgeLists>,
}

#[derive(Default)]
struct EdgeLists {
    references: WeakList<PromiseState>,
    outcomes: WeakList<Import>,
    /// The reason for the cut, once everything has been cut.
    cut: Option<Error>,
}

impl PeerEdges {
    /// Returns a reference to `hook` that can be cut, for use in a peer's message.
    pub(crate) fn refer(&self, hook: Hook) -> Hook {
        let hook = match hook {
            Hook::Promise(_) => match hook.follow() {
                // Refer to the end of the chain directly if it is an object or belongs to a
                // session.
                Settled::Yes(end) | Settled::Not(end) if leads_nowhere(&end) => end,
                _ => hook,
            },
            hook => hook,
        };
        if leads_nowhere(&hook) {
            return hook;
        }
        let mut state = self.state.acquire();
        if let Some(reason) = state.cut.clone() {
            drop(state);
            return Hook::Broken(reason);
        }
        let reference = PromiseState::reference(hook);
        state.references.push(&reference);
        Hook::Promise(reference)
    }

    /// Lists an import that has an outcome.
    pub(crate) fn add_outcome(&self, import: &Arc<Import>) {
        self.state.acquire().outcomes.push(import);
    }

    /// Returns whether no listed reference is still alive.
    pub(crate) fn is_empty(&self) -> bool {
        let mut state = self.state.acquire();
        state.references.is_empty() && state.outcomes.is_empty()
    }

    /// Returns whether cutting all listed references takes long.
    pub(crate) fn is_long(&self) -> bool {
        let state = self.state.acquire();
        state.references.len() + state.outcomes.len() >= MANY_ENTRIES
    }

    /// Cuts all listed references, and all that would be added from now on.
    pub(crate) fn cut(&self, reason: &Error) {
        let mut state = self.state.acquire();
        state.cut = Some(reason.clone());
        let (references, outcomes) = (state.references.take(), state.outcomes.take());
        drop(state);
        for reference in &references {
            reference.cut(reason);
        }
        // A promise in an outcome is exported by the message that contains the outcome, and settles
        // later. So go from the last import to the first: the outcome of a promise is then cut
        // before it replaces the promise, and a cut outcome only leads to outcomes that were cut
        // before.
        let mut cut = Cut {
            reason,
            outcomes: FxHashMap::default(),
        };
        for import in outcomes.iter().rev() {
            let old = import.resolution();
            let new = old.as_ref().map_or_else(
                || Hook::Broken(reason.clone()),
                |outcome| cut.outcome(outcome),
            );
            cut.outcomes.insert(Arc::as_ptr(import).addr(), new.clone());
            import.cut(new);
            drop(old);
        }
    }
}

/// Returns whether `hook` refers to nothing that a peer can have created, or is cut by its own
/// session.
fn leads_nowhere(hook: &Hook) -> bool {
    match hook {
        Hook::Value(payload) => match payload.view().root_cap() {
            Some(Cap::Stub(located)) => is_object(&located.hook),
            _ => payload.is_plain(),
        },
        Hook::Broken(error) => error.is_plain(),
        hook => is_object(hook),
    }
}

/// Returns whether `hook` is an object, here or at a peer. A peer's stub never has an outcome.
fn is_object(hook: &Hook) -> bool {
    match hook {
        Hook::Target(_)
        | Hook::PipeWriter(_)
        | Hook::Lasting(_)
        | Hook::Placeholder(_)
        | Hook::Starting => true,
        Hook::Import(import) => !import.is_promise(),
        Hook::Promise(_) | Hook::Call(_) | Hook::Value(_) | Hook::Broken(_) => false,
    }
}

/// The progress of cutting.
struct Cut<'a> {
    reason: &'a Error,
    /// The cut outcomes by the addresses of their imports, which are alive during the cut.
    outcomes: FxHashMap<usize, Hook>,
}

impl Cut<'_> {
    fn broken(&self) -> Hook {
        Hook::Broken(self.reason.clone())
    }

    /// Returns the remainder of an outcome.
    fn outcome(&self, outcome: &Hook) -> Hook {
        let payload = match outcome {
            Hook::Value(payload) => payload,
            other => return self.promise(other),
        };
        match payload.view().root_cap() {
            Some(Cap::Promise(located)) if located.path.is_empty() => self.promise(&located.hook),
            Some(Cap::Stub(_) | Cap::Promise(_)) => self.broken(),
            _ => self.payload(payload),
        }
    }

    fn payload(&self, payload: &Payload) -> Hook {
        let caps = payload.view().caps.iter().map(|cap| self.cap(cap));
        Hook::Value(payload.with_caps(caps.collect()))
    }

    fn cap(&self, cap: &Cap) -> Cap {
        match cap {
            // It was not called, and will not be.
            Cap::Stub(_) => {
                let reason = self.reason.clone().with_may_have_run(false);
                Cap::stub(Hook::Broken(reason))
            }
            Cap::Promise(located) => {
                let mut located = located.clone();
                located.hook = self.promise(&located.hook);
                Cap::Promise(located)
            }
            Cap::Error(error) => Cap::Error(error.clone().without_stubs()),
            // These need no cut: ends of pipes of this session, which has ended them; stubs of it,
            // which are broken; and bytes.
            Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) | Cap::Bytes(..) => cap.clone(),
        }
    }

    fn promise(&self, hook: &Hook) -> Hook {
        if let Hook::Import(import) = hook
            && let Some(cut) = self.outcomes.get(&Arc::as_ptr(import).addr())
        {
            return cut.clone();
        }
        match hook.follow() {
            Settled::Yes(Hook::Value(payload)) if payload.is_plain() => Hook::Value(payload),
            Settled::Yes(Hook::Broken(error)) => Hook::Broken(error.without_stubs()),
            _ => self.broken(),
        }
    }
}

//! The references that a peer's messages made, and how they are cut.
//!
//! A peer can name what it has been given in the outcome of what it promised, and so close circles
//! of reference counts: through promises, streams, errors, maps, and through other sessions. No
//! circle is searched for. Payloads are immutable: a circle needs a cell whose content is set later,
//! and somewhere in it a reference that a peer's message made. So the references that messages make
//! are such that they can be cut, all of them, without looking where they lead:
//!
//! - An outcome of an [`Import`] is cut in the import. Outcomes of plain data lead to nothing and
//!   are not listed.
//! - What a message names of ours is an object, which refers to nothing that a peer made, or
//!   anything else behind a [reference](PromiseState::reference) of the session's own: a promise that
//!   has settled to what is named. That is cut.
//! - The queue of a pipe is cut by the pipe: see `Pipe::session_ended`.
//!
//! [`PeerEdges`] lists what a session has to cut, by weak pointers. It is cut once the session is over
//! and its grace period too, since calls that still run may use it.
//!
//! # What the application keeps
//!
//! Cutting changes no payload and no object. An application that keeps a value has all of its data,
//! its own objects, and the stubs of other sessions that live. A proxy may forward them for as long
//! as it holds them. Only what is reached *through* the ended session breaks: its stubs, its
//! promises, and what the peer answered to a promise that nobody read in all that time. Such an
//! outcome keeps its data, promises in it that have come to data, and its streams and blobs; other
//! capabilities in it break, also those of other sessions, since the outcome is what the peer made.
//!
//! An object of the application that keeps a stub of itself is the application's affair, even if the
//! stub came from a peer.

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

/// What a session's peer has tied, to be cut at the end. The list is in step with what is alive.
#[derive(Default)]
pub(crate) struct PeerEdges {
    state: Mutex<EdgeLists>,
}

#[derive(Default)]
struct EdgeLists {
    references: WeakList<PromiseState>,
    outcomes: WeakList<Import>,
    /// Why all have been cut, once they have.
    cut: Option<Error>,
}

impl PeerEdges {
    /// Returns a reference to `hook` that can be cut, for a message of the peer that names it.
    pub(crate) fn refer(&self, hook: Hook) -> Hook {
        let hook = match hook {
            Hook::Promise(_) => match hook.follow() {
                // The end of the way, if that is an object or belongs to a session.
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

    /// Returns whether nothing is listed that is still alive.
    pub(crate) fn is_empty(&self) -> bool {
        let mut state = self.state.acquire();
        state.references.is_empty() && state.outcomes.is_empty()
    }

    /// Returns whether it takes long to cut all that is listed.
    pub(crate) fn is_long(&self) -> bool {
        let state = self.state.acquire();
        state.references.len() + state.outcomes.len() >= MANY_ENTRIES
    }

    /// Cuts all that is listed, and all that would be listed from now on.
    pub(crate) fn cut(&self, reason: &Error) {
        let mut state = self.state.acquire();
        state.cut = Some(reason.clone());
        let (references, outcomes) = (state.references.take(), state.outcomes.take());
        drop(state);
        for reference in &references {
            reference.cut(reason);
        }
        // A promise in an outcome is exported by the message that has the outcome, and has its own
        // outcome later. So with the last one first, what a promise has come to is cut before it is
        // put in its place, and what has been cut leads to nothing but what was cut before.
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

/// Returns whether `hook` refers to nothing that a peer can have made, or is cut by its own session.
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

/// Returns whether `hook` is an object, here or at a peer. A stub of a peer's never has an outcome.
fn is_object(hook: &Hook) -> bool {
    match hook {
        Hook::Target(_) | Hook::PipeWriter(_) | Hook::Placeholder(_) | Hook::Starting => true,
        Hook::Import(import) => !import.is_promise(),
        Hook::Promise(_) | Hook::Value(_) | Hook::Broken(_) => false,
    }
}

/// What has been cut so far.
struct Cut<'a> {
    reason: &'a Error,
    /// What imports have come to, by their addresses: they are alive meanwhile.
    outcomes: FxHashMap<usize, Hook>,
}

impl Cut<'_> {
    fn broken(&self) -> Hook {
        Hook::Broken(self.reason.clone())
    }

    /// Returns what remains of an outcome.
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
            Cap::Stub(_) => Cap::stub(self.broken()),
            Cap::Promise(located) => {
                let mut located = located.clone();
                located.hook = self.promise(&located.hook);
                Cap::Promise(located)
            }
            Cap::Error(error) => Cap::Error(error.clone().without_stubs()),
            // The ends of pipes of this session, which has ended them; a stub of it, which has
            // broken; bytes.
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

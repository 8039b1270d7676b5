//! Answers to the peer: the outcomes of its calls and of our promises.

use std::sync::{Arc, Weak};

use capnweb_wire::encode::{self, Envelope};

use super::{
    SessionInner,
    export_table::{Lookup, Pulled},
    inner::State,
    locked::Locked,
    peer::Token,
    send::{PreparedContent, Root},
};
use crate::graph::{
    engine::effort,
    error::{Error, Result},
    hook::{Hook, Waiter},
    offload::{self, Job, LONG_TEXT, Offloaded},
    payload::{Cap, Payload},
    remote::Notify,
};

impl SessionInner {
    /// Handles a pull of export `id`.
    pub(super) fn peer_pulls(self: &Arc<Self>, id: i64) -> Result<()> {
        let mut state = self.lock();
        if id == 0 {
            // Each request returns another export.
            self.check_limits(&state)?;
            let Lookup::Found { hook: main, .. } = state.exports.look_up(0) else {
                return Ok(());
            };
            drop(state);
            self.send_outcome(0, main);
            return Ok(());
        }
        let fits = |payload: &Payload| {
            let text = payload.view().text;
            // A long value is sent like any answer that takes more than a copy.
            (text.len() <= LONG_TEXT || !self.offloads())
                && self.limits.check_outgoing(text, 0, 0).is_ok()
        };
        let State {
            exports,
            imports,
            out,
            ..
        } = &mut *state;
        match exports.pull(id, fits)? {
            Pulled::Ready(payload) => {
                let text = payload.view().text;
                out.message(imports.next_call(), |out| encode::resolve(out, id, text));
                state.wake_driver();
            }
            Pulled::Owed => {
                drop(state);
                self.answer(id);
            }
            Pulled::NoPromise => {
                drop(state);
                let error = Error::new("Tried to resolve a non-promise stub.");
                self.send_outcome(id, Hook::Broken(error));
            }
            Pulled::Again => {}
        }
        Ok(())
    }

    /// Sends the outcome of export `id` like [`answer`](Self::answer), on this thread if there is
    /// time.
    pub(super) fn answer_in_time(self: &Arc<Self>, id: i64) {
        effort::spend(effort::CALL);
        if effort::is_exhausted() && !offload::is_offloaded() {
            let answering = Answering {
                session: self.clone(),
                id,
            };
            if let Err(here) = self.offload(Box::new(answering)) {
                here.run();
            }
        } else {
            self.answer(id);
        }
    }

    /// Sends the outcome of export `id` if it is available. Otherwise arranges for it to be sent
    /// later.
    pub(crate) fn answer(self: &Arc<Self>, id: i64) {
        let hook = match self.lock().exports.get(id) {
            Some(export) if export.is_owed() => export.hook().clone(),
            _ => return,
        };
        let this: Weak<dyn Notify> = Arc::<Self>::downgrade(self);
        let waiter = Waiter::Observer(this, Token::Answer(id).pack());
        if let Some(outcome) = hook.subscribe(waiter) {
            self.send_outcome(id, outcome);
        }
    }

    fn send_outcome(self: &Arc<Self>, id: i64, outcome: Hook) {
        let mut payload = match outcome {
            Hook::Value(payload) => {
                if payload.is_long() && self.offloads() && !offload::is_offloaded() {
                    let sending = Sending {
                        session: self.clone(),
                        id,
                        payload,
                    };
                    if let Err(here) = self.offload(Box::new(sending)) {
                        here.run();
                    }
                    return;
                }
                payload
            }
            Hook::Broken(error) => return self.send_rejection(id, &error),
            stub => Payload::from_cap(Cap::stub(stub)),
        };
        loop {
            let prepared = match self.prepare(payload.view(), Root::Result) {
                Ok(prepared) => prepared,
                Err(error) => return self.send_rejection(id, &error),
            };
            let mut state = self.lock();
            if state.ended.is_some() || !state.claim_answer(id) {
                return;
            }
            if prepared
                .as_ref()
                .is_some_and(|prepared| !prepared.is_current())
            {
                state.exports.unclaim_answer(id);
                drop(state);
                payload = prepared.map_or(payload, PreparedContent::into_payload);
                continue;
            }
            let written = match prepared {
                Some(prepared) => Some(state.write_with(&Envelope::Resolve(id), prepared)),
                None => {
                    state.write(|out| encode::resolve(out, id, payload.view().text));
                    None
                }
            };
            state.answered(id);
            self.end_if_passed(state);
            if let Some(written) = written {
                self.follow_up(written);
            }
            return;
        }
    }

    fn send_rejection(&self, id: i64, error: &Error) {
        if let Some(hooks) = &self.hooks {
            hooks.exceeded(error);
        }
        let reason = self.options.encode_error(error);
        let mut state = self.lock();
        if state.ended.is_some() || !state.claim_answer(id) {
            return;
        }
        state.write(|out| encode::reject(out, id, reason.view().text));
        state.answered(id);
    }
}

/// An answer that is sent later.
struct Answering {
    session: Arc<SessionInner>,
    id: i64,
}

impl Job for Answering {
    fn run(self: Box<Self>) {
        self.session.answer(self.id);
    }

    fn cancel(self: Box<Self>) {}
}

/// An answer whose writing takes long.
struct Sending {
    session: Arc<SessionInner>,
    id: i64,
    payload: Payload,
}

impl Job for Sending {
    fn run(self: Box<Self>) {
        let session = self.session;
        let id = self.id;
        // Without a runtime this is done here, so do not defer it again.
        let _offloaded = Offloaded::enter();
        session.send_outcome(id, Hook::Value(self.payload));
    }

    fn cancel(self: Box<Self>) {}
}

impl State {
    /// Counts the owed outcome of `id` as sent. Returns false if none is owed. Outcomes of the main
    /// object are not counted.
    fn claim_answer(&mut self, id: i64) -> bool {
        id == 0 || self.exports.claim_answer(id)
    }
}

impl Locked<'_> {
    /// Removes the entries that the written answer releases.
    fn answered(&mut self, id: i64) {
        if let Some(export) = self.exports.remove_if_stream(id) {
            self.discard(export);
        }
        self.check_drained();
    }
}

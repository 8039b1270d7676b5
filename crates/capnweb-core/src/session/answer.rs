//! What is owed to the peer: the outcomes of its calls and of our promises.

use std::sync::Arc;

use capnweb_wire::{write_i64, write_string};

use super::{
    SessionOptions,
    export::{AnswerState, ExportKind, export_in},
    send::{Prepared, Root, Written},
    shared::{Shared, State},
};
use crate::{
    error::{Error, Result},
    hook::{Hook, Waiter},
    payload::{Cap, Draft, Payload},
};

impl Shared {
    /// The peer asks for the outcome of export `id`.
    pub(super) fn peer_pulls(self: &Arc<Self>, id: i64) -> Result<()> {
        let mut state = self.lock();
        if id == 0 {
            // Each time it is another export.
            self.check_limits(&state)?;
            let main = match state.find_export(0) {
                super::export::Found::Hook(hook) => hook,
                _ => return Ok(()),
            };
            drop(state);
            self.send_outcome(0, main);
            return Ok(());
        }
        let State {
            pushes,
            exports,
            out,
            unread,
            ..
        } = &mut *state;
        let Some(export) = export_in(pushes, exports, id) else {
            return Err(Error::protocol(format!("no such export ID: {id}")));
        };
        if export.answer != AnswerState::NotAsked {
            return Ok(());
        }
        if let Hook::Value(payload) = &export.hook
            && payload.is_text()
            && self
                .limits
                .check_outgoing(payload.view().text, 0, 0)
                .is_ok()
        {
            // The outcome is there and plain data: the usual case.
            export.answer = AnswerState::Sent;
            *unread += 1;
            out.message(|out| resolution(out, id, payload.view().text));
            state.wake_driver();
            return Ok(());
        }
        export.answer = AnswerState::Owed;
        let stub = export.kind == ExportKind::Stub && !export.hook.is_promise();
        state.unanswered += 1;
        drop(state);
        if stub {
            let error = Error::new("Tried to resolve a non-promise stub.");
            self.send_outcome(id, Hook::Broken(error));
        } else {
            self.answer(id);
        }
        Ok(())
    }

    /// Sends the outcome of export `id`, if it is there, or sees to it that it is sent.
    pub(crate) fn answer(self: &Arc<Self>, id: i64) {
        let hook = match self.lock().export(id) {
            Some(export) if export.answer == AnswerState::Owed => export.hook.clone(),
            _ => return,
        };
        if let Some(outcome) = hook.subscribe(Waiter::Export(Arc::downgrade(self), id)) {
            self.send_outcome(id, outcome);
        }
    }

    fn send_outcome(self: &Arc<Self>, id: i64, outcome: Hook) {
        let mut payload = match outcome {
            Hook::Value(payload) => payload,
            Hook::Broken(error) => return self.send_rejection(id, &error),
            stub => Payload::from_cap(Cap::stub(stub)),
        };
        loop {
            let prepared = match self.prepare(payload.view(), Root::Result) {
                Ok(prepared) => prepared,
                Err(error) => return self.send_rejection(id, &error),
            };
            let mut state = self.lock();
            if state.ended.is_some() || !state.settle_answer(id) {
                return;
            }
            if prepared
                .as_ref()
                .is_some_and(|prepared| !prepared.is_current())
            {
                state.unsettle_answer(id);
                drop(state);
                payload = prepared.map_or(payload, Prepared::into_payload);
                continue;
            }
            let root = |out: &mut Vec<u8>| {
                out.extend_from_slice(b"[\"resolve\",");
                write_i64(out, id);
            };
            let written = match prepared {
                Some(prepared) => state.write_with(root, Some(prepared), |out| out.push(b']')),
                None => {
                    state.write_resolution(id, payload.view().text);
                    Written::default()
                }
            };
            state.answered(id);
            drop(state);
            self.follow_up(written);
            return;
        }
    }

    fn send_rejection(&self, id: i64, error: &Error) {
        let reason = encode_error(&self.options, error);
        let mut state = self.lock();
        if state.ended.is_some() || !state.settle_answer(id) {
            return;
        }
        state.write(|out| {
            out.extend_from_slice(b"[\"reject\",");
            write_i64(out, id);
            out.push(b',');
            out.extend_from_slice(reason.view().text.as_bytes());
            out.push(b']');
        });
        state.answered(id);
    }
}

impl State {
    /// Takes the duty to answer off an export; false if there is none.
    fn settle_answer(&mut self, id: i64) -> bool {
        if id == 0 {
            return true;
        }
        match self.export_mut(id) {
            Some(export) if export.answer == AnswerState::Owed => {
                export.answer = AnswerState::Sent;
                self.unread += 1;
                true
            }
            _ => false,
        }
    }

    fn unsettle_answer(&mut self, id: i64) {
        if let Some(export) = self.export_mut(id) {
            export.answer = AnswerState::Owed;
            self.unread -= 1;
        }
    }
}

fn resolution(out: &mut Vec<u8>, id: i64, text: &str) {
    out.extend_from_slice(b"[\"resolve\",");
    write_i64(out, id);
    out.push(b',');
    out.extend_from_slice(text.as_bytes());
    out.push(b']');
}

impl super::shared::Locked<'_> {
    /// Answers with plain data.
    fn write_resolution(&mut self, id: i64, text: &str) {
        self.write(|out| resolution(out, id, text));
    }

    /// After an answer has been written.
    fn answered(&mut self, id: i64) {
        if id == 0 {
            return;
        }
        self.unanswered -= 1;
        if self
            .export(id)
            .is_some_and(|export| export.kind == ExportKind::Stream)
            && let Some(export) = self.remove_export(id)
        {
            self.discard(export);
        }
        self.check_drained();
    }
}

/// What is sent of an error that was thrown: no stubs, and no stack trace that nobody chose to reveal.
///
/// It is text alone.
pub(crate) fn encode_error(options: &SessionOptions, error: &Error) -> Payload {
    encode_thrown(options, error, MAX_CAUSES)
}

/// Causes of causes of causes.
const MAX_CAUSES: usize = 32;

fn encode_thrown(options: &SessionOptions, error: &Error, depth: usize) -> Payload {
    let error = options.redact(error);
    if let Some(thrown) = error.thrown_value()
        && thrown.is_plain()
    {
        return thrown.without_caps();
    }
    let props = error
        .props()
        .and_then(|props| plain_props(options, props, depth));
    write_error(&error, props.as_ref())
}

/// What is sent of an error that is a value: its properties are values like any other.
pub(super) fn encode_error_value(options: &SessionOptions, error: &Error) -> Payload {
    let error = options.redact(error);
    write_error(&error, error.props())
}

fn write_error(error: &Error, props: Option<&Payload>) -> Payload {
    let mut draft = Draft::default();
    let out = &mut draft.text;
    out.extend_from_slice(b"[\"error\",");
    write_string(out, error.name());
    out.push(b',');
    write_string(out, error.message());
    match (error.stack(), props) {
        (Some(stack), _) => {
            out.push(b',');
            write_string(out, stack);
        }
        (None, Some(_)) => out.extend_from_slice(b",null"),
        (None, None) => {}
    }
    if let Some(props) = props {
        out.push(b',');
        // Fails only past 4 GiB, and then there is more wrong than a missing property.
        let _ = draft.push_view(props.view());
    }
    draft.text.push(b']');
    draft.take_payload()
}

/// The properties as an object expression, with the errors among them written and the stubs left out.
fn plain_props(options: &SessionOptions, props: &Payload, depth: usize) -> Option<Payload> {
    let depth = depth.checked_sub(1)?;
    let view = props.view();
    if view.caps.is_empty() {
        return Some(props.clone());
    }
    let mut out = String::new();
    let mut copied = 0;
    for (span, cap) in view.spans.iter().zip(view.caps) {
        out.push_str(view.text.get(copied..span.start as usize)?);
        copied = span.end as usize;
        match cap {
            Cap::Error(error) => {
                out.push_str(encode_thrown(options, error, depth).view().text);
            }
            Cap::Bytes(..) => {
                out.push_str(Payload::from_cap(cap.clone()).without_caps().view().text);
            }
            Cap::Stub(_) | Cap::Promise(_) | Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) => {
                out.push_str("[\"undefined\"]");
            }
        }
    }
    out.push_str(view.text.get(copied..)?);
    Some(Payload::from_text(&out))
}

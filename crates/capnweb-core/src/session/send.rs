//! Sending calls and the capabilities in them: sections 2 to 4 of `docs/protocol.md`.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use capnweb_wire::{
    Container, Span,
    encode::{self, Envelope, Target},
};

use super::{SessionGuard, SessionInner, end::shut_down, export_table::ExportKind, locked::Locked};
use crate::{
    Attachment,
    graph::{
        engine::{
            admit, effort,
            invoke::{Operation, Origin, invoke},
            map::Mapping,
        },
        error::{Error, Result},
        hook::{Hook, Hops, Settled},
        hooks::{CallRecord, SessionHooks},
        import::Import,
        observe::{CallInfo, CallKind, Direction},
        payload::{Cap, Located, Path, Payload, Splicer, View, check_depth, splice},
        propagate::Propagator,
        remote::{Peer, SentMethod},
        stream::{BlobContent, BoxDestination, BoxSource, Pump, Reserved, given_away},
        work::Work,
    },
    limits::LimitExceeded,
    util::invariant::Invariant,
};

/// A capability in the form in which this session writes it.
enum Leaf {
    /// A stub that belongs to the peer.
    Import(Arc<Import>),
    /// A promise that belongs to the peer, or a property of one.
    Pipeline(Arc<Import>, Path),
    Stub(Hook),
    Promise(Hook),
    /// A stream that the peer will read. If the message is not sent, the rest of the stream is
    /// returned.
    Readable(Reserved<BoxSource>, Arc<SessionGuard>),
    /// The content of a blob, which the peer will read.
    Blob(Arc<BlobContent>, Arc<SessionGuard>),
    /// A stream that the peer will write to.
    Writable(Reserved<BoxDestination>, Option<Arc<SessionHooks>>),
    /// Bytes, which need no ID.
    Bytes(Bytes, Container),
}

/// Content that is ready to be written by this session. Outcomes of settled promises are filled in.
/// The remaining capabilities get their IDs when they are written.
#[derive(Default)]
pub(super) struct PreparedContent {
    text: Vec<u8>,
    spans: Vec<Span>,
    leaves: Vec<Leaf>,
    /// The number of bytes that attached byte strings would add to the text.
    bytes: usize,
}

/// The treatment of the root of the content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The root is treated like any other value.
    Plain,
    /// The root is the result of a call. A stub that belongs to the peer is sent as a forwarding
    /// stub of ours, since the `await` of a JavaScript client would reject it.
    Result,
}

/// The follow-up work for a written message.
#[derive(Default)]
pub(super) struct Written {
    /// The IDs of its promises, whose outcomes must be sent without a pull.
    promised: Vec<i64>,
    /// The pumps that move its streams.
    pumps: Vec<Pump>,
    /// The attachments of its text.
    attachments: Vec<Attachment>,
}

/// Content that is being prepared.
struct Preparation<'a> {
    session: &'a SessionInner,
    root: Root,
    out: PreparedContent,
    /// True if outcomes of promises have been filled in.
    filled_in: bool,
}

impl Splicer for Preparation<'_> {
    fn text(&mut self, text: &str) -> Result<()> {
        self.out.text.extend_from_slice(text.as_bytes());
        let len = self.out.text.len() + self.out.bytes;
        self.session.limits.check_growth(len)?;
        effort::spend(text.len() + effort::CAPABILITY);
        Ok(())
    }

    fn cap(&mut self, cap: &Cap, is_whole: bool) -> Result<Option<Payload>> {
        let is_root = self.root == Root::Result && is_whole && self.out.text.is_empty();
        match self.session.classify(cap)? {
            Classified::Leaf(Leaf::Import(import)) if is_root => {
                self.out.push(Leaf::Stub(Hook::Import(import)))?;
            }
            Classified::Leaf(leaf) => self.out.push(leaf)?,
            Classified::Content(payload) => {
                self.filled_in = true;
                return Ok(Some(payload));
            }
        }
        Ok(None)
    }
}

impl SessionInner {
    /// Prepares content to be written under the lock. Returns `None` for plain data, which needs no
    /// preparation.
    ///
    /// # Errors
    ///
    /// Returns an error if the content is too large, or contains something that cannot be sent.
    pub(super) fn prepare(&self, view: View<'_>, root: Root) -> Result<Option<PreparedContent>> {
        if view.caps.is_empty() {
            self.limits.check_outgoing(view.text, 0, 0)?;
            return Ok(None);
        }
        let mut preparation = Preparation {
            session: self,
            root,
            out: PreparedContent::default(),
            filled_in: false,
        };
        splice(view.to_payload(), &mut preparation)?;
        let Preparation { out, filled_in, .. } = preparation;
        let text = std::str::from_utf8(&out.text).map_err(|_| Error::internal())?;
        self.limits
            .check_outgoing(text, out.bytes, out.leaves.len())?;
        if filled_in {
            // Arguments are nested one level deep in the message.
            let at = usize::from(root == Root::Plain);
            check_depth(text, at, capnweb_wire::Limits::default().max_depth)?;
        }
        Ok(Some(out))
    }

    fn is_mine(&self, import: &Import) -> bool {
        self.is_guarded_by(import.peer())
    }

    fn is_guarded_by(&self, peer: &Arc<dyn Peer>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(peer), Weak::as_ptr(&self.guard))
    }

    /// Returns whether a promise belongs to the peer, or is derived from something that does.
    fn leads_to_peer(&self, hook: &Hook) -> bool {
        match hook.follow() {
            Settled::Yes(Hook::Import(import)) | Settled::Not(Hook::Import(import)) => {
                self.is_mine(&import)
            }
            Settled::Yes(Hook::Value(_)) => true,
            _ => false,
        }
    }

    fn classify(&self, cap: &Cap) -> Result<Classified> {
        let (mut promise, mut located) = match cap {
            Cap::Stub(located) => (false, located.clone()),
            Cap::Promise(located) => (true, located.clone()),
            Cap::Error(error) => {
                return Ok(Classified::Content(self.options.encode_error_value(error)));
            }
            Cap::Readable(slot) => {
                let guard = self.guard.upgrade().ok_or_else(shut_down)?;
                let source = slot.reserve().ok_or_else(given_away)?;
                return Ok(Leaf::Readable(source, guard).into());
            }
            Cap::Blob(content) => {
                let guard = self.guard.upgrade().ok_or_else(shut_down)?;
                return Ok(Leaf::Blob(content.clone(), guard).into());
            }
            Cap::Writable(slot) => {
                let destination = slot.reserve().ok_or_else(given_away)?;
                return Ok(Leaf::Writable(destination, self.hooks.clone()).into());
            }
            Cap::Bytes(bytes, container) => {
                return Ok(Leaf::Bytes(bytes.clone(), *container).into());
            }
        };
        let mut hops = Hops::default();
        loop {
            hops.hop()?;
            let Located { hook, path } = located;
            if !promise && !path.is_empty() {
                let hook = invoke(hook, &path, Operation::Get, &Origin::App);
                located = Located {
                    hook,
                    path: Path::default(),
                };
                continue;
            }
            let settled = match hook.follow() {
                Settled::Yes(hook) | Settled::Not(hook) => hook,
            };
            let leaf = match settled {
                Hook::Import(import) if self.is_mine(&import) => {
                    if promise && (import.is_promise() || !path.is_empty()) {
                        Leaf::Pipeline(import, path)
                    } else {
                        Leaf::Import(import)
                    }
                }
                Hook::Value(payload) => {
                    let next = match payload.get(&path, 0) {
                        Ok(Hook::Value(value)) if promise => return Ok(Classified::Content(value)),
                        Ok(Hook::Value(value)) => return Ok(Leaf::Stub(Hook::Value(value)).into()),
                        Ok(hook) => (
                            promise,
                            Located {
                                hook,
                                path: Path::default(),
                            },
                        ),
                        Err((Cap::Stub(inner), from)) => {
                            let rest = inner.path.join_rest(&path, from);
                            (
                                promise && !rest.is_empty(),
                                Located {
                                    hook: inner.hook,
                                    path: rest,
                                },
                            )
                        }
                        Err((Cap::Promise(inner), from)) => {
                            let rest = inner.path.join_rest(&path, from);
                            (
                                promise,
                                Located {
                                    hook: inner.hook,
                                    path: rest,
                                },
                            )
                        }
                        Err((cap, _)) => return self.classify(&cap),
                    };
                    (promise, located) = next;
                    continue;
                }
                Hook::Lasting(slot) => match slot.content_and_peer() {
                    // It belongs to the peer as long as it exists.
                    Some((hook, peer)) if self.is_guarded_by(&peer) => {
                        located = Located { hook, path };
                        continue;
                    }
                    _ if promise && !path.is_empty() => {
                        let slot = Hook::Lasting(slot);
                        Leaf::Promise(invoke(slot, &path, Operation::Get, &Origin::App))
                    }
                    _ => Leaf::Stub(Hook::Lasting(slot)),
                },
                Hook::Call(call) => match call.sent_promise() {
                    Some(hook) if self.leads_to_peer(&hook) => {
                        located = Located { hook, path };
                        continue;
                    }
                    _ if promise && !path.is_empty() => {
                        let call = Hook::Call(call);
                        Leaf::Promise(invoke(call, &path, Operation::Get, &Origin::App))
                    }
                    _ if promise => Leaf::Promise(Hook::Call(call)),
                    _ => Leaf::Stub(Hook::Call(call)),
                },
                Hook::Placeholder(_) => {
                    return Err(Error::type_error(
                        "a placeholder of a `map` cannot be used outside its closure",
                    ));
                }
                hook if promise && !path.is_empty() => {
                    Leaf::Promise(invoke(hook, &path, Operation::Get, &Origin::App))
                }
                hook if promise && hook.is_promise() => Leaf::Promise(hook),
                hook => Leaf::Stub(hook),
            };
            return Ok(leaf.into());
        }
    }

    /// Sends a call, a read or a map. Returns the request if the import has been resolved.
    pub(crate) fn send(
        self: &Arc<Self>,
        import: &Arc<Import>,
        path: &Path,
        operation: Operation,
    ) -> Result<Hook, Operation> {
        let (content, mapping) = match &operation {
            Operation::Call(args) => (Some(args.view()), None),
            Operation::Get => (None, None),
            Operation::Map(mapping) => (None, Some(mapping)),
        };
        let captures = mapping.map(Mapping::captures_as_payload);
        let view = content.or_else(|| captures.as_ref().map(Payload::view));
        let path_text = path.as_json();
        let target = Target::new(import.id(), &path_text);
        let operation_on_wire = match mapping {
            Some(mapping) => encode::Operation::Map {
                target,
                instructions: mapping.instructions(),
            },
            None if content.is_some() => encode::Operation::Call(target),
            None => encode::Operation::Read(target),
        };
        let is_read = matches!(operation, Operation::Get);
        let hooks = self.hooks.as_ref();
        // The read of nothing is a promise of the object itself.
        let record = hooks.filter(|_| !is_read || !path.is_empty()).map(|hooks| {
            let method = path.dotted();
            let is_declared = path.is_declared();
            let call = admit::info(Direction::Outgoing, &operation, &method, is_declared);
            CallRecord::new(hooks, &call)
        });
        match self.push(import, view, operation_on_wire, record) {
            Pushed::Sent(hook) => Ok(hook),
            Pushed::Resolved => Err(operation),
        }
    }

    /// Sends a call whose arguments were just written.
    pub(crate) fn send_call(
        self: &Arc<Self>,
        import: &Arc<Import>,
        path: &Path,
        method: Option<SentMethod<'_>>,
        args: View<'_>,
    ) -> Option<Hook> {
        let record = (self.hooks.as_ref()).map(|hooks| outgoing_call(hooks, path, method));
        let path = path.as_json();
        let target = Target {
            method: method.map(|method| method.name),
            ..Target::new(import.id(), &path)
        };
        match self.push(import, Some(args), encode::Operation::Call(target), record) {
            Pushed::Sent(hook) => Some(hook),
            Pushed::Resolved => None,
        }
    }

    /// Writes a push, and adds its result to the imports.
    fn push(
        self: &Arc<Self>,
        import: &Arc<Import>,
        content: Option<View<'_>>,
        operation: encode::Operation<'_>,
        record: Option<Box<CallRecord>>,
    ) -> Pushed {
        match self.options.propagator() {
            None => self.push_in(&Envelope::Push(operation), import, content, record),
            Some(propagator) => self.push_traced(propagator, import, content, operation, record),
        }
    }

    /// Writes a push like [`push`](Self::push), with the context of the current trace.
    #[cold]
    fn push_traced(
        self: &Arc<Self>,
        propagator: &Propagator,
        import: &Arc<Import>,
        content: Option<View<'_>>,
        operation: encode::Operation<'_>,
        record: Option<Box<CallRecord>>,
    ) -> Pushed {
        let note = propagator.current();
        let envelope = match &note {
            Some(note) => Envelope::NotedPush(operation, note),
            None => Envelope::Push(operation),
        };
        self.push_in(&envelope, import, content, record)
    }

    /// Writes a push in this envelope.
    #[inline]
    fn push_in(
        self: &Arc<Self>,
        envelope: &Envelope<'_>,
        import: &Arc<Import>,
        content: Option<View<'_>>,
        record: Option<Box<CallRecord>>,
    ) -> Pushed {
        if let Some(record) = record {
            return self.push_observed(import, content, envelope, record);
        }
        let register = |state: &mut Locked<'_>| {
            let make = |id| Import::new(import.peer().clone(), id, true);
            Hook::Import(state.imports.push(make))
        };
        match self.send_message(import, content, envelope, register) {
            Ok(result) => Pushed::Sent(result),
            Err(NotSent::Failed(error)) => {
                Pushed::Sent(Hook::Broken(error.with_may_have_run(false)))
            }
            Err(NotSent::Resolved) => Pushed::Resolved,
        }
    }

    /// Writes a push like [`push`](Self::push), and reports the call.
    #[cold]
    fn push_observed(
        self: &Arc<Self>,
        import: &Arc<Import>,
        content: Option<View<'_>>,
        envelope: &Envelope<'_>,
        record: Box<CallRecord>,
    ) -> Pushed {
        let started = record.start_report();
        let mut record = Some(record);
        let register = |state: &mut Locked<'_>| {
            let make = |id| Import::new(import.peer().clone(), id, true);
            let import = state.imports.push(make);
            let calls = state.observed_calls.get_or_insert_default();
            calls.extend(record.take().map(|record| (import.id(), record)));
            Hook::Import(import)
        };
        let sent = self.send_message(import, content, envelope, register);
        match sent {
            Ok(result) => {
                started.report();
                Pushed::Sent(result)
            }
            Err(NotSent::Failed(error)) => {
                let error = error.with_may_have_run(false);
                started.report();
                if let Some(record) = record {
                    record.not_sent(&error);
                }
                Pushed::Sent(Hook::Broken(error))
            }
            Err(NotSent::Resolved) => {
                if let Some(record) = record {
                    record.forget();
                }
                Pushed::Resolved
            }
        }
    }

    /// Writes a message to `import`: the content in its envelope. `register` assigns the ID in the
    /// same step, since the ID follows from the order of messages.
    pub(super) fn send_message<R>(
        self: &Arc<Self>,
        import: &Import,
        content: Option<View<'_>>,
        envelope: &Envelope<'_>,
        register: impl FnOnce(&mut Locked<'_>) -> R,
    ) -> Result<R, NotSent> {
        let mut again = None;
        loop {
            let content = again.as_ref().map(Payload::view).or(content);
            let prepared = match content {
                Some(content) => match self.prepare(content, Root::Plain) {
                    Ok(prepared) => prepared,
                    Err(error) => return Err(NotSent::Failed(error)),
                },
                None => None,
            };
            let mut state = self.lock();
            // All imports are resolved at the end of the session, so this detects the end too.
            if import.is_resolved() {
                return Err(NotSent::Resolved);
            }
            if let Some(ended) = &state.ended {
                return Err(NotSent::Failed(ended.clone().with_may_have_run(false)));
            }
            if prepared
                .as_ref()
                .is_some_and(|prepared| !prepared.is_current())
            {
                // One of its promises has settled meanwhile, so its ID is gone.
                drop(state);
                again = prepared.map(PreparedContent::into_payload);
                continue;
            }
            let written = match prepared {
                Some(prepared) => Some(state.write_with(envelope, prepared)),
                None => {
                    let text = content.map(|view| view.text);
                    state.write(|out| {
                        envelope.write(out, |out| {
                            out.extend_from_slice(text.unwrap_or_default().as_bytes());
                        });
                    });
                    None
                }
            };
            let registered = register(&mut state);
            // If the streams of a batch get too large, they fail by themselves.
            if self.role.is_batch() && matches!(envelope, Envelope::Stream(_)) {
                drop(state);
            } else {
                self.end_if_passed(state);
            }
            if let Some(written) = written {
                self.follow_up(written);
            }
            return Ok(registered);
        }
    }

    /// Starts the follow-up work for the promises and streams in a sent message.
    pub(super) fn follow_up(self: &Arc<Self>, written: Written) {
        for id in written.promised {
            self.answer(id);
        }
        self.start_pumps(written.pumps);
    }
}

/// Returns the record of a call that is about to be sent.
fn outgoing_call(
    hooks: &Arc<SessionHooks>,
    path: &Path,
    method: Option<SentMethod<'_>>,
) -> Box<CallRecord> {
    let mut name = path.dotted();
    let mut is_declared = path.is_declared();
    if let Some(method) = method {
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(method.name);
        is_declared &= method.is_declared;
    }
    let call = CallInfo {
        side: Direction::Outgoing,
        kind: CallKind::Call,
        method: &name,
        is_declared,
    };
    CallRecord::new(hooks, &call)
}

/// The reason why a message was not written.
pub(super) enum NotSent {
    Failed(Error),
    /// The target has settled, so its ID is gone.
    Resolved,
}

enum Pushed {
    Sent(Hook),
    /// The target has settled, so its ID is gone.
    Resolved,
}

enum Classified {
    Leaf(Leaf),
    /// The outcome of a promise, which replaces it.
    Content(Payload),
}

impl From<Leaf> for Classified {
    fn from(leaf: Leaf) -> Self {
        Self::Leaf(leaf)
    }
}

impl PreparedContent {
    fn push(&mut self, leaf: Leaf) -> Result<()> {
        let start = u32::try_from(self.text.len()).map_err(|_| LimitExceeded::beyond_spans())?;
        self.spans.push(Span { start, end: start });
        if let Leaf::Bytes(bytes, _) = &leaf {
            self.bytes += capnweb_wire::base64_len(bytes.len());
        }
        self.leaves.push(leaf);
        Ok(())
    }

    /// Converts back to content, to be prepared again. Reads that were already sent are not
    /// repeated.
    pub(super) fn into_payload(self) -> Payload {
        let cap = |leaf| match leaf {
            Leaf::Import(import) => Cap::stub(Hook::Import(import)),
            Leaf::Pipeline(import, path) => Cap::Promise(Located {
                hook: Hook::Import(import),
                path,
            }),
            Leaf::Stub(hook) => Cap::stub(hook),
            Leaf::Promise(hook) => Cap::promise(hook),
            Leaf::Readable(source, _) => Cap::Readable(source.into_slot()),
            Leaf::Blob(content, _) => Cap::Blob(content),
            Leaf::Writable(destination, _) => Cap::Writable(destination.into_slot()),
            Leaf::Bytes(bytes, container) => Cap::Bytes(bytes, container),
        };
        let text = String::from_utf8(self.text).or_bug("pieces of UTF-8 text, cut at characters");
        let caps = self.leaves.into_iter().map(cap).collect();
        Payload::new(text.into(), self.spans.into(), caps)
    }

    /// Returns whether all IDs in the content are still valid. The session must be locked.
    pub(super) fn is_current(&self) -> bool {
        self.leaves.iter().all(|leaf| match leaf {
            Leaf::Import(import) | Leaf::Pipeline(import, _) => !import.is_resolved(),
            Leaf::Stub(_)
            | Leaf::Promise(_)
            | Leaf::Readable(..)
            | Leaf::Blob(..)
            | Leaf::Writable(..)
            | Leaf::Bytes(..) => true,
        })
    }
}

impl Locked<'_> {
    /// Writes a message with prepared content, assigning IDs to its capabilities.
    pub(super) fn write_with(
        &mut self,
        envelope: &Envelope<'_>,
        content: PreparedContent,
    ) -> Written {
        let mut written = Written::default();
        /// The usual lengths of an envelope and of a reference, in bytes.
        const ENVELOPE_LEN: usize = 64;
        const REFERENCE_LEN: usize = 16;
        let len = content.text.len() + content.leaves.len() * REFERENCE_LEN;
        let mut message = Vec::with_capacity(ENVELOPE_LEN + len);
        envelope.open(&mut message);
        let mut copied = 0;
        for (span, leaf) in content.spans.iter().zip(content.leaves) {
            let at = span.start as usize;
            message.extend_from_slice(
                content
                    .text
                    .get(copied..at)
                    .or_bug("holes are in order, within the text"),
            );
            copied = at;
            self.write_leaf(&mut message, leaf, &mut written);
        }
        message.extend_from_slice(
            content
                .text
                .get(copied..)
                .or_bug("holes are in order, within the text"),
        );
        envelope.close(&mut message);
        self.write(|out| out.extend_from_slice(&message));
        self.out.attach(std::mem::take(&mut written.attachments));
        written
    }

    fn write_leaf(&mut self, out: &mut Vec<u8>, leaf: Leaf, written: &mut Written) {
        match leaf {
            Leaf::Import(import) => {
                encode::import(out, import.id());
                self.later(Work::DropHook(Hook::Import(import)));
            }
            Leaf::Pipeline(import, path) => {
                encode::pipeline(out, import.id(), &path.as_json());
                self.later(Work::DropHook(Hook::Import(import)));
            }
            Leaf::Stub(hook) => encode::export(out, self.exports.offer(hook, ExportKind::Stub)),
            Leaf::Promise(hook) => {
                let id = self.exports.offer(hook, ExportKind::Promise);
                written.promised.push(id);
                encode::promise(out, id);
            }
            Leaf::Readable(source, guard) => {
                let (id, pump) = self.open_pipe(guard, source.commit());
                written.pumps.push(pump);
                encode::readable(out, id);
            }
            Leaf::Blob(content, guard) => {
                let (id, pump) = self.open_pipe(guard, content.source());
                written.pumps.push(pump);
                encode::readable(out, id);
            }
            Leaf::Writable(destination, hooks) => {
                let (id, pump) = self.export_writable(destination.commit(), hooks.as_ref());
                written.pumps.extend(pump);
                encode::writable(out, id);
            }
            Leaf::Bytes(bytes, container) => {
                let attached = Attachment::write(out, bytes, container);
                written.attachments.extend(attached);
            }
        }
    }
}

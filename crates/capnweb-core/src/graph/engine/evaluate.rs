//! Evaluation of expressions: from their text and resolved IDs to payloads.

use std::{ops::Range, sync::Arc};

use capnweb_wire::{Form, Hole, Span};

use crate::graph::{
    engine::{
        invoke::{Operation, Origin, invoke},
        map::{Budget, Mapping},
    },
    error::{Error, Result},
    hook::Hook,
    payload::{Cap, Path, Payload},
    peer_edges::PeerEdges,
    stream::{BlobContent, given_away},
};

/// The thing that a hole's ID refers to.
pub(crate) enum ResolvedRef {
    /// An export, from this side.
    Export { hook: Hook, is_stub: bool },
    /// An import, from the peer.
    Import(Hook),
    /// An end of a stream, or bytes.
    Cap(Cap),
    /// Something unusable, which fails whatever needs it.
    Unusable(Error),
}

impl ResolvedRef {
    /// Returns the approximate cost of holding this for a peer, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Cap(cap) => Cap::COST + cap.text_len(),
            _ => Cap::COST,
        }
    }
}

/// An expression whose IDs have been resolved.
pub(crate) struct Evaluator<'a> {
    pub(crate) text: &'a str,
    /// The position of the expression in `text`.
    pub(crate) whole: Span,
    /// The holes of the expression, with offsets in `text`.
    pub(crate) holes: &'a [Hole],
    /// The things that the holes' IDs refer to, one for each hole.
    pub(crate) refs: Vec<ResolvedRef>,
    pub(crate) origin: &'a Origin,
    /// The remaining budget of the `map` that the expression belongs to.
    pub(crate) budget: Option<&'a Arc<Budget>>,
}

/// An operation of the peer that is ready to be performed.
pub(crate) struct PreparedOperation {
    pub(crate) hook: Hook,
    pub(crate) path: Path,
    pub(crate) operation: Operation,
}

impl Evaluator<'_> {
    /// Returns the operation that makes up the whole expression, if there is one: a call, a read or
    /// a map.
    pub(crate) fn root_request(&self) -> Option<Result<PreparedOperation, Hook>> {
        let root = self.holes.first()?;
        if root.span != self.whole
            || !matches!(root.form, Form::Import | Form::Pipeline | Form::Remap)
        {
            return None;
        }
        Some(self.operation(0, 1..self.holes.len()))
    }

    /// Returns the whole expression as a payload. This makes the calls in it.
    pub(crate) fn payload(&self) -> Payload {
        self.content(self.whole, 0..self.holes.len())
    }

    /// Returns the part at `span`, which has the holes `holes`, as a payload.
    fn content(&self, span: Span, holes: Range<usize>) -> Payload {
        let mut spans = Vec::new();
        let mut caps = Vec::new();
        let mut at = holes.start;
        while let Some(hole) = self.holes.get(at).filter(|_| at < holes.end) {
            let next = at + 1 + hole.inner as usize;
            caps.push(self.cap(at, hole, at + 1..next));
            spans.push(Span {
                start: hole.span.start.saturating_sub(span.start),
                end: hole.span.end.saturating_sub(span.start),
            });
            at = next;
        }
        let text = span.of(self.text);
        if caps.is_empty() {
            Payload::received(text)
        } else {
            Payload::new(text.into(), spans.into(), caps)
        }
    }

    fn cap(&self, at: usize, hole: &Hole, inner: Range<usize>) -> Cap {
        match (hole.form, self.refs.get(at)) {
            (_, None) => Cap::promise(Hook::Broken(Error::internal())),
            // An unusable stub fails the call that it is an argument of.
            (_, Some(ResolvedRef::Unusable(error))) => Cap::promise(Hook::Broken(error.clone())),
            (Form::Blob, Some(ResolvedRef::Cap(cap))) => self.blob(cap),
            (_, Some(ResolvedRef::Cap(cap))) => cap.clone(),
            (Form::Promise, Some(ResolvedRef::Import(hook))) => Cap::promise(hook.clone()),
            (_, Some(ResolvedRef::Import(hook))) => Cap::stub(hook.clone()),
            (form, Some(ResolvedRef::Export { .. })) => {
                let hook = match self.operation(at, inner) {
                    Ok(PreparedOperation {
                        hook,
                        path,
                        operation,
                    }) => invoke(hook, &path, operation, self.origin),
                    Err(hook) => hook,
                };
                let hook = self.refer(hook);
                if form == Form::Import {
                    Cap::stub(hook)
                } else {
                    Cap::promise(hook)
                }
            }
        }
    }

    /// Returns the content of a blob, and starts to collect it.
    fn blob(&self, cap: &Cap) -> Cap {
        match (cap, self.origin) {
            (Cap::Readable(slot), Origin::Peer(call)) => match slot.take() {
                Some(source) => Cap::Blob(BlobContent::collect(source, call)),
                None => Cap::promise(Hook::Broken(given_away())),
            },
            // Only peers send streams.
            _ => Cap::promise(Hook::Broken(Error::internal())),
        }
    }

    /// Returns the operation at a hole that refers to an export, or the hook itself if there is no
    /// operation.
    fn operation(&self, at: usize, inner: Range<usize>) -> Result<PreparedOperation, Hook> {
        let (Some(hole), Some(resolved)) = (self.holes.get(at), self.refs.get(at)) else {
            return Err(Hook::Broken(Error::internal()));
        };
        let (hook, is_stub) = match resolved {
            ResolvedRef::Export { hook, is_stub } => (hook.clone(), *is_stub),
            ResolvedRef::Import(hook) => return Err(hook.clone()),
            ResolvedRef::Unusable(error) => return Err(Hook::Broken(error.clone())),
            // A stream or bytes cannot be called or read from.
            ResolvedRef::Cap(_) => return Err(Hook::Broken(Error::internal())),
        };
        let path = match hole.path {
            Some(span) => Path::from_json(span.of(self.text)),
            None => Path::default(),
        };
        let operation = match (hole.form, hole.args) {
            (Form::Remap, Some(args)) => {
                let captures = inner.map(|at| self.capture(at)).collect();
                Operation::Map(Mapping::received(
                    captures,
                    args.of(self.text),
                    self.budget.cloned(),
                ))
            }
            (_, Some(args)) => Operation::Call(self.content(args, inner)),
            (_, None) if !path.is_empty() => Operation::Get,
            // The hole refers to the export itself, as a promise. A hook that was sent as a stub
            // can still be a promise if a `map` captured it; whatever holds the hook knows.
            (form, None) if form == Form::Pipeline || hole.path.is_some() => match &hook {
                Hook::Import(import)
                    if !import.is_promise() && (is_stub || self.budget.is_some()) =>
                {
                    Operation::Get
                }
                Hook::Target(_) if is_stub => {
                    return Err(Hook::Broken(Error::new(
                        "Can't dup an RpcTarget stub as a promise.",
                    )));
                }
                Hook::Lasting(_) if is_stub || self.budget.is_some() => Operation::Get,
                _ => return Err(hook),
            },
            (_, None) => return Err(hook),
        };
        Ok(PreparedOperation {
            hook,
            path,
            operation,
        })
    }

    /// Returns the hook to store in a message that refers to `hook`. In a peer's message, it is a
    /// reference that the session can cut.
    fn refer(&self, hook: Hook) -> Hook {
        match self.origin {
            Origin::Peer(call) => {
                let edges = call.scope().edges().downcast_ref::<PeerEdges>();
                debug_assert!(edges.is_some(), "the edges of a scope are `PeerEdges`");
                match edges {
                    Some(edges) => edges.refer(hook),
                    None => hook,
                }
            }
            Origin::App | Origin::Local => hook,
        }
    }

    fn capture(&self, at: usize) -> Hook {
        match self.refs.get(at) {
            Some(ResolvedRef::Export { hook, .. } | ResolvedRef::Import(hook)) => {
                self.refer(hook.clone())
            }
            Some(ResolvedRef::Unusable(error)) => Hook::Broken(error.clone()),
            // By the syntax, only stubs can be captured.
            Some(ResolvedRef::Cap(_)) | None => Hook::Broken(Error::internal()),
        }
    }
}

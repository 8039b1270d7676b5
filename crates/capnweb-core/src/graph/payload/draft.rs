//! Encoding of content.

use std::cell::{Cell, RefCell};

use capnweb_wire::{CapabilitySink, Container, SerError, Span};
use serde::Serialize;

use crate::{
    graph::{
        error::Result,
        offload,
        payload::{Cap, Payload, View, check_depth, serde_token, serde_token::Item},
    },
    limits::LimitExceeded,
    util::buffer_pool::BufferPool,
};

/// Content that is being encoded.
#[derive(Default)]
pub(crate) struct Draft {
    /// The text. It is always UTF-8, since only text is written to it.
    pub(crate) text: Vec<u8>,
    pub(crate) holes: Holes,
}

/// The capabilities and long byte strings of a draft, in the order of the text.
#[derive(Default)]
pub(crate) struct Holes {
    pub(crate) spans: Vec<Span>,
    pub(crate) caps: Vec<Cap>,
    /// The length that the bytes would add to the text.
    bytes: usize,
    /// True if undecoded content was inserted, whose depth must be checked.
    spliced: bool,
    /// True if writing a value stops when it gets long.
    extent: Extent,
}

/// The extent to which a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Extent {
    /// The value is written completely.
    #[default]
    Whole,
    /// Writing stops if it takes long.
    Brief,
    /// Writing was stopped because it takes long.
    Stopped,
}

impl Holes {
    /// Returns whether handling this number of capabilities takes long.
    fn is_long(&self) -> bool {
        self.caps.len() >= offload::MANY_CAPABILITIES && self.extent != Extent::Whole
    }

    fn push(&mut self, span: Span, cap: Cap) {
        self.bytes += cap.text_len();
        self.spans.push(span);
        self.caps.push(cap);
    }
}

impl CapabilitySink for Holes {
    fn capability(&mut self, token: &[u8], span: Span) -> Result<(), SerError> {
        match serde_token::resolve(token) {
            Some(Item::Cap(_)) if self.is_long() => {
                self.extent = Extent::Stopped;
                Err(SerError::custom("too many capabilities for one step"))
            }
            Some(Item::Cap(cap)) => {
                self.push(span, cap);
                Ok(())
            }
            _ => Err(SerError::custom(
                "these bytes are not the token of a capability",
            )),
        }
    }

    fn raw(&mut self, token: &[u8], out: &mut Vec<u8>) -> Result<(), SerError> {
        match serde_token::resolve(token) {
            Some(Item::Payload(payload)) if self.extent != Extent::Whole && payload.is_long() => {
                self.extent = Extent::Stopped;
                Err(SerError::custom("too long for one step"))
            }
            Some(Item::Payload(payload)) => {
                self.spliced = true;
                append(out, self, payload.view()).map_err(|error| SerError::custom(error.message()))
            }
            _ => Err(SerError::custom(
                "these bytes are not the token of a payload",
            )),
        }
    }

    fn keep_bytes(&mut self, bytes: &[u8], container: Container, span: Span) -> bool {
        if bytes.len() < Cap::BYTES_FROM {
            return false;
        }
        let mut copy = BufferPool::shared().take(bytes.len());
        copy.extend_from_slice(bytes);
        let bytes = BufferPool::shared().lend(copy);
        self.push(span, Cap::Bytes(bytes, container));
        true
    }

    fn stopped(&mut self) {
        self.extent = Extent::Stopped;
    }
}

/// Appends content unchanged.
pub(crate) fn append(out: &mut Vec<u8>, holes: &mut Holes, view: View<'_>) -> Result<()> {
    let base = offset(out)?;
    out.extend_from_slice(view.text.as_bytes());
    for (span, cap) in view.spans.iter().zip(view.caps) {
        holes.push(
            Span {
                start: base + span.start,
                end: base + span.end,
            },
            cap.clone(),
        );
    }
    Ok(())
}

/// Returns the position of the next byte. Positions have 32 bits.
pub(crate) fn offset(text: &[u8]) -> Result<u32> {
    u32::try_from(text.len()).map_err(|_| LimitExceeded::beyond_spans().into())
}

impl Draft {
    const EMPTY: Self = Self {
        text: Vec::new(),
        holes: Holes {
            spans: Vec::new(),
            caps: Vec::new(),
            bytes: 0,
            spliced: false,
            extent: Extent::Whole,
        },
    };

    /// Appends a hole that contains `cap`.
    pub(crate) fn push_cap(&mut self, cap: Cap) -> Result<()> {
        let start = offset(&self.text)?;
        self.text.push(b'0');
        self.holes.push(
            Span {
                start,
                end: start + 1,
            },
            cap,
        );
        Ok(())
    }

    /// Appends content unchanged.
    pub(crate) fn push_view(&mut self, view: View<'_>) -> Result<()> {
        append(&mut self.text, &mut self.holes, view)
    }

    #[inline]
    pub(crate) fn write_expr<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.write_within(value, usize::MAX)
    }

    #[inline]
    fn write_within<T: Serialize + ?Sized>(&mut self, value: &T, max_len: usize) -> Result<()> {
        let _scope = DraftEncoding::enter();
        capnweb_wire::to_expr_within(value, &mut self.text, &mut self.holes, max_len)?;
        self.check_depth(0)
    }

    pub(crate) fn write_args<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let _scope = DraftEncoding::enter();
        capnweb_wire::to_args(value, &mut self.text, &mut self.holes)?;
        // Arguments are one level deep within the call.
        self.check_depth(1)
    }

    #[inline]
    fn check_depth(&self, at: usize) -> Result<()> {
        if self.holes.spliced {
            self.check_spliced_depth(at)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn check_spliced_depth(&self, at: usize) -> Result<()> {
        let max_depth = capnweb_wire::Limits::default().max_depth;
        check_depth(self.text(), at, max_depth)?;
        Ok(())
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            text: self.text(),
            spans: &self.holes.spans,
            caps: &self.holes.caps,
        }
    }

    /// Returns the length of the text including the bytes that are kept out of it.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len() + self.holes.bytes
    }

    /// Returns the length in a message of the parts that are not in the text: bytes and
    /// capabilities.
    pub(crate) fn size_beside_text(&self) -> usize {
        let caps = self.holes.caps.len().saturating_mul(Cap::MESSAGE_SIZE);
        self.holes.bytes.saturating_add(caps)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or(r#"["undefined"]"#)
    }

    pub(crate) fn take_payload(&mut self) -> Payload {
        if self.holes.caps.is_empty() {
            return Payload::from_text(self.text());
        }
        let spans = std::mem::take(&mut self.holes.spans).into_boxed_slice();
        let caps = std::mem::take(&mut self.holes.caps);
        self.holes.bytes = 0;
        Payload::new(self.text().into(), spans, caps)
    }

    #[inline]
    fn clear(&mut self) {
        self.text.clear();
        if self.text.capacity() > KEEP {
            self.text = Vec::new();
        }
        if !self.holes.spans.is_empty() || !self.holes.caps.is_empty() {
            self.clear_holes();
        }
        self.holes.bytes = 0;
        self.holes.spliced = false;
        self.holes.extent = Extent::Whole;
    }

    #[cold]
    fn clear_holes(&mut self) {
        self.holes.spans.clear();
        self.holes.caps.clear();
        if self.holes.spans.capacity() > KEEP_HOLES || self.holes.caps.capacity() > KEEP_HOLES {
            self.holes.spans = Vec::new();
            self.holes.caps = Vec::new();
        }
    }
}

thread_local! {
    static ENCODING: Cell<u32> = const { Cell::new(0) };
    static SCRATCH: RefCell<Draft> = const { RefCell::new(Draft::EMPTY) };
}

/// Returns whether a message is being encoded on this thread.
pub(crate) fn is_encoding() -> bool {
    ENCODING.get() > 0
}

/// Allows stubs to be serialized, and drops the stashed items that were not used.
struct DraftEncoding {
    mark: usize,
}

impl DraftEncoding {
    #[inline]
    fn enter() -> Self {
        ENCODING.set(ENCODING.get() + 1);
        Self {
            mark: serde_token::mark(),
        }
    }
}

impl Drop for DraftEncoding {
    #[inline]
    fn drop(&mut self) {
        ENCODING.set(ENCODING.get() - 1);
        serde_token::clear(self.mark);
    }
}

/// The capacity above which a draft is not kept for the next message.
const KEEP: usize = 64 * 1024;

/// The capacity for capabilities above which a draft is not kept.
const KEEP_HOLES: usize = 1024;

/// Runs `f` with an empty draft whose buffer is reused.
#[inline]
pub(crate) fn with_scratch<R>(f: impl FnOnce(&mut Draft) -> R) -> R {
    SCRATCH.with(|scratch| {
        let (mut borrowed, mut new);
        let draft = match scratch.try_borrow_mut() {
            Ok(draft) => {
                borrowed = draft;
                &mut *borrowed
            }
            // `f` serializes a type that encodes a message of its own.
            Err(_) => {
                new = Draft::EMPTY;
                &mut new
            }
        };
        // Any content is left over from a panic.
        draft.clear();
        let result = f(draft);
        draft.clear();
        result
    })
}

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Payload> {
    with_scratch(|draft| {
        draft.write_expr(value)?;
        Ok(draft.take_payload())
    })
}

/// Encodes a value. Returns `None` if this takes long.
#[inline]
pub(crate) fn encode_briefly<T: Serialize + ?Sized>(value: &T) -> Option<Result<Payload>> {
    let mut encoded = None;
    with_scratch(|draft| {
        draft.holes.extent = Extent::Brief;
        let written = draft.write_within(value, offload::LONG_VALUE);
        // The value's own `Serialize` may have replaced or ignored the error.
        if draft.holes.extent != Extent::Stopped {
            encoded = Some(written.map(|()| draft.take_payload()));
        }
    });
    encoded
}

/// Returns the object `old` with one more property.
pub(crate) fn object_with<T: Serialize + ?Sized>(
    old: Option<&Payload>,
    key: &str,
    value: &T,
) -> Result<Payload> {
    let mut draft = Draft::default();
    match old {
        Some(old) => {
            draft.push_view(old.view())?;
            // Remove the closing brace.
            draft.text.pop();
            if draft.text.last() != Some(&b'{') {
                draft.text.push(b',');
            }
        }
        None => draft.text.push(b'{'),
    }
    capnweb_wire::write_string(&mut draft.text, key);
    draft.text.push(b':');
    draft.write_expr(value)?;
    draft.text.push(b'}');
    Ok(draft.take_payload())
}

#[cfg(test)]
mod tests {
    use serde::{Serializer, ser::Error as _};

    use super::*;
    use crate::{
        api::stub::Stub,
        graph::{error::Error, hook::Hook},
    };

    fn stub() -> Stub {
        Stub::from_hook(Hook::Broken(Error::new("here")))
    }

    /// A value that encodes a message of its own while it is serialized.
    struct Busy;

    impl Serialize for Busy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = encode(&(stub(), "inner")).map_err(S::Error::custom)?;
            assert_eq!(inner.view().caps.len(), 1);
            (inner, 7).serialize(serializer)
        }
    }

    struct Failing;

    impl Serialize for Failing {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no"))
        }
    }

    #[test]
    fn capabilities_are_noted_where_they_sit() {
        let payload = encode(&(1, stub(), [("a", stub())])).unwrap();
        let view = payload.view();
        assert_eq!(view.text, r#"[[1,0,[[[["a",0]]]]]]"#);
        assert_eq!((view.spans.len(), view.caps.len()), (2, 2));
        assert!(view.spans.iter().all(|span| span.of(view.text) == "0"));
    }

    #[test]
    fn content_is_spliced_with_what_is_in_it() {
        let payload = encode(&(stub(), Busy)).unwrap();
        let view = payload.view();
        assert_eq!(view.text, r#"[[0,[[[[0,"inner"]],7]]]]"#);
        assert!(view.spans.iter().all(|span| span.of(view.text) == "0"));
        let nested = encode(&[("x", &payload)]).unwrap();
        assert_eq!(nested.view().caps.len(), 2);
        let (before, after) = (view.spans[1].start, nested.view().spans[1].start);
        assert_eq!(after, before + 8);
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        assert!(encode(&(stub(), "text", Failing)).is_err());
        let payload = encode(&1).unwrap();
        assert_eq!((payload.view().text, payload.view().caps.len()), ("1", 0));
        assert!(!is_encoding());
    }

    #[test]
    fn objects_grow() {
        let one = object_with(None, "a\"", &stub()).unwrap();
        assert_eq!(one.view().text, r#"{"a\"":0}"#);
        let two = object_with(Some(&one), "b", &[1]).unwrap();
        assert_eq!(two.view().text, r#"{"a\"":0,"b":[[1]]}"#);
        assert_eq!(two.view().caps.len(), 1);
        let empty = Payload::from_text("{}");
        let one = object_with(Some(&empty), "b", &1).unwrap();
        assert_eq!(one.view().text, r#"{"b":1}"#);
        assert!(object_with(Some(&one), "c", &Failing).is_err());
    }

    #[test]
    fn spliced_content_is_not_too_deep() {
        let deep = |levels| {
            let (open, close) = ("[[".repeat(levels), "]]".repeat(levels));
            Payload::from_text(&format!("{open}1{close}"))
        };
        assert!(encode(&[deep(254)]).is_ok());
        assert!(encode(&[deep(255)]).is_err());
        let args = |levels| with_scratch(|draft| draft.write_args(&(deep(levels),)));
        assert!(args(254).is_ok());
        assert!(args(255).is_err());
        // The next message is not affected.
        assert!(encode(&1).is_ok());
    }
}

//! A message's content: encoded text with holes where capabilities sit.
//!
//! Nothing on the way through a session is a tree. A [`Payload`] is the text of an expression as it
//! was received or written, beside a list of the spans that are no plain data, each with the
//! [`Cap`] that belongs there. Pipelining into a result picks a span out of the text; putting a
//! promise's outcome in its place splices one text into another; only a handler's own types are
//! ever decoded.

mod bounds;
mod cap;
mod decode;
mod draft;
mod error_encode;
mod error_expr;
mod path;
mod serde_token;
mod splice;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use capnweb_wire::{Container, DeError, Index, Kind, Picked, Span, Step};
use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

pub(crate) use self::{
    bounds::{Growth, check_depth, is_less_deep},
    cap::{Cap, Located},
    decode::{Reader, decode_args, decode_expr},
    draft::{Draft, encode, encode_briefly, object_with, with_scratch},
    error_encode::{encode_error, encode_error_value},
    path::{Path, only_name},
    serde_token::{Item, receive, resolve, stash},
    splice::{Splice, Splicer, splice},
};
use crate::{
    graph::{
        asked::Asked,
        engine::effort,
        error::{Error, Result},
        offload, work,
        work::Work,
    },
    util::{buffer_pool::BufferPool, invariant::Invariant},
};

/// Texts longer than this are indexed when something is picked out of them.
const INDEX_FROM: usize = 1024;

/// The content of a message, undecoded: what is passed on comes back as it came.
///
/// A `Payload` can be an argument, a result, or a field of a serde type. It keeps what decoding
/// loses (unpaired surrogates in strings, the order of keys, typed arrays) and the stubs inside it
/// stay alive as long as it does. Cloning is cheap.
///
/// ```
/// # use capnweb_core::Payload;
/// let payload = Payload::encode(&("a", 1, [true]))?;
/// assert_eq!(payload.decode::<(String, u32, Vec<bool>)>()?, ("a".to_owned(), 1, vec![true]));
/// # Ok::<(), capnweb_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Payload(Repr);

#[derive(Clone)]
enum Repr {
    /// Plain data: the usual case. Most results and arguments are short enough to stand in the handle
    /// itself, the others are one allocation.
    Plain(SmolStr),
    Rich(Arc<Rich>),
}

struct Rich {
    text: Box<str>,
    spans: Box<[Span]>,
    caps: Vec<Cap>,
    index: OnceLock<Index>,
}

impl Drop for Rich {
    fn drop(&mut self) {
        // Bytes as well: they can be in memory of the application's, which has a destructor.
        if !self.caps.is_empty() {
            work::submit(Work::DropCaps(std::mem::take(&mut self.caps).into_iter()));
        }
    }
}

/// A payload's parts, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) text: &'a str,
    /// Where the capabilities sit, and long byte strings, in order; as many as `caps`.
    pub(crate) spans: &'a [Span],
    pub(crate) caps: &'a [Cap],
}

impl<'a> View<'a> {
    pub(crate) fn plain(text: &'a str) -> Self {
        Self {
            text,
            spans: &[],
            caps: &[],
        }
    }

    /// How long the text is with the bytes in it that are kept beside it.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len() + self.caps.iter().map(Cap::text_len).sum::<usize>()
    }

    pub(crate) fn has_promises(&self) -> bool {
        self.caps.iter().any(Cap::is_awaited)
    }

    /// The capability that starts at `at`, if one does.
    pub(crate) fn cap_at(&self, at: u32) -> Option<&'a Cap> {
        let found = self
            .spans
            .binary_search_by_key(&at, |span| span.start)
            .ok()?;
        self.caps.get(found)
    }

    /// The capability that is the whole content, if that is what it is.
    pub(crate) fn root_cap(&self) -> Option<&'a Cap> {
        match (self.spans, self.caps) {
            ([span], [cap]) if span.len() == self.text.len() => Some(cap),
            _ => None,
        }
    }

    /// A copy of the part at `span`.
    pub(crate) fn cut(&self, span: Span) -> Payload {
        if span.is_empty() {
            // An argument that is missing.
            return Payload::undefined();
        }
        let from = self.spans.partition_point(|hole| hole.start < span.start);
        let to = self.spans.partition_point(|hole| hole.start < span.end);
        let (Some(spans), Some(caps)) = (self.spans.get(from..to), self.caps.get(from..to)) else {
            return Payload::undefined();
        };
        let text = span.of(self.text);
        if caps.is_empty() {
            return Payload::received(text);
        }
        let spans = spans.iter().map(|hole| Span {
            start: hole.start - span.start,
            end: hole.end - span.start,
        });
        Payload::new(text.into(), spans.collect(), caps.to_vec())
    }

    /// The content in brackets: a bare array of arguments becomes an array value, and a value the
    /// arguments of a call with that one.
    pub(crate) fn bracketed(&self) -> Payload {
        let text = format!("[{}]", self.text);
        let spans = self.spans.iter().map(|span| Span {
            start: span.start + 1,
            end: span.end + 1,
        });
        Payload::new(text.into(), spans.collect(), self.caps.to_vec())
    }

    pub(crate) fn to_payload(self) -> Payload {
        if self.caps.is_empty() {
            Payload::from_text(self.text)
        } else {
            Payload::new(self.text.into(), self.spans.into(), self.caps.to_vec())
        }
    }
}

/// What a path leads to.
pub(crate) enum Followed<'a> {
    /// Plain data, perhaps with capabilities inside.
    Value(Span),
    /// There is no such property.
    Undefined,
    /// A capability; the rest of the path is for it.
    Cap(&'a Cap, usize),
    /// A step led through `undefined`.
    Failed(Error),
}

impl Payload {
    /// `text` is a valid expression; `spans` are in order, as many as `caps`.
    pub(crate) fn new(text: Box<str>, spans: Box<[Span]>, caps: Vec<Cap>) -> Self {
        debug_assert_eq!(spans.len(), caps.len());
        debug_assert!(
            spans
                .iter()
                .all(|span| text.get(span.start as usize..span.end as usize).is_some()),
            "a capability is outside of the text"
        );
        if caps.is_empty() && text.len() < INDEX_FROM {
            return Self(Repr::Plain(text.into()));
        }
        Self(Repr::Rich(Arc::new(Rich {
            text,
            spans,
            caps,
            index: OnceLock::new(),
        })))
    }

    /// What a part of a message says. If that is nothing but long bytes, they are read at once.
    pub(crate) fn received(text: &str) -> Self {
        Self::from_long_bytes(text).unwrap_or_else(|| Self::from_text(text))
    }

    /// A payload without capabilities that is kept as text.
    pub(crate) fn from_text(text: &str) -> Self {
        if text.len() < INDEX_FROM {
            Self(Repr::Plain(text.into()))
        } else {
            Self::new(text.into(), Box::default(), Vec::new())
        }
    }

    /// The bytes that a text says, if that is all it does and they are many.
    fn from_long_bytes(text: &str) -> Option<Self> {
        let len = text.len() / 4 * 3;
        // Other texts need no buffer.
        if len < Cap::BYTES_FROM || !text.starts_with(r#"["bytes","#) {
            return None;
        }
        let mut bytes = BufferPool::shared().take(len);
        let container = capnweb_wire::read_form(text, &mut bytes);
        let bytes = BufferPool::shared().lend(bytes);
        match container {
            Some(container) if bytes.len() >= Cap::BYTES_FROM => {
                Some(Self::from_cap(Cap::Bytes(bytes, container)))
            }
            _ => None,
        }
    }

    /// A payload that is bytes. Long ones are not copied.
    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        if bytes.len() >= Cap::BYTES_FROM {
            return Self::from_cap(Cap::Bytes(bytes, Container::Uint8Array));
        }
        let mut text = Vec::new();
        capnweb_wire::write_form(&mut text, &bytes, Container::Uint8Array);
        Self::from_text(str::from_utf8(&text).or_bug("pieces of UTF-8 text, cut at characters"))
    }

    /// A payload that is one capability.
    pub(crate) fn from_cap(cap: Cap) -> Self {
        Self::new("0".into(), Box::new([Span { start: 0, end: 1 }]), vec![cap])
    }

    /// JavaScript's `undefined`.
    pub fn undefined() -> Self {
        Self(Repr::Plain(SmolStr::new_static(r#"["undefined"]"#)))
    }

    /// Plain data that is known when the program is compiled.
    pub(crate) fn from_static(text: &'static str) -> Self {
        Self(Repr::Plain(SmolStr::new_static(text)))
    }

    /// Encodes a value, which may hold stubs and promises.
    ///
    /// # Errors
    ///
    /// If the value's `Serialize` fails, is nested deeper than 256 levels, or has map keys that are
    /// no strings.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        encode(value)
    }

    /// Decodes the content. Promises inside it must have settled, as they have in anything that was
    /// awaited or delivered to a handler.
    ///
    /// # Errors
    ///
    /// A `TypeError` that says what was expected and what was there.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(decode_expr(self.view())?)
    }

    /// Decodes the content, without a copy if it is long bytes and they are to be [`Bytes`].
    pub(crate) fn decode_shared<T: DeserializeOwned + 'static>(&self) -> Result<T, DeError> {
        let shared = self.view().root_cap().and_then(decode::shared);
        shared.map_or_else(|| decode_expr(self.view()), Ok)
    }

    /// Decodes a chunk of a stream, likewise.
    pub(crate) fn decode_chunk<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        self.decode_shared()
            .map_err(|error| Error::type_error(Asked::Chunk.misfit(&Path::default(), &error)))
    }

    /// The text of the expression. Where a capability sits, or a long byte string, it holds a placeholder.
    pub fn as_json(&self) -> &str {
        self.view().text
    }

    /// A property, or an element by its index, if this is an object or array that has it. Stubs are
    /// not asked.
    pub fn pick(&self, key: &str) -> Option<Self> {
        let view = self.view();
        let whole = self.span();
        if view.cap_at(0).is_some() {
            return None;
        }
        match capnweb_wire::pick(view.text, whole, &Step::Key(key.into()), self.index()) {
            Picked::Value(span) => Some(view.cut(span)),
            Picked::Undefined | Picked::Through => None,
        }
    }

    pub(crate) fn span(&self) -> Span {
        Span {
            start: 0,
            end: u32::try_from(self.view().text.len()).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        match &self.0 {
            Repr::Plain(text) => View::plain(text),
            Repr::Rich(rich) => View {
                text: &rich.text,
                spans: &rich.spans,
                caps: &rich.caps,
            },
        }
    }

    fn index(&self) -> Option<&Index> {
        match &self.0 {
            Repr::Rich(rich) if rich.text.len() >= INDEX_FROM => {
                Some(rich.index.get_or_init(|| Index::new(&rich.text)))
            }
            _ => None,
        }
    }

    /// Tells one content from another, where it has capabilities in it.
    pub(crate) fn identity(&self) -> Option<usize> {
        match &self.0 {
            Repr::Plain(_) => None,
            Repr::Rich(rich) => Some(Arc::as_ptr(rich).addr()),
        }
    }

    /// Returns a copy with other capabilities, as many, in their places.
    pub(crate) fn with_caps(&self, caps: Vec<Cap>) -> Self {
        let view = self.view();
        Self::new(view.text.into(), view.spans.into(), caps)
    }

    /// Whether there are no capabilities in this.
    pub(crate) fn is_plain(&self) -> bool {
        self.view().caps.iter().all(Cap::is_plain)
    }

    /// Whether the text is all that there is.
    pub(crate) fn is_text(&self) -> bool {
        self.view().caps.is_empty()
    }

    /// The text alone: with `undefined` in place of capabilities.
    pub(crate) fn without_caps(&self) -> Self {
        if self.is_text() {
            return self.clone();
        }
        let view = self.view();
        let mut text = Vec::new();
        let mut copied = 0;
        for (span, cap) in view.spans.iter().zip(view.caps) {
            let until = span.start as usize;
            text.extend_from_slice(
                view.text
                    .get(copied..until)
                    .or_bug("holes are in order, within the text")
                    .as_bytes(),
            );
            match cap {
                Cap::Bytes(bytes, container) => {
                    capnweb_wire::write_form(&mut text, bytes, *container);
                }
                _ => text.extend_from_slice(br#"["undefined"]"#),
            }
            copied = span.end as usize;
        }
        text.extend_from_slice(
            view.text
                .get(copied..)
                .or_bug("holes are in order, within the text")
                .as_bytes(),
        );
        Self::from_text(str::from_utf8(&text).or_bug("pieces of UTF-8 text, cut at characters"))
    }

    /// Returns a measure of the work that a copy takes, in units of effort for the most part.
    pub(crate) fn size(&self) -> usize {
        let view = self.view();
        view.text.len() + view.caps.len() * effort::CAPABILITY
    }

    /// Returns whether to copy this takes long: it is done on another thread.
    pub(crate) fn is_long(&self) -> bool {
        let view = self.view();
        view.text.len() > offload::LONG_TEXT || view.caps.len() > offload::MANY_CAPABILITIES
    }

    /// Returns whether to read this takes long.
    pub(crate) fn is_long_to_read(&self) -> bool {
        self.is_long() || offload::is_long_to_read(self.view().text)
    }

    /// What it costs to hold this for a peer, in bytes, roughly.
    pub(crate) fn cost(&self) -> usize {
        let view = self.view();
        view.text_len() + view.caps.len() * Cap::COST
    }

    /// Follows the steps of `path` from number `from` on.
    pub(crate) fn follow<'a>(&'a self, path: &Path, from: usize) -> Followed<'a> {
        let view = self.view();
        let mut at = Some(self.span());
        for (number, step) in path.steps().enumerate().skip(from) {
            let Some(span) = at else {
                return Followed::Failed(Error::type_error(format!(
                    "Cannot read properties of undefined (reading '{step}')"
                )));
            };
            if let Some(cap) = view.cap_at(span.start) {
                match cap {
                    Cap::Stub(_) | Cap::Promise(_) => return Followed::Cap(cap, number),
                    // These have no properties that can be reached.
                    Cap::Error(_)
                    | Cap::Readable(_)
                    | Cap::Writable(_)
                    | Cap::Blob(_)
                    | Cap::Bytes(..) => {
                        at = None;
                        continue;
                    }
                }
            }
            at = match capnweb_wire::pick(view.text, span, &step, self.index()) {
                Picked::Value(span) => Some(span),
                Picked::Undefined => None,
                Picked::Through => {
                    return Followed::Failed(Error::type_error(format!(
                        "Cannot read properties of undefined (reading '{step}')"
                    )));
                }
            };
        }
        match at {
            None => Followed::Undefined,
            Some(span) => match view.cap_at(span.start) {
                Some(cap @ (Cap::Stub(_) | Cap::Promise(_))) => {
                    Followed::Cap(cap, path.steps().count())
                }
                _ => Followed::Value(span),
            },
        }
    }

    /// What kind of value the content is.
    pub(crate) fn kind(&self) -> Kind {
        match self.view().root_cap() {
            Some(Cap::Error(_)) => Kind::Error,
            Some(Cap::Bytes(..)) => Kind::Bytes,
            Some(_) => Kind::Capability,
            None => capnweb_wire::kind(self.view().text, self.span()),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Longer texts are cut in debug output.
        const SHOWN: usize = 200;
        let text = self.as_json();
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "Payload({}…)", text.get(..end).unwrap_or_default()),
            None => write!(f, "Payload({text})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::stub::Stub, graph::hook::Hook};

    fn stub() -> Stub {
        Stub::from_hook(Hook::Broken(Error::new("here")))
    }

    fn followed(payload: &Payload, path: &str) -> String {
        match payload.follow(&Path::from_json(path), 0) {
            Followed::Value(span) => span.of(payload.as_json()).to_owned(),
            Followed::Undefined => "undefined".to_owned(),
            Followed::Cap(_, step) => format!("capability after {step}"),
            Followed::Failed(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn paths_lead_to_values_and_up_to_capabilities() {
        let error = Error::new("m").with_prop("a", 1);
        let payload = Payload::encode(&(stub(), [[1, 2]], error, "text")).unwrap();
        for (path, expected) in [
            ("[]", payload.as_json()),
            ("[0]", "capability after 1"),
            (r#"[0,"a","b"]"#, "capability after 1"),
            ("[1,0,1]", "2"),
            (r#"[1,"0"]"#, "[[1,2]]"),
            ("[1,5]", "undefined"),
            (
                "[1,5,0]",
                "Cannot read properties of undefined (reading '0')",
            ),
            (r#"[2,"a"]"#, "undefined"),
            (
                r#"[2,"a","b"]"#,
                "Cannot read properties of undefined (reading 'b')",
            ),
            (r#"[3,"length"]"#, "undefined"),
            ("[9]", "undefined"),
        ] {
            assert_eq!(followed(&payload, path), expected, "{path}");
        }
        let root = Payload::from_cap(Cap::stub(Hook::Broken(Error::new("here"))));
        assert_eq!(followed(&root, r#"["a"]"#), "capability after 0");
    }

    #[test]
    fn a_part_has_what_is_in_it() {
        let payload = Payload::encode(&(stub(), (1, stub(), "x"), [stub()])).unwrap();
        let part = payload.pick("1").unwrap();
        assert_eq!(part.as_json(), r#"[[1,0,"x"]]"#);
        assert_eq!(part.view().caps.len(), 1);
        assert_eq!(part.view().spans[0].of(part.as_json()), "0");
        assert!(part.decode::<(u32, Stub, String)>().is_ok());
        // A part that is a capability, or plain.
        assert!(payload.pick("0").unwrap().view().root_cap().is_some());
        assert!(part.pick("2").unwrap().is_plain());
        assert!(part.pick("3").is_none());
        assert!(payload.pick("length").is_none());
    }

    #[test]
    fn large_contents_are_indexed() {
        let payload = Payload::encode(&(0..5000).collect::<Vec<u32>>()).unwrap();
        assert!(payload.index().is_some());
        for index in (0..5000u32).rev().step_by(7) {
            let picked = payload.pick(&index.to_string()).unwrap();
            assert_eq!(picked.decode::<u32>().unwrap(), index);
        }
        assert!(Payload::encode(&[1]).unwrap().index().is_none());
    }

    #[test]
    fn without_capabilities() {
        let payload = Payload::encode(&(stub(), "0", [stub()])).unwrap();
        let plain = payload.without_caps();
        let expected = r#"[[["undefined"],"0",[[["undefined"]]]]]"#;
        assert_eq!(plain.as_json(), expected);
        assert!(plain.is_plain() && !payload.is_plain());
    }

    #[test]
    fn arguments_as_a_value() {
        let payload = with_scratch(|draft| {
            draft.write_args(&(1, stub())).unwrap();
            draft.view().bracketed()
        });
        assert_eq!(payload.as_json(), "[[1,0]]");
        assert_eq!(payload.view().spans[0].of(payload.as_json()), "0");
        assert!(payload.decode::<(u32, Stub)>().is_ok());
    }

    #[test]
    fn debug_output_is_short() {
        let long = Payload::encode(&"é".repeat(1000)).unwrap();
        assert!(format!("{long:?}").chars().count() < 250);
        let short = format!("{:?}", Payload::undefined());
        assert_eq!(short, r#"Payload(["undefined"])"#);
    }
}

//! Payloads: the content of messages, as encoded text with holes for capabilities.
//!
//! Content passes through a session without ever being a tree. A [`Payload`] is the text of an
//! expression as it was received or written, alongside a list of the spans that are not plain data,
//! each with its [`Cap`]. Pipelining on a result picks a span of the text. Substituting a promise's
//! outcome splices one text into another. Only a handler's own types are ever decoded.

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

/// The length from which a text is indexed when a property is picked.
const INDEX_FROM: usize = 1024;

/// The undecoded content of a message. Content that is passed on is sent exactly as it was
/// received.
///
/// A `Payload` can be an argument, a result, or a field of a serde type. It preserves what decoding
/// loses: unpaired surrogates in strings, the order of keys, and typed arrays. The stubs in it stay
/// alive as long as it does. Cloning is cheap.
///
/// ```
/// # use capnweb::Payload;
/// let payload = Payload::encode(&("a", 1, [true]))?;
/// assert_eq!(payload.decode::<(String, u32, Vec<bool>)>()?, ("a".to_owned(), 1, vec![true]));
/// # Ok::<(), capnweb::Error>(())
/// ```
#[derive(Clone)]
pub struct Payload(Repr);

#[derive(Clone)]
enum Repr {
    /// Plain data, the usual case. Most results and arguments are short enough to be stored inline;
    /// longer ones take one allocation.
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
        // Bytes are included, since their memory may be the application's and have a destructor.
        if !self.caps.is_empty() {
            work::submit(Work::DropCaps(std::mem::take(&mut self.caps).into_iter()));
        }
    }
}

/// The borrowed parts of a payload.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) text: &'a str,
    /// The spans of capabilities and long byte strings, in order. There are as many as `caps`.
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

    /// Returns the length of the text including the bytes that are kept out of it.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len() + self.caps.iter().map(Cap::text_len).sum::<usize>()
    }

    pub(crate) fn has_promises(&self) -> bool {
        self.caps.iter().any(Cap::is_awaited)
    }

    /// Returns the capability that starts at `at`, if there is one.
    pub(crate) fn cap_at(&self, at: u32) -> Option<&'a Cap> {
        let found = self
            .spans
            .binary_search_by_key(&at, |span| span.start)
            .ok()?;
        self.caps.get(found)
    }

    /// Returns the capability that makes up the whole content, if there is one.
    pub(crate) fn root_cap(&self) -> Option<&'a Cap> {
        match (self.spans, self.caps) {
            ([span], [cap]) if span.len() == self.text.len() => Some(cap),
            _ => None,
        }
    }

    /// Returns a copy of the part at `span`.
    pub(crate) fn cut(&self, span: Span) -> Payload {
        if span.is_empty() {
            // An empty span is a missing argument.
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

    /// Returns the content in brackets. This turns a bare array of arguments into an array value,
    /// and a value into the arguments of a call with that value.
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

/// The result of following a path.
pub(crate) enum Followed<'a> {
    /// Plain data, which may contain capabilities.
    Value(Span),
    /// There is no such property.
    Undefined,
    /// A capability. The rest of the path starts at the given step and applies to the capability.
    Cap(&'a Cap, usize),
    /// A step led through `undefined`.
    Failed(Error),
}

impl Payload {
    /// Creates a payload. `text` must be a valid expression. `spans` must be in order and as many
    /// as `caps`.
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

    /// Creates a payload of a part of a message. Long bytes that make up the whole part are decoded
    /// at once.
    pub(crate) fn received(text: &str) -> Self {
        Self::from_long_bytes(text).unwrap_or_else(|| Self::from_text(text))
    }

    /// Creates a payload without capabilities that is kept as text.
    pub(crate) fn from_text(text: &str) -> Self {
        if text.len() < INDEX_FROM {
            Self(Repr::Plain(text.into()))
        } else {
            Self::new(text.into(), Box::default(), Vec::new())
        }
    }

    /// Decodes a text that consists of long bytes only.
    fn from_long_bytes(text: &str) -> Option<Self> {
        let len = text.len() / 4 * 3;
        // No other texts need a buffer.
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

    /// Creates a payload of bytes. Long bytes are not copied.
    pub(crate) fn from_bytes(bytes: Bytes) -> Self {
        if bytes.len() >= Cap::BYTES_FROM {
            return Self::from_cap(Cap::Bytes(bytes, Container::Uint8Array));
        }
        let mut text = Vec::new();
        capnweb_wire::write_form(&mut text, &bytes, Container::Uint8Array);
        Self::from_text(str::from_utf8(&text).or_bug("pieces of UTF-8 text, cut at characters"))
    }

    /// Creates a payload that consists of one capability.
    pub(crate) fn from_cap(cap: Cap) -> Self {
        Self::new("0".into(), Box::new([Span { start: 0, end: 1 }]), vec![cap])
    }

    /// Returns JavaScript's `undefined`.
    pub fn undefined() -> Self {
        Self(Repr::Plain(SmolStr::new_static(r#"["undefined"]"#)))
    }

    /// Creates a payload of plain data that is known at compile time.
    pub(crate) fn from_static(text: &'static str) -> Self {
        Self(Repr::Plain(SmolStr::new_static(text)))
    }

    /// Encodes a value, which may contain stubs and promises.
    ///
    /// # Errors
    ///
    /// Returns an error if the value's `Serialize` implementation fails, if the value is nested
    /// deeper than 256 levels, or if it has map keys that are not strings.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        encode(value)
    }

    /// Decodes the content. Promises in it must have settled, as they have in anything that was
    /// awaited or delivered to a handler.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` that describes the expected and the actual value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(decode_expr(self.view())?)
    }

    /// Decodes the content. Long bytes that are decoded as [`Bytes`] are not copied.
    pub(crate) fn decode_shared<T: DeserializeOwned + 'static>(&self) -> Result<T, DeError> {
        let shared = self.view().root_cap().and_then(decode::shared);
        shared.map_or_else(|| decode_expr(self.view()), Ok)
    }

    /// Decodes a chunk of a stream. Long bytes that are decoded as [`Bytes`] are not copied.
    pub(crate) fn decode_chunk<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        self.decode_shared()
            .map_err(|error| Error::type_error(Asked::Chunk.misfit(&Path::default(), &error)))
    }

    /// Returns the text of the expression. It contains placeholders for capabilities and long byte
    /// strings.
    pub fn as_expression(&self) -> &str {
        self.view().text
    }

    /// Returns a property of an object, or an element of an array by its index, if it exists. This
    /// does not read properties of stubs.
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

    /// Returns a value that identifies the content, if it has capabilities.
    pub(crate) fn identity(&self) -> Option<usize> {
        match &self.0 {
            Repr::Plain(_) => None,
            Repr::Rich(rich) => Some(Arc::as_ptr(rich).addr()),
        }
    }

    /// Returns a copy with `caps` in place of the capabilities. There must be as many.
    pub(crate) fn with_caps(&self, caps: Vec<Cap>) -> Self {
        let view = self.view();
        Self::new(view.text.into(), view.spans.into(), caps)
    }

    /// Returns whether the payload contains no capabilities.
    pub(crate) fn is_plain(&self) -> bool {
        self.view().caps.iter().all(Cap::is_plain)
    }

    /// Returns whether the payload consists of text only.
    pub(crate) fn is_text(&self) -> bool {
        self.view().caps.is_empty()
    }

    /// Returns the payload as text only, with `undefined` in place of capabilities.
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

    /// Returns an approximate measure of the work for a copy, in units of effort.
    pub(crate) fn size(&self) -> usize {
        let view = self.view();
        view.text.len() + view.caps.len() * effort::CAPABILITY
    }

    /// Returns whether copying this takes long, so that it is done on another thread.
    pub(crate) fn is_long(&self) -> bool {
        let view = self.view();
        view.text.len() > offload::LONG_TEXT || view.caps.len() > offload::MANY_CAPABILITIES
    }

    /// Returns whether reading this takes long.
    pub(crate) fn is_long_to_read(&self) -> bool {
        self.is_long() || offload::is_long_to_read(self.view().text)
    }

    /// Returns the approximate cost of holding this for a peer, in bytes.
    pub(crate) fn cost(&self) -> usize {
        let view = self.view();
        view.text_len() + view.caps.len() * Cap::COST
    }

    /// Follows the steps of `path`, starting with step number `from`.
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
                    // These have no accessible properties.
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

    /// Returns the kind of value that the content is.
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
        /// The maximum number of characters in debug output.
        const SHOWN: usize = 200;
        let text = self.as_expression();
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
            Followed::Value(span) => span.of(payload.as_expression()).to_owned(),
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
            ("[]", payload.as_expression()),
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
        assert_eq!(part.as_expression(), r#"[[1,0,"x"]]"#);
        assert_eq!(part.view().caps.len(), 1);
        assert_eq!(part.view().spans[0].of(part.as_expression()), "0");
        assert!(part.decode::<(u32, Stub, String)>().is_ok());
        // A part may be a capability, or plain.
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
        assert_eq!(plain.as_expression(), expected);
        assert!(plain.is_plain() && !payload.is_plain());
    }

    #[test]
    fn arguments_as_a_value() {
        let payload = with_scratch(|draft| {
            draft.write_args(&(1, stub())).unwrap();
            draft.view().bracketed()
        });
        assert_eq!(payload.as_expression(), "[[1,0]]");
        assert_eq!(payload.view().spans[0].of(payload.as_expression()), "0");
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

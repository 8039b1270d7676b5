//! Decoding of content into an application's types.

use std::{
    any::{Any, TypeId},
    cell::Cell,
};

use bytes::Bytes;
use capnweb_wire::{ArgsReader, CapabilitySource, Container, DeError, Source, Span, TOKEN_LEN};
use serde::{Deserialize, de::DeserializeOwned};

use crate::graph::{
    error::Result,
    payload::{Cap, Payload, View, serde_token, serde_token::Item},
};

/// Issues tokens for the items that serde cannot carry.
struct Tokens<'a> {
    view: View<'a>,
    /// The length of the list before the first token was issued.
    mark: Cell<Option<usize>>,
}

impl Tokens<'_> {
    fn put(&self, item: Item) -> Option<[u8; TOKEN_LEN]> {
        if self.mark.get().is_none() {
            self.mark.set(Some(serde_token::mark()));
        }
        serde_token::put(item)
    }
}

impl CapabilitySource for Tokens<'_> {
    fn capability(&self, hole: usize) -> Option<[u8; TOKEN_LEN]> {
        self.put(Item::Cap(self.view.caps.get(hole)?.clone()))
    }

    fn raw(&self, span: Span) -> Option<[u8; TOKEN_LEN]> {
        self.put(Item::Payload(self.view.cut(span)))
    }

    fn raw_array(&self, span: Span) -> Option<[u8; TOKEN_LEN]> {
        let text = format!("[{}]", span.of(self.view.text));
        self.put(Item::Payload(Payload::from_text(&text)))
    }

    fn kept_bytes(&self, hole: usize) -> Option<(&[u8], Container)> {
        match self.view.caps.get(hole)? {
            Cap::Bytes(bytes, container) => Some((bytes, *container)),
            _ => None,
        }
    }
}

/// Drops the items whose tokens were not used.
struct Clear<'a, 'b>(&'a Tokens<'b>);

impl Drop for Clear<'_, '_> {
    fn drop(&mut self) {
        if let Some(mark) = self.0.mark.get() {
            serde_token::clear(mark);
        }
    }
}

/// Runs `read` with tokens for the contents of `view`.
fn with_tokens<R>(view: View<'_>, read: impl FnOnce(&Tokens<'_>) -> R) -> R {
    let tokens = Tokens {
        view,
        mark: Cell::new(None),
    };
    let _clear = Clear(&tokens);
    read(&tokens)
}

fn decode<T>(
    view: View<'_>,
    read: impl FnOnce(&Source<'_>) -> Result<T, DeError>,
) -> Result<T, DeError> {
    with_tokens(view, |tokens| {
        let source = Source {
            text: view.text,
            holes: view.spans,
            capabilities: tokens,
        };
        read(&source)
    })
}

pub(crate) fn decode_expr<T: DeserializeOwned>(view: View<'_>) -> Result<T, DeError> {
    decode(view, |source| capnweb_wire::from_expr(source))
}

/// Returns the bytes of a hole as [`Bytes`] that share the memory, if `T` is that type. Serde has
/// no type that does so.
pub(crate) fn shared<T: 'static>(cap: &Cap) -> Option<T> {
    let Cap::Bytes(bytes, _) = cap else {
        return None;
    };
    let mut shared = Some(bytes.clone());
    (&mut shared as &mut dyn Any)
        .downcast_mut::<Option<T>>()?
        .take()
}

/// Decodes a bare array of arguments as a whole.
pub(crate) fn decode_args<T: DeserializeOwned>(view: View<'_>) -> Result<T, DeError> {
    decode(view, |source| capnweb_wire::from_args(source))
}

/// A reader for a bare array of arguments, one by one.
pub(crate) struct Reader<'a> {
    view: View<'a>,
    reader: ArgsReader<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(view: View<'a>) -> Self {
        Self {
            view,
            reader: ArgsReader::new(view.text, view.spans),
        }
    }

    pub(crate) fn view(&self) -> View<'a> {
        self.view
    }

    /// Returns the number of arguments, including those that have been read.
    pub(crate) fn count(&self) -> usize {
        let mut all = ArgsReader::new(self.view.text, self.view.spans);
        std::iter::from_fn(|| all.next_span()).count()
    }

    /// Returns the next argument, undecoded.
    pub(crate) fn next_payload(&mut self) -> Result<Payload> {
        let mut reader = self.reader.clone();
        if let Some(span) = reader.next_form()
            && let Some(bytes) = Payload::from_long_bytes(span.of(self.view.text))
        {
            self.reader = reader;
            return Ok(bytes);
        }
        Ok(self.next()?)
    }

    /// Returns the next argument. Long bytes that are decoded as [`Bytes`] are not copied.
    pub(crate) fn next_shared<T: DeserializeOwned + 'static>(&mut self) -> Result<T, DeError> {
        if TypeId::of::<T>() == TypeId::of::<Bytes>() {
            let mut reader = self.reader.clone();
            let hole = reader.next_hole();
            let cap = hole.and_then(|hole| self.view.caps.get(hole));
            if let Some(shared) = cap.and_then(shared) {
                self.reader = reader;
                return Ok(shared);
            }
        }
        self.next()
    }

    /// Returns the next argument, or `undefined` after the last one.
    pub(crate) fn next<T: Deserialize<'a>>(&mut self) -> Result<T, DeError> {
        with_tokens(self.view, |tokens| self.reader.next(tokens))
    }
}

//! Errors in payloads.

use capnweb_wire::{Kind, Limits, Span, scan_list};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    error::Error,
    payload::{Cap, Item, Payload, View, give},
};

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        give(
            Item::Cap(Cap::Error(self.clone())),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let payload = Payload::deserialize(deserializer)?;
        payload.to_error().ok_or_else(|| {
            D::Error::custom(format_args!("expected an error, got {:?}", payload.kind()))
        })
    }
}

impl Payload {
    /// The error that this is, if it is one.
    pub(crate) fn to_error(&self) -> Option<Error> {
        if let Some(Cap::Error(error)) = self.view().root_cap() {
            return Some(error.clone());
        }
        if self.kind() != Kind::Error {
            return None;
        }
        let view = self.view();
        let (mut holes, mut items) = (Vec::new(), Vec::new());
        scan_list(view.text, &Limits::default(), &mut holes, &mut items).ok()?;
        let text = |item: Option<&Span>| -> Option<String> { view.cut(*item?).decode().ok() };
        let props = items.get(4).map(|span| view.cut(*span));
        Some(Error::received(
            text(items.get(1)).unwrap_or_else(|| "Error".to_owned()),
            text(items.get(2)).unwrap_or_default(),
            text(items.get(3)),
            props.filter(|props| props.kind() == Kind::Object),
        ))
    }

    /// The error to be had when this was thrown: anything can be.
    pub(crate) fn into_thrown(self) -> Error {
        if let Some(error) = self.to_error() {
            return error;
        }
        let message = match self.decode::<String>() {
            Ok(message) => message,
            Err(_) => describe(self.view()),
        };
        Error::thrown(message, self)
    }
}

/// A value that was thrown, in words.
fn describe(view: View<'_>) -> String {
    /// Longer ones are cut.
    const SHOWN: usize = 100;
    match view.text {
        r#"["undefined"]"# => "undefined".to_owned(),
        text => text.chars().take(SHOWN).collect(),
    }
}

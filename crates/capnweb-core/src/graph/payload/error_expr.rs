//! Decoding of error expressions.

use capnweb_wire::{Kind, Limits, Span, scan_list};

use super::{Cap, Payload, View};
use crate::graph::error::Error;

impl Payload {
    /// Returns the error that this payload is, if it is one.
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

    /// Converts a thrown value into an error. Any value can be thrown.
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

/// Returns a description of a value that was thrown.
fn describe(view: View<'_>) -> String {
    /// The maximum number of characters of the description.
    const SHOWN: usize = 100;
    match view.text {
        r#"["undefined"]"# => "undefined".to_owned(),
        text => text.chars().take(SHOWN).collect(),
    }
}

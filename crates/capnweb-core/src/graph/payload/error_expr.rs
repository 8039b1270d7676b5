//! Error expressions: the error that a payload is.

use capnweb_wire::{Kind, Limits, Span, scan_list};

use super::{Cap, Payload, View};
use crate::graph::error::Error;

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

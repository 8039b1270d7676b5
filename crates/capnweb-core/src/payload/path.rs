//! A property path.

use std::sync::Arc;

use capnweb_wire::{Step, steps};

/// A property path, kept as it is written on the wire: `["a","b",0]`.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Path(Option<Arc<str>>);

impl Path {
    /// `text` is an array of strings and numbers.
    pub(crate) fn from_json(text: &str) -> Self {
        if steps(text).next().is_none() {
            Self(None)
        } else {
            Self(Some(text.into()))
        }
    }

    /// A path of one name.
    pub(crate) fn of(name: &str) -> Self {
        Self::default().join(&Step::Key(name.into()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or("[]")
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        steps(self.as_json())
    }

    pub(crate) fn join(&self, step: &Step<'_>) -> Self {
        let mut text = self.open();
        push_step(&mut text, step);
        Self::close(text)
    }

    /// This path followed by the steps of `other` from number `from` on.
    pub(crate) fn join_rest(&self, other: &Self, from: usize) -> Self {
        if self.is_empty() && from == 0 {
            return other.clone();
        }
        let mut text = self.open();
        let mut any = !self.is_empty();
        for step in other.steps().skip(from) {
            push_step(&mut text, &step);
            any = true;
        }
        if any { Self::close(text) } else { Self(None) }
    }

    /// As JavaScript names it in messages: `a.b.0`.
    pub(crate) fn dotted(&self) -> String {
        self.steps()
            .map(|step| step.to_string())
            .collect::<Vec<_>>()
            .join(".")
    }

    /// Without the closing bracket.
    fn open(&self) -> Vec<u8> {
        let text = self.as_json();
        text.as_bytes()
            .get(..text.len().saturating_sub(1))
            .unwrap_or_default()
            .to_vec()
    }

    fn close(mut text: Vec<u8>) -> Self {
        text.push(b']');
        Self(String::from_utf8(text).ok().map(Into::into))
    }
}

fn push_step(text: &mut Vec<u8>, step: &Step<'_>) {
    if text.last() != Some(&b'[') {
        text.push(b',');
    }
    match step {
        Step::Key(key) => capnweb_wire::write_string(text, key),
        Step::Index(index) => {
            capnweb_wire::write_i64(text, i64::try_from(*index).unwrap_or(i64::MAX))
        }
        Step::Number(number) => capnweb_wire::write_f64(text, *number),
    }
}

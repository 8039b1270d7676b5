//! Property paths.

use std::{borrow::Cow, sync::Arc};

use crate::util::invariant::Invariant;
use capnweb_wire::{Step, Steps, steps};

/// A property path in its wire format: `["a","b",0]`.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The text, or `None` if there are no steps.
    text: Option<Arc<str>>,
    /// The position of the first step of this path in the text. The steps before it have been
    /// followed already. So a long path that leads from object to object is not copied at each of
    /// them.
    at: u32,
    /// True if all steps are names that interfaces declare. No peer or caller has chosen them.
    is_declared: bool,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            text: None,
            at: 0,
            is_declared: true,
        }
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Path {
    /// Creates a path from a JSON array of strings and numbers.
    pub(crate) fn from_json(text: &str) -> Self {
        if steps(text).next().is_none() {
            Self::default()
        } else {
            Self {
                text: Some(text.into()),
                at: 0,
                is_declared: false,
            }
        }
    }

    /// Creates a path of one name.
    pub(crate) fn of(name: &str) -> Self {
        Self::default().join(&Step::Key(name.into()))
    }

    /// Creates a path of one name that an interface declares.
    pub(crate) fn of_declared(name: &str) -> Self {
        Self::default().join_declared(name)
    }

    /// Returns whether all steps are names that interfaces declare.
    pub(crate) fn is_declared(&self) -> bool {
        self.is_declared
    }

    fn offset(&self) -> usize {
        self.at as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_none()
    }

    /// Returns the length of the remaining text in bytes, as a measure of the remaining steps.
    pub(crate) fn len(&self) -> usize {
        self.text
            .as_ref()
            .map_or(0, |text| text.len().saturating_sub(self.offset()))
    }

    pub(crate) fn as_json(&self) -> Cow<'_, str> {
        match &self.text {
            None => Cow::Borrowed("[]"),
            Some(text) if self.at == 0 => Cow::Borrowed(text),
            Some(text) => Cow::Owned(format!("[{}", text.get(self.offset()..).unwrap_or("]"))),
        }
    }

    pub(crate) fn steps(&self) -> Steps<'_> {
        match &self.text {
            None => steps("[]"),
            Some(text) if self.at == 0 => steps(text),
            Some(text) => Steps::resume(text, self.offset()),
        }
    }

    /// Returns the name, if the path consists of one name without escapes. Most paths do.
    pub(crate) fn as_name(&self) -> Option<&str> {
        let text = self.text.as_deref().filter(|_| self.at == 0)?;
        only_name(text)
    }

    /// Returns the steps from number `from` on.
    pub(crate) fn rest(&self, from: usize) -> Self {
        if from == 0 {
            return self.clone();
        }
        let mut steps = self.steps();
        let walked = steps.by_ref().take(from).count();
        let at = steps.offset();
        if walked < from || steps.next().is_none() {
            return Self::default();
        }
        Self {
            text: self.text.clone(),
            // A message has fewer bytes.
            at: u32::try_from(at).unwrap_or(u32::MAX),
            is_declared: self.is_declared,
        }
    }

    pub(crate) fn join(&self, step: &Step<'_>) -> Self {
        let mut text = self.open();
        push_step(&mut text, step);
        Self::close(text, false)
    }

    /// Returns this path followed by a name that an interface declares.
    pub(crate) fn join_declared(&self, name: &str) -> Self {
        let mut text = self.open();
        push_step(&mut text, &Step::Key(name.into()));
        Self::close(text, self.is_declared)
    }

    /// Returns this path followed by the steps of `other` from number `from` on.
    pub(crate) fn join_rest(&self, other: &Self, from: usize) -> Self {
        let rest = other.rest(from);
        if self.is_empty() {
            return rest;
        }
        if rest.is_empty() {
            return self.clone();
        }
        // Copy the text of the steps, which preserves the escapes in strings.
        let mut text = self.open();
        text.push(b',');
        let rest_is_declared = rest.is_declared;
        let rest = rest.as_json();
        let inside = rest.get(1..rest.len() - 1).or_bug("a path is a JSON array");
        text.extend_from_slice(inside.as_bytes());
        Self::close(text, self.is_declared && rest_is_declared)
    }

    /// Returns the path as JavaScript's messages write it: `a.b.0`.
    pub(crate) fn dotted(&self) -> String {
        self.steps()
            .map(|step| step.to_string())
            .collect::<Vec<_>>()
            .join(".")
    }

    /// Returns the text without the closing bracket.
    fn open(&self) -> Vec<u8> {
        let text = self.as_json();
        text.as_bytes()
            .get(..text.len().saturating_sub(1))
            .or_bug("a path is a JSON array")
            .to_vec()
    }

    fn close(mut text: Vec<u8>, is_declared: bool) -> Self {
        text.push(b']');
        Self {
            text: String::from_utf8(text).ok().map(Into::into),
            at: 0,
            is_declared,
        }
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

/// Returns the name in the text of a path that consists of one name without escapes. Most paths do.
pub(crate) fn only_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("[\"")?.strip_suffix("\"]")?;
    // Such a byte means that there are more steps or an escape.
    let further = memchr::memchr2(b'"', b'\\', name.as_bytes()).is_some();
    (!further).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walking_does_not_copy() {
        let path = Path::from_json(r#"["a", 1 ,"\ud800",1e400]"#);
        assert_eq!(path.dotted(), "a.1.\u{fffd}.Infinity");
        let rest = path.rest(2);
        assert_eq!(rest.as_json(), r#"["\ud800",1e400]"#);
        assert_eq!(rest.steps().count(), 2);
        assert_eq!(rest.rest(1).dotted(), "Infinity");
        assert_eq!(path.rest(3), rest.rest(1));
        assert!(path.rest(4).is_empty() && path.rest(9).is_empty());
        assert!(rest.len() < path.len());
        assert_eq!(Path::default().rest(1).as_json(), "[]");
    }

    #[test]
    fn one_name_is_told_from_everything_else() {
        for (path, name) in [
            (r#"["add"]"#, Some("add")),
            (r#"[""]"#, Some("")),
            (r#"["ä[,]"]"#, Some("ä[,]")),
            (r#"["a","b"]"#, None),
            (r#"["a\""]"#, None),
            (r#"["\u0061"]"#, None),
            (r#"[ "a"]"#, None),
            ("[1]", None),
            ("[]", None),
        ] {
            assert_eq!(Path::from_json(path).as_name(), name, "{path}");
        }
        assert_eq!(Path::from_json(r#"["a","b"]"#).rest(1).as_name(), None);
    }

    #[test]
    fn only_declared_names_make_a_declared_path() {
        let declared = Path::of_declared("users");
        assert!(Path::default().is_declared() && declared.is_declared());
        assert!(declared.join_declared("get").is_declared());
        assert!(declared.join_declared("get").rest(1).is_declared());
        assert!(!declared.join(&Step::Key("get".into())).is_declared());
        assert!(!Path::of("users").join_declared("get").is_declared());
        assert!(!Path::from_json(r#"["users"]"#).is_declared());
        assert!(!declared.join_rest(&Path::of("get"), 0).is_declared());
        assert!(
            declared
                .join_rest(&Path::of_declared("get"), 0)
                .is_declared()
        );
    }

    #[test]
    fn joining_keeps_what_is_written() {
        let (a, b) = (Path::of("a\""), Path::from_json(r#"["x",["not a step"]]"#));
        assert_eq!(a.join(&Step::Index(3)).as_json(), r#"["a\"",3]"#);
        let path = Path::from_json(r#"["b","\ud800",1e400]"#);
        assert_eq!(a.join_rest(&path, 1).as_json(), r#"["a\"","\ud800",1e400]"#);
        assert_eq!(a.join_rest(&path, 3), a);
        assert_eq!(
            Path::default().join_rest(&path, 1).as_json(),
            r#"["\ud800",1e400]"#
        );
        // A scanner would not accept such a path, but it must not panic either.
        assert_eq!(b.rest(1).as_json(), "[]");
    }
}

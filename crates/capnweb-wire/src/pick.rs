//! Picking one property of an expression without decoding the rest.
//!
//! A resolution is kept as text. When a later call is pipelined on `user.id`, the value is cut out
//! of the text step by step.

use std::borrow::Cow;

use crate::entries::{Entries, literal_is};
use crate::{Index, Kind, Span, Step, is_prototype_name, kind};

/// The result of one step of a property path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// The expression at this place.
    Value(Span),
    /// `undefined`: there is no such property, or the value has no accessible properties (a
    /// primitive, null, a date, bytes, an error and so on).
    Undefined,
    /// Nothing: the value itself is `undefined`, and JavaScript cannot read properties of it. This
    /// is a TypeError.
    Through,
}

/// Takes one step of a property path, from the expression at `at` in `text`.
///
/// The scanner must have accepted the text. The caller must first check the holes for a capability
/// at `at`; this function treats one as a value without properties.
///
/// For duplicate keys, the last one counts. Names of `Object.prototype` lead to undefined
/// ([`is_prototype_name`]), as does any step from an array that is not an index.
///
/// Without an `index`, every pick walks over everything before the value. With an index of the same
/// text, the total work of any number of picks is linear in the size of the text.
///
/// ```
/// use capnweb_wire::{Picked, Span, Step, pick};
///
/// let text = r#"{"users":[[{"name":"ann"}]]}"#;
/// let mut at = Span { start: 0, end: 28 };
/// for step in [Step::Key("users".into()), Step::Index(0), Step::Key("name".into())] {
///     let Picked::Value(next) = pick(text, at, &step, None) else { panic!() };
///     at = next;
/// }
/// assert_eq!(at.of(text), r#""ann""#);
/// ```
#[must_use]
pub fn pick(text: &str, at: Span, step: &Step<'_>, index: Option<&Index>) -> Picked {
    let target = match kind(text, at) {
        Kind::Undefined => return Picked::Through,
        Kind::Array => step.as_index().map(Target::Element),
        Kind::Object => {
            let key = step.as_key();
            (!is_prototype_name(&key)).then_some(Target::Property(key))
        }
        _ => None,
    };
    let found = target.and_then(|target| match index {
        Some(index) => index.find(text, at, &target),
        None => target.search(text, Entries::of(text, at)?),
    });
    found.map_or(Picked::Undefined, Picked::Value)
}

/// The entry to look for in a container.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    Element(u64),
    Property(Cow<'a, str>),
}

impl Target<'_> {
    /// Looks through all entries.
    fn search(&self, text: &str, entries: Entries<'_>) -> Option<Span> {
        let mut entries = entries;
        let found = match self {
            Self::Element(place) => entries.nth(usize::try_from(*place).ok()?),
            Self::Property(key) => entries
                .filter(|entry| literal_is(text, entry.start, key).is_some())
                .last(),
        };
        found.and_then(|entry| span(entry.value, entry.end))
    }
}

/// Returns a span of positions, unless the text is too long for spans.
pub(crate) fn span(start: usize, end: usize) -> Option<Span> {
    Some(Span {
        start: u32::try_from(start).ok()?,
        end: u32::try_from(end).ok()?,
    })
}

/// Returns the elements of the array at `at` in `text`, an escaped array such as `[[1,2]]`, or
/// `None` if there is no array.
///
/// ```
/// use capnweb_wire::{Span, elements};
///
/// let text = r#"[["a",{"b":1}]]"#;
/// let items = elements(text, Span { start: 0, end: 15 }).unwrap();
/// let items: Vec<_> = items.map(|item| item.of(text)).collect();
/// assert_eq!(items, [r#""a""#, r#"{"b":1}"#]);
/// ```
#[must_use]
pub fn elements(text: &str, at: Span) -> Option<Elements<'_>> {
    match kind(text, at) {
        Kind::Array => Entries::of(text, at).map(|entries| Elements { entries }),
        _ => None,
    }
}

/// The elements of an array. See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    entries: Entries<'a>,
}

impl Iterator for Elements<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let entry = self.entries.next()?;
        span(entry.value, entry.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_from(text: &str, step: Step<'_>) -> Option<String> {
        let at = span(0, text.len()).unwrap();
        let found = pick(text, at, &step, None);
        assert_eq!(
            found,
            pick(text, at, &step, Some(&Index::new(text))),
            "{text}"
        );
        match found {
            Picked::Value(span) => Some(span.of(text).to_owned()),
            Picked::Undefined => None,
            Picked::Through => Some("through".to_owned()),
        }
    }

    fn key(key: &str) -> Step<'_> {
        Step::Key(key.into())
    }

    #[test]
    fn properties() {
        let text = r#"{"a":1,"b\u0063":{"x":2}, "toString":3,"0":4,"0.5":5,"a":[[6]]}"#;
        assert_eq!(step_from(text, key("a")).unwrap(), "[[6]]");
        assert_eq!(step_from(text, key("bc")).unwrap(), r#"{"x":2}"#);
        assert_eq!(step_from(text, key("toString")), None);
        assert_eq!(step_from(text, key("missing")), None);
        assert_eq!(step_from(text, key("x")), None);
        assert_eq!(step_from(text, Step::Index(0)).unwrap(), "4");
        assert_eq!(step_from(text, Step::Number(0.5)).unwrap(), "5");
    }

    #[test]
    fn array_elements() {
        let text = r#"[ [ 1, [[2]], ["undefined"] ] ]"#;
        assert_eq!(step_from(text, Step::Index(0)).unwrap(), "1");
        assert_eq!(step_from(text, key("1")).unwrap(), "[[2]]");
        assert_eq!(step_from(text, Step::Index(2)).unwrap(), r#"["undefined"]"#);
        assert_eq!(step_from(text, Step::Index(3)), None);
        assert_eq!(step_from(text, Step::Index(u64::MAX)), None);
        assert_eq!(step_from(text, Step::Number(-1.0)), None);
        assert_eq!(step_from(text, key("length")), None);
        assert_eq!(step_from("[[]]", Step::Index(0)), None);
    }

    #[test]
    fn what_has_no_properties() {
        for text in [
            "null",
            "1",
            r#""text""#,
            "true",
            r#"["date",1]"#,
            r#"["bytes","AQ"]"#,
            r#"["error","Error","m",null,{"code":1}]"#,
            r#"["nan"]"#,
        ] {
            assert_eq!(step_from(text, key("code")), None, "{text}");
            assert_eq!(step_from(text, Step::Index(1)), None, "{text}");
        }
        assert_eq!(step_from(r#"["undefined"]"#, key("a")).unwrap(), "through");
    }

    #[test]
    fn elements_of_arrays_only() {
        assert!(elements("{}", span(0, 2).unwrap()).is_none());
        assert!(elements("[[1]]", span(0, 50).unwrap()).is_none());
        assert_eq!(elements("[[]]", span(0, 4).unwrap()).unwrap().count(), 0);
    }
}

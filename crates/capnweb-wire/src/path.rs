//! Property paths: the bare arrays of strings and numbers in `["pipeline", id, path]`.

use std::borrow::Cow;
use std::fmt;

use crate::decimal::{Decimal, parse_f64};
use crate::lex;
use crate::scan::integer;

/// A step of a property path.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// A property by name.
    Key(Cow<'a, str>),
    /// An element by its index, starting at zero.
    Index(u64),
    /// A number that is not an index, such as `-1` or `0.5`. JavaScript treats it as the name that
    /// it prints as.
    Number(f64),
}

impl Step<'_> {
    /// Returns the index of the array element that this step leads to, if it leads to one.
    ///
    /// JavaScript clients send `list[0]` with the index as a string, so a key in the form of an
    /// index counts.
    ///
    /// ```
    /// # use capnweb_wire::Step;
    /// assert_eq!(Step::Index(3).as_index(), Some(3));
    /// assert_eq!(Step::Key("12".into()).as_index(), Some(12));
    /// assert_eq!(Step::Key("012".into()).as_index(), None);
    /// assert_eq!(Step::Number(-1.0).as_index(), None);
    /// ```
    #[must_use]
    pub fn as_index(&self) -> Option<u64> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Key(key) => match key.as_bytes() {
                b"0" => Some(0),
                [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => key.parse().ok(),
                _ => None,
            },
            Self::Number(_) => None,
        }
    }

    /// Returns the property name of the step. In JavaScript, every step has one.
    #[must_use]
    pub fn as_key(&self) -> Cow<'_, str> {
        match self {
            Self::Key(key) => Cow::Borrowed(key),
            Self::Index(_) | Self::Number(_) => Cow::Owned(self.to_string()),
        }
    }

    /// Returns the same step with owned text.
    #[must_use]
    pub fn into_owned(self) -> Step<'static> {
        match self {
            Self::Key(key) => Step::Key(Cow::Owned(key.into_owned())),
            Self::Index(index) => Step::Index(index),
            Self::Number(number) => Step::Number(number),
        }
    }
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(Cow::Borrowed(key))
    }
}

impl From<String> for Step<'_> {
    fn from(key: String) -> Self {
        Self::Key(Cow::Owned(key))
    }
}

impl From<u64> for Step<'_> {
    fn from(index: u64) -> Self {
        Self::Index(index)
    }
}

/// Writes the property's name as JavaScript prints it, without quotes.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => write!(f, "{index}"),
            Self::Number(number) => write_number(f, *number),
        }
    }
}

/// Writes a number like JavaScript's `Number.prototype.toString`.
fn write_number(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    if !number.is_finite() {
        return f.write_str(match number {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        });
    }
    fmt::Display::fmt(&Decimal(number), f)
}

/// Returns the steps of a property path.
///
/// ```
/// use capnweb_wire::{Step, steps};
///
/// let path: Vec<_> = steps(r#"["users",0,"na\u006de"]"#).collect();
/// assert_eq!(path, [Step::Key("users".into()), Step::Index(0), Step::Key("name".into())]);
/// ```
///
/// The scanner must have accepted the text as a path. For any other text, the steps end where it
/// becomes invalid.
#[must_use]
pub fn steps(path: &str) -> Steps<'_> {
    let at = lex::skip_ws(path.as_bytes(), 0);
    let open = path.as_bytes().get(at) == Some(&b'[');
    Steps {
        text: path,
        at: if open { at + 1 } else { path.len() },
    }
}

/// The steps of a property path. See [`steps`].
#[derive(Clone, Debug)]
pub struct Steps<'a> {
    text: &'a str,
    /// The position to look for the next step or the end of the array.
    at: usize,
}

impl<'a> Steps<'a> {
    /// Returns the position in the text at which [`resume`](Self::resume) continues.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Continues reading a path at an [`offset`](Self::offset) of the same path.
    ///
    /// ```
    /// use capnweb_wire::{Step, Steps, steps};
    ///
    /// let path = r#"["users",0,"name"]"#;
    /// let mut walk = steps(path);
    /// walk.next();
    /// let rest: Vec<_> = Steps::resume(path, walk.offset()).collect();
    /// assert_eq!(rest, [Step::Index(0), Step::Key("name".into())]);
    /// ```
    #[must_use]
    pub fn resume(path: &'a str, offset: usize) -> Self {
        Self {
            text: path,
            at: offset,
        }
    }

    fn step(&mut self) -> Option<Step<'a>> {
        let bytes = self.text.as_bytes();
        let start = lex::skip_ws(bytes, self.at);
        let (step, end) = if bytes.get(start) == Some(&b'"') {
            let end = lex::string(bytes, start)?;
            let raw = self.text.get(start + 1..end - 1)?;
            (Step::Key(lex::unescape(raw)), end)
        } else {
            let end = lex::number(bytes, start)?;
            (number(self.text.get(start..end)?)?, end)
        };
        let end = lex::skip_ws(bytes, end);
        match bytes.get(end) {
            Some(b',' | b']') => self.at = end + 1,
            _ => return None,
        }
        Some(step)
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let step = self.step();
        if step.is_none() {
            self.at = self.text.len();
        }
        step
    }
}

impl std::iter::FusedIterator for Steps<'_> {}

fn number(text: &str) -> Option<Step<'static>> {
    Some(match integer(text).map(u64::try_from) {
        Some(Ok(index)) => Step::Index(index),
        _ => Step::Number(parse_f64(text)?),
    })
}

/// Returns whether every JavaScript object has a property with this name, or treats it specially
/// (`toJSON`).
///
/// Such keys are dropped from received objects, and a path step with such a name leads to
/// `undefined`.
#[must_use]
pub fn is_prototype_name(key: &str) -> bool {
    matches!(
        key,
        "__proto__"
            | "constructor"
            | "toString"
            | "valueOf"
            | "hasOwnProperty"
            | "isPrototypeOf"
            | "propertyIsEnumerable"
            | "toLocaleString"
            | "__defineGetter__"
            | "__defineSetter__"
            | "__lookupGetter__"
            | "__lookupSetter__"
            | "toJSON"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Vec<Step<'_>> {
        steps(path).collect()
    }

    #[test]
    fn paths() {
        assert_eq!(read("[]"), []);
        assert_eq!(read(" [ ] "), []);
        assert_eq!(
            read(r#" [ "a" , 1.0, -1 , 0.5, 1e400, "" ] "#),
            [
                Step::Key("a".into()),
                Step::Index(1),
                Step::Number(-1.0),
                Step::Number(0.5),
                Step::Number(f64::INFINITY),
                Step::Key("".into()),
            ]
        );
        assert!(matches!(
            read(r#"["plain"]"#)[..],
            [Step::Key(Cow::Borrowed("plain"))]
        ));
    }

    #[test]
    fn unreadable_paths_end_early() {
        for text in ["", "{}", "null", "[[1]]", "[", "[\"a", "]"] {
            assert_eq!(read(text), [], "{text}");
        }
        assert_eq!(read("[1,null,2]"), [Step::Index(1)]);
        let mut broken = steps("[1,x]");
        assert_eq!(broken.next(), Some(Step::Index(1)));
        assert_eq!(broken.next(), None);
        assert_eq!(broken.next(), None);
    }

    #[test]
    fn steps_print_as_in_javascript() {
        for (number, text) in [
            (-1.0, "-1"),
            (0.5, "0.5"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-7, "1e-7"),
            (-1.25e-9, "-1.25e-9"),
            (0.000_001, "0.000001"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(Step::Number(number).to_string(), text);
        }
        assert_eq!(Step::Key("a b".into()).to_string(), "a b");
        assert_eq!(Step::Index(7).as_key(), "7");
    }

    #[test]
    fn indexes() {
        for (key, index) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("00", None),
            ("", None),
            ("1a", None),
            ("-1", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(Step::Key(key.into()).as_index(), index, "{key}");
        }
    }

    #[test]
    fn prototype_names() {
        assert!(is_prototype_name("__proto__"));
        assert!(is_prototype_name("toJSON"));
        assert!(!is_prototype_name("name"));
        assert!(!is_prototype_name("then"));
    }
}

//! Paths to places in a text, for errors. Nothing is recorded while a text is read; the path is
//! found afterwards.

use std::fmt::{self, Display, Write as _};

use super::start::Form;
use crate::invariant::Invariant;
use crate::{lex, serde_error::Excerpt, unescape};

/// Returns the path from the expression at `from` to the value at `to`, such as `.tags[1].name`.
#[cold]
pub(super) fn path_of_expr(text: &str, from: usize, to: usize) -> String {
    Walk::new(text, from, to).path()
}

/// Returns the path from a bare array of arguments to the value at `to`, such as `[1].name`.
#[cold]
pub(super) fn path_of_args(text: &str, to: usize) -> String {
    let mut walk = Walk::new(text, 0, to);
    if walk.peek() == Some(b'[') && walk.enter_element() {
        return walk.path();
    }
    String::new()
}

/// The maximum number of steps in a path, whose length a peer determines.
const MAX_STEPS: usize = 32;

struct Walk<'a> {
    text: &'a str,
    /// The start of the value that the walk has reached.
    at: usize,
    to: usize,
    /// True if the walk is inside plain JSON.
    bare: bool,
    path: String,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str, from: usize, to: usize) -> Self {
        Self {
            text,
            at: lex::skip_ws(text.as_bytes(), from),
            to,
            bare: false,
            path: String::new(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn path(mut self) -> String {
        for _ in 0..MAX_STEPS {
            if self.at >= self.to {
                return self.path;
            }
            let has_moved = match self.peek() {
                Some(b'{') => self.enter_member(),
                Some(b'[') => self.enter_array(),
                _ => false,
            };
            if !has_moved {
                return self.path;
            }
        }
        self.path.push('…');
        self.path
    }

    /// Moves to the member of the object that contains the place.
    fn enter_member(&mut self) -> bool {
        self.find_in_object(|walk, key| {
            // Writing to a string cannot fail.
            let _ = write!(walk.path, "{}", Key(&unescape(key)));
        })
    }

    fn find_in_object(&mut self, found: impl FnOnce(&mut Self, &'a str)) -> bool {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        loop {
            at = lex::skip_ws(bytes, at);
            let Some(end) = lex::skip_string(bytes, at) else {
                return false;
            };
            let key = self.text.get(at + 1..end - 1).or_bug("a key is in quotes");
            // Skip the colon.
            let value = lex::skip_ws(bytes, lex::skip_ws(bytes, end) + 1);
            let Some(end) = lex::skip_value(bytes, value) else {
                return false;
            };
            if (value..end).contains(&self.to) {
                self.at = value;
                found(self, key);
                return true;
            }
            // Skip the comma.
            at = lex::skip_ws(bytes, end) + 1;
        }
    }

    /// Moves to the element of the bare array that contains the place.
    fn enter_element(&mut self) -> bool {
        let Some((index, at)) = self.find_in_array(self.at + 1) else {
            return false;
        };
        self.at = at;
        let _ = write!(self.path, "[{index}]");
        true
    }

    /// Returns the index and the start of the element that contains the place. The first element is
    /// at `at`.
    fn find_in_array(&self, mut at: usize) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        for index in 0.. {
            at = lex::skip_ws(bytes, at);
            let end = lex::skip_value(bytes, at)?;
            if (at..end).contains(&self.to) {
                return Some((index, at));
            }
            at = lex::skip_ws(bytes, end) + 1;
        }
        None
    }

    /// Moves into the array or form.
    fn enter_array(&mut self) -> bool {
        if self.bare {
            return self.enter_element();
        }
        let bytes = self.text.as_bytes();
        let inner = lex::skip_ws(bytes, self.at + 1);
        if bytes.get(inner) == Some(&b'[') {
            self.at = inner;
            return self.to <= inner || self.enter_element();
        }
        let form = lex::skip_string(bytes, inner)
            .and_then(|end| self.text.get(inner + 1..end - 1))
            .and_then(Form::named);
        form.is_some_and(|form| self.enter_form(form))
    }

    /// Moves to the part of the form that contains the place.
    fn enter_form(&mut self, form: Form) -> bool {
        let Some((index, at)) = self.find_in_array(self.at + 1) else {
            return false;
        };
        self.at = at;
        let layout = form.layout();
        match layout.elements.get(index.wrapping_sub(1)) {
            Some(name) => {
                let _ = write!(self.path, "{}", Key(name));
                true
            }
            // These are the properties, which belong to the form itself.
            None if self.peek() == Some(b'{') => self.find_in_object(|walk, key| {
                walk.bare = layout.plain && key != "body";
                let _ = write!(walk.path, "{}", Key(&unescape(key)));
            }),
            None => {
                self.bare = form == Form::Headers;
                form == Form::Headers
            }
        }
    }
}

/// A key in the form that JavaScript uses for property access.
struct Key<'a>(&'a str);

impl Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let begins = |c: char| is_name(c) && !c.is_numeric();
        if self.0.starts_with(begins) && self.0.chars().all(is_name) && self.0.len() <= 64 {
            write!(f, ".{}", self.0)
        } else {
            write!(f, "[\"{}\"]", Excerpt(self.0))
        }
    }
}

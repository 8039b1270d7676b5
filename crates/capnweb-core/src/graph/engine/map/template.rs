//! Content with places to be filled in.

use capnweb_wire::Span;

use crate::{
    graph::{
        engine::map::program::Reference,
        error::Result,
        hook::Hook,
        payload::{Followed, Growth, Path},
    },
    limits::Limits,
};

/// Arguments or a value in the text of a function, with promises in them.
pub(crate) struct Template {
    span: Span,
    parts: Vec<Part>,
}

/// A promise in them.
struct Part {
    span: Span,
    subject: Reference,
    path: Path,
}

impl Template {
    /// The content at `span`, without promises in it.
    pub(crate) fn new(span: Span) -> Self {
        Self {
            span,
            parts: Vec::new(),
        }
    }

    /// At `span` there is a promise of what is at the end of `path` from `subject`.
    pub(crate) fn push(&mut self, span: Span, subject: Reference, path: Path) {
        self.parts.push(Part {
            span,
            subject,
            path,
        });
    }

    /// Whether there are no promises in it.
    pub(crate) fn is_constant(&self) -> bool {
        self.parts.is_empty()
    }

    /// The content with what the promises in it have come to, written into `filled` if there are any. `None` if one is
    /// no plain data by now. How deep it gets is for the caller to check.
    ///
    /// # Errors
    ///
    /// If it gets larger than a message may be.
    pub(crate) fn fill<'a>(
        &self,
        text: &'a str,
        look_up: impl Fn(Reference) -> Option<&'a Hook>,
        limits: &Limits,
        filled: &'a mut String,
    ) -> Option<Result<&'a str>> {
        if self.is_constant() {
            return Some(Ok(self.span.of(text)));
        }
        filled.clear();
        let mut copied = self.span.start;
        let mut growth = Growth::default();
        let literal = |start, end| Span { start, end }.of(text);
        for part in &self.parts {
            filled.push_str(literal(copied, part.span.start));
            filled.push_str(plain(look_up(part.subject)?, &part.path)?);
            copied = part.span.end;
            if let Err(error) = growth.check(filled.as_bytes(), 0, limits) {
                return Some(Err(error.into()));
            }
        }
        filled.push_str(literal(copied, self.span.end));
        Some(match growth.check(filled.as_bytes(), 0, limits) {
            Ok(()) => Ok(filled.as_str()),
            Err(error) => Err(error.into()),
        })
    }
}

/// The text of what is at the end of `path` from `hook`, if that is plain data.
fn plain<'a>(hook: &'a Hook, path: &Path) -> Option<&'a str> {
    let Hook::Value(payload) = hook else {
        return None;
    };
    if !payload.is_text() {
        return None;
    }
    let text = payload.as_json();
    if path.is_empty() {
        return Some(text);
    }
    match payload.follow(path, 0) {
        Followed::Value(span) => Some(span.of(text)),
        Followed::Undefined => Some(r#"["undefined"]"#),
        Followed::Cap(..) | Followed::Failed(_) => None,
    }
}

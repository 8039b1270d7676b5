//! Templates: content with places for values to substitute.

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

/// Arguments or a value in the text of a function, with promises as placeholders.
pub(crate) struct Template {
    span: Span,
    parts: Vec<Part>,
}

/// A promise in a template.
struct Part {
    span: Span,
    subject: Reference,
    path: Path,
}

impl Template {
    /// Creates a template without promises from the content at `span`.
    pub(crate) fn new(span: Span) -> Self {
        Self {
            span,
            parts: Vec::new(),
        }
    }

    /// Adds a promise at `span`. It refers to the end of `path` from `subject`.
    pub(crate) fn push(&mut self, span: Span, subject: Reference, path: Path) {
        self.parts.push(Part {
            span,
            subject,
            path,
        });
    }

    /// Returns whether the template contains no promises.
    pub(crate) fn is_constant(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the content with promises replaced by their outcomes. If there are any, it is
    /// written into `filled`. Returns `None` if an outcome is not plain data by now. The caller has
    /// to check the depth.
    ///
    /// # Errors
    ///
    /// Returns an error if the content gets larger than a message may be.
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

/// Returns the text at the end of `path` from `hook`, if it is plain data.
fn plain<'a>(hook: &'a Hook, path: &Path) -> Option<&'a str> {
    let Hook::Value(payload) = hook else {
        return None;
    };
    if !payload.is_text() {
        return None;
    }
    let text = payload.as_expression();
    if path.is_empty() {
        return Some(text);
    }
    match payload.follow(path, 0) {
        Followed::Value(span) => Some(span.of(text)),
        Followed::Undefined => Some(r#"["undefined"]"#),
        Followed::Cap(..) | Followed::Failed(_) => None,
    }
}

//! Mistakes in expressions, reported to the person who typed them.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::tree::Span;

/// A mistake in an expression, with its position and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// True if more input could complete the expression.
    pub(crate) is_incomplete: bool,
}

impl Problem {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
            is_incomplete: false,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn incomplete(mut self) -> Self {
        self.is_incomplete = true;
        self
    }

    /// Returns the message with the affected line of the source, and carets below it.
    pub(crate) fn render(&self, source: &str) -> String {
        let mut start = self.span.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let before = source.get(..start).unwrap_or_default();
        let rest = source.get(start..).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = rest.find('\n').map_or(source.len(), |at| start + at);
        let line = source.get(line_start..line_end).unwrap_or_default();
        let column = source.get(line_start..start).unwrap_or_default().width();
        let mut end = self.span.end.clamp(start, line_end);
        while !source.is_char_boundary(end) {
            end += 1;
        }
        let carets = source.get(start..end).unwrap_or_default().width().max(1);
        let mut text = format!("{}\n  {line}\n  ", self.message);
        let _ = write!(text, "{}{}", " ".repeat(column), "^".repeat(carets));
        if let Some(help) = &self.help {
            let _ = write!(text, "\nhelp: {help}");
        }
        text
    }
}

//! The scanner: one pass that checks a text and finds its holes.
//!
//! This module contains the part of [`Scanner`] that every value needs: JSON values, escaped
//! arrays, and the dispatch to forms. The forms themselves are in the modules below.
//!
//! Every method takes the position at which its part of the text starts and returns the position
//! after it. Positions start at the first byte of the *text*, whereas spans of holes start at the
//! beginning of the *expression*. `depth` is the depth of the value being read, as the protocol
//! counts it: the strings and numbers of a form itself have none.
//!
//! The scanner recurses once per level, so the depth that it accepts is capped at [`MAX_DEPTH`],
//! regardless of the limits. JSON that is skipped has no such levels, and is walked without
//! recursion in [`json`].

mod capability;
mod data;
mod fetch;
mod json;
mod usual;

pub(crate) use capability::integer;

use crate::attachment::Beside;
use crate::error::excerpt;
use crate::invariant::Invariant;
use crate::{Form, Hole, Limits, Span, WireError, lex};

/// The deepest nesting that any [`Limits`] can allow, which fits on the stack of any thread.
pub(crate) const MAX_DEPTH: u32 = 512;

/// Scans one expression.
///
/// `holes` is cleared and then filled with the capabilities of the expression, with spans relative
/// to `text`. White space around the expression is accepted.
///
/// ```
/// use capnweb_wire::{Form, Limits, scan_expr};
///
/// let text = r#"{"listener":["export",-3],"at":["date",0]}"#;
/// let mut holes = Vec::new();
/// scan_expr(text, &Limits::default(), &mut holes)?;
/// assert_eq!(holes.len(), 1);
/// assert_eq!((holes[0].form, holes[0].id), (Form::Export, -3));
/// assert_eq!(holes[0].span.of(text), r#"["export",-3]"#);
/// # Ok::<(), capnweb_wire::WireError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the text is not a valid expression or exceeds a limit. The contents of
/// `holes` are then unspecified.
pub fn scan_expr(text: &str, limits: &Limits, holes: &mut Vec<Hole>) -> Result<(), WireError> {
    let mut scanner = Scanner::new(text, limits, holes)?;
    let run = |scanner: &mut Scanner<'_, '_>| {
        let at = scanner.ws(0);
        scanner.enter(0)?;
        let at = scanner.value(at, 0)?;
        scanner.finish(at)
    };
    run(&mut scanner).map_err(|error| *error)
}

/// Scans a bare JSON array of expressions: the arguments of a call, or the instructions of a map.
///
/// Each element is an expression of its own, at depth 0. `items` is cleared and then filled with
/// the span of each. `holes` is filled as by [`scan_expr`], with spans relative to `text`.
///
/// ```
/// use capnweb_wire::{Limits, scan_list};
///
/// let (mut holes, mut items) = (Vec::new(), Vec::new());
/// let text = r#"[1, [["a"]], ["import",-1]]"#;
/// scan_list(text, &Limits::default(), &mut holes, &mut items)?;
/// let items: Vec<_> = items.iter().map(|item| item.of(text)).collect();
/// assert_eq!(items, ["1", r#"[["a"]]"#, r#"["import",-1]"#]);
/// assert_eq!(holes.len(), 1);
/// # Ok::<(), capnweb_wire::WireError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the text is not an array of valid expressions or exceeds a limit. The
/// contents of `holes` and `items` are then unspecified.
pub fn scan_list(
    text: &str,
    limits: &Limits,
    holes: &mut Vec<Hole>,
    items: &mut Vec<Span>,
) -> Result<(), WireError> {
    items.clear();
    let mut scanner = Scanner::new(text, limits, holes)?;
    let mut run = |scanner: &mut Scanner<'_, '_>| {
        let at = scanner.ws(0);
        if scanner.byte(at) != b'[' {
            return Err(scanner.syntax(at, "an array"));
        }
        let mut next = scanner.first(at + 1)?;
        scanner.enter(0)?;
        while let Next::Item(at) = next {
            let end = scanner.value(at, 0)?;
            items.push(scanner.span(at, end));
            next = scanner.next(end)?;
        }
        scanner.finish(next.end())
    };
    run(&mut scanner).map_err(|error| *error)
}

/// The result of a step of the scan. The box keeps the success case in registers.
pub(crate) type Scan<T> = Result<T, Box<WireError>>;

/// The text after an element of an array.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// Another element, which starts at this position.
    Item(usize),
    /// The end of the array, with the position after it.
    End(usize),
}

impl Next {
    /// Returns the position in either case.
    pub(crate) fn end(self) -> usize {
        let (Self::Item(at) | Self::End(at)) = self;
        at
    }
}

/// A pass over one text.
pub(crate) struct Scanner<'a, 'h> {
    source: &'a str,
    text: &'a [u8],
    /// The depth at which values are rejected.
    max_depth: u32,
    max_bigint_digits: usize,
    holes: &'h mut Vec<Hole>,
    /// The start of the expression, which spans of holes are relative to.
    base: usize,
    /// Finds the attachment for the form that starts at a position of the text.
    beside: Option<&'h dyn Fn(usize) -> Option<Beside>>,
}

impl<'a, 'h> Scanner<'a, 'h> {
    /// Creates a scanner for `source`, checks its size, and clears `holes`.
    pub(crate) fn new(
        source: &'a str,
        limits: &Limits,
        holes: &'h mut Vec<Hole>,
    ) -> Result<Self, WireError> {
        holes.clear();
        check_size(source, limits.max_message_size)?;
        Ok(Self {
            source,
            text: source.as_bytes(),
            max_depth: u32::try_from(limits.max_depth).map_or(MAX_DEPTH, |max| max.min(MAX_DEPTH)),
            max_bigint_digits: limits.max_bigint_digits,
            holes,
            base: 0,
            beside: None,
        })
    }

    /// Lists a hole for each attachment.
    pub(crate) fn with_beside(mut self, beside: &'h dyn Fn(usize) -> Option<Beside>) -> Self {
        self.beside = Some(beside);
        self
    }

    /// Scans the expression at `at`, with spans relative to it.
    pub(crate) fn expression(&mut self, at: usize) -> Scan<(&'a str, usize)> {
        self.base = at;
        self.enter(0)?;
        let end = self.value(at, 0)?;
        Ok((self.slice(at, end), end))
    }

    /// Checks that nothing follows.
    pub(crate) fn finish(&self, at: usize) -> Scan<()> {
        let at = self.ws(at);
        if at == self.text.len() {
            Ok(())
        } else {
            Err(self.syntax(at, "the end of the text"))
        }
    }

    /// Returns the byte at `at`, or 0 after the end, which is not part of any JSON text.
    #[inline]
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn ws(&self, at: usize) -> usize {
        lex::skip_ws(self.text, at)
    }

    /// Returns the text between two positions of the scan.
    #[inline]
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.source
            .get(start..end)
            .or_bug("what was scanned is whole characters")
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "check_size bounds the text"
    )]
    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            start: (start - self.base) as u32,
            end: (end - self.base) as u32,
        }
    }

    /// Checks that values are allowed at `depth`. This is called once per container, for all of its
    /// elements.
    #[inline]
    fn enter(&self, depth: u32) -> Scan<()> {
        if depth < self.max_depth {
            Ok(())
        } else {
            Err(self.too_deep())
        }
    }

    /// Finds the first element of the array whose opening bracket is before `at`.
    #[inline]
    pub(crate) fn first(&self, at: usize) -> Scan<Next> {
        let at = self.ws(at);
        match self.byte(at) {
            b']' => Ok(Next::End(at + 1)),
            0 => Err(self.syntax(at, "a value or ']'")),
            _ => Ok(Next::Item(at)),
        }
    }

    /// Finds what follows the element that ends at `at`.
    #[inline]
    pub(crate) fn next(&self, at: usize) -> Scan<Next> {
        let at = self.ws(at);
        match self.byte(at) {
            b',' => Ok(Next::Item(self.ws(at + 1))),
            b']' => Ok(Next::End(at + 1)),
            _ => Err(self.syntax(at, "',' or ']'")),
        }
    }

    /// Checks that the array ends with the element that ends at `at`.
    #[inline]
    fn close(&self, at: usize, form: &'static str) -> Scan<usize> {
        match self.next(at)? {
            Next::End(end) => Ok(end),
            Next::Item(_) => Err(fault(WireError::FormLength { form })),
        }
    }

    /// Skips the rest of an array, whose further elements are ignored.
    #[inline]
    pub(crate) fn rest(&self, at: usize) -> Scan<usize> {
        let mut next = self.next(at)?;
        while let Next::Item(at) = next {
            next = self.next(self.json(at)?)?;
        }
        Ok(next.end())
    }

    /// Scans one expression at `depth`, which the caller has checked.
    #[inline]
    fn value(&mut self, at: usize, depth: u32) -> Scan<usize> {
        match self.byte(at) {
            b'"' => self.string(at),
            b'[' => self.array(at, depth),
            b'{' => self.object(at, depth),
            b'-' | b'0'..=b'9' => self.number(at),
            _ => self.literal(at),
        }
    }

    /// Scans the string literal at `at`.
    #[inline]
    pub(crate) fn string(&self, at: usize) -> Scan<usize> {
        lex::string(self.text, at).ok_or_else(|| self.syntax(at, "a well-formed string"))
    }

    #[inline]
    fn number(&self, at: usize) -> Scan<usize> {
        lex::number(self.text, at).ok_or_else(|| self.syntax(at, "a well-formed number"))
    }

    fn literal(&self, at: usize) -> Scan<usize> {
        lex::literal(self.text, at).ok_or_else(|| self.syntax(at, "a value"))
    }

    fn object(&mut self, at: usize, depth: u32) -> Scan<usize> {
        let depth = depth + 1;
        self.members(at, depth, |scanner, _, at| scanner.value(at, depth))
    }

    /// Scans an object whose values are at `depth`. `member` receives the content of each key and
    /// the position of its value, and finds the value's end.
    #[inline]
    fn members(
        &mut self,
        at: usize,
        depth: u32,
        mut member: impl FnMut(&mut Self, &'a str, usize) -> Scan<usize>,
    ) -> Scan<usize> {
        let mut at = self.ws(at + 1);
        if self.byte(at) == b'}' {
            return Ok(at + 1);
        }
        self.enter(depth)?;
        loop {
            let key = at;
            at = self.key(at)?;
            let key = self.slice(key + 1, at - 1);
            at = self.ws(at);
            if self.byte(at) != b':' {
                return Err(self.syntax(at, "':'"));
            }
            at = member(self, key, self.ws(at + 1))?;
            at = self.ws(at);
            match self.byte(at) {
                b',' => at = self.ws(at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(self.syntax(at, "',' or '}'")),
            }
        }
    }

    #[inline]
    fn key(&self, at: usize) -> Scan<usize> {
        if self.byte(at) == b'"' {
            self.string(at)
        } else {
            Err(self.syntax(at, "a property name"))
        }
    }

    /// Scans an array in an expression: an escaped array, or a form.
    fn array(&mut self, start: usize, depth: u32) -> Scan<usize> {
        let at = self.ws(start + 1);
        match self.byte(at) {
            b'[' => {
                let end = self.elements(at, depth + 1)?;
                match self.next(end)? {
                    Next::End(end) => Ok(end),
                    Next::Item(_) => Err(self.unknown_form(start)),
                }
            }
            b'"' => {
                let end = self.string(at)?;
                self.form(start, at, end, depth)
            }
            _ => {
                // There are two possible mistakes, of which the one in the JSON comes first.
                self.json(start)?;
                Err(self.unknown_form(start))
            }
        }
    }

    /// Scans the array of expressions at `at`, each of them at `depth`.
    fn elements(&mut self, at: usize, depth: u32) -> Scan<usize> {
        let mut next = self.first(at + 1)?;
        if let Next::Item(_) = next {
            self.enter(depth)?;
        }
        while let Next::Item(at) = next {
            let end = self.value(at, depth)?;
            next = self.next(end)?;
        }
        Ok(next.end())
    }

    /// Scans the form that starts at `start`. The literal of its name is between `name` and `at`.
    ///
    /// A name with escapes is unknown: no JSON writer escapes plain letters, and readers of the
    /// text after the scanner may compare bytes.
    fn form(&mut self, start: usize, name: usize, at: usize, depth: u32) -> Scan<usize> {
        match self
            .text
            .get(name + 1..at - 1)
            .or_bug("a name is in quotes")
        {
            b"import" => self.reference(Form::Import, start, at, depth),
            b"pipeline" => self.reference(Form::Pipeline, start, at, depth),
            b"export" => self.introduction(Form::Export, start, at),
            b"promise" => self.introduction(Form::Promise, start, at),
            b"writable" => self.introduction(Form::Writable, start, at),
            b"readable" => self.introduction(Form::Readable, start, at),
            b"remap" => self.remap(start, at),
            b"undefined" => self.close(at, "undefined"),
            b"inf" | b"-inf" | b"nan" => self.rest(at),
            b"bigint" => self.bigint(at),
            b"date" => self.date(at),
            b"bytes" => self.bytes(start, at),
            b"error" => self.error(at, depth),
            b"url" => self.url(at),
            b"headers" => self.headers_form(at),
            b"request" => self.request(at, depth),
            b"response" => self.response(at, depth),
            b"blob" => self.blob(at, depth),
            _ => Err(self.unknown_form(start)),
        }
    }

    #[cold]
    pub(crate) fn syntax(&self, at: usize, expected: &'static str) -> Box<WireError> {
        fault(WireError::Syntax { at, expected })
    }

    #[cold]
    fn unknown_form(&self, start: usize) -> Box<WireError> {
        fault(WireError::UnknownForm {
            found: excerpt(self.text, start),
        })
    }

    #[cold]
    fn too_deep(&self) -> Box<WireError> {
        fault(WireError::TooDeep {
            limit: self.max_depth as usize,
        })
    }

    pub(crate) fn excerpt(&self, at: usize) -> Box<str> {
        excerpt(self.text, at)
    }
}

/// Boxes an error outside the success path.
#[cold]
pub(crate) fn fault(error: WireError) -> Box<WireError> {
    Box::new(error)
}

/// Checks a text's size in UTF-16 code units, and that spans can represent its positions.
fn check_size(text: &str, limit: usize) -> Result<(), WireError> {
    let limit = limit.min(u32::MAX as usize);
    // Each byte represents at most one code unit, so most texts need no counting.
    if text.len() <= limit
        || (u32::try_from(text.len()).is_ok() && utf16_len(text.as_bytes()) <= limit)
    {
        Ok(())
    } else {
        Err(WireError::MessageTooLarge { limit })
    }
}

/// Returns a text's length in UTF-16 code units: one per character, or two for characters that take
/// four bytes.
pub(crate) fn utf16_len(text: &[u8]) -> usize {
    text.iter()
        .map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0))
        .sum()
}

#[cfg(test)]
mod tests;

//! The forms for capabilities, each of which becomes a [`Hole`].

use super::{Next, Scan, Scanner, fault};
use crate::invariant::Invariant;
use crate::{Form, Hole, Span, WireError, lex, parse_f64};

/// The maximum ID. JavaScript stores IDs as doubles, which are exact up to this number.
const MAX_ID: i64 = (1 << 53) - 1;

/// The number of digits with which an integer is always below [`MAX_ID`].
const SAFE_DIGITS: usize = 15;

impl Scanner<'_, '_> {
    /// Scans `["import", id, path?, args?]` or `["pipeline", …]` after its name.
    pub(super) fn reference(
        &mut self,
        form: Form,
        start: usize,
        at: usize,
        depth: u32,
    ) -> Scan<usize> {
        let name = form.name();
        let (id, at) = self.form_id(at, name)?;
        let index = self.open_hole(form, start, id);
        let mut path = None;
        let mut args = None;
        let mut next = self.next(at)?;
        if let Next::Item(at) = next {
            let end = self.path(at, name)?;
            path = Some(self.span(at, end));
            next = self.next(end)?;
        }
        if let Next::Item(at) = next {
            if self.byte(at) != b'[' {
                return Err(fault(WireError::BadArguments { form: name }));
            }
            // The reference evaluates the arguments as if they were an escaped array in place of
            // the call.
            let end = self.elements(at, depth + 1)?;
            args = Some(self.span(at, end));
            next = self.next(end)?;
        }
        let Next::End(end) = next else {
            return Err(fault(WireError::FormLength { form: name }));
        };
        self.close_hole(index, end, path, args);
        Ok(end)
    }

    /// Scans `["export", id]` and similar forms. Anything after the ID is ignored.
    pub(super) fn introduction(&mut self, form: Form, start: usize, at: usize) -> Scan<usize> {
        let (id, at) = self.form_id(at, form.name())?;
        let index = self.open_hole(form, start, id);
        let end = self.rest(at)?;
        self.close_hole(index, end, None, None);
        Ok(end)
    }

    /// Scans `["remap", id, path, captures, instructions]` after its name.
    pub(super) fn remap(&mut self, start: usize, at: usize) -> Scan<usize> {
        const NAME: &str = "remap";
        let (id, at) = self.form_id(at, NAME)?;
        let index = self.open_hole(Form::Remap, start, id);
        let at = self.item(at, NAME)?;
        let end = self.path(at, NAME)?;
        let path = self.span(at, end);
        let at = self.item(end, NAME)?;
        let end = self.captures(at)?;
        let at = self.item(end, NAME)?;
        if self.byte(at) != b'[' {
            return Err(fault(WireError::BadInstructions));
        }
        let end = self.json(at)?;
        let instructions = self.span(at, end);
        let end = self.close(end, NAME)?;
        self.close_hole(index, end, Some(path), Some(instructions));
        Ok(end)
    }

    /// Scans the captures of a map, which must be `["import", id]` or `["export", id]`.
    fn captures(&mut self, at: usize) -> Scan<usize> {
        if self.byte(at) != b'[' {
            return Err(fault(WireError::BadCaptures));
        }
        let mut next = self.first(at + 1)?;
        while let Next::Item(start) = next {
            let end = match self.capture(start)? {
                Some(end) => end,
                None => {
                    self.json(start)?;
                    return Err(fault(WireError::BadCapture {
                        found: self.excerpt(start),
                    }));
                }
            };
            next = self.next(end)?;
        }
        Ok(next.end())
    }

    /// Scans one capture. Returns `None` if it is something else.
    fn capture(&mut self, start: usize) -> Scan<Option<usize>> {
        if self.byte(start) != b'[' {
            return Ok(None);
        }
        let name = self.ws(start + 1);
        if self.byte(name) != b'"' {
            return Ok(None);
        }
        let end = self.string(name)?;
        let form = match self.slice(name + 1, end - 1) {
            "import" => Form::Import,
            "export" => Form::Export,
            _ => return Ok(None),
        };
        let Next::Item(at) = self.next(end)? else {
            return Ok(None);
        };
        let Some((id, at)) = self.id(at) else {
            return Ok(None);
        };
        let Next::End(end) = self.next(at)? else {
            return Ok(None);
        };
        let index = self.open_hole(form, start, id);
        self.close_hole(index, end, None, None);
        Ok(Some(end))
    }

    /// Scans the ID after a form's name.
    #[inline]
    fn form_id(&self, at: usize, form: &'static str) -> Scan<(i64, usize)> {
        let Next::Item(at) = self.next(at)? else {
            return Err(fault(WireError::FormLength { form }));
        };
        self.id(at).ok_or_else(|| fault(WireError::BadId { form }))
    }

    /// Returns the integer at `at` and the position after it, or `None` if it is anything else.
    #[inline]
    pub(crate) fn id(&self, at: usize) -> Option<(i64, usize)> {
        let negative = self.byte(at) == b'-';
        let first = at + usize::from(negative);
        let mut end = first;
        let mut value = 0_i64;
        for byte in self.text.get(first..)?.iter().take(SAFE_DIGITS) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + i64::from(digit);
            end += 1;
        }
        if let b'0'..=b'9' | b'.' | b'e' | b'E' = self.byte(end) {
            // It is too long, not written as an integer, or no number at all.
            return self.odd_id(at);
        }
        if end == first || (self.byte(first) == b'0' && end > first + 1) {
            return None;
        }
        Some((if negative { -value } else { value }, end))
    }

    #[cold]
    fn odd_id(&self, at: usize) -> Option<(i64, usize)> {
        let end = lex::number(self.text, at)?;
        Some((integer(self.slice(at, end))?, end))
    }

    /// Scans to the next element of a form that must have one.
    #[inline]
    pub(super) fn item(&self, at: usize, form: &'static str) -> Scan<usize> {
        match self.next(at)? {
            Next::Item(at) => Ok(at),
            Next::End(_) => Err(fault(WireError::FormLength { form })),
        }
    }

    /// Scans a property path: an array of strings and numbers.
    #[inline]
    fn path(&self, at: usize, form: &'static str) -> Scan<usize> {
        if self.byte(at) != b'[' {
            return Err(fault(WireError::BadPath { form }));
        }
        let mut next = self.first(at + 1)?;
        while let Next::Item(at) = next {
            let end = match self.byte(at) {
                b'"' => self.string(at)?,
                b'-' | b'0'..=b'9' => self.number(at)?,
                _ => return Err(fault(WireError::BadPath { form })),
            };
            next = self.next(end)?;
        }
        Ok(next.end())
    }

    /// Lists a hole before the holes inside it, and returns its index.
    #[inline]
    pub(super) fn open_hole(&mut self, form: Form, start: usize, id: i64) -> usize {
        let index = self.holes.len();
        let span = self.span(start, start);
        self.holes.push(Hole {
            span,
            form,
            id,
            path: None,
            args: None,
            inner: 0,
        });
        index
    }

    /// Completes a hole once its end is known.
    #[inline]
    pub(super) fn close_hole(
        &mut self,
        index: usize,
        end: usize,
        path: Option<Span>,
        args: Option<Span>,
    ) {
        let end = self.span(end, end).end;
        let inner = self.holes.len().saturating_sub(index + 1);
        if let Some(hole) = self.holes.get_mut(index) {
            hole.span.end = end;
            hole.path = path;
            hole.args = args;
            // A hole takes more than one byte of text, so the number fits.
            hole.inner = u32::try_from(inner).or_bug("scanned texts are short");
        }
    }
}

/// Returns the integer that a JSON number represents, if a double represents it exactly.
pub(crate) fn integer(number: &str) -> Option<i64> {
    match number.parse::<i64>() {
        Ok(integer) if number.len() <= SAFE_DIGITS => Some(integer),
        _ => odd_integer(number),
    }
}

/// Works like [`integer`] for long numbers and those with a fraction or exponent. In JavaScript,
/// `1.0` and `1e3` are integers.
#[cold]
fn odd_integer(number: &str) -> Option<i64> {
    let value = parse_f64(number)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "the greatest integer that loses none"
    )]
    let exact = value.fract() == 0.0 && value.abs() <= MAX_ID as f64;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
    exact.then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("12", 12),
            ("-7", -7),
            ("1.0", 1),
            ("1e3", 1000),
            ("25e-1", i64::MIN),
            ("999999999999999", 999_999_999_999_999),
            ("9007199254740991", MAX_ID),
            ("-9007199254740991", -MAX_ID),
            ("9007199254740992", i64::MIN),
            ("1e400", i64::MIN),
            ("0.5", i64::MIN),
        ] {
            let expected = (value != i64::MIN).then_some(value);
            assert_eq!(integer(text), expected, "{text}");
        }
    }
}

//! The forms for HTTP objects: headers, requests, responses, and blobs.

use super::data::is_key;
use super::{Next, Scan, Scanner, fault};
use crate::{Form, WireError, unescape};

impl Scanner<'_, '_> {
    /// Scans `["headers", [[name, value], …]]` after its name.
    pub(super) fn headers_form(&self, at: usize) -> Scan<usize> {
        let at = self.item(at, "headers")?;
        let end = self.headers(at, "headers")?;
        self.close(end, "headers")
    }

    /// Scans `["request", url, init]` after its name.
    pub(super) fn request(&mut self, at: usize, depth: u32) -> Scan<usize> {
        const FORM: &str = "request";
        let at = self.item(at, FORM)?;
        let end = self.href(at, FORM)?;
        let at = self.item(end, FORM)?;
        let end = self.init(at, FORM, depth, |scanner, key, at| {
            if is_key(key, &["body"]) {
                scanner.enter(depth + 1)?;
                scanner.body(at, FORM, depth + 1)
            } else if is_key(key, &["headers"]) && scanner.byte(at) != b'n' {
                scanner.headers(at, FORM)
            } else if is_key(key, &["method"]) {
                match scanner.text_item(at)? {
                    Some((method, end)) if is_token(&unescape(method)) => Ok(end),
                    _ => Err(bad_init(FORM, "method")),
                }
            } else if is_key(key, &["signal"]) && scanner.byte(at) != b'n' {
                Err(bad_init(FORM, "signal: it cannot be sent"))
            } else {
                scanner.json(at)
            }
        })?;
        self.close(end, FORM)
    }

    /// Scans `["response", body, init]` after its name.
    pub(super) fn response(&mut self, at: usize, depth: u32) -> Scan<usize> {
        const FORM: &str = "response";
        let at = self.item(at, FORM)?;
        self.enter(depth + 1)?;
        let end = self.body(at, FORM, depth + 1)?;
        let at = self.item(end, FORM)?;
        let end = self.init(at, FORM, depth, |scanner, key, at| {
            if is_key(key, &["headers"]) && scanner.byte(at) != b'n' {
                scanner.headers(at, FORM)
            } else if is_key(key, &["status"]) {
                match scanner.id(at) {
                    Some((200..=599, end)) => Ok(end),
                    _ => Err(bad_init(FORM, "status")),
                }
            } else if is_key(key, &["statusText"]) {
                match scanner.text_item(at)? {
                    Some((reason, end)) if is_field_value(&unescape(reason)) => Ok(end),
                    _ => Err(bad_init(FORM, "statusText")),
                }
            } else if is_key(key, &["webSocket"]) && scanner.byte(at) != b'n' {
                Err(bad_init(FORM, "webSocket: it cannot be sent"))
            } else {
                scanner.json(at)
            }
        })?;
        self.close(end, FORM)
    }

    /// Scans `["blob", type, readable]` after its name.
    pub(super) fn blob(&mut self, at: usize, depth: u32) -> Scan<usize> {
        const FORM: &str = "blob";
        let at = self.item(at, FORM)?;
        let Some((_, end)) = self.text_item(at)? else {
            return Err(fault(WireError::BadBlob));
        };
        let at = self.item(end, FORM)?;
        self.enter(depth + 1)?;
        if self.form_name(at)? != Some("readable") {
            return Err(fault(WireError::BadBlob));
        }
        let end = self.value(at, depth + 1)?;
        if let Some(hole) = self.holes.last_mut() {
            hole.form = Form::Blob;
        }
        self.close(end, FORM)
    }

    /// Scans the options of a request or response.
    fn init(
        &mut self,
        at: usize,
        form: &'static str,
        depth: u32,
        member: impl FnMut(&mut Self, &str, usize) -> Scan<usize>,
    ) -> Scan<usize> {
        if self.byte(at) == b'{' {
            // The object is part of the form. Only its body is a value, which is one level deeper.
            self.members(at, depth, member)
        } else {
            self.json(at)?;
            Err(bad_init(form, "description: it must be an object"))
        }
    }

    /// Scans a body: null, a string, plain bytes, or a stream.
    fn body(&mut self, at: usize, form: &'static str, depth: u32) -> Scan<usize> {
        let allowed = match self.byte(at) {
            b'"' | b'n' => true,
            b'[' => matches!(self.form_name(at)?, Some("bytes" | "readable")),
            _ => false,
        };
        if allowed {
            self.value(at, depth)
        } else {
            Err(fault(WireError::BadBody { form }))
        }
    }

    /// Returns the name of the form at `at`, if it is one.
    fn form_name(&self, at: usize) -> Scan<Option<&str>> {
        if self.byte(at) != b'[' {
            return Ok(None);
        }
        let name = self.text_item(self.ws(at + 1))?;
        Ok(name.map(|(name, _)| name))
    }

    /// Scans an array of pairs that are valid HTTP headers.
    fn headers(&self, at: usize, form: &'static str) -> Scan<usize> {
        let bad = || fault(WireError::BadHeaders { form });
        if self.byte(at) != b'[' {
            return Err(bad());
        }
        let mut next = self.first(at + 1)?;
        while let Next::Item(at) = next {
            let end = self.header(at)?.ok_or_else(bad)?;
            next = self.next(end)?;
        }
        Ok(next.end())
    }

    /// Scans one header. Returns `None` if it is invalid.
    fn header(&self, at: usize) -> Scan<Option<usize>> {
        if self.byte(at) != b'[' {
            return Ok(None);
        }
        let Next::Item(at) = self.first(at + 1)? else {
            return Ok(None);
        };
        let Some((name, end)) = self.text_item(at)? else {
            return Ok(None);
        };
        let Next::Item(at) = self.next(end)? else {
            return Ok(None);
        };
        let Some((value, end)) = self.text_item(at)? else {
            return Ok(None);
        };
        let Next::End(end) = self.next(end)? else {
            return Ok(None);
        };
        let valid = is_token(&unescape(name)) && is_field_value(&unescape(value));
        Ok(valid.then_some(end))
    }
}

fn bad_init(form: &'static str, field: &'static str) -> Box<WireError> {
    fault(WireError::BadInit { form, field })
}

/// Returns whether the text is an HTTP token, as required for names of headers and methods.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
        })
}

/// Returns whether the text is a valid header value: Latin-1 without line breaks and NUL.
/// Surrounding white space is not part of the value.
fn is_field_value(text: &str) -> bool {
    text.trim_matches([' ', '\t', '\r', '\n'])
        .chars()
        .all(|c| c <= '\u{ff}' && !matches!(c, '\0' | '\r' | '\n'))
}

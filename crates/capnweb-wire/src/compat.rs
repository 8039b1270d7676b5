//! Messages for peers that do not know all forms.

use crate::{entries::literal_is, lex};

/// The forms that a peer does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownForms {
    /// `url`, and the containers of `bytes`.
    Urls,
    /// Those, `blob`, and the invalid date.
    UrlsAndBlobs,
}

/// Appends a message, with all forms replaced that its receiver does not know.
///
/// A URL becomes a string, a typed array becomes plain bytes, a blob becomes its stream, and the
/// invalid date becomes null. Everything else stays as it is, as does a text that the scanner would
/// not accept. Recursion is as deep as the expression.
pub fn replace_forms(message: &str, unknown: UnknownForms, out: &mut Vec<u8>) {
    let mut copier = Copier {
        text: message,
        replaces_blobs: unknown == UnknownForms::UrlsAndBlobs,
        copied: 0,
        out,
    };
    copier.message();
    copier.copy_until(message.len());
}

/// A text that is being copied, except for what is cut out.
struct Copier<'a, 'o> {
    text: &'a str,
    replaces_blobs: bool,
    /// The position up to which the text was copied or cut out.
    copied: usize,
    out: &'o mut Vec<u8>,
}

impl<'a> Copier<'a, '_> {
    fn copy_until(&mut self, end: usize) {
        let part = self.text.as_bytes().get(self.copied..end);
        self.out.extend_from_slice(part.unwrap_or_default());
        self.copied = end;
    }

    fn cut(&mut self, start: usize, end: usize) {
        self.copy_until(start);
        self.copied = end;
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or_default()
    }

    fn ws(&self, at: usize) -> usize {
        lex::skip_ws(self.text.as_bytes(), at)
    }

    /// Returns the end of the JSON value at `at`.
    fn skip(&self, at: usize) -> Option<usize> {
        lex::skip_value(self.text.as_bytes(), at)
    }

    /// Returns the end of the string at `at`.
    fn skip_string(&self, at: usize) -> Option<usize> {
        if self.byte(at) != b'"' {
            return None;
        }
        lex::skip_string(self.text.as_bytes(), at)
    }

    /// Returns the start of what follows the element or member that ends at `end`.
    fn next(&self, end: usize) -> Option<usize> {
        let comma = self.ws(end);
        (self.byte(comma) == b',').then(|| self.ws(comma + 1))
    }

    /// Returns the end of the array whose last significant element ends at `end`.
    fn close(&self, mut end: usize) -> Option<usize> {
        while let Some(at) = self.next(end) {
            end = self.skip(at)?;
        }
        let bracket = self.ws(end);
        (self.byte(bracket) == b']').then_some(bracket + 1)
    }

    /// Returns the name with which the array at `at` begins, and the end of the name.
    fn name(&self, at: usize) -> Option<(&'a str, usize)> {
        let start = self.ws(at + 1);
        let end = self.skip_string(start)?;
        Some((self.text.get(start + 1..end - 1)?, end))
    }

    /// Copies the expression of the message.
    fn message(&mut self) -> Option<usize> {
        let (name, mut end) = self.name(self.ws(0))?;
        match name {
            "push" | "stream" | "abort" => {}
            "resolve" | "reject" => end = self.skip(self.next(end)?)?,
            _ => return None,
        }
        self.expression(self.next(end)?)
    }

    /// Copies the expression at `at`, and returns its end. Copies it unchanged if it is malformed,
    /// as an instruction of a map may be.
    fn expression(&mut self, at: usize) -> Option<usize> {
        let (copied, length) = (self.copied, self.out.len());
        let end = match self.byte(at) {
            b'{' => self.members(at, |_| true),
            b'[' if self.byte(self.ws(at + 1)) == b'[' => self.array(at),
            b'[' => self.form(at),
            _ => None,
        };
        if end.is_none() {
            self.out.truncate(length);
            self.copied = copied;
        }
        end.or_else(|| self.skip(at))
    }

    /// Copies the escaped array at `at`.
    fn array(&mut self, at: usize) -> Option<usize> {
        let end = self.elements(self.ws(at + 1))?;
        self.close(end)
    }

    /// Copies a bare array of expressions.
    fn elements(&mut self, at: usize) -> Option<usize> {
        if self.byte(at) != b'[' {
            return None;
        }
        let mut at = self.ws(at + 1);
        if self.byte(at) == b']' {
            return Some(at + 1);
        }
        loop {
            let end = self.expression(at)?;
            match self.next(end) {
                Some(next) => at = next,
                None => return self.close(end),
            }
        }
    }

    /// Copies an object. `is_expression` decides by the position of its key whether a value is one.
    fn members(&mut self, at: usize, is_expression: impl Fn(usize) -> bool) -> Option<usize> {
        if self.byte(at) != b'{' {
            return None;
        }
        let mut key = self.ws(at + 1);
        if self.byte(key) == b'}' {
            return Some(key + 1);
        }
        loop {
            let colon = self.ws(self.skip_string(key)?);
            let value = self.ws(colon + 1);
            let end = if is_expression(key) {
                self.expression(value)?
            } else {
                self.skip(value)?
            };
            match self.next(end) {
                Some(next) => key = next,
                None => {
                    let brace = self.ws(end);
                    return (self.byte(brace) == b'}').then_some(brace + 1);
                }
            }
        }
    }

    fn form(&mut self, start: usize) -> Option<usize> {
        let (name, mut end) = self.name(start)?;
        // The number of elements between the name and the first expression.
        let before = match name {
            "url" => return self.replace_by(start, self.next(end)?, b'"'),
            "bytes" => {
                let end = self.skip_string(self.next(end)?)?;
                let close = self.close(end)?;
                self.cut(end, close - 1);
                return Some(close);
            }
            "blob" if self.replaces_blobs => {
                let end = self.skip(self.next(end)?)?;
                return self.replace_by(start, self.next(end)?, b'[');
            }
            "date" if self.replaces_blobs => return self.replace_by(start, self.next(end)?, b'n'),
            "response" => 0,
            "request" => 1,
            "import" | "pipeline" => 2,
            "error" | "remap" => 3,
            _ => return None,
        };
        for _ in 0..before {
            let Some(at) = self.next(end) else {
                return self.close(end);
            };
            end = self.skip(at)?;
        }
        if let Some(at) = self.next(end) {
            let text = self.text;
            let is = |key, name| literal_is(text, key, name).is_some();
            end = match name {
                "response" => self.expression(at)?,
                "request" => self.members(at, |key| is(key, "body"))?,
                // As properties of an error, these are not checked.
                "error" => self.members(at, |key| {
                    !["name", "message", "stack"]
                        .iter()
                        .any(|name| is(key, name))
                })?,
                _ => self.elements(at)?,
            };
        }
        self.close(end)
    }

    /// Replaces the form at `start` by its element at `at`, if that begins with `first`.
    fn replace_by(&mut self, start: usize, at: usize, first: u8) -> Option<usize> {
        if self.byte(at) != first {
            return None;
        }
        let end = self.skip(at)?;
        let close = self.close(end)?;
        self.cut(start, at);
        self.cut(end, close);
        Some(close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str, unknown: UnknownForms) -> String {
        let mut out = b"-".to_vec();
        replace_forms(text, unknown, &mut out);
        String::from_utf8(out.split_off(1)).unwrap()
    }

    #[test]
    fn forms_are_replaced_at_every_place() {
        for (new, old) in [
            (r#"["url","a:b"]"#, r#""a:b""#),
            (r#"[ "url" , "a:\"b" , 7 ]"#, r#""a:\"b""#),
            (r#"["bytes","AQ","Int8Array"]"#, r#"["bytes","AQ"]"#),
            (r#"["bytes","AQ"]"#, r#"["bytes","AQ"]"#),
            (r#"["blob","a/b",["readable",2]]"#, r#"["readable",2]"#),
            (r#"["date",null]"#, "null"),
            (r#"["date",7]"#, r#"["date",7]"#),
        ] {
            for around in [
                r#"["push",NEW]"#,
                r#" [ "push" , NEW , "note" ] "#,
                r#"["stream",["pipeline",1,["write"],[NEW]]]"#,
                r#"["resolve",1,NEW]"#,
                r#"["reject",1,["error","Error","m",null,{"at":NEW}]]"#,
                r#"["reject",1,["error","Error","m","stack",{"a":1,"at":[[NEW]]},7]]"#,
                r#"["abort",NEW]"#,
                r#"["push",["pipeline",1,["bytes","url"],[NEW,[[NEW,{"a":NEW,"b":{}}]]]]]"#,
                r#"["push",["remap",1,[],[["export",-1]],[["pipeline",0,["f"],[NEW]],[[NEW]]]]]"#,
                r#"["resolve",1,["response",NEW,{"headers":[["url","bytes"]]}]]"#,
                r#"["resolve",1,["request","a:b",{"method":"url","body":NEW}]]"#,
            ] {
                let text = around.replace("NEW", new);
                let expected = around.replace("NEW", old);
                assert_eq!(replaced(&text, UnknownForms::UrlsAndBlobs), expected);
            }
        }
    }

    #[test]
    fn blobs_stay_where_they_are_known() {
        for text in [
            r#"["push",["blob","a/b",["readable",2]]]"#,
            r#"["push",["date",null]]"#,
        ] {
            assert_eq!(replaced(text, UnknownForms::Urls), text);
            assert_ne!(replaced(text, UnknownForms::UrlsAndBlobs), text);
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            r#"["pull",1]"#,
            r#"["release",1,1]"#,
            r#"["pipe"]"#,
            r#"["push",["pipeline",0,["url"],["bytes","url","bytes"]]]"#,
            r#"["push",["import",0]]"#,
            r#"["push",["import",0,["url"]]]"#,
            r#"["resolve",1,[[]]]"#,
            r#"["resolve",1,{}]"#,
            r#"["resolve",1,{"url":"bytes","bytes":[["url"]]}]"#,
            r#"["resolve",1,["headers",[["url","bytes"]]]]"#,
            r#"["resolve",1,["request","url",{"cache":["url","a:b"]}]]"#,
            r#"["reject",1,["error","url","bytes",null,{"name":["url","a:b"]}]]"#,
            r#"["reject",1,["error","url","bytes"]]"#,
        ] {
            assert_eq!(replaced(text, UnknownForms::UrlsAndBlobs), text);
        }
    }

    #[test]
    fn malformed_parts_stay() {
        let map = r#"["push",["remap",1,[],[],[[[["url","a:b"],["url"]]],["url",5],ODD]]]"#;
        let expected = r#"["push",["remap",1,[],[],[[["a:b",["url"]]],["url",5],ODD]]]"#;
        for odd in [
            r#"["url"]"#,
            r#"["bytes",7]"#,
            r#"{"a":["blob"]}"#,
            r#"["pipeline",0,[],7]"#,
            r#"["response"]"#,
            "[]",
            r#"["heard",["url","a:b"]]"#,
        ] {
            let text = map.replace("ODD", odd);
            let expected = expected.replace("ODD", odd);
            assert_eq!(replaced(&text, UnknownForms::UrlsAndBlobs), expected);
        }
        for text in [
            "",
            "[",
            "[]",
            "7",
            r#"["push""#,
            r#"["push",["url","a"#,
            r#"["push",[["url""#,
            r#"["push",{"a":["url","a:b""#,
            r#"["resolve",["url","a:b"]]"#,
        ] {
            assert_eq!(replaced(text, UnknownForms::UrlsAndBlobs), text);
        }
    }
}

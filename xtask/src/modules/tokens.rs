//! Splits Rust source into tokens, without comments, strings and lifetimes.

/// An identifier, `::` or a single character of punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// The line number, starting at 1.
    pub(super) line: usize,
}

/// Returns the tokens of `source`, which must be valid.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut reader = Reader {
        rest: source,
        line: 1,
    };
    let mut tokens = Vec::new();
    while let Some(first) = reader.rest.chars().next() {
        let line = reader.line;
        let text = match first {
            _ if first.is_whitespace() => {
                reader.skip(first.len_utf8());
                continue;
            }
            '/' if reader.rest.starts_with("//") => {
                reader.skip_to("\n");
                continue;
            }
            '/' if reader.rest.starts_with("/*") => {
                reader.skip_block_comment();
                continue;
            }
            '"' => {
                reader.skip_string();
                continue;
            }
            '\'' => {
                reader.skip_char_or_lifetime();
                continue;
            }
            _ if is_in_word(first) => {
                let word = reader.word();
                if reader.skip_literal_after(word) {
                    continue;
                }
                word
            }
            ':' if reader.rest.starts_with("::") => reader.skip(2),
            _ => reader.skip(first.len_utf8()),
        };
        tokens.push(Token { text, line });
    }
    tokens
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Skips the next `len` bytes and returns them.
    fn skip(&mut self, len: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
        skipped
    }

    /// Skips to the end of the next `end`.
    fn skip_to(&mut self, end: &str) {
        let len = self.rest.find(end).map(|at| at + end.len());
        self.skip(len.unwrap_or(self.rest.len()));
    }

    fn word(&mut self) -> &'a str {
        let len = self.rest.find(|c| !is_in_word(c));
        self.skip(len.unwrap_or(self.rest.len()))
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else if let Some(c) = self.rest.chars().next() {
                self.skip(c.len_utf8());
            } else {
                return;
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips a string. Its quote comes next.
    fn skip_string(&mut self) {
        self.skip(1);
        loop {
            let Some(at) = self.rest.find(['"', '\\']) else {
                self.skip(self.rest.len());
                return;
            };
            if self.rest[at..].starts_with('"') {
                self.skip(at + 1);
                return;
            }
            let escaped = self.rest[at + 1..].chars().next();
            self.skip(at + 1 + escaped.map_or(0, char::len_utf8));
        }
    }

    fn skip_char_or_lifetime(&mut self) {
        self.skip(1);
        let mut chars = self.rest.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), _) => {
                self.skip(2);
                self.skip_to("'");
            }
            (Some(c), Some('\'')) => {
                self.skip(c.len_utf8() + 1);
            }
            _ => {
                self.word();
            }
        }
    }

    /// Skips the rest of a literal or of a raw identifier, if `word` is its prefix.
    fn skip_literal_after(&mut self, word: &str) -> bool {
        if matches!(word, "b" | "c") && self.rest.starts_with('"') {
            self.skip_string();
            return true;
        }
        if word == "b" && self.rest.starts_with('\'') {
            self.skip_char_or_lifetime();
            return true;
        }
        if !matches!(word, "r" | "br" | "cr") {
            return false;
        }
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        if self.rest[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            self.skip(hashes + 1);
            self.skip_to(&end);
            return true;
        }
        // In `r#type`, the word itself comes next.
        self.skip(hashes);
        hashes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        assert_eq!(texts("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(texts(r#"a "b \" c" d"#), ["a", "d"]);
        assert_eq!(texts("a r\"b\\\" c r#\"d\" e\"# f"), ["a", "c", "f"]);
        assert_eq!(texts(r"a b'c' b'\'' 'd' '\'' '\u{e9}' f"), ["a", "f"]);
        assert_eq!(texts(r#"a b"b" br"c" d"#), ["a", "d"]);
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_told_apart_from_literals() {
        assert_eq!(texts("&'a b"), ["&", "b"]);
        assert_eq!(texts("<'a, 'b>"), ["<", ",", ">"]);
        assert_eq!(texts("r#type"), ["type"]);
    }

    #[test]
    fn lines_are_counted_in_everything_that_is_left_out() {
        let tokens = tokens("/*\n*/ \"\n\\\n\" r\"\n\" a\n\nb::c");
        let found: Vec<_> = tokens
            .iter()
            .map(|token| (token.text, token.line))
            .collect();
        assert_eq!(found, [("a", 5), ("b", 7), ("::", 7), ("c", 7)]);
    }
}

//! Conversion of text to tokens.

use capnweb::BigInt;

use super::{problem::Problem, tree::Span};

/// A token of the language.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// `$name`.
    Argument(String),
    Number(f64),
    BigInt(BigInt),
    String(String),
    /// A template string: its literal parts, and the ranges of the expressions between them.
    Template(Vec<String>, Vec<Span>),
    /// Punctuation, including operators that the parser rejects.
    Punct(&'static str),
    End,
}

/// All punctuation, longest first.
const PUNCTUATION: &[&str] = &[
    "===", "!==", "...", "**=", "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "++", "--",
    "+=", "-=", "**", "(", ")", "[", "]", "{", "}", ",", ".", ":", ";", "=", "-", "+", "*", "/",
    "%", "<", ">", "!", "?", "&", "|", "^", "~", "@", "#",
];

/// Returns whether `text` is the name of a variable or member.
pub(crate) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(starts_name) && chars.all(continues_name)
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$')
}

fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

pub(crate) struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// The end of the range to read. Inside a template string, more of the string follows it.
    end: usize,
}

impl<'a> Lexer<'a> {
    /// Creates a lexer for a range of the source.
    pub(crate) fn new(source: &'a str, range: Span) -> Self {
        Self {
            source,
            at: range.start,
            end: range.end,
        }
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..self.end).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    /// Returns the next token and its range.
    pub(crate) fn next(&mut self) -> Result<(Token, Span), Problem> {
        self.skip_space()?;
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok((Token::End, self.span_from(start)));
        };
        let token = if first == '$' {
            self.bump();
            let name = self.take_while(continues_name).to_owned();
            if name.is_empty() {
                return Err(
                    Problem::new(self.span_from(start), "`$` needs a name behind it")
                        .help("`$name` is the value of `--arg name=…`"),
                );
            }
            Token::Argument(name)
        } else if starts_name(first) {
            Token::Name(self.take_while(continues_name).to_owned())
        } else if first.is_ascii_digit() || self.is_fraction() {
            self.number(start)?
        } else if matches!(first, '"' | '\'') {
            Token::String(self.string(start, first)?)
        } else if first == '`' {
            self.template(start)?
        } else if let Some(found) = PUNCTUATION
            .iter()
            .find(|found| self.rest().starts_with(**found))
        {
            self.at += found.len();
            Token::Punct(found)
        } else {
            self.bump();
            let problem = Problem::new(
                self.span_from(start),
                format!("unexpected character `{first}`"),
            );
            return Err(match first {
                '“' | '”' | '‘' | '’' => problem.help("use straight quotes: \" or '"),
                _ => problem,
            });
        };
        Ok((token, self.span_from(start)))
    }

    fn is_fraction(&self) -> bool {
        let mut chars = self.rest().chars();
        chars.next() == Some('.') && chars.next().is_some_and(|c| c.is_ascii_digit())
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Result<(), Problem> {
        loop {
            self.take_while(char::is_whitespace);
            let start = self.at;
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(len) => self.at += len + 2,
                    None => {
                        return Err(Problem::new(
                            Span::new(start, start + 2),
                            "the comment has no end",
                        )
                        .incomplete());
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    fn number(&mut self, start: usize) -> Result<Token, Problem> {
        let radix = match self.rest().get(..2) {
            Some("0x" | "0X") => 16,
            Some("0o" | "0O") => 8,
            Some("0b" | "0B") => 2,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
        }
        let mut text = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        // The `e` of an exponent may be followed by a sign.
        if radix == 10
            && text.ends_with(['e', 'E'])
            && self.peek().is_some_and(|c| matches!(c, '+' | '-'))
        {
            self.bump();
            self.take_while(|c| c.is_ascii_digit());
            text = self.source.get(start..self.at).unwrap_or_default();
        }
        let span = self.span_from(start);
        let digits = text.replace('_', "");
        let malformed = || Problem::new(span, "this is not a number");
        if let Some(digits) = digits.strip_suffix('n') {
            let number = num_bigint::BigInt::parse_bytes(digits.as_bytes(), radix);
            return number
                .map(|number| Token::BigInt(number.into()))
                .ok_or_else(malformed);
        }
        if radix != 10 {
            let number = u64::from_str_radix(&digits, radix).map_err(|_| malformed())?;
            #[expect(clippy::cast_precision_loss, reason = "as JavaScript does")]
            return Ok(Token::Number(number as f64));
        }
        // Rust also parses names such as `inf` as numbers.
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        match digits.parse() {
            Ok(number) if is_number => Ok(Token::Number(number)),
            _ => Err(malformed()),
        }
    }

    fn string(&mut self, start: usize, quote: char) -> Result<String, Problem> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some(c) if c == quote => return Ok(text),
                Some('\\') => self.escape(&mut text)?,
                Some('\n') | None => {
                    return Err(Problem::new(
                        Span::new(start, start + 1),
                        "the string has no end",
                    )
                    .help(format!(
                        "close it with `{quote}`; in a shell, quote the whole expression with '…' and its strings with \"…\""
                    )));
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// Reads the rest of an escape after its backslash.
    fn escape(&mut self, text: &mut String) -> Result<(), Problem> {
        let start = self.at - 1;
        let Some(c) = self.bump() else { return Ok(()) };
        let unit = match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '0' => '\0',
            '\n' => return Ok(()),
            'x' => self.hex(start, 2)?,
            'u' if self.peek() == Some('{') => {
                self.bump();
                let digits = self.take_while(|c| c.is_ascii_hexdigit());
                let code = u32::from_str_radix(digits, 16).ok();
                let closed = self.bump() == Some('}');
                code.filter(|_| closed)
                    .and_then(char::from_u32)
                    .ok_or_else(|| self.bad_escape(start))?
            }
            'u' => {
                let first = self.hex_digits(start, 4)?;
                let code = match first {
                    0xD800..0xDC00 if self.rest().starts_with("\\u") => {
                        self.at += 2;
                        let second = self.hex_digits(start, 4)?;
                        0x10000 + ((first - 0xD800) << 10) + (second.wrapping_sub(0xDC00) & 0x3FF)
                    }
                    code => code,
                };
                // A lone surrogate cannot be sent.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other,
        };
        text.push(unit);
        Ok(())
    }

    fn hex(&mut self, start: usize, len: usize) -> Result<char, Problem> {
        let code = self.hex_digits(start, len)?;
        char::from_u32(code).ok_or_else(|| self.bad_escape(start))
    }

    fn hex_digits(&mut self, start: usize, len: usize) -> Result<u32, Problem> {
        let digits = self.rest().get(..len).unwrap_or_default();
        self.at += digits.len();
        u32::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() == len && !digits.starts_with('+'))
            .ok_or_else(|| self.bad_escape(start))
    }

    fn bad_escape(&self, start: usize) -> Problem {
        Problem::new(self.span_from(start), "the escape is malformed")
            .help("escapes are \\n, \\t, \\\\, \\\", \\x41, \\u0041 and \\u{1f600}")
    }

    fn template(&mut self, start: usize) -> Result<Token, Problem> {
        self.bump();
        let (mut texts, mut parts) = (vec![String::new()], Vec::new());
        loop {
            let text = texts.last_mut();
            match self.bump() {
                Some('`') => return Ok(Token::Template(texts, parts)),
                Some('\\') => {
                    let mut escaped = String::new();
                    self.escape(&mut escaped)?;
                    if let Some(text) = text {
                        text.push_str(&escaped);
                    }
                }
                Some('$') if self.peek() == Some('{') => {
                    self.bump();
                    parts.push(self.part(start)?);
                    texts.push(String::new());
                }
                Some(c) => {
                    if let Some(text) = text {
                        text.push(c);
                    }
                }
                None => {
                    return Err(Problem::new(
                        Span::new(start, start + 1),
                        "the template string has no end",
                    )
                    .help("close it with a backtick")
                    .incomplete());
                }
            }
        }
    }

    /// Skips the expression after `${`, and returns its range.
    fn part(&mut self, template: usize) -> Result<Span, Problem> {
        let start = self.at;
        let mut depth = 0;
        loop {
            let (token, span) = self.next()?;
            match token {
                Token::Punct("{") => depth += 1,
                Token::Punct("}") if depth == 0 => return Ok(Span::new(start, span.start)),
                Token::Punct("}") => depth -= 1,
                Token::End => {
                    return Err(Problem::new(
                        Span::new(template, template + 1),
                        "the template string has a `${` without its `}`",
                    )
                    .incomplete());
                }
                _ => {}
            }
        }
    }
}

//! Conversion of tokens to a syntax tree.

use std::sync::Arc;

use super::{
    lexer::{Lexer, Token},
    problem::Problem,
    tree::{Arrow, Expr, ExprKind, Program, Span, Statement},
};

/// The maximum nesting depth of an expression.
const MAX_DEPTH: usize = 100;

/// The maximum number of calls and members in a chain.
const MAX_CHAIN: usize = 200;

/// Parses statements separated by `;`, or by a line break before `let`.
///
/// # Errors
///
/// Returns the first mistake.
pub(crate) fn parse(source: &str) -> Result<Program, Problem> {
    let mut parser = Parser::new(source, Span::new(0, source.len()), 0)?;
    let mut statements = Vec::new();
    loop {
        while parser.take(";")? {}
        if parser.token == Token::End {
            break;
        }
        statements.push(parser.statement()?);
        let is_let = matches!(&parser.token, Token::Name(name) if name == "let");
        if parser.token != Token::End && parser.token != Token::Punct(";") && !is_let {
            return Err(parser.unexpected_end_of_expression());
        }
    }
    if statements.is_empty() {
        return Err(
            Problem::new(Span::new(0, source.len()), "there is no expression")
                .help("for instance: authenticate(\"token\").getName()"),
        );
    }
    Ok(Program { statements })
}

struct Parser<'a> {
    source: &'a str,
    lexer: Lexer<'a>,
    token: Token,
    span: Span,
    /// The range of the previous token.
    last: Span,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str, range: Span, depth: usize) -> Result<Self, Problem> {
        let mut lexer = Lexer::new(source, range);
        let (token, span) = lexer.next()?;
        Ok(Self {
            source,
            lexer,
            token,
            span,
            last: Span::new(range.start, range.start),
            depth,
        })
    }

    fn advance(&mut self) -> Result<Token, Problem> {
        let (token, span) = self.lexer.next()?;
        self.last = std::mem::replace(&mut self.span, span);
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn is(&self, punct: &str) -> bool {
        matches!(self.token, Token::Punct(found) if found == punct)
    }

    fn take(&mut self, punct: &str) -> Result<bool, Problem> {
        let is_there = self.is(punct);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn expect(&mut self, punct: &str, open: Span, what: &str) -> Result<(), Problem> {
        if self.take(punct)? {
            return Ok(());
        }
        if let Some(problem) = self.operator() {
            return Err(problem);
        }
        if self.token == Token::End {
            let at = Span::new(self.span.start, self.span.start);
            let problem = Problem::new(at, format!("expected `{punct}`"));
            let opened = self.source.get(open.start..open.end).unwrap_or_default();
            return Err(problem
                .help(format!("it closes the `{opened}` of {what}"))
                .incomplete());
        }
        Err(Problem::new(
            self.span,
            format!("expected `,` or `{punct}`, found {}", self.found()),
        ))
    }

    /// Describes the current token.
    fn found(&self) -> String {
        match &self.token {
            Token::End => "the end".to_owned(),
            _ => {
                let text = self.source.get(self.span.start..self.span.end);
                let mut text: String = text.unwrap_or_default().chars().take(20).collect();
                if text.chars().count() == 20 {
                    text.push('…');
                }
                format!("`{text}`")
            }
        }
    }

    /// Returns the problem with the current token if it is an operator.
    fn operator(&self) -> Option<Problem> {
        let Token::Punct(found) = self.token else {
            return None;
        };
        let problem = |help: &str| {
            Some(Problem::new(self.span, format!("there is no operator `{found}` here")).help(help))
        };
        match found {
            "?." => problem("use `.`: a member of null or undefined is an error of the server"),
            "..." => {
                Some(Problem::new(self.span, "`...` is not supported").help("write the elements"))
            }
            "=" => problem("only `let name = value` assigns"),
            "+" => problem(
                "expressions call and read, and the server computes; join strings with `${a}${b}`",
            ),
            "===" | "!==" | "==" | "!=" | "<=" | ">=" | "&&" | "||" | "??" | "++" | "--" | "+="
            | "-=" | "**" | "**=" | "-" | "*" | "/" | "%" | "<" | ">" | "!" | "?" | "&" | "|"
            | "^" | "~" => problem("expressions call and read, and the server computes"),
            _ => None,
        }
    }

    fn unexpected_end_of_expression(&self) -> Problem {
        if let Some(problem) = self.operator() {
            return problem;
        }
        let problem = Problem::new(
            self.span,
            format!("expected the end of the expression, found {}", self.found()),
        );
        match &self.token {
            Token::Punct(")" | "]" | "}") => problem.help("nothing is open that it could close"),
            Token::Punct("=>") => problem.help("parameters are names: `x => …`, `(x, y) => …`"),
            _ => problem.help("separate statements with `;`"),
        }
    }

    fn statement(&mut self) -> Result<Statement, Problem> {
        if let Token::Name(keyword) = &self.token
            && matches!(keyword.as_str(), "let" | "const" | "var")
        {
            let keyword = keyword.clone();
            let start = self.span;
            self.advance()?;
            let name = match self.advance()? {
                Token::Name(name) if !is_reserved(&name) => name,
                Token::End => {
                    return Err(Problem::new(self.last, "expected a name").incomplete());
                }
                _ => {
                    return Err(Problem::new(self.last, "expected a name")
                        .help("for instance: let user = authenticate(\"token\")"));
                }
            };
            if keyword != "let" {
                return Err(
                    Problem::new(start, format!("there is no `{keyword}` here")).help("use `let`")
                );
            }
            if !self.take("=")? {
                let problem =
                    Problem::new(self.span, format!("expected `=`, found {}", self.found()));
                return Err(match self.token {
                    Token::End => problem.incomplete(),
                    _ => problem,
                });
            }
            let value = self.expr()?;
            return Ok(Statement::Let { name, value });
        }
        self.expr().map(Statement::Expr)
    }

    fn expr(&mut self) -> Result<Expr, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::new(
                self.span,
                format!("expressions can be nested {MAX_DEPTH} deep"),
            )
            .help("name parts of it with `let`"));
        }
        let expr = self.unary();
        self.depth -= 1;
        expr
    }

    fn unary(&mut self) -> Result<Expr, Problem> {
        let start = self.span;
        if self.is("-") || self.is("+") {
            let is_negative = self.is("-");
            self.advance()?;
            let kind = match self.token.clone() {
                Token::Number(value) => ExprKind::Number(if is_negative { -value } else { value }),
                Token::BigInt(value) if is_negative => ExprKind::BigInt((-value.as_num()).into()),
                Token::Name(name) if name == "Infinity" => ExprKind::Number(match is_negative {
                    true => f64::NEG_INFINITY,
                    false => f64::INFINITY,
                }),
                _ => {
                    return Err(Problem::new(start, "a sign belongs in front of a number")
                        .help("expressions call and read, and the server computes"));
                }
            };
            self.advance()?;
            return self.postfix(Expr::new(kind, start.to(self.last)));
        }
        if matches!(&self.token, Token::Name(name) if name == "await") {
            self.advance()?;
            let of = self.expr()?;
            let span = start.to(of.span);
            return Ok(Expr::new(ExprKind::Await(Box::new(of)), span));
        }
        let primary = self.primary()?;
        if matches!(primary.kind, ExprKind::Arrow(_)) {
            return Ok(primary);
        }
        self.postfix(primary)
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr, Problem> {
        for _ in 0..MAX_CHAIN {
            let open = self.span;
            let kind = if self.take(".")? {
                let name = match self.advance()? {
                    Token::Name(name) => name,
                    // After a dot, `$name` is a plain name.
                    Token::Argument(name) => format!("${name}"),
                    Token::End => {
                        return Err(Problem::new(open, "expected a name behind `.`").incomplete());
                    }
                    _ => {
                        return Err(Problem::new(self.last, "expected a name behind `.`")
                            .help("any other name is `[\"in brackets\"]`"));
                    }
                };
                let of = Box::new(expr);
                ExprKind::Member { of, name }
            } else if self.take("[")? {
                let index = Box::new(self.expr()?);
                self.expect("]", open, "an index")?;
                let of = Box::new(expr);
                ExprKind::Index { of, index }
            } else if self.take("(")? {
                let args = self.list(")", open, "the arguments")?;
                let callee = Box::new(expr);
                ExprKind::Call { callee, args }
            } else {
                return match self.operator() {
                    Some(problem) if !self.is("=") => Err(problem),
                    _ => Ok(expr),
                };
            };
            let start = match &kind {
                ExprKind::Member { of, .. }
                | ExprKind::Index { of, .. }
                | ExprKind::Call { callee: of, .. } => of.span,
                _ => open,
            };
            expr = Expr::new(kind, start.to(self.last));
        }
        Err(Problem::new(
            self.span,
            format!("a chain can have {MAX_CHAIN} calls and members"),
        ))
    }

    /// Parses expressions up to a closing bracket.
    fn list(&mut self, close: &str, open: Span, what: &str) -> Result<Vec<Expr>, Problem> {
        let mut items = Vec::new();
        loop {
            if self.take(close)? {
                return Ok(items);
            }
            if self.token == Token::End {
                self.expect(close, open, what)?;
            }
            items.push(self.expr()?);
            if !self.take(",")? {
                self.expect(close, open, what)?;
                return Ok(items);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Problem> {
        let start = self.span;
        if self.is("(") {
            return self.parenthesized();
        }
        if let Some(problem) = self.operator() {
            return Err(match self.token {
                Token::Punct("/") => Problem::new(start, "there are no regular expressions here")
                    .help("they cannot be sent; pass a string"),
                _ => problem,
            });
        }
        let kind = match self.advance()? {
            Token::Number(value) => ExprKind::Number(value),
            Token::BigInt(value) => ExprKind::BigInt(value),
            Token::String(value) => ExprKind::String(value),
            Token::Argument(name) => ExprKind::Argument(name),
            Token::Template(texts, ranges) => {
                let parts = ranges
                    .into_iter()
                    .map(|range| self.part(range))
                    .collect::<Result<_, _>>()?;
                ExprKind::Template { texts, parts }
            }
            Token::Punct("[") => ExprKind::Array(self.list("]", start, "the array")?),
            Token::Punct("{") => ExprKind::Object(self.object(start)?),
            Token::Name(name) => return self.name(name, start),
            Token::End => {
                return Err(Problem::new(start, "expected an expression").incomplete());
            }
            Token::Punct(found) => {
                return Err(Problem::new(
                    start,
                    format!("expected an expression, found `{found}`"),
                ));
            }
        };
        Ok(Expr::new(kind, start.to(self.last)))
    }

    /// Parses an expression inside a template string.
    fn part(&self, range: Span) -> Result<Expr, Problem> {
        let mut parser = Parser::new(self.source, range, self.depth)?;
        if parser.token == Token::End {
            let around = Span::new(range.start - 2, range.end + 1);
            return Err(Problem::new(around, "there is no expression in `${}`"));
        }
        let expr = parser.expr()?;
        match parser.token {
            Token::End => Ok(expr),
            _ => Err(parser.unexpected_end_of_expression()),
        }
    }

    fn name(&mut self, name: String, start: Span) -> Result<Expr, Problem> {
        if self.is("=>") {
            if is_reserved(&name) {
                return Err(Problem::new(
                    start,
                    format!("`{name}` cannot be a parameter"),
                ));
            }
            return self.arrow(vec![name], start);
        }
        let problem = |message: &str, help: &str| Err(Problem::new(start, message).help(help));
        let kind = match name.as_str() {
            "undefined" => ExprKind::Undefined,
            "null" => ExprKind::Null,
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "NaN" => ExprKind::Number(f64::NAN),
            "Infinity" => ExprKind::Number(f64::INFINITY),
            "this" => ExprKind::This,
            "new" => {
                let Token::Name(name) = self.advance()? else {
                    return Err(Problem::new(self.last, "expected a name behind `new`")
                        .help("for instance: new Date(\"2026-01-31\")"));
                };
                let open = self.span;
                let args = match self.take("(")? {
                    true => self.list(")", open, "the arguments")?,
                    false => Vec::new(),
                };
                ExprKind::New { name, args }
            }
            "async" => {
                return problem(
                    "there is no `async` here",
                    "write `x => …`; what a function calls is awaited by whoever needs it",
                );
            }
            "function" => return problem("there is no `function` here", "write `x => …`"),
            "let" | "const" | "var" => {
                return problem(
                    &format!("`{name}` begins a statement"),
                    "separate statements with `;`",
                );
            }
            "typeof" | "delete" | "void" | "in" | "instanceof" | "if" | "for" | "while"
            | "return" | "throw" | "try" | "class" | "yield" | "import" => {
                return problem(
                    &format!("there is no `{name}` here"),
                    "expressions call and read, and the server computes",
                );
            }
            _ => ExprKind::Name(name),
        };
        Ok(Expr::new(kind, start.to(self.last)))
    }

    fn arrow(&mut self, parameters: Vec<String>, start: Span) -> Result<Expr, Problem> {
        self.advance()?;
        if self.is("{") {
            return Err(Problem::new(self.span, "a function has no statements here")
                .help("return an expression: `x => f(x)`; for an object: `x => ({ … })`"));
        }
        let body = self.expr()?;
        let span = start.to(body.span);
        let arrow = Arrow { parameters, body };
        Ok(Expr::new(ExprKind::Arrow(Arc::new(arrow)), span))
    }

    /// Parses a parenthesized expression, or an arrow function with parenthesized parameters.
    fn parenthesized(&mut self) -> Result<Expr, Problem> {
        let open = self.span;
        self.advance()?;
        let items = self.list(")", open, "the parentheses")?;
        let inner = open.to(self.last);
        if self.is("=>") {
            let mut parameters = Vec::new();
            for item in &items {
                match &item.kind {
                    ExprKind::Name(name) if !parameters.contains(name) => {
                        parameters.push(name.clone());
                    }
                    ExprKind::Name(name) => {
                        return Err(Problem::new(
                            item.span,
                            format!("there are two parameters `{name}`"),
                        ));
                    }
                    _ => {
                        return Err(Problem::new(item.span, "a parameter is a name")
                            .help("take the value apart in the body: `x => x[0]`"));
                    }
                }
            }
            return self.arrow(parameters, open);
        }
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (Some(only), None) => Ok(Expr::new(only.kind, inner)),
            (None, _) => Err(Problem::new(inner, "there is nothing in the parentheses")
                .help("a function without parameters is `() => …`")),
            _ => Err(Problem::new(
                inner,
                "there is more than one expression in the parentheses",
            )
            .help("an array is `[a, b]`")),
        }
    }

    fn object(&mut self, open: Span) -> Result<Vec<(String, Expr)>, Problem> {
        let mut entries: Vec<(String, Expr)> = Vec::new();
        loop {
            if self.take("}")? {
                return Ok(entries);
            }
            if self.token == Token::End {
                self.expect("}", open, "the object")?;
            }
            if let Some(problem) = self.operator() {
                return Err(problem);
            }
            let start = self.span;
            let (key, is_name) = match self.advance()? {
                Token::Name(name) => (name, true),
                Token::Argument(name) => (format!("${name}"), false),
                Token::String(name) => (name, false),
                Token::Number(value) => (value.to_string(), false),
                _ => {
                    return Err(Problem::new(start, "expected a key")
                        .help("keys are names, strings or numbers: { name: \"Ada\" }"));
                }
            };
            let value = if self.take(":")? {
                self.expr()?
            } else if is_name {
                self.name(key.clone(), start)?
            } else {
                return Err(Problem::new(
                    self.span,
                    format!("expected `:` behind the key, found {}", self.found()),
                ));
            };
            // As in JavaScript, the last of several equal keys wins.
            entries.retain(|(known, _)| *known != key);
            entries.push((key, value));
            if !self.take(",")? {
                self.expect("}", open, "the object")?;
                return Ok(entries);
            }
        }
    }
}

/// Returns whether a name cannot be used for a variable.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "undefined"
            | "null"
            | "true"
            | "false"
            | "NaN"
            | "Infinity"
            | "this"
            | "new"
            | "await"
            | "async"
            | "let"
            | "const"
            | "var"
            | "function"
            | "typeof"
            | "delete"
            | "return"
    )
}

#[cfg(test)]
mod tests;

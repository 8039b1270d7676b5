//! The syntax tree of an expression.

use std::sync::Arc;

use capnweb::{BigInt, Value};

/// A range of bytes in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the range from the start of this range to the end of `other`.
    pub(crate) fn to(self, other: Self) -> Self {
        Self::new(self.start, other.end)
    }
}

/// A sequence of statements, whose result is that of the last one.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// `let name = value`.
    Let {
        name: String,
        value: Expr,
    },
    Expr(Expr),
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    BigInt(BigInt),
    String(String),
    /// A template string: literal text before each part and after the last one.
    Template {
        texts: Vec<String>,
        parts: Vec<Expr>,
    },
    /// A variable, or a member of the main object.
    Name(String),
    /// `$name`: a value from the command line.
    Argument(String),
    /// `this`: the main object.
    This,
    Member {
        of: Box<Expr>,
        name: String,
    },
    Index {
        of: Box<Expr>,
        index: Box<Expr>,
    },
    Call {
        callee: Box<Expr>,
        args: Vec<Expr>,
    },
    /// `new Name(args)`.
    New {
        name: String,
        args: Vec<Expr>,
    },
    Array(Vec<Expr>),
    Object(Vec<(String, Expr)>),
    Arrow(Arc<Arrow>),
    Await(Box<Expr>),
}

/// An arrow function.
#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) parameters: Vec<String>,
    pub(crate) body: Expr,
}

impl Expr {
    pub(crate) fn new(kind: ExprKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// Returns the value of an expression that is a literal without parts.
    pub(crate) fn as_literal(&self) -> Option<Value> {
        Some(match &self.kind {
            ExprKind::Undefined => Value::Undefined,
            ExprKind::Null => Value::Null,
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Number(value) => Value::Number(*value),
            ExprKind::BigInt(value) => Value::BigInt(value.clone()),
            ExprKind::String(value) => Value::String(value.clone()),
            _ => return None,
        })
    }

    /// Calls `visit` for this expression and all of its subexpressions.
    pub(crate) fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        visit(self);
        match &self.kind {
            ExprKind::Template { parts, .. } => parts.iter().for_each(|part| part.walk(visit)),
            ExprKind::Member { of, .. } | ExprKind::Await(of) => of.walk(visit),
            ExprKind::Index { of, index } => {
                of.walk(visit);
                index.walk(visit);
            }
            ExprKind::Call { callee, args } => {
                callee.walk(visit);
                args.iter().for_each(|arg| arg.walk(visit));
            }
            ExprKind::New { args, .. } | ExprKind::Array(args) => {
                args.iter().for_each(|arg| arg.walk(visit));
            }
            ExprKind::Object(entries) => entries.iter().for_each(|(_, value)| value.walk(visit)),
            ExprKind::Arrow(arrow) => arrow.body.walk(visit),
            _ => {}
        }
    }
}

impl Program {
    /// Calls `visit` for all expressions and their subexpressions.
    pub(crate) fn walk(&self, visit: &mut impl FnMut(&Expr)) {
        for statement in &self.statements {
            match statement {
                Statement::Let { value, .. } => value.walk(visit),
                Statement::Expr(expr) => expr.walk(visit),
            }
        }
    }
}

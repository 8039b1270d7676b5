//! The expression language: the part of JavaScript that a Cap'n Web client needs.
//!
//! It consists of paths, calls, literals, template strings, arrays, objects, arrow functions and
//! `let`. It has no operators and no other statements: an expression sends requests to a server,
//! and computes nothing itself.

mod lexer;
mod parser;
mod problem;
mod tree;

pub(crate) use self::{
    lexer::is_identifier,
    parser::parse,
    problem::Problem,
    tree::{Arrow, Expr, ExprKind, Program, Span, Statement},
};

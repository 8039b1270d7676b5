//! The expression language: the part of JavaScript that a client of Cap'n Web needs.
//!
//! Paths, calls, literals, template strings, arrays, objects, arrow functions and `let`. There are no
//! operators and no statements besides `let`: an expression asks a server for something, and
//! computes nothing itself.

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

//! Tests that call the generated code, in this process and over sessions.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod arguments;
mod attributes;
mod combinations;
mod core_alone;
mod dates;
mod deprecated;
mod doubles;
mod enums;
mod error_types;
mod generics;
mod macro_rules;
mod names;
mod places;
mod rest;
mod shapes;
mod supertraits;
mod support;
mod tour;
mod ui;
mod values;

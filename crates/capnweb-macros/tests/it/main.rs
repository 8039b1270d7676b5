//! What the macros make, called within the process and over sessions.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod arguments;
mod attributes;
mod core_alone;
mod deprecated;
mod enums;
mod generics;
mod names;
mod shapes;
mod supertraits;
mod support;
mod tour;
mod ui;
mod values;

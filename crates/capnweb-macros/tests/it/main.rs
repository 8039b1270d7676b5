//! What the macros make, called within the process and over sessions.

mod arguments;
mod attributes;
mod core_alone;
mod enums;
mod generics;
mod names;
mod supertraits;
mod support;
mod tour;
mod values;

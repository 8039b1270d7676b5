//! What the macros make, over sessions and within the process.

mod support;
mod tour;

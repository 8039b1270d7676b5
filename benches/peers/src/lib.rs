//! The common part of the measured programs: their arguments, their clock, and loads of calls.
//!
//! Each program uses one of the frameworks that Cap'n Web for Rust is compared with. It follows the
//! framework's own documentation, and runs on one thread.
//!
//! ```text
//! PROGRAM serve --over OVER
//! PROGRAM load CASE --over OVER --at ADDRESS --seconds S [--warm-up S] [--in-flight N]
//!     [--sessions N]
//! ```
//!
//! `serve` prints `listening ADDRESS` and runs until the end of standard input. `load` prints
//! `start`, `stop` and a line of JSON. Exit codes: 1 for a wrong answer or a failure, 2 for invalid
//! arguments, 3 for a case that the program does not have.

pub use arguments::{Command, Load, Serve};
pub use failure::{Failure, Result, check, unsupported};
pub use meter::{Meter, Report};
pub use program::{listen, run};

mod arguments;
mod failure;
mod load;
mod meter;
mod program;

/// Returns the bytes for the case `bytes`, which are echoed.
pub fn mebibyte() -> Vec<u8> {
    (0..=250).cycle().take(1024 * 1024).collect()
}

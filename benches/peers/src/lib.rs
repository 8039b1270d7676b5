//! What the programs under measurement have in common: their arguments, their clock, and loads of calls.
//!
//! Each is one of the frameworks that Cap'n Web for Rust is compared with, written as the framework's own
//! documentation says, on one thread for one core.
//!
//! ```text
//! PROGRAM serve --over OVER
//! PROGRAM load CASE --over OVER --at ADDRESS --seconds S [--warm-up S] [--in-flight N] [--sessions N]
//! ```
//!
//! `serve` prints `listening ADDRESS` and ends with its standard input. `load` prints `start`, `stop` and a line of
//! JSON. Exit codes: 1 for a wrong answer or a failure, 2 for arguments that are none, 3 for a case that the program
//! does not have.

pub use arguments::{Command, Load, Serve};
pub use failure::{Failure, Result, check, unsupported};
pub use meter::{Meter, Report};
pub use program::{listen, run};

mod arguments;
mod failure;
mod load;
mod meter;
mod program;

/// The bytes of the case `bytes`, which are echoed.
pub fn mebibyte() -> Vec<u8> {
    (0..=250).cycle().take(1024 * 1024).collect()
}

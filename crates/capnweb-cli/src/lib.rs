//! The command `capnweb`: calls, watches and measures any Cap'n Web server from a shell.
//!
//! ```sh
//! capnweb call ws://127.0.0.1:8080/api \
//!     'authenticate("t").getFriendIds().map(id => [id, getUserName(id)])'
//! ```
//!
//! An expression is ordinary JavaScript and takes one round trip. [The page in the
//! book](https://github.com/capnweb-rs/capnweb/blob/main/docs/cli.md) describes it.
//!
//! This library contains the whole program, so that another binary can embed it. Its only public
//! item is [`main`]. To call servers from Rust, use [`capnweb`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod arguments;
mod command;
mod connect;
mod description;
mod evaluate;
mod expression;
mod failure;
mod inspect;
mod meter;
mod output;
mod stream;

use std::process::ExitCode;

use clap::Parser;

/// Runs the program with the arguments of the process, and returns its exit code.
///
/// | code | meaning |
/// |---|---|
/// | 0 | success |
/// | 1 | the server answered with an error |
/// | 2 | the expression or the command line is wrong; nothing was sent |
/// | 3 | no connection could be made |
/// | 4 | the answer took too long |
/// | 5 | the session ended before the answer |
///
/// It starts its own Tokio runtime, so it must be called outside of one.
pub fn main() -> ExitCode {
    command::run(&arguments::Arguments::parse())
}

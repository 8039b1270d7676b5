//! The command `capnweb`.

use std::process::ExitCode;

fn main() -> ExitCode {
    capnweb_cli::main()
}

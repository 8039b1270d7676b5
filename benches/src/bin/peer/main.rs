//! Cap'n Web for Rust as a measured program, both server and client. `cargo xtask bench` compares
//! it with others.
//!
//! ```text
//! peer serve --over OVER [--encoding ENCODING] [--upstream ADDRESS] [--ping-interval S]
//! peer load CASE --over OVER --at ADDRESS [--encoding ENCODING] [--seconds S] [--warm-up S]
//!     [--in-flight N] [--sessions N] [--size BYTES] [--exports N]
//! ```
//!
//! `serve` prints `listening ADDRESS` and runs until its input ends. With an upstream it is a
//! proxy: its clients see the main object there.
//!
//! `load` connects, warms up, prints `start`, measures, prints `stop`, and then prints the amount
//! of work and its duration in seconds as JSON. It exits with 3 for a case that it does not
//! support.

mod address;
mod connect;
mod load;
mod open_files;
mod options;
mod serve;
mod service;

use std::{error::Error, process::ExitCode};

use crate::{load::Unsupported, options::Options};

type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Unsupported>() => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match command.as_str() {
        "serve" => runtime.block_on(serve::serve(&Options::parse(words)?)),
        "load" => {
            let case = words.next().ok_or("say which case")?;
            runtime.block_on(load::load(&case, &Options::parse(words)?))
        }
        _ => Err("say `serve` or `load`".into()),
    }
}

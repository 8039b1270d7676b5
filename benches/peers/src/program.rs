//! The common part of all `main` functions.

use std::{
    env,
    future::Future,
    io,
    process::{self, ExitCode},
    thread,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;

use crate::{Command, Load, Report, Result, Serve, meter::say};

/// Runs the requested command on one thread.
pub fn run<S, L>(serve: impl FnOnce(Serve) -> S, load: impl FnOnce(Load) -> L) -> ExitCode
where
    S: Future<Output = Result>,
    L: Future<Output = Result<Report>>,
{
    match try_run(serve, load) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn try_run<S, L>(serve: impl FnOnce(Serve) -> S, load: impl FnOnce(Load) -> L) -> Result
where
    S: Future<Output = Result>,
    L: Future<Output = Result<Report>>,
{
    let command = Command::parse(env::args().skip(1))?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match command {
        Command::Serve(options) => runtime.block_on(serve(options)),
        Command::Load(options) => {
            let report = runtime.block_on(load(options))?;
            say(&serde_json::to_string(&report)?)?;
            // Do not close ten thousand sessions one by one.
            process::exit(0)
        }
    }
}

/// Listens on loopback and prints the address. The process will exit at the end of its input.
///
/// # Errors
///
/// Returns an error if no port is available, or if nobody reads the output.
pub async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("listening {}", listener.local_addr()?))?;
    thread::spawn(|| {
        // An error ends the server like the end of the input.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0)
    });
    Ok(listener)
}

/// Raises the limit on open files, since thousands of sessions need as many. If the system does not
/// allow it, opening a session fails later.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

//! The frame of a program's `main`.

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

/// Does what the arguments say, on one thread.
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
            // Ten thousand sessions need not say good-bye.
            process::exit(0)
        }
    }
}

/// Listens on loopback, says so, and sees to it that the process ends with its input.
///
/// # Errors
///
/// If there is no port, or nobody reads the output.
pub async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("listening {}", listener.local_addr()?))?;
    thread::spawn(|| {
        // Whatever ends the input ends the server.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0)
    });
    Ok(listener)
}

/// Sessions by the thousand need as many files. What the system does not allow shows when one cannot be opened.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

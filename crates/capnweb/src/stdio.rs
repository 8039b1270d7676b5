//! Sessions over the standard input and output of a process, a message a line: with a child
//! process, or as one.
//!
//! The child:
//!
//! ```no_run
//! use capnweb::Object;
//!
//! #[tokio::main]
//! async fn main() {
//!     let why_it_ended = capnweb::stdio::serve(|_| {
//!         Object::new().method("add", |a: f64, b: f64| async move { Ok(a + b) }).into_stub()
//!     })
//!     .await;
//!     eprintln!("{why_it_ended}");
//! }
//! ```
//!
//! Its parent:
//!
//! ```no_run
//! use capnweb::{Result, Stub};
//! use tokio::process::Command;
//!
//! # async fn example() -> Result<()> {
//! let (api, mut child) = capnweb::stdio::spawn::<Stub>(&mut Command::new("./calculator"))?;
//! assert_eq!(api.call("add", (1, 2)).fetch::<f64>().await?, 3.0);
//! // Without anything of the session, its end is told to the child, which ends too.
//! drop(api);
//! child.wait().await.ok();
//! # Ok(()) }
//! ```
//!
//! The standard output belongs to the session: a child that prints something to it breaks the
//! session. Logs go to the standard error.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll, ready},
};

use capnweb_core::{Error, Result, Session, StubType};
use capnweb_net::ConnectError;
use tokio::{
    io::AsyncWrite,
    process::{Child, ChildStdin, Command},
};

use crate::lines::{Client, Server};

/// Serves the process at the other end of this one's standard input and output. Ends when the
/// session does, and returns the reason.
///
/// Tokio reads the standard input in a thread of its own, which nothing can interrupt. A runtime
/// that is dropped while the other end still holds it open waits for a line, or the end. If the
/// session may end earlier than that, end the program with [`std::process::exit`].
pub async fn serve<F, S>(factory: F) -> Error
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    serve_with(Server::new(factory)).await
}

/// Serves like [`serve`] with settings.
pub async fn serve_with<F, S>(mut server: Server<F>) -> Error
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    let io = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
    let (_session, driver) = server.driver(io, None);
    driver.await
}

/// Starts a child process and connects to its standard input and output. Returns its main object.
///
/// When nothing of the session is held any more the child's standard input ends, which is a sign
/// for it to end too. Dropping the [`Child`] does not end it, unless the command says
/// `kill_on_drop`.
///
/// # Errors
///
/// "the child process was not started: …" with the cause.
///
/// # Panics
///
/// Outside of a Tokio runtime.
pub fn spawn<S: StubType>(command: &mut Command) -> Result<(S, Child)> {
    let (session, child) = spawn_with(command, &Client::new())?;
    Ok((S::from_stub(session.main()), child))
}

/// Starts a child process like [`spawn`] with settings, and a main object of our own. Returns the
/// session.
///
/// # Errors
///
/// As [`spawn`].
///
/// # Panics
///
/// Outside of a Tokio runtime.
pub fn spawn_with(command: &mut Command, client: &Client) -> Result<(Session, Child)> {
    let failed = |error: ConnectError| {
        error.into_error(|cause| format!("the child process was not started: {cause}"))
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(ConnectError::io(&error)))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        let cause = "it has no standard input and output";
        return Err(failed(ConnectError::other(cause)));
    };
    let io = tokio::io::join(stdout, Input(Some(stdin)));
    Ok((client.over(io), child))
}

/// A child's standard input, which ends when it is shut down.
struct Input(Option<ChildStdin>);

impl Input {
    fn open(&mut self) -> io::Result<Pin<&mut ChildStdin>> {
        let stdin = self.0.as_mut().map(Pin::new);
        stdin.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Ok(stdin) = self.open() {
            ready!(stdin.poll_flush(cx))?;
        }
        // For tokio it would stay open until it is dropped.
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

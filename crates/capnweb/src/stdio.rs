//! Sessions over the standard input and output of a process, with one message per line: with a
//! child process, or as one.
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
//! // When the last handle is dropped, the session ends, and so does the child.
//! drop(api);
//! child.wait().await.ok();
//! # Ok(()) }
//! ```
//!
//! The standard output belongs to the session, so a child that prints anything to it breaks the
//! session. Write logs to the standard error.

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

/// Serves the process at the other end of the standard input and output. Completes when the session
/// ends, and returns the reason.
///
/// Tokio reads the standard input in a separate thread that cannot be interrupted. If a runtime is
/// dropped while the other end still holds the input open, the drop waits for a line or the end of
/// the input. If the session may end earlier than that, end the program with
/// [`std::process::exit`].
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
/// The child's standard input ends when the last handle of the session is dropped, which tells the
/// child to end too. Dropping the [`Child`] does not end it, unless the command sets
/// `kill_on_drop`.
///
/// # Errors
///
/// Returns "the child process was not started: …" with the cause.
///
/// # Panics
///
/// Panics outside a Tokio runtime.
pub fn spawn<S: StubType>(command: &mut Command) -> Result<(S, Child)> {
    let (session, child) = spawn_with(command, &Client::new())?;
    Ok((S::from_stub(session.main()), child))
}

/// Starts a child process like [`spawn`], with settings and a main object for the child to call.
/// Returns the session.
///
/// # Errors
///
/// Returns the same errors as [`spawn`].
///
/// # Panics
///
/// Panics outside a Tokio runtime.
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
        // Tokio would keep it open until it is dropped.
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

//! Sessions over Unix sockets, a message a line.
//!
//! ```
//! use capnweb::{Object, Result, Stub, unix};
//! use tokio::net::UnixListener;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let path = std::env::temp_dir().join(format!("capnweb-example-{}", std::process::id()));
//! let listener = UnixListener::bind(&path)?;
//! tokio::spawn(unix::serve(listener, |_| {
//!     Object::new().method("add", |a: f64, b: f64| async move { Ok(a + b) }).into_stub()
//! }));
//!
//! let api: Stub = unix::connect(&path).await?;
//! assert_eq!(api.call("add", (1, 2)).fetch::<f64>().await?, 3.0);
//! # std::fs::remove_file(path)?;
//! # Ok(())
//! # }
//! ```
//!
//! Who may connect is decided by the permissions of the socket's file and of the folders that it is
//! in.

use std::{convert::Infallible, io, path::Path, time::Duration};

use capnweb_core::{Result, Session, StubType};
use capnweb_net::ConnectError;
use tokio::net::{UnixListener, UnixStream};

use crate::lines::{Client, Listener, Server, accept_all, within};

/// Connects to the socket at `path` and returns the server's main object. The connection lives as
/// long as the stub, or anything that came by it.
///
/// # Errors
///
/// "Unix socket connection failed: …" with the path and the cause, after 30 seconds at the latest.
/// [`Error::connect_failure`](crate::Error::connect_failure) tells the causes apart.
pub async fn connect<S: StubType>(path: impl AsRef<Path>) -> Result<S> {
    Ok(S::from_stub(
        connect_with(path, &Client::new()).await?.main(),
    ))
}

/// Connects like [`connect`] with settings, and a main object of our own. Returns the session.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_with(path: impl AsRef<Path>, client: &Client) -> Result<Session> {
    let path = path.as_ref();
    let connecting = within(client, async {
        UnixStream::connect(path)
            .await
            .map_err(|error| ConnectError::io(&error))
    });
    let stream = connecting.await.map_err(|error| {
        let path = path.display();
        error.into_error(|cause| format!("Unix socket connection failed: {path}: {cause}"))
    })?;
    Ok(client.over(stream))
}

/// Serves all clients that connect to `listener`, each in a task of its own. `factory` makes the
/// main object for each.
///
/// It does not end: spawn it, or select over it and a signal to shut down.
pub async fn serve<F, S>(listener: UnixListener, factory: F) -> Infallible
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    serve_with(listener, Server::new(factory)).await
}

/// Serves like [`serve`] with settings.
pub async fn serve_with<F, S>(listener: UnixListener, server: Server<F>) -> Infallible
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    accept_all(listener, server).await
}

impl Listener for UnixListener {
    type Io = UnixStream;

    async fn next(&self, _: Option<Duration>) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

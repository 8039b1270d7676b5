//! Sessions over Unix sockets, with one message per line.
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
//! The permissions of the socket's file and of its parent directories determine who may connect.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use capnweb_core::{Result, Session, StubType};
use capnweb_net::ConnectError;
use tokio::net::{UnixListener, UnixStream};

use crate::lines::{Accept, Client, within};
#[doc(inline)]
pub use crate::lines::{serve, serve_with};

/// Connects to the socket at `path` and returns the server's main object. The connection lives as
/// long as the stub, or any other handle of the session.
///
/// # Errors
///
/// Returns "Unix socket connection failed: …" with the path and the cause, after 30 seconds at the
/// latest. [`Error::connect_failure`](crate::Error::connect_failure) distinguishes the causes.
pub async fn connect<S: StubType>(path: impl AsRef<Path>) -> Result<S> {
    Ok(S::from_stub(
        connect_with(path, &Client::new()).await?.main(),
    ))
}

/// Connects like [`connect`], with settings and a main object for the server to call. Returns the
/// session.
///
/// # Errors
///
/// Returns the same errors as [`connect`].
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

impl Accept for UnixListener {
    type Io = UnixStream;

    async fn next(&self, _: Option<Duration>) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        Ok((self.accept().await?.0, None))
    }
}

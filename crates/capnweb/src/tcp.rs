//! Sessions over TCP, with one message per line.
//!
//! ```
//! use capnweb::{Object, Result, Stub, tcp};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(tcp::serve(listener, |_| {
//!     Object::new().method("add", |a: f64, b: f64| async move { Ok(a + b) }).into_stub()
//! }));
//!
//! let api: Stub = tcp::connect(address).await?;
//! assert_eq!(api.call("add", (1, 2)).fetch::<f64>().await?, 3.0);
//! # Ok(())
//! # }
//! ```
//!
//! TCP provides neither encryption nor authentication, so use it only in networks that you trust.
//! Browsers cannot connect to it.

use std::{io, net::SocketAddr, time::Duration};

use capnweb_core::{Result, Session, StubType};
use capnweb_net::{
    dial::{dial, resolve},
    socket,
};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::lines::{Accept, Client, within};
#[doc(inline)]
pub use crate::lines::{serve, serve_with};

/// Connects to `address` and returns the server's main object. The connection lives as long as the
/// stub, or any other handle of the session.
///
/// If a host has several addresses, they are tried as in RFC 8305: the next one is tried when an
/// attempt fails, or after 250 milliseconds.
///
/// # Errors
///
/// Returns "TCP connection failed: …" with the cause, after 30 seconds at the latest.
/// [`Error::connect_failure`](crate::Error::connect_failure) distinguishes the causes.
pub async fn connect<S: StubType>(address: impl ToSocketAddrs) -> Result<S> {
    Ok(S::from_stub(
        connect_with(address, &Client::new()).await?.main(),
    ))
}

/// Connects like [`connect`], with settings and a main object for the server to call. Returns the
/// session.
///
/// # Errors
///
/// Returns the same errors as [`connect`].
pub async fn connect_with(address: impl ToSocketAddrs, client: &Client) -> Result<Session> {
    let connecting = within(client, async {
        dial(resolve(address).await?, client.tcp_keep_alive).await
    });
    let stream = connecting
        .await
        .map_err(|error| error.into_error(|cause| format!("TCP connection failed: {cause}")))?;
    Ok(client.over(stream))
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn next(
        &self,
        tcp_keep_alive: Option<Duration>,
    ) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, client) = self.accept().await?;
        socket::configure(&stream, tcp_keep_alive);
        Ok((stream, Some(client)))
    }
}

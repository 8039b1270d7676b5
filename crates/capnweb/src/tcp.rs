//! Sessions over TCP, a message a line.
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
//! TCP neither encrypts nor authenticates: keep it to networks that you trust. Browsers cannot connect to it.

use std::{convert::Infallible, io, time::Duration};

use capnweb_core::{Error, Result, Session, StubType};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::lines::{Client, Listener, Server, accept_all};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to `address` and gives the server's main object. The connection lives as long as it, or anything that
/// came by it.
///
/// # Errors
///
/// "TCP connection failed: …" with the cause, after 30 seconds at the latest.
pub async fn connect<S: StubType>(address: impl ToSocketAddrs) -> Result<S> {
    Ok(S::from_stub(
        connect_with(address, &Client::new()).await?.main(),
    ))
}

/// [`connect`] with settings, and a main object of our own. Gives the session.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_with(address: impl ToSocketAddrs, client: &Client) -> Result<Session> {
    let failed = |cause: String| Error::disconnected(format!("TCP connection failed: {cause}"));
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| failed(format!("no answer within {CONNECT_TIMEOUT:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    no_delay(&stream);
    Ok(client.over(stream))
}

/// Serves all who connect to `listener`, each in a task of its own. `factory` makes the main object for each.
///
/// It does not end: spawn it, or select over it and a signal to shut down.
pub async fn serve<F, S>(listener: TcpListener, factory: F) -> Infallible
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    serve_with(listener, Server::new(factory)).await
}

/// [`serve`] with settings.
pub async fn serve_with<F, S>(listener: TcpListener, server: Server<F>) -> Infallible
where
    F: FnMut(&Session) -> S,
    S: StubType,
{
    accept_all(listener, server).await
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        no_delay(&stream);
        Ok(stream)
    }
}

fn no_delay(stream: &TcpStream) {
    // It works without, only slower; if this fails the socket is most likely gone.
    let _ = stream.set_nodelay(true);
}

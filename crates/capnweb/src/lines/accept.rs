//! Accepting connections.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, time::Duration};

use capnweb_core::{Session, StubType};
use capnweb_net::{FirstByte, Sessions};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Server;

/// The pause after a failed accept, which may mean that there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(500);

/// A listener for [`serve`]: a `TcpListener` or a `UnixListener`.
///
/// For any other stream, use [`Server::over`].
pub trait Listener: Accept {}

impl<L: Accept> Listener for L {}

/// A source of byte streams.
pub trait Accept {
    /// The streams.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Waits for the next stream. Returns it with the address of the client, if it has one.
    fn next(
        &self,
        tcp_keep_alive: Option<Duration>,
    ) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

/// Serves all clients that connect to `listener`, each in a task of its own. `factory` makes the
/// main object for each client.
///
/// A client that sends nothing for [too long](Server::first_message_timeout) after connecting is
/// disconnected. A client beyond the [bounds for all clients](Server::server_limits) is refused.
///
/// This future never completes. Spawn it, or select over it and a shutdown signal.
pub async fn serve<L, F, S>(listener: L, factory: F) -> Infallible
where
    L: Listener,
    F: FnMut(&Session) -> S,
    S: StubType,
{
    serve_with(listener, Server::new(factory)).await
}

/// Serves like [`serve`] with settings.
pub async fn serve_with<L, F, S>(listener: L, mut server: Server<F>) -> Infallible
where
    L: Listener,
    F: FnMut(&Session) -> S,
    S: StubType,
{
    loop {
        match listener.next(server.tcp_keep_alive).await {
            Ok(_) if server.sessions.as_ref().is_some_and(Sessions::is_refusing) => {
                tracing::debug!(target: "capnweb", "a connection was refused: the server stops");
            }
            Ok((io, client)) => {
                let address = client.map(|client| client.ip());
                let admitted = match server.limits.handshake(address).await {
                    Ok(handshake) => {
                        let permit = server.limits.admit_session(address);
                        permit.map(|permit| (permit, handshake))
                    }
                    Err(limit) => Err(limit),
                };
                match admitted {
                    Ok((permit, handshake)) => {
                        let timeout = server.first_message_timeout;
                        let io = FirstByte::new(io, permit, handshake, timeout);
                        let (_, driver) = server.driver(io, client);
                        tokio::spawn(driver);
                    }
                    // Dropping the stream closes it.
                    Err(limit) => {
                        tracing::debug!(target: "capnweb", %limit, "a connection was refused");
                    }
                }
            }
            // That client has already disconnected.
            Err(error) if is_about_one(&error) => {}
            Err(error) => {
                tracing::error!(target: "capnweb", %error, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_about_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

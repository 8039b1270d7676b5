//! Accepting connections, and stopping.

use std::{
    fmt,
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};
use wtransport::{
    proto::error::ErrorCode,
    quinn::{Endpoint, Incoming, VarInt},
};

use super::{session, shared::Shared};
use crate::{Identity, quic::server_config};

/// The time that clients have to notice that the server is gone, after their sessions have ended.
const FAREWELL: Duration = Duration::from_secs(3);

/// A [`Server`](crate::Server) that is bound to an address.
#[must_use = "it answers nobody until it is served"]
pub struct Listener {
    endpoint: Endpoint,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Listener {
    pub(super) fn new(endpoint: Endpoint, shared: Shared) -> io::Result<Self> {
        Ok(Self {
            local_addr: endpoint.local_addr()?,
            endpoint,
            shared: Arc::new(shared),
        })
    }

    /// Returns the address, with the actual port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns a handle to replace the certificate while the server runs.
    pub fn reloader(&self) -> Reloader {
        Reloader {
            endpoint: self.endpoint.clone(),
        }
    }

    /// Serves for ever. Dropping the future ends all sessions.
    pub async fn serve(self) {
        self.serve_until(pending(), Duration::ZERO).await;
    }

    /// Serves until `stopped` completes, then shuts down gracefully. No further clients are
    /// accepted. A session ends once everything that its client waits for has been answered,
    /// including streams, or after the time `grace`, with the reason "the server is shutting down".
    /// The future completes when all sessions are over.
    ///
    /// Methods whose results are not awaited continue for the time of
    /// [`SessionOptions::with_grace_period`](capnweb_core::SessionOptions::with_grace_period). Dropping the
    /// future ends all sessions at once.
    pub async fn serve_until(self, stopped: impl Future<Output = ()> + Send, grace: Duration) {
        let mut connections = JoinSet::new();
        let (stop, stopping) = watch::channel(None);
        let mut stopped = pin!(stopped);
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.admit(incoming, &mut connections, &stopping),
                    None => {
                        tracing::error!(target: "capnweb", "the server's UDP socket has failed");
                        break;
                    }
                },
                Some(ended) = connections.join_next() => report(ended),
                () = &mut stopped => break,
            }
        }
        stop.send_replace(Some(Instant::now() + grace));
        while !connections.is_empty() {
            tokio::select! {
                Some(ended) = connections.join_next() => report(ended),
                Some(incoming) = self.endpoint.accept() => incoming.refuse(),
                else => break,
            }
        }
        self.endpoint
            .close(no_error(), b"the server is shutting down");
        let _ = tokio::time::timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }

    fn admit(
        &self,
        incoming: Incoming,
        connections: &mut JoinSet<()>,
        stop: &watch::Receiver<Option<Instant>>,
    ) {
        let limits = &self.shared.limits;
        // An address that is not validated may be forged, so it is not counted.
        let client = incoming
            .remote_address_validated()
            .then(|| incoming.remote_address().ip());
        let Ok(handshake) = limits.try_handshake(client) else {
            return incoming.refuse();
        };
        let is_busy = limits.handshakes() > limits.max_handshakes().div_ceil(2);
        if is_busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // This was just checked to be possible.
            let _ = incoming.retry();
            return;
        }
        let shared = self.shared.clone();
        connections.spawn(session::attend(incoming, shared, handshake, stop.clone()));
    }
}

fn no_error() -> VarInt {
    let code = ErrorCode::NoError.to_code().into_inner();
    VarInt::from_u64(code).unwrap_or_default()
}

/// Logs a panic of the application's factory. It ends only the connection.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(target: "capnweb", %error, "a connection has failed");
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("local_addr", &self.local_addr)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

/// Replaces the certificate of a server, for instance before the old one expires.
#[derive(Clone)]
pub struct Reloader {
    endpoint: Endpoint,
}

impl Reloader {
    /// Uses this certificate for all further connections. Open sessions are not affected.
    ///
    /// # Errors
    ///
    /// Returns an error if QUIC does not accept the certificate.
    pub fn reload(&self, identity: &Identity) -> io::Result<()> {
        let config = server_config(identity)?;
        self.endpoint.set_server_config(Some(config));
        Ok(())
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

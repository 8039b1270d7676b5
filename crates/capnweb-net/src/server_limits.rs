//! Bounds for all clients of a server together.

mod fd;
mod handshakes;
mod per_address;
mod sessions;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use capnweb_core::ByteBudget;

pub use self::{handshakes::Handshake, sessions::SessionPermit};
use self::{handshakes::Handshakes, sessions::Sessions};

/// Bounds on the resources that all clients of a server, or of a process, use together.
///
/// The bounds of a single session are its [`Limits`](capnweb_core::Limits). Clones of a
/// `ServerLimits` share their counts, so one value can serve several listeners and routes. By
/// default, all servers use [`ServerLimits::shared`], the bounds of the process:
///
/// ```
/// use capnweb::ServerLimits;
///
/// let limits = ServerLimits::new()
///     .with_max_sessions(1_000)
///     .with_max_unfinished_bytes(64 << 20);
/// assert_eq!(limits.max_sessions(), 1_000);
/// assert_eq!(limits.sessions(), 0);
/// ```
///
/// | bound | default | beyond it |
/// |---|---|---|
/// | [`max_sessions`](Self::max_sessions) | 65,536 | a session is refused |
/// | [`max_sessions_per_address`](Self::max_sessions_per_address) | 16,384 | a session is refused |
/// | [`max_handshakes`](Self::max_handshakes) | 1,024 | the oldest connection is closed |
/// | [`max_handshakes_per_address`](Self::max_handshakes_per_address) | 512 | the oldest connection of the address is closed |
/// | [`max_unfinished_bytes`](Self::max_unfinished_bytes) | 512 MiB | the session or batch ends |
/// | [`max_unread_bytes`](Self::max_unread_bytes) | 512 MiB | a batch or its answer ends |
///
/// A refusal over HTTP is a 503 with `Retry-After`. Over other transports, the connection is
/// closed.
///
/// Setting a bound starts separate counts, so set bounds before sharing the value.
#[derive(Clone)]
pub struct ServerLimits {
    sessions: Arc<Sessions>,
    handshakes: Arc<Handshakes>,
    unfinished: ByteBudget,
    unread: ByteBudget,
}

/// The time after which a refused client may try again.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

const MAX_SESSIONS: usize = 1 << 16;
const MAX_SESSIONS_PER_ADDRESS: usize = 1 << 14;
const MAX_HANDSHAKES: usize = 1 << 10;
const MAX_HANDSHAKES_PER_ADDRESS: usize = 1 << 9;
const MAX_BYTES: usize = 512 << 20;

impl Default for ServerLimits {
    fn default() -> Self {
        // The rest is for sessions.
        let of_descriptors = fd::max_open().map_or(usize::MAX, |max| (max / 2).max(1));
        Self {
            sessions: Sessions::new(MAX_SESSIONS, MAX_SESSIONS_PER_ADDRESS),
            handshakes: Handshakes::new(
                MAX_HANDSHAKES.min(of_descriptors),
                MAX_HANDSHAKES_PER_ADDRESS.min(of_descriptors.div_ceil(2)),
            ),
            unfinished: ByteBudget::new(MAX_BYTES),
            unread: ByteBudget::new(MAX_BYTES),
        }
    }
}

impl ServerLimits {
    /// Creates the default bounds with separate counts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the bounds of all servers in this process that use no others.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<ServerLimits> = LazyLock::new(ServerLimits::new);
        &SHARED
    }

    /// Sets the maximum number of sessions, including batches that are being answered.
    #[must_use]
    pub fn with_max_sessions(mut self, max: usize) -> Self {
        self.sessions = Sessions::new(max, self.max_sessions_per_address());
        self
    }

    /// Sets the maximum number of sessions per address: an IPv4 address, or the first 64 bits of an
    /// IPv6 address.
    ///
    /// Behind a proxy, all clients have the proxy's address. The bound applies wherever the address
    /// is known: everywhere except on Unix sockets, and under `axum::serve` without
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    #[must_use]
    pub fn with_max_sessions_per_address(mut self, max: usize) -> Self {
        self.sessions = Sessions::new(self.max_sessions(), max);
        self
    }

    /// Sets the maximum number of connections that have no session or request yet.
    ///
    /// If there are this many, the oldest is closed once it is a second old; until then no further
    /// connection is accepted. So silent connections cannot lock out clients that send requests. On
    /// Linux, the default is at most half of the file descriptors that the process may open.
    #[must_use]
    pub fn with_max_handshakes(mut self, max: usize) -> Self {
        self.handshakes = Handshakes::new(max, self.max_handshakes_per_address());
        self
    }

    /// Sets the maximum number of connections without a session or request per address: an IPv4
    /// address, or the first 64 bits of an IPv6 address.
    ///
    /// If an address has this many, its oldest connection is closed once it is a second old; until
    /// then further connections from this address are closed. Clients with other addresses do not
    /// wait. The bound has no effect unless it is lower than
    /// [`max_handshakes`](Self::max_handshakes). Behind a proxy, all clients have the proxy's
    /// address.
    #[must_use]
    pub fn with_max_handshakes_per_address(mut self, max: usize) -> Self {
        self.handshakes = Handshakes::new(self.max_handshakes(), max);
        self
    }

    /// Sets the maximum number of bytes that may be held of incomplete messages and requests, for
    /// all clients together. The first 64 KiB of each connection are not counted.
    #[must_use]
    pub fn with_max_unfinished_bytes(mut self, max: usize) -> Self {
        self.unfinished = ByteBudget::new(max);
        self
    }

    /// Sets the maximum number of bytes of answers to batches that may wait for their clients to
    /// read them, for all clients together. The first 64 KiB of each batch are not counted.
    #[must_use]
    pub fn with_max_unread_bytes(mut self, max: usize) -> Self {
        self.unread = ByteBudget::new(max);
        self
    }

    /// Returns the bound on the number of sessions.
    #[must_use]
    pub fn max_sessions(&self) -> usize {
        self.sessions.max()
    }

    /// Returns the bound on the number of sessions per address.
    #[must_use]
    pub fn max_sessions_per_address(&self) -> usize {
        self.sessions.max_per_address()
    }

    /// Returns the bound on connections that have sent no request yet.
    #[must_use]
    pub fn max_handshakes(&self) -> usize {
        self.handshakes.max()
    }

    /// Returns the bound on connections per address that have sent no request yet.
    #[must_use]
    pub fn max_handshakes_per_address(&self) -> usize {
        self.handshakes.max_per_address()
    }

    /// Returns the bound on bytes of unfinished messages and requests.
    #[must_use]
    pub fn max_unfinished_bytes(&self) -> usize {
        self.unfinished.max()
    }

    /// Returns the bound on bytes of unread answers to batches.
    #[must_use]
    pub fn max_unread_bytes(&self) -> usize {
        self.unread.max()
    }

    /// Returns the number of sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the number of connections that have sent no request yet.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// Returns the budget for bytes of unfinished messages and requests.
    #[must_use]
    pub fn unfinished(&self) -> &ByteBudget {
        &self.unfinished
    }

    /// Returns the budget for bytes of unread answers to batches.
    #[must_use]
    pub fn unread(&self) -> &ByteBudget {
        &self.unread
    }

    /// Counts a session until the permit is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many sessions, in total or for this address.
    pub fn admit_session(&self, client: Option<IpAddr>) -> Result<SessionPermit, ServerFull> {
        self.sessions.admit(client)
    }

    /// Counts an accepted connection that has sent no request yet. Waits while there are too many
    /// of them and all are young.
    ///
    /// # Errors
    ///
    /// Returns an error, without waiting, if there are too many of this address and all are young.
    pub async fn handshake(&self, client: Option<IpAddr>) -> Result<Handshake, ServerFull> {
        self.handshakes.begin(client).await
    }

    /// Counts a connection like [`handshake`](Self::handshake), without waiting.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many, in total or of this address, and all are young.
    pub fn try_handshake(&self, client: Option<IpAddr>) -> Result<Handshake, ServerFull> {
        self.handshakes.try_begin(client)
    }
}

impl fmt::Debug for ServerLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLimits")
            .field("max_sessions", &self.max_sessions())
            .field("max_sessions_per_address", &self.max_sessions_per_address())
            .field("max_handshakes", &self.max_handshakes())
            .field(
                "max_handshakes_per_address",
                &self.max_handshakes_per_address(),
            )
            .field("max_unfinished_bytes", &self.max_unfinished_bytes())
            .field("max_unread_bytes", &self.max_unread_bytes())
            .finish_non_exhaustive()
    }
}

/// The bound of [`ServerLimits`] because of which a client was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerFull {
    /// [`ServerLimits::max_sessions`].
    Sessions,
    /// [`ServerLimits::max_sessions_per_address`].
    SessionsPerAddress,
    /// [`ServerLimits::max_handshakes`].
    Handshakes,
    /// [`ServerLimits::max_handshakes_per_address`].
    HandshakesPerAddress,
    /// [`ServerLimits::max_unfinished_bytes`].
    UnfinishedBytes,
    /// [`ServerLimits::max_unread_bytes`].
    UnreadBytes,
}

impl fmt::Display for ServerFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sessions => "the server has too many sessions (limit max_sessions)",
            Self::SessionsPerAddress => {
                "there are too many sessions with this address (limit max_sessions_per_address)"
            }
            Self::Handshakes => {
                "too many connections are waiting for their first request (limit max_handshakes)"
            }
            Self::HandshakesPerAddress => {
                "too many connections with this address are waiting for their first request \
                 (limit max_handshakes_per_address)"
            }
            Self::UnfinishedBytes => {
                "the server holds too many bytes of unfinished requests (limit max_unfinished_bytes)"
            }
            Self::UnreadBytes => {
                "the server holds too many bytes of unread answers (limit max_unread_bytes)"
            }
        })
    }
}

impl std::error::Error for ServerFull {}

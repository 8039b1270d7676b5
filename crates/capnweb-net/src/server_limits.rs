//! Bounds for all clients of a server together.

mod fd;
mod handshakes;
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

/// Bounds for what all clients of a server, or of a process, may take up together.
///
/// The bounds of one session are its [`Limits`](capnweb_core::Limits). Clones of a `ServerLimits`
/// share their counts, so one value can serve several listeners and routes. All servers use that of
/// the process, [`ServerLimits::shared`], unless they are given another:
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
/// | [`max_unfinished_bytes`](Self::max_unfinished_bytes) | 512 MiB | the message ends its session, the batch is refused |
/// | [`max_unread_bytes`](Self::max_unread_bytes) | 512 MiB | a batch is refused, or its answer cut off |
///
/// A refusal over HTTP is a 503 with `Retry-After`; elsewhere the connection is closed.
///
/// Settings begin a count of their own, so set them before the value is shared.
#[derive(Clone)]
pub struct ServerLimits {
    sessions: Arc<Sessions>,
    handshakes: Arc<Handshakes>,
    unfinished: ByteBudget,
    unread: ByteBudget,
}

/// The time after which a client that was refused may try again.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

const MAX_SESSIONS: usize = 1 << 16;
const MAX_SESSIONS_PER_ADDRESS: usize = 1 << 14;
const MAX_HANDSHAKES: usize = 1 << 10;
const MAX_BYTES: usize = 512 << 20;

impl Default for ServerLimits {
    fn default() -> Self {
        // The rest is for sessions.
        let of_descriptors = fd::max_open().map_or(usize::MAX, |max| (max / 2).max(1));
        Self {
            sessions: Sessions::new(MAX_SESSIONS, MAX_SESSIONS_PER_ADDRESS),
            handshakes: Handshakes::new(MAX_HANDSHAKES.min(of_descriptors)),
            unfinished: ByteBudget::new(MAX_BYTES),
            unread: ByteBudget::new(MAX_BYTES),
        }
    }
}

impl ServerLimits {
    /// The defaults, with counts of their own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The limits of all servers of this process that are given no others.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<ServerLimits> = LazyLock::new(ServerLimits::new);
        &SHARED
    }

    /// Sets how many sessions there may be, batches that are being answered included.
    #[must_use]
    pub fn with_max_sessions(mut self, max: usize) -> Self {
        self.sessions = Sessions::new(max, self.max_sessions_per_address());
        self
    }

    /// Sets how many of the sessions may be with one address: an address of IPv4, or the first 64
    /// bits of one of IPv6.
    ///
    /// Behind a proxy all clients have the address of the proxy. It applies where the address is
    /// known: everywhere but under `axum::serve` without
    /// `into_make_service_with_connect_info::<SocketAddr>()`, and on Unix sockets.
    #[must_use]
    pub fn with_max_sessions_per_address(mut self, max: usize) -> Self {
        self.sessions = Sessions::new(self.max_sessions(), max);
        self
    }

    /// Sets how many connections may be on the way to a session or a request.
    ///
    /// If there are so many, the oldest is closed once it is a second old, and until then no further
    /// connection is accepted. So silent connections cannot lock out clients that do ask for
    /// something. On Linux the default is at most half of the file descriptors that the process may
    /// open.
    #[must_use]
    pub fn with_max_handshakes(mut self, max: usize) -> Self {
        self.handshakes = Handshakes::new(max);
        self
    }

    /// Sets how many bytes of messages and requests that are not complete may be held, for all
    /// clients together. A connection's first 64 KiB are not counted.
    #[must_use]
    pub fn with_max_unfinished_bytes(mut self, max: usize) -> Self {
        self.unfinished = ByteBudget::new(max);
        self
    }

    /// Sets how many bytes of answers to batches may wait for their clients to read them, for all
    /// clients together. A batch's first 64 KiB are not counted.
    #[must_use]
    pub fn with_max_unread_bytes(mut self, max: usize) -> Self {
        self.unread = ByteBudget::new(max);
        self
    }

    /// Returns the bound on sessions.
    #[must_use]
    pub fn max_sessions(&self) -> usize {
        self.sessions.max()
    }

    /// Returns the bound on sessions with one address.
    #[must_use]
    pub fn max_sessions_per_address(&self) -> usize {
        self.sessions.max_per_address()
    }

    /// Returns the bound on connections that have asked for nothing yet.
    #[must_use]
    pub fn max_handshakes(&self) -> usize {
        self.handshakes.max()
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

    /// Returns the number of connections that have asked for nothing yet.
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
    /// If there are too many, in all or with this address.
    pub fn admit_session(&self, client: Option<IpAddr>) -> Result<SessionPermit, ServerFull> {
        self.sessions.admit(client)
    }

    /// Counts a connection that was accepted and has asked for nothing yet. Waits while there are
    /// too many of them and all are young.
    pub async fn handshake(&self) -> Handshake {
        self.handshakes.begin().await
    }

    /// Counts a connection like [`handshake`](Self::handshake).
    ///
    /// # Errors
    ///
    /// If there are too many and all are young.
    pub fn try_handshake(&self) -> Result<Handshake, ServerFull> {
        self.handshakes.try_begin().ok_or(ServerFull::Handshakes)
    }
}

impl fmt::Debug for ServerLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLimits")
            .field("max_sessions", &self.max_sessions())
            .field("max_sessions_per_address", &self.max_sessions_per_address())
            .field("max_handshakes", &self.max_handshakes())
            .field("max_unfinished_bytes", &self.max_unfinished_bytes())
            .field("max_unread_bytes", &self.max_unread_bytes())
            .finish_non_exhaustive()
    }
}

/// The bound of [`ServerLimits`] for which a client was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerFull {
    /// [`ServerLimits::max_sessions`].
    Sessions,
    /// [`ServerLimits::max_sessions_per_address`].
    SessionsPerAddress,
    /// [`ServerLimits::max_handshakes`].
    Handshakes,
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

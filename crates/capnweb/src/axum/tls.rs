//! TLS in front of a listener.

use std::{fmt, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use ::axum::serve::Listener;
use capnweb_net::{ServerLimits, socket};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The default of [`TlsListener::handshake_timeout`].
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The default of [`TlsListener::max_handshakes`].
const MAX_HANDSHAKES: usize = 1024;

/// The default of [`TlsListener::max_handshakes_per_address`].
const MAX_HANDSHAKES_PER_ADDRESS: usize = 512;

/// A TCP listener with TLS, for [`serve`](super::serve).
///
/// Handshakes run concurrently, so a slow client does not delay others. A client whose handshake
/// takes [too long](Self::handshake_timeout) is disconnected. While [too
/// many](Self::max_handshakes) handshakes are in progress, no further connection is accepted.
/// Beyond [those of one address](Self::max_handshakes_per_address), connections from that address
/// are closed.
///
/// ```no_run
/// use axum::Router;
/// use capnweb::{
///     Object,
///     axum::{TlsListener, rpc, serve},
/// };
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let app = Router::new().route("/api", rpc(|| Object::new().into_stub()));
///     let listener = tokio::net::TcpListener::bind("0.0.0.0:443").await?;
///     let listener = TlsListener::from_pem_files(listener, "cert.pem", "key.pem")?;
///     serve(listener, app).await
/// }
/// ```
#[derive(Debug)]
pub struct TlsListener {
    listener: TcpListener,
    acceptor: Acceptor,
    handshake_timeout: Duration,
    max_handshakes: usize,
    /// The handshakes of each address. Their total is only bounded by `max_handshakes`.
    limits: ServerLimits,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

impl TlsListener {
    /// Creates a listener with a configuration of rustls.
    ///
    /// The application must set the configuration's ALPN protocols: `http/1.1`, and `h2` if the
    /// feature `http2` is on. [`from_pem`](Self::from_pem) does so by itself.
    pub fn new(listener: TcpListener, config: impl Into<Arc<ServerConfig>>) -> Self {
        Self {
            listener,
            acceptor: Acceptor(TlsAcceptor::from(config.into())),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            max_handshakes: MAX_HANDSHAKES,
            limits: by_address(MAX_HANDSHAKES_PER_ADDRESS),
            handshakes: JoinSet::new(),
        }
    }

    /// Creates a listener from a certificate chain and a private key, both in PEM.
    ///
    /// It supports TLS 1.2 and 1.3, by rustls with ring as its crypto provider.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no certificate or no private key, or if they do not match.
    pub fn from_pem(listener: TcpListener, certificates: &[u8], key: &[u8]) -> io::Result<Self> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|error| invalid("the certificates", &error))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| invalid("the private key", &error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let builder = builder.with_no_client_auth();
                builder.with_single_cert(certificates, key)
            })
            .map_err(|error| invalid("the certificate and its key", &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if cfg!(feature = "http2") {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Self::new(listener, config))
    }

    /// Creates a listener like [`from_pem`](Self::from_pem), from files.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`from_pem`](Self::from_pem), and those of reading the files.
    pub fn from_pem_files(
        listener: TcpListener,
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> io::Result<Self> {
        Self::from_pem(
            listener,
            &read(certificates.as_ref())?,
            &read(key.as_ref())?,
        )
    }

    /// Sets the time limit for a client's handshake. Default: 10 seconds.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets the maximum number of handshakes in progress. Default: 1024.
    #[must_use]
    pub fn max_handshakes(mut self, max: usize) -> Self {
        self.max_handshakes = max.max(1);
        self
    }

    /// Sets the maximum number of handshakes in progress per address: an IPv4 address, or the first
    /// 64 bits of an IPv6 address. Default: 512.
    ///
    /// If an address has this many, its oldest connection is closed once it is a second old; until
    /// then further connections from this address are closed. Behind a proxy, all clients have the
    /// proxy's address.
    #[must_use]
    pub fn max_handshakes_per_address(mut self, max: usize) -> Self {
        self.limits = by_address(max.max(1));
        self
    }

    fn shake_hands(&mut self, stream: TcpStream, client: SocketAddr) {
        let handshake = match self.limits.try_handshake(Some(client.ip())) {
            Ok(handshake) => handshake,
            // Dropping the stream closes it.
            Err(limit) => {
                tracing::debug!(target: "capnweb", %client, %limit, "a connection was refused");
                return;
            }
        };
        socket::configure(&stream, Some(socket::KEEP_ALIVE));
        let (acceptor, limit) = (self.acceptor.0.clone(), self.handshake_timeout);
        self.handshakes.spawn(async move {
            let evicted = handshake.evicted();
            let shaken = tokio::select! {
                shaken = timeout(limit, acceptor.accept(stream)) => shaken,
                () = evicted.notified() => {
                    tracing::debug!(target: "capnweb", %client, "a TLS handshake made way");
                    return None;
                }
            };
            match shaken {
                Ok(Ok(stream)) => Some((stream, client)),
                Ok(Err(error)) => {
                    tracing::debug!(target: "capnweb", %client, %error, "a TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::debug!(target: "capnweb", %client, "a TLS handshake took too long");
                    None
                }
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let has_room = self.handshakes.len() < self.max_handshakes;
            tokio::select! {
                (stream, client) = Listener::accept(&mut self.listener), if has_room => {
                    self.shake_hands(stream, client);
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connected)) = done {
                        return connected;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Returns bounds on handshakes per address alone.
fn by_address(max: usize) -> ServerLimits {
    ServerLimits::new()
        .with_max_handshakes(usize::MAX)
        .with_max_handshakes_per_address(max)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn invalid(what: &str, error: &dyn fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what} cannot be used: {error}"),
    )
}

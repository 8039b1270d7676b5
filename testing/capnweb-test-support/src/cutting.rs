//! A relay that cuts connections after any byte.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
};

/// Forwards bytes between clients and a server on loopback, and cuts each connection after a random
/// number of bytes. The cut can be inside a handshake or message, or just before its end.
pub struct CuttingRelay {
    address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

/// The random generator of byte budgets. They depend only on the seed and the order of the
/// connections.
#[derive(Clone)]
struct Budgets {
    state: Arc<Mutex<u64>>,
    most: u64,
    cuts: Arc<AtomicUsize>,
}

impl Budgets {
    fn new(seed: u64, most: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(seed)),
            most: most.max(1),
            cuts: Arc::default(),
        }
    }

    fn bits(&self) -> u64 {
        let mut state: MutexGuard<'_, u64> =
            self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // SplitMix64.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns the byte budget of one direction, which is less than `most`.
    fn next(&self) -> usize {
        usize::try_from(self.bits() % self.most).unwrap_or(usize::MAX)
    }

    fn count(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }
}

impl CuttingRelay {
    /// Starts a relay for TCP connections. Each direction forwards fewer than `most` bytes.
    pub async fn tcp(server: SocketAddr, seed: u64, most: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let budgets = Budgets::new(seed, most);
        let cuts = budgets.cuts.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Draw the budgets in order of arrival, so that they depend only on the seed.
                let (there, back) = (budgets.next(), budgets.next());
                let budgets = budgets.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        join(client, server, (there, back), &budgets).await;
                    }
                });
            }
        });
        Self { address, cuts }
    }

    /// Starts a relay from a Unix socket at `path` to the one at `server`. It has no address.
    #[cfg(unix)]
    pub async fn unix(
        path: &std::path::Path,
        server: &std::path::Path,
        seed: u64,
        most: u64,
    ) -> Self {
        use tokio::net::{UnixListener, UnixStream};

        let listener = UnixListener::bind(path).unwrap();
        let budgets = Budgets::new(seed, most);
        let (cuts, server) = (budgets.cuts.clone(), server.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (there, back) = (budgets.next(), budgets.next());
                let (budgets, server) = (budgets.clone(), server.clone());
                tokio::spawn(async move {
                    if let Ok(server) = UnixStream::connect(&server).await {
                        join(client, server, (there, back), &budgets).await;
                    }
                });
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { address, cuts }
    }

    /// Starts a relay for datagrams. When a client has used up its bytes, its datagrams are
    /// discarded in both directions, so that the connection goes silent.
    pub async fn udp(server: SocketAddr, seed: u64, most: u64) -> Self {
        let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = inside.local_addr().unwrap();
        let budgets = Budgets::new(seed, most);
        let cuts = budgets.cuts.clone();
        tokio::spawn(async move {
            let mut flows: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
            let mut buffer = [0; 65_536];
            // The socket reports an error when a client is gone.
            loop {
                let Ok((len, client)) = inside.recv_from(&mut buffer).await else {
                    continue;
                };
                let flow = flows.entry(client).or_insert_with(|| {
                    let (sender, datagrams) = mpsc::channel(1024);
                    let here = (client, inside.clone());
                    let (left, budgets) = (budgets.next(), budgets.clone());
                    tokio::spawn(pass_datagrams(here, server, datagrams, left, budgets));
                    sender
                });
                // Drop datagrams if the queue is full, as routers do.
                let _ = flow.try_send(buffer[..len].to_vec());
            }
        });
        Self { address, cuts }
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections that have been cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// Forwards until one direction has used up its budget, or an end has closed. Then drops both ends.
async fn join<A, B>(client: A, server: B, (there, back): (usize, usize), budgets: &Budgets)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let is_cut = tokio::select! {
        is_cut = pass(from_client, to_server, there) => is_cut,
        is_cut = pass(from_server, to_client, back) => is_cut,
    };
    if is_cut {
        budgets.count();
    }
}

/// Forwards one direction. Returns true if it has used up its budget, and false if it has ended.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut left: usize,
) -> bool {
    let mut buffer = [0; 16_384];
    loop {
        let len = from.read(&mut buffer).await.unwrap_or_default();
        if len == 0 {
            return false;
        }
        let passed = len.min(left);
        if to.write_all(&buffer[..passed]).await.is_err() || to.flush().await.is_err() {
            return false;
        }
        left -= passed;
        if left == 0 {
            return true;
        }
    }
}

/// Forwards the datagrams of one client until its budget is used up.
async fn pass_datagrams(
    (client, inside): (SocketAddr, Arc<UdpSocket>),
    server: SocketAddr,
    mut datagrams: mpsc::Receiver<Vec<u8>>,
    mut left: usize,
    budgets: Budgets,
) {
    let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut buffer = [0; 65_536];
    loop {
        let passed = tokio::select! {
            datagram = datagrams.recv() => match datagram {
                Some(datagram) => {
                    let _ = outside.send_to(&datagram, server).await;
                    datagram.len()
                }
                None => return,
            },
            received = outside.recv_from(&mut buffer) => match received {
                Ok((len, _)) => {
                    let _ = inside.send_to(&buffer[..len], client).await;
                    len
                }
                Err(_) => 0,
            },
        };
        match left.checked_sub(passed) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    budgets.count();
    // From now on neither end receives anything, and neither is notified.
    while datagrams.recv().await.is_some() {}
}

//! A relay that stops forwarding without closing connections.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
};

/// Forwards bytes between clients and a server on loopback, until it is told to
/// [stop](Self::stop_forwarding). Afterwards it discards them, and closes nothing.
///
/// It behaves like a router that lost power, or a cable that was pulled.
pub struct Relay {
    address: SocketAddr,
    forwards: watch::Sender<bool>,
}

impl Relay {
    /// Starts a relay for TCP connections.
    pub async fn tcp(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (forwards, forwarding) = watch::channel(true);
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(server).await.unwrap();
                join(client, server, &forwarding);
            }
        });
        Self { address, forwards }
    }

    /// Starts a relay for datagrams, for one client at a time.
    pub async fn udp(server: SocketAddr) -> Self {
        let inside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (forwards, forwarding) = watch::channel(true);
        let address = inside.local_addr().unwrap();
        tokio::spawn(async move {
            let mut client = None;
            let (mut there, mut back) = ([0; 65_536], [0; 65_536]);
            loop {
                let (to, bytes) = tokio::select! {
                    received = inside.recv_from(&mut there) => {
                        let (len, from) = received.unwrap();
                        client = Some(from);
                        ((&outside, Some(server)), &there[..len])
                    }
                    received = outside.recv_from(&mut back) => {
                        let (len, _) = received.unwrap();
                        ((&inside, client), &back[..len])
                    }
                };
                if let (socket, Some(to)) = to
                    && *forwarding.borrow()
                {
                    socket.send_to(bytes, to).await.unwrap();
                }
            }
        });
        Self { address, forwards }
    }

    /// Starts a relay from a Unix socket at `path` to the one at `server`. It has no address.
    #[cfg(unix)]
    pub async fn unix(path: &std::path::Path, server: &std::path::Path) -> Self {
        use tokio::net::{UnixListener, UnixStream};

        let listener = UnixListener::bind(path).unwrap();
        let (forwards, forwarding) = watch::channel(true);
        let server = server.to_owned();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&server).await.unwrap();
                join(client, server, &forwarding);
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { address, forwards }
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Discards all further bytes, in both directions.
    pub fn stop_forwarding(&self) {
        self.forwards.send_replace(false);
    }
}

fn join<A, B>(client: A, server: B, forwarding: &watch::Receiver<bool>)
where
    A: AsyncRead + AsyncWrite + Send + 'static,
    B: AsyncRead + AsyncWrite + Send + 'static,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    tokio::spawn(pass(from_client, to_server, forwarding.clone()));
    tokio::spawn(pass(from_server, to_client, forwarding.clone()));
}

/// Forwards one direction, including its end.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut forwarding: watch::Receiver<bool>,
) {
    let mut buffer = [0; 16_384];
    loop {
        let len = from.read(&mut buffer).await.unwrap_or_default();
        let forwards = *forwarding.borrow();
        match len {
            0 if forwards => {
                let _ = to.shutdown().await;
                return;
            }
            // The other end must not notice, which it would if this half were dropped.
            0 => {
                let _ = forwarding.wait_for(|forwards| *forwards).await;
                return;
            }
            len if forwards && to.write_all(&buffer[..len]).await.is_err() => return,
            _ => {}
        }
    }
}

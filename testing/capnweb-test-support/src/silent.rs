//! An address without any answer.

use std::{net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A listener whose backlog is full, so the system drops the SYN of further clients.
pub struct SilentListener {
    address: SocketAddr,
    _listener: TcpListener,
    _backlog: Vec<TcpStream>,
}

impl SilentListener {
    /// Listens on loopback and fills the backlog.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut backlog = Vec::new();
        // The system decides how many connections it accepts beyond the backlog.
        for _ in 0..64 {
            let connecting = TcpStream::connect(address);
            match tokio::time::timeout(Duration::from_millis(300), connecting).await {
                Ok(stream) => backlog.push(stream.unwrap()),
                Err(_) => {
                    return Self {
                        address,
                        _listener: listener,
                        _backlog: backlog,
                    };
                }
            }
        }
        panic!("the backlog does not fill");
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

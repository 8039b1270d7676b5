//! An HTTP proxy.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// A proxy on loopback, for both tunnels and plain requests.
pub struct HttpProxy {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    /// Starts a proxy without authentication.
    pub async fn start() -> Self {
        Self::start_for(None).await
    }

    /// Starts a proxy that requires this `Proxy-Authorization`, such as `Basic eDp5` for the user x
    /// with the password y.
    pub async fn start_for(authorization: impl Into<Option<&'static str>>) -> Self {
        let authorization = authorization.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(client, authorization, seen.clone()));
            }
        });
        Self { address, requests }
    }

    /// Returns the address, as host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the first lines of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn pass_on(
    mut client: TcpStream,
    authorization: Option<&'static str>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let line = text.lines().next().unwrap().to_owned();
    requests.lock().unwrap().push(line.clone());
    let is_allowed = authorization.is_none_or(|authorization| {
        text.to_ascii_lowercase()
            .contains(&format!("proxy-authorization: {authorization}\r\n").to_ascii_lowercase())
    });
    if !is_allowed {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        client.write_all(refusal).await.unwrap();
        return;
    }
    let target = line.split(' ').nth(1).unwrap();
    let is_tunnel = line.starts_with("CONNECT ");
    let authority = target.trim_start_matches("http://");
    let authority = authority.split('/').next().unwrap();
    let Ok(mut server) = TcpStream::connect(authority).await else {
        let refusal = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
        client.write_all(refusal).await.unwrap();
        return;
    };
    if is_tunnel {
        let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
        client.write_all(answer).await.unwrap();
    } else {
        server.write_all(&head).await.unwrap();
    }
    // Either end may disconnect first.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

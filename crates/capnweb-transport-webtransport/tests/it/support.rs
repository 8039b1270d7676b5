//! A server, clients, and peers that speak WebTransport but know nothing about sessions.

use std::{net::SocketAddr, time::Duration};

use capnweb_core::{ConnectFailure, Error, Object, Stub};
pub(crate) use capnweb_test_support::soon;
use capnweb_transport_webtransport::{CertificateHash, Connect, Identity, Server};
use tokio::sync::oneshot;
use wtransport::{
    ClientConfig, Connection, Endpoint, RecvStream, SendStream,
    config::IpBindConfig,
    endpoint::{ConnectOptions, endpoint_side},
    tls::Sha256Digest,
};

/// The server's main object.
pub(crate) fn api() -> Stub {
    Object::new()
        .method("square", |n: f64| async move { Ok(n * n) })
        .method("echo", |text: String| async move { Ok(text) })
        .method("callBack", |f: Stub, n: u32| async move {
            f.invoke((n,)).fetch::<u32>().await
        })
        .method("hang", async || {
            std::future::pending::<Result<(), Error>>().await
        })
        .into_stub()
}

pub(crate) fn identity() -> Identity {
    Identity::self_signed(["localhost", "127.0.0.1", "::1"]).unwrap()
}

/// A running server.
pub(crate) struct Served {
    pub(crate) addr: SocketAddr,
    pub(crate) hash: CertificateHash,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

/// Serves [`api`] at `/api`.
pub(crate) fn serve() -> Served {
    serve_with(|server| server.route("/api", |_| api()))
}

pub(crate) fn serve_with(settings: impl FnOnce(Server) -> Server) -> Served {
    serve_for(settings, Duration::from_secs(10))
}

/// Starts a server that allows `grace` for sessions after [`Served::stop`].
pub(crate) fn serve_for(settings: impl FnOnce(Server) -> Server, grace: Duration) -> Served {
    let identity = identity();
    let listener = settings(Server::new(&identity))
        .bind("127.0.0.1:0")
        .unwrap();
    let addr = listener.local_addr();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(listener.serve_until(
        async {
            let _ = stopped.await;
        },
        grace,
    ));
    Served {
        addr,
        hash: identity.certificate_hash(),
        stop,
        serving,
    }
}

impl Served {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.addr)
    }

    /// Returns a client that trusts the server.
    pub(crate) fn at(&self, path: &str) -> Connect {
        Connect::new(self.url(path)).certificate_hashes([self.hash])
    }

    pub(crate) async fn api(&self) -> Stub {
        soon(self.at("/api").connect()).await.unwrap()
    }

    /// Begins to shut down the server. The handle completes when the server has stopped.
    pub(crate) fn stop(self) -> tokio::task::JoinHandle<()> {
        let _ = self.stop.send(());
        self.serving
    }

    /// Stops the server without notifying clients.
    pub(crate) fn abort(&self) {
        self.serving.abort();
    }
}

/// Returns the failure to connect, and its cause.
pub(crate) async fn failure(connect: Connect, url: &str) -> (ConnectFailure, String) {
    let error = soon(connect.session()).await.unwrap_err();
    let failure = error.connect_failure().unwrap().clone();
    let is_mistake = failure == ConnectFailure::InvalidRequest;
    assert_eq!(
        (error.is_type_error(), !error.is_disconnected()),
        (is_mistake, is_mistake)
    );
    let prefix = format!("WebTransport connection failed: {url}: ");
    match error.message().strip_prefix(&prefix) {
        Some(cause) => (failure, cause.to_owned()),
        None => panic!("{error} does not begin with {prefix}"),
    }
}

/// A client whose messages are written and read by the test.
pub(crate) struct Raw {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    /// The bytes that were received but not read yet.
    unread: Vec<u8>,
    _endpoint: Endpoint<endpoint_side::Client>,
}

impl Raw {
    pub(crate) async fn connect(served: &Served) -> Self {
        let (endpoint, connection) = Self::without_stream(served).await;
        let (send, receive) = connection.open_bi().await.unwrap().await.unwrap();
        Self {
            connection,
            send,
            receive,
            unread: Vec::new(),
            _endpoint: endpoint,
        }
    }

    /// Connects a client that does not open a stream.
    pub(crate) async fn without_stream(
        served: &Served,
    ) -> (Endpoint<endpoint_side::Client>, Connection) {
        // wtransport sometimes misreads a frame of a new connection, so try several times.
        let mut failure = None;
        for _ in 0..3 {
            let config = ClientConfig::builder()
                .with_bind_config(IpBindConfig::InAddrAnyV4)
                .with_server_certificate_hashes([Sha256Digest::new(*served.hash.as_bytes())])
                .build();
            let endpoint = Endpoint::client(config).unwrap();
            let options = ConnectOptions::builder(served.url("/api")).build();
            match soon(endpoint.connect(options)).await {
                Ok(connection) => return (endpoint, connection),
                Err(error) => failure = Some(error),
            }
        }
        panic!("no connection in three attempts: {failure:?}")
    }

    /// Connects a client and opens its session.
    pub(crate) async fn open(served: &Served) -> Self {
        let mut raw = Self::connect(served).await;
        raw.send("[\"pull\",0]\n").await;
        let main = raw.line().await.unwrap();
        assert_eq!(main, r#"["resolve",0,["export",-1]]"#);
        raw
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        soon(self.send.write_all(text.as_ref())).await.unwrap();
    }

    /// Returns the next line, or `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap();
                return Some(String::from_utf8(line.to_vec()).unwrap());
            }
            let mut part = [0; 4096];
            let len = soon(self.receive.read(&mut part)).await.ok()??;
            self.unread.extend_from_slice(&part[..len]);
        }
    }
}

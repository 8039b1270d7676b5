//! The server in its own process.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use capnweb::{
    Bytes, Error, Object, Session, SessionOptions, Stub,
    stream::Readable,
    webtransport::{
        Identity, Server,
        rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
    },
    ws::WebSocketTransport,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{Result, link::Place};

/// The command that runs the program as the server.
pub(crate) const SERVE: &str = "serve";

fn api() -> Stub {
    Object::new()
        .sync_method("add", |a: f64, b: f64| Ok(a + b))
        .sync_method("zeros", |chunk_size: usize| {
            let chunk = Bytes::from(vec![0; chunk_size]);
            // The stream ends when its reader is gone.
            let chunks = futures_util::stream::repeat_with(move || Ok::<_, Error>(chunk.clone()));
            Ok(Readable::<Bytes>::from_stream(chunks))
        })
        .into_stub()
}

/// Serves both transports. `congestion` is TCP's congestion control; QUIC uses Cubic.
pub(crate) async fn serve(address: &str, congestion: &str) -> Result {
    let issued = rcgen::generate_simple_self_signed([address.to_owned()])?;
    let certificate = issued.cert.der().clone();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.clone_key())?;
    let tcp = TcpListener::bind((address, 0)).await?;
    rustix::net::sockopt::set_tcp_congestion(&tcp, congestion)?;
    let identity = Identity::from_der(vec![certificate.clone()], key)?;
    let udp = Server::new(&identity)
        .route("/", |_| api())
        .bind((address, 0))?;
    let hex: String = certificate
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("{} {} {hex}", tcp.local_addr()?, udp.local_addr());
    std::io::stdout().flush()?;
    tokio::spawn(udp.serve());

    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (socket, _) = tcp.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = serve_web_socket(socket, acceptor).await {
                eprintln!("a WebSocket was not opened: {error}");
            }
        });
    }
}

async fn serve_web_socket(socket: TcpStream, acceptor: TlsAcceptor) -> Result {
    socket.set_nodelay(true)?;
    let socket = acceptor.accept(socket).await?;
    let socket = tokio_tungstenite::accept_async(socket).await?.into_inner();
    let options = SessionOptions::new();
    let transport = WebSocketTransport::server(socket, options.limits());
    let (_session, mut connection) = Session::server(options);
    connection.set_main(api());
    connection.drive(transport).await;
    Ok(())
}

/// The server's process. It is killed on drop.
pub(crate) struct Process {
    process: Child,
    pub(crate) place: Place,
}

impl Process {
    pub(crate) fn start(
        address: &str,
        namespace: Option<&String>,
        congestion: &str,
    ) -> Result<Self> {
        let program = env::current_exe()?;
        let mut command = match namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut process = command
            .args([SERVE, "--address", address, "--congestion", congestion])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let mut word = || words.next().ok_or("the server says nothing");
        let place = Place {
            web_socket: word()?.to_owned(),
            webtransport: word()?.to_owned(),
            certificate: bytes(word()?)?.into(),
        };
        Ok(Self { process, place })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| {
            let digits = hex.get(at..at + 2).ok_or("an odd number of digits")?;
            Ok(u8::from_str_radix(digits, 16)?)
        })
        .collect()
}

//! The server.

use std::{io::Write, path::PathBuf, process};

use axum::{Router, response::Response, routing::get};
use capnweb::{
    Encoding, Session, SessionOptions, StubType,
    axum::Rpc,
    tcp, unix,
    webtransport::{Identity, Server},
    ws::Upgrade,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::oneshot,
};

use crate::{
    Result, address, connect, open_files,
    options::{Options, Over},
    service::{self, ServiceStub},
};

const ANY_PORT: &str = "127.0.0.1:0";

/// Serves until the input ends.
pub(crate) async fn serve(options: &Options) -> Result {
    open_files::allow_all()?;
    let main = match &options.upstream {
        Some(upstream) => connect::connect(options, upstream).await?,
        None => service::main_object(),
    };
    let socket = Socket::new();
    tokio::select! {
        served = serve_over(options, main, &socket) => served,
        () = end_of_input() => Ok(()),
    }
}

async fn serve_over(options: &Options, main: ServiceStub, socket: &Socket) -> Result {
    match options.over {
        Over::WebSocket | Over::Batch => {
            let app = match options.encoding {
                Encoding::Json => {
                    let rpc = Rpc::new(move || main.clone()).options(options.session());
                    Router::new().route("/", rpc.route())
                }
                encoding => {
                    let options = options.session();
                    Router::new().route(
                        "/",
                        get(async move |upgrade: Upgrade| {
                            web_socket(upgrade, encoding, options, &main)
                        }),
                    )
                }
            };
            let listener = TcpListener::bind(ANY_PORT).await?;
            tell(listener.local_addr()?)?;
            capnweb::axum::serve(listener, app).await?;
        }
        Over::Lines => {
            let listener = TcpListener::bind(ANY_PORT).await?;
            tell(listener.local_addr()?)?;
            tcp::serve(listener, |_| main.clone()).await;
        }
        Over::Unix => {
            let listener = UnixListener::bind(&socket.path)?;
            tell(socket.path.display())?;
            unix::serve(listener, |_| main.clone()).await;
        }
        Over::WebTransport => {
            let identity = Identity::self_signed(["127.0.0.1"])?;
            let listener = Server::new(&identity)
                .route("/", move |_| main.clone())
                .bind(ANY_PORT)?;
            let at = listener.local_addr().to_string();
            tell(address::with_certificate(&at, identity.certificate_hash()))?;
            listener.serve().await;
        }
        Over::InProcess | Over::Local => return Err("there is no server of that kind".into()),
    }
    Ok(())
}

/// Serves WebSockets whose messages are not JSON.
fn web_socket(
    upgrade: Upgrade,
    encoding: Encoding,
    options: SessionOptions,
    main: &ServiceStub,
) -> Response {
    let (_session, mut connection) = Session::server(options);
    connection.set_main(main.as_stub().clone());
    upgrade.encoding(encoding).serve(connection)
}

fn tell(address: impl std::fmt::Display) -> Result {
    println!("listening {address}");
    Ok(std::io::stdout().flush()?)
}

/// A path for a Unix socket, which is removed on drop.
struct Socket {
    path: PathBuf,
}

impl Socket {
    fn new() -> Self {
        let name = format!("capnweb-peer-{}.socket", process::id());
        Self {
            path: std::env::temp_dir().join(name),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Most servers have not created one.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Waits for the end of the input, which whatever started the server keeps open while it needs it.
async fn end_of_input() {
    let (ended, end) = oneshot::channel();
    // Do not use Tokio, whose runtime would wait for this thread on shutdown.
    std::thread::spawn(move || {
        // An end or an error means that the other process is gone.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    // The sender's thread does not panic.
    let _ = end.await;
}

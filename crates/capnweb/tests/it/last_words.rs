//! Programs that exit right after their session, over every transport of lines and over WebSocket.

use axum::{Router, routing::MethodRouter};
use capnweb::{Stub, axum::rpc, lines};
use capnweb_test_support::last_words::{Notes, Workplace, of_servers_that_drain, runtime};
use tokio::net::TcpListener;

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves `route` in the current runtime, and returns the WebSocket URL.
async fn serve_web_sockets(route: MethodRouter) -> String {
    let (listener, address) = listener().await;
    let app = Router::new().route("/", route);
    tokio::spawn(async move { capnweb::axum::serve(listener, app).await });
    format!("ws://{address}/")
}

async fn web_socket(url: &str) -> capnweb::Session {
    let main: Stub = capnweb::ws::connect(url).await.unwrap();
    main.session().unwrap()
}

#[test]
fn calls_of_clients_that_end_arrive_over_web_sockets() {
    let (server, notes) = (runtime(2), Notes::default());
    let serving = notes.clone();
    let url = server.block_on(serve_web_sockets(rpc(move || serving.main())));
    notes.of_clients_that_end(async || web_socket(&url).await);
}

#[test]
fn calls_of_clients_that_end_arrive_over_tcp() {
    let (server, notes) = (runtime(2), Notes::default());
    let (listener, address) = server.block_on(listener());
    let serving = notes.clone();
    server.spawn(capnweb::tcp::serve(listener, move |_| serving.main()));
    let client = lines::Client::new();
    notes.of_clients_that_end(async || capnweb::tcp::connect_with(address, &client).await.unwrap());
}

#[test]
fn answers_of_servers_that_end_arrive_over_web_sockets() {
    of_servers_that_drain(
        async |workplace: Workplace| {
            let main = move |peer: capnweb::axum::Peer| {
                let session = peer.0.session().unwrap();
                workplace.main(session)
            };
            serve_web_sockets(rpc(main)).await
        },
        async |url: String| web_socket(&url).await,
    );
}

#[test]
fn answers_of_servers_that_end_arrive_over_tcp() {
    of_servers_that_drain(
        async |workplace: Workplace| {
            let (listener, address) = listener().await;
            tokio::spawn(capnweb::tcp::serve(
                listener,
                move |session: &capnweb::Session| workplace.main(session.clone()),
            ));
            address
        },
        async |address: std::net::SocketAddr| {
            let client = lines::Client::new();
            capnweb::tcp::connect_with(address, &client).await.unwrap()
        },
    );
}

#[cfg(unix)]
mod unix {
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    use capnweb::{Session, unix};
    use tokio::net::UnixListener;

    use super::*;

    /// A listener at a unique path, which is removed when this is dropped.
    struct Socket(PathBuf);

    impl Socket {
        fn new() -> (Self, UnixListener) {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("capnweb-last-words-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            (Self(path), listener)
        }

        async fn connect(&self) -> Session {
            let client = lines::Client::new();
            unix::connect_with(&self.0, &client).await.unwrap()
        }
    }

    impl Drop for Socket {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn calls_of_clients_that_end_arrive_over_unix_sockets() {
        let (server, notes) = (runtime(2), Notes::default());
        let (socket, listener) = {
            let _inside = server.enter();
            Socket::new()
        };
        let serving = notes.clone();
        server.spawn(unix::serve(listener, move |_| serving.main()));
        notes.of_clients_that_end(async || socket.connect().await);
    }

    #[test]
    fn answers_of_servers_that_end_arrive_over_unix_sockets() {
        of_servers_that_drain(
            async |workplace: Workplace| {
                let (socket, listener) = Socket::new();
                tokio::spawn(unix::serve(listener, move |session: &Session| {
                    workplace.main(session.clone())
                }));
                socket
            },
            async |socket: Socket| socket.connect().await,
        );
    }
}

//! Connections that are open at both ends and dead in between, and peers that stand still.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use axum::Router;
use capnweb::{
    EndCause, Error, KeepAlive, Object, SessionOptions, Stub, axum::Rpc, lines, tcp, unix, ws,
};
use capnweb_test_support::Relay;
use tokio::net::{TcpListener, UnixListener};

use crate::support::soon;

fn options() -> SessionOptions {
    let keep_alive = KeepAlive::new()
        .with_interval(Duration::from_millis(100))
        .with_timeout(Duration::from_secs(1));
    SessionOptions::new().keep_alive(keep_alive)
}

/// The objects that a server has given away.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Vec<Weak<()>>>>);

impl Given {
    fn main(&self) -> Stub {
        let given = self.0.clone();
        Object::new()
            .sync_method("object", move || {
                let token = Arc::new(());
                given.lock().unwrap().push(Arc::downgrade(&token));
                let alive = move || {
                    let _token = &token;
                    Ok(true)
                };
                Ok(Object::new().sync_method("alive", alive).into_stub())
            })
            .method("hang", std::future::pending::<Result<(), Error>>)
            .into_stub()
    }

    fn alive(&self) -> usize {
        let given = self.0.lock().unwrap();
        given
            .iter()
            .filter(|token| token.strong_count() > 0)
            .count()
    }
}

/// Both ends learn that nothing passes between them any more.
async fn assert_noticed(given: &Given, api: Stub, relay: &Relay) {
    let object = api.call("object", ());
    assert!(
        soon(object.call("alive", ()).fetch::<bool>())
            .await
            .unwrap()
    );
    assert_eq!(given.alive(), 1);
    // Both are idle for longer than they would wait for a silent peer, and stay.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(
        soon(object.call("alive", ()).fetch::<bool>())
            .await
            .unwrap()
    );

    let waiting = tokio::spawn(api.call("hang", ()).fetch::<()>());
    relay.stop_forwarding();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(
        error.session_end().unwrap().cause(),
        EndCause::Silence,
        "{error}"
    );
    // The client still holds it, and cannot say that it does not.
    let gone = async {
        while given.alive() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(gone).await;
    let error = soon(object.call("alive", ()).fetch::<bool>())
        .await
        .unwrap_err();
    assert_eq!(error.session_end().unwrap().cause(), EndCause::Silence);
}

#[tokio::test]
async fn over_web_sockets() {
    let given = Given::default();
    let mains = given.clone();
    let route = Rpc::new(move || mains.main()).options(options()).route();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::tcp(listener.local_addr().unwrap()).await;
    let app = Router::new().route("/", route);
    tokio::spawn(async move { capnweb::axum::serve(listener, app).await.unwrap() });
    let connect = ws::Connect::new(format!("ws://{}/", relay.address())).options(options());
    let api = soon(connect.connect()).await.unwrap();
    assert_noticed(&given, api, &relay).await;
}

#[tokio::test]
async fn over_tcp() {
    let given = Given::default();
    let mains = given.clone();
    let server = lines::Server::new(move |_| mains.main()).options(options());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::tcp(listener.local_addr().unwrap()).await;
    tokio::spawn(tcp::serve_with(listener, server));
    let client = lines::Client::new().options(options());
    let session = soon(tcp::connect_with(relay.address(), &client))
        .await
        .unwrap();
    let api = session.main();
    drop(session);
    assert_noticed(&given, api, &relay).await;
}

/// A folder that is removed again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("capnweb-half-open-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn over_unix_sockets() {
    let folder = Folder::new();
    let given = Given::default();
    let mains = given.clone();
    let server = lines::Server::new(move |_| mains.main()).options(options());
    let listener = UnixListener::bind(folder.join("server")).unwrap();
    let relay = Relay::unix(&folder.join("relay"), &folder.join("server")).await;
    tokio::spawn(unix::serve_with(listener, server));
    let client = lines::Client::new().options(options());
    let session = soon(unix::connect_with(folder.join("relay"), &client))
        .await
        .unwrap();
    let api = session.main();
    drop(session);
    assert_noticed(&given, api, &relay).await;
}

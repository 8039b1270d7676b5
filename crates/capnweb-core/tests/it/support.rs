//! A peer that follows a script, and two sessions connected to each other.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use capnweb_core::{Connection, Object, Result, Session, SessionOptions, Stats, Stub, pair};
use serde_json::Value as Json;
use tokio::io::AsyncWrite;

/// A session whose peer is the test: messages go in by [`send`](Self::send), and what the session
/// says is asserted by [`expect`](Self::expect), in order.
pub(crate) struct Script {
    pub(crate) session: Session,
    pub(crate) connection: Connection,
    said: std::collections::VecDeque<String>,
}

impl Script {
    /// A server whose main object is `main`.
    pub(crate) fn server(main: Stub) -> Self {
        Self::with(SessionOptions::new(), main)
    }

    pub(crate) fn with(options: SessionOptions, main: Stub) -> Self {
        let (session, mut connection) = Session::server(options);
        connection.set_main(main);
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// A client without a main object of its own.
    pub(crate) fn client() -> Self {
        let (session, connection) = Session::client(SessionOptions::new());
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// The peer says this, and the session lives.
    #[track_caller]
    pub(crate) fn send(&mut self, message: &str) {
        self.connection
            .receive(message)
            .unwrap_or_else(|error| panic!("{message}: {error}"));
    }

    /// The peer says this, and the session ends. Gives the reason.
    #[track_caller]
    pub(crate) fn send_fatal(&mut self, message: &str) -> capnweb_core::Error {
        match self.connection.receive(message) {
            Ok(()) => panic!("the session should have ended after {message}"),
            Err(error) => error,
        }
    }

    fn collect(&mut self) {
        let mut outgoing = self.connection.take_outgoing();
        while let Some(message) = outgoing.pop() {
            self.said
                .push_back(String::from_utf8(message.to_vec()).unwrap());
        }
    }

    /// The next message that the session says.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.collect();
        self.said.pop_front()
    }

    /// The next message is this one, as JSON.
    #[track_caller]
    pub(crate) fn expect(&mut self, message: &str) {
        let said = self
            .next()
            .unwrap_or_else(|| panic!("nothing was said, expected {message}"));
        let (said_json, expected): (Json, Json) = (
            serde_json::from_str(&said).unwrap(),
            serde_json::from_str(message).unwrap(),
        );
        assert_eq!(said_json, expected, "{said} is not {message}");
    }

    /// Nothing more is said.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        assert_eq!(self.next(), None);
    }

    /// Only the main objects are left.
    #[track_caller]
    pub(crate) fn expect_empty(&self) {
        assert_eq!(
            self.session.stats(),
            Stats {
                imports: 1,
                exports: 1
            }
        );
    }
}

/// Two sessions connected to each other: the client's side.
pub(crate) struct Connected {
    pub(crate) client: Session,
    pub(crate) server: Session,
    pub(crate) api: Stub,
}

/// Connects a client to a server with this main object.
pub(crate) fn connect(main: Stub) -> Connected {
    connect_with(SessionOptions::new(), main, None)
}

pub(crate) fn connect_with(
    options: SessionOptions,
    main: Stub,
    client_main: Option<Stub>,
) -> Connected {
    let (left, right) = pair();
    let (server, mut connection) = Session::server(options);
    connection.set_main(main);
    tokio::spawn(connection.drive(left));
    let (client, mut connection) = Session::client(SessionOptions::new());
    if let Some(main) = client_main {
        connection.set_main(main);
    }
    tokio::spawn(connection.drive(right));
    Connected {
        api: client.main(),
        client,
        server,
    }
}

impl Connected {
    /// Waits until both sides hold nothing but the main objects.
    pub(crate) async fn settle(&self) {
        for _ in 0..2000 {
            let empty = Stats {
                imports: 1,
                exports: 1,
            };
            if self.client.stats() == empty && self.server.stats() == empty {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!(
            "not empty: client {:?}, server {:?}",
            self.client.stats(),
            self.server.stats()
        );
    }
}

/// Lets other tasks run until they have nothing to do.
pub(crate) async fn idle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A counter: `increment(by = 1)` and the property `value`.
pub(crate) fn counter(start: f64) -> Stub {
    use std::sync::{Arc, Mutex};
    let value = Arc::new(Mutex::new(start));
    let read = value.clone();
    Object::new()
        .sync_method("increment", move |by: Option<f64>| {
            let mut value = value.lock().unwrap();
            *value += by.unwrap_or(1.0);
            Ok(*value)
        })
        .getter("value", move |_| Ok(*read.lock().unwrap()))
        .into_stub()
}

/// The main object of most tests.
pub(crate) fn calculator() -> Stub {
    Object::new()
        .method("square", async |n: f64| Ok(n * n))
        .method("add", |a: f64, b: f64| async move { Ok(a + b) })
        .method(
            "echo",
            |value: capnweb_core::Payload| async move { Ok(value) },
        )
        .method("makeCounter", |start: Option<f64>| async move {
            Ok(counter(start.unwrap_or_default()))
        })
        .method("callFunction", |f: Stub, n: f64| async move {
            f.invoke((n,)).fetch::<f64>().await
        })
        .method(
            "list",
            |n: u32| async move { Ok((0..n).collect::<Vec<_>>()) },
        )
        .method("fail", |message: String| async move {
            Err::<(), _>(capnweb_core::Error::range_error(message))
        })
        .method("user", async || {
            let user: Result<_> = Ok(serde_json::json!({"name": "Ada", "id": 7, "tags": ["x"]}));
            user
        })
        .method("wait", |ms: u64| async move {
            tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
            Ok(ms)
        })
        .property("version", "1.0")
        .into_stub()
}

/// Guards a test against hanging.
pub(crate) async fn within<F: IntoFuture>(future: F) -> F::Output {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
    match tokio::time::timeout(PATIENCE, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("nothing has happened for {PATIENCE:?}"),
    }
}

/// What handlers wait at until the test opens it.
#[derive(Clone)]
pub(crate) struct Gate(std::sync::Arc<tokio::sync::Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(std::sync::Arc::new(tokio::sync::Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.add_permits(1 << 20);
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// Tells that it was dropped.
pub(crate) struct Witness(Option<tokio::sync::oneshot::Sender<()>>);

impl Witness {
    /// A witness, and the news of its drop.
    pub(crate) fn new() -> (Self, tokio::sync::oneshot::Receiver<()>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (Self(Some(sender)), receiver)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // The test may not want to know.
            let _ = sender.send(());
        }
    }
}

/// Where nothing can be written any more.
pub(crate) struct Broken;

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }
}

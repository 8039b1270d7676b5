//! Two connected sessions, and a typed stub of the server's main object.

use capnweb::{Session, SessionOptions, Stats, StubType, pair};

/// The client's side of two sessions.
pub(crate) struct Connected {
    client: Session,
    server: Session,
}

/// Connects a client to a server with this main object. Returns the client's stub of it.
pub(crate) fn connect<I: StubType>(main: I) -> (I, Connected) {
    let (left, right) = pair();
    let (server, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(main.into_stub());
    tokio::spawn(connection.drive(left));
    let (client, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    (I::from_stub(client.main()), Connected { client, server })
}

impl Connected {
    /// Waits until both tables hold only the main objects, so that nothing leaks.
    pub(crate) async fn settle(self) {
        let empty = Stats {
            imports: 1,
            exports: 1,
        };
        for _ in 0..1000 {
            if self.client.stats() == empty && self.server.stats() == empty {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!(
            "something is still held: {:?} and {:?}",
            self.client.stats(),
            self.server.stats()
        );
    }
}

/// Runs a test with a stub of a local object, and then with one of a peer's object.
pub(crate) async fn here_and_there<I, F>(main: I, test: impl Fn(I) -> F)
where
    I: StubType + Clone,
    F: Future<Output = ()>,
{
    test(main.clone()).await;
    let (api, connected) = connect(main);
    test(api).await;
    connected.settle().await;
}

//! Two connected sessions.

use capnweb_core::{Session, SessionOptions, Stats, Stub, pair};

use super::eventually;

/// Two connected sessions.
pub(crate) struct Connected {
    pub(crate) client: Session,
    pub(crate) server: Session,
    pub(crate) api: Stub,
}

/// Connects a client to a server with this main object.
pub(crate) fn connect(main: Stub) -> Connected {
    connect_with(SessionOptions::new(), main, None)
}

/// Connects a client to a server with these options, and main objects on both sides.
pub(crate) fn connect_with(
    options: SessionOptions,
    main: impl Into<Option<Stub>>,
    client_main: Option<Stub>,
) -> Connected {
    let (left, right) = pair();
    let (server, mut connection) = Session::server(options);
    if let Some(main) = main.into() {
        connection.set_main(main);
    }
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
    /// Waits until both sides hold only the main objects.
    pub(crate) async fn settle(&self) {
        let empty = Stats {
            imports: 1,
            exports: 1,
        };
        let what = || {
            format!(
                "the tables are not empty: client {:?}, server {:?}",
                self.client.stats(),
                self.server.stats()
            )
        };
        eventually(what, || {
            self.client.stats() == empty && self.server.stats() == empty
        })
        .await;
    }
}

//! Settings that all clients share.

use std::time::Duration;

use capnweb_core::{Connection, Session, SessionOptions, Stub};

/// The session options, main object and timeout of a client.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) options: SessionOptions,
    pub(crate) main: Option<Stub>,
    pub(crate) timeout: Option<Duration>,
}

impl Settings {
    /// Creates a session and its connection. The client's main object is set.
    pub(crate) fn create(
        &self,
        new: fn(SessionOptions) -> (Session, Connection),
    ) -> (Session, Connection) {
        let (session, mut connection) = new(self.options.clone());
        if let Some(main) = &self.main {
            connection.set_main(main.clone());
        }
        (session, connection)
    }
}

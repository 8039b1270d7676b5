//! The settings that all clients have.

use std::time::Duration;

use capnweb_core::{Connection, Session, SessionOptions, Stub};

/// The settings of a session and of how it is begun.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) options: SessionOptions,
    pub(crate) main: Option<Stub>,
    pub(crate) timeout: Option<Duration>,
}

impl Settings {
    /// Creates a session. Its connection has the client's main object.
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

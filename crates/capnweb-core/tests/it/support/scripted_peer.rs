//! A peer that follows a script.

use std::collections::VecDeque;

use capnweb_core::{Connection, Error, Session, SessionOptions, Stats, Stub};
use serde_json::Value as Json;

/// A session whose peer is the test.
///
/// [`send`](Self::send) passes a message to the session, and [`expect`](Self::expect) checks the
/// next message that the session sends.
pub(crate) struct ScriptedPeer {
    pub(crate) session: Session,
    pub(crate) connection: Connection,
    said: VecDeque<String>,
}

impl ScriptedPeer {
    /// Creates a server whose main object is `main`.
    pub(crate) fn server(main: Stub) -> Self {
        Self::with(SessionOptions::new(), main)
    }

    /// Creates a server with these options, whose main object is `main`.
    pub(crate) fn with(options: SessionOptions, main: Stub) -> Self {
        let (session, mut connection) = Session::server(options);
        connection.set_main(main);
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// Creates the server of a batch.
    pub(crate) fn batch_server(options: SessionOptions, main: Stub) -> Self {
        let (session, mut connection) = Session::server_batch(options);
        connection.set_main(main);
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// Creates a peer of this session.
    pub(crate) fn over(session: Session, connection: Connection) -> Self {
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// Creates a client without a main object.
    pub(crate) fn client() -> Self {
        let (session, connection) = Session::client(SessionOptions::new());
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// Creates the client of a batch.
    pub(crate) fn batch_client() -> Self {
        let (session, connection) = Session::client_batch(SessionOptions::new());
        Self {
            session,
            connection,
            said: Default::default(),
        }
    }

    /// Sends a message to the session, which must not end.
    #[track_caller]
    pub(crate) fn send(&mut self, message: &str) {
        self.connection
            .receive(message)
            .unwrap_or_else(|error| panic!("{message}: {error}"));
    }

    /// Sends a message to the session, which must end. Returns the reason.
    #[track_caller]
    pub(crate) fn send_fatal(&mut self, message: &str) -> Error {
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

    /// Returns the next message that the session sends.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.collect();
        self.said.pop_front()
    }

    /// Returns all messages that the session sends now, in order.
    pub(crate) fn said(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Checks that the session sends exactly these messages now, in any order.
    #[track_caller]
    pub(crate) fn expect_unordered<const N: usize>(&mut self, messages: [&str; N]) {
        let mut said = self.said();
        let mut expected = messages.map(str::to_owned);
        said.sort_unstable();
        expected.sort_unstable();
        assert_eq!(said, expected);
    }

    /// Checks that the next message rejects `id` with an error whose message contains `message`.
    #[track_caller]
    pub(crate) fn expect_rejected(&mut self, id: u32, message: &str) {
        let said = self
            .next()
            .unwrap_or_else(|| panic!("nothing was said of {id}"));
        assert!(
            said.starts_with(&format!(r#"["reject",{id},["error","#)),
            "{said}"
        );
        assert!(said.contains(message), "{said}");
    }

    /// Checks that the next message equals `message` as JSON.
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

    /// Checks that the session sends nothing more.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        assert_eq!(self.next(), None);
    }

    /// Checks that only the main objects are left.
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

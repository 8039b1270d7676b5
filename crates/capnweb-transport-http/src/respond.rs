//! Answering a batch, apart from HTTP.

use bytes::Bytes;
use capnweb_core::{Connection, EndCause, Error, SessionEnd};

use crate::body;
use capnweb_core::invariant::Invariant;

/// The number of messages after which other tasks get a turn, and the client the answers so far.
const TURN: usize = 256;

/// Answers a batch, from a request's body to the response's: for HTTP servers other than axum.
///
/// It waits until every result that the client asked for has been answered. Other calls have been
/// started, and run on. A message that breaks the protocol ends the batch there: the response has
/// the answers up to then and an `abort` with the reason. It still deserves a status of 200,
/// because that is how the client learns of the reason.
///
/// ```
/// use capnweb_core::{Object, Session, SessionOptions};
/// use capnweb_transport_http::respond;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (_session, mut connection) = Session::server_batch(SessionOptions::new());
/// connection.set_main(Object::new().method("add", async |a: f64, b: f64| Ok(a + b)).into_stub());
/// let request = "[\"push\",[\"pipeline\",0,[\"add\"],[2,3]]]\n[\"pull\",1]";
/// assert_eq!(respond(request, connection).await, "[\"resolve\",1,5]");
/// # }
/// ```
pub async fn respond(request: &str, connection: Connection) -> Bytes {
    let request = body::without_mark(request);
    let mut answers = Answers::new(connection);
    let mut at = 0;
    while !answers.is_over() {
        answers.go_on(request, &mut at).await;
    }
    // All at once, so that it counts as a whole for what a client may make us hold.
    answers.take()
}

/// The answers to a batch. They can be taken part by part, so that the client has the first while
/// the rest is being done.
pub(crate) struct Answers {
    connection: Connection,
    over: bool,
}

impl Answers {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            over: false,
        }
    }

    /// Returns whether there will be no more.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Goes on with `request`, which is done up to `at`, until there are answers or all is done.
    #[cfg(feature = "server")]
    pub(crate) async fn next(&mut self, request: &str, at: &mut usize) -> Bytes {
        loop {
            self.go_on(request, at).await;
            let part = self.take();
            if self.over || !part.is_empty() {
                return part;
            }
        }
    }

    /// Goes on with `request`, which is done up to `at`, for a turn.
    async fn go_on(&mut self, request: &str, at: &mut usize) {
        if *at > 0 {
            tokio::task::yield_now().await;
        }
        let rest = request.get(*at..).or_bug("what was received is within");
        let done = self.receive(rest).await;
        *at += done;
        if done == rest.len() {
            self.connection.end_of_input();
            self.connection.answered().await;
            self.over = true;
        }
    }

    /// Takes in the first messages of `body`, and returns their length in it.
    async fn receive(&mut self, body: &str) -> usize {
        let mut taken = 0;
        for line in body.split_inclusive('\n').take(TURN) {
            taken += line.len();
            if let Some(message) = body::message(line)
                && self.connection.receive_in_turn(message).await.is_err()
            {
                return body.len();
            }
        }
        taken
    }

    fn take(&mut self) -> Bytes {
        body::join(self.connection.take_outgoing())
    }
}

/// A batch that was answered has ended well.
impl Drop for Answers {
    fn drop(&mut self) {
        if self.over {
            self.connection.end(
                Error::disconnected("the batch has been answered")
                    .with_session_end(SessionEnd::new(EndCause::Here).normal()),
            );
        }
    }
}

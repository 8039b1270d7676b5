//! Answering a batch, independent of any HTTP library.

use bytes::Bytes;
use capnweb_core::{Connection, Encoding, EndCause, Error, Result, SessionEnd};
use memchr::memchr;

use crate::body;
use capnweb_core::invariant::Invariant;

/// The length from which a message takes long to decode.
const LONG: usize = 512 * 1024;

/// The number of messages after which other tasks get a turn and the answers so far are sent.
const TURN: usize = 256;

/// Answers a batch: turns a request's body into the response's, for HTTP servers other than axum.
///
/// This waits until all results that the client requested are there. Other calls have been started
/// by then, and continue to run. A message that violates the protocol ends the batch: the response
/// consists of the answers so far and an `abort` with the reason. The status should still be 200,
/// because this is how the client learns the reason.
///
/// ```
/// use capnweb::{Object, Session, SessionOptions};
/// use capnweb::http::respond;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (_session, mut connection) = Session::server_batch(SessionOptions::new());
/// connection.set_main(Object::new().method("add", async |a: f64, b: f64| Ok(a + b)).into_stub());
/// let request = "[\"push\",[\"pipeline\",0,[\"add\"],[2,3]]]\n[\"pull\",1]";
/// assert_eq!(respond(request, connection).await, "[\"resolve\",1,5]");
/// # }
/// ```
pub async fn respond(request: &str, connection: Connection) -> Bytes {
    let request = Bytes::copy_from_slice(body::without_mark(request).as_bytes());
    let mut answers = Answers::new(connection);
    let mut at = 0;
    while !answers.is_over() {
        answers.process_some(&request, &mut at).await;
    }
    // Take all answers at once, so that they count in full towards the bytes held for the client.
    answers.take()
}

/// The answers to a batch. They can be taken in parts, so that the client receives the first ones
/// while the rest is being processed.
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

    /// Returns whether there are no more answers.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Processes `request`, a text, from position `at`, until there are answers or everything is
    /// processed.
    #[cfg(feature = "server")]
    pub(crate) async fn next(&mut self, request: &Bytes, at: &mut usize) -> Bytes {
        loop {
            self.process_some(request, at).await;
            let part = self.take();
            if self.over || !part.is_empty() {
                return part;
            }
        }
    }

    /// Processes a part of `request` from position `at`.
    async fn process_some(&mut self, request: &Bytes, at: &mut usize) {
        if *at > 0 {
            tokio::task::yield_now().await;
        }
        let rest = request.slice((*at).min(request.len())..);
        let done = self.receive(&rest).await;
        *at += done;
        if done == rest.len() {
            self.connection.end_of_input();
            self.connection.answered().await;
            self.over = true;
        }
    }

    /// Receives the first messages of `body`, and returns their length.
    async fn receive(&mut self, body: &Bytes) -> usize {
        let mut taken = 0;
        for _ in 0..TURN {
            let rest = body.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let newline = memchr(b'\n', rest);
            let line = taken..newline.map_or(body.len(), |newline| taken + newline + 1);
            taken = line.end;
            if self.receive_line(body.slice(line)).await.is_err() {
                return body.len();
            }
        }
        taken
    }

    async fn receive_line(&mut self, line: Bytes) -> Result<()> {
        if line.len() >= LONG {
            let limits = self.connection.options().limits().clone();
            let len = line.len();
            let decode = move || Encoding::Json.decode_parts(vec![line], &limits);
            let connection = &mut self.connection;
            return connection.receive_encoded_in_turn(len, decode).await;
        }
        let line = str::from_utf8(&line).or_bug("the request is a text");
        match body::message(line) {
            Some(message) => self.connection.receive_in_turn(message).await,
            None => Ok(()),
        }
    }

    fn take(&mut self) -> Bytes {
        body::join(self.connection.take_outgoing())
    }
}

/// Ends an answered batch normally.
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

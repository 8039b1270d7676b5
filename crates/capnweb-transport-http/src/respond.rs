//! Answering a batch, apart from HTTP.

use bytes::{Bytes, BytesMut};
use capnweb_core::Connection;

use crate::body;

/// After so many messages other tasks get a turn, and the client what has been answered.
const TURN: usize = 256;

/// Does what the messages in a request's body say, and makes the response's body: for HTTP servers
/// other than axum.
///
/// It waits until all that the client asked for has been answered. Calls whose result it did not ask
/// for have been started, and run on. A message that breaks the protocol ends the batch there: the
/// response has the answers up to then and an `abort` with the reason. It still deserves a status of
/// 200, because that is how the client learns of the reason.
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
    let mut answers = Answers::new(connection);
    let mut at = 0;
    let mut body = BytesMut::new();
    while let Some(part) = answers.next(request, &mut at).await {
        if answers.is_over() && body.is_empty() {
            return part;
        }
        body.extend_from_slice(&part);
    }
    body.freeze()
}

/// The body of a response, part by part: the client can take in what is answered while the rest is being done.
pub(crate) struct Answers {
    connection: Connection,
    /// Something of the body has been given.
    begun: bool,
    over: bool,
}

impl Answers {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            begun: false,
            over: false,
        }
    }

    /// Whether the part that was given last was the last one.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Goes on with `request`, which is done up to `at`, and gives the next part. None when there is no more.
    pub(crate) async fn next(&mut self, request: &str, at: &mut usize) -> Option<Bytes> {
        loop {
            if self.over {
                return None;
            }
            if *at > 0 {
                tokio::task::yield_now().await;
            }
            let rest = request.get(*at..).unwrap_or_default();
            let done = self.receive(rest);
            *at += done;
            if done == rest.len() {
                self.connection.end_of_input();
                self.connection.answered().await;
                self.over = true;
            }
            let part = self.take();
            if self.over || !part.is_empty() {
                return Some(part);
            }
        }
    }

    /// Does what the first messages say, and gives how long they are in the body.
    fn receive(&mut self, body: &str) -> usize {
        let mut taken = 0;
        for line in body.split_inclusive('\n').take(TURN) {
            taken += line.len();
            let message = line.trim_ascii();
            if !message.is_empty() && self.connection.receive(message).is_err() {
                return body.len();
            }
        }
        taken
    }

    /// What there is to send, joined to what was given before.
    fn take(&mut self) -> Bytes {
        let part = body::join(self.connection.take_outgoing());
        if part.is_empty() || !std::mem::replace(&mut self.begun, true) {
            return part;
        }
        let mut part = Vec::from(part);
        part.insert(0, b'\n');
        part.into()
    }
}

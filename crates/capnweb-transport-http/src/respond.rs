//! Answering a batch, apart from HTTP.

use bytes::Bytes;
use capnweb_core::Connection;

use crate::body;

/// After so many messages other tasks get a turn.
const TURN: usize = 128;

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
pub async fn respond(request: &str, mut connection: Connection) -> Bytes {
    for (number, message) in body::messages(request).enumerate() {
        if number % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        if connection.receive(message).is_err() {
            break;
        }
    }
    connection.end_of_input();
    connection.answered().await;
    body::join(connection.take_outgoing())
}

//! A peer that is a list of messages, without a socket.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use capnweb::{
    Encoding, Error,
    transport::{Outgoing, Received, Transport},
};

/// The messages of a peer, and counts of the messages to it.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) incoming: VecDeque<String>,
    /// The messages that were read. Freeing them is not the driver's work.
    pub(crate) read: Vec<String>,
    /// The number of messages to the peer, by kind.
    pub(crate) resolved: usize,
    pub(crate) rejected: usize,
    pub(crate) calls: usize,
    pub(crate) aborted: Option<String>,
    pub(crate) last_rejection: String,
    pub(crate) reader: Option<Waker>,
    /// True if the peer answers calls.
    pub(crate) answers: bool,
    pub(crate) closed: bool,
}

pub(crate) struct Scripted {
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) current: String,
}

/// The length from which a message is long, in bytes.
const LONG: usize = 1 << 20;

impl Transport for Scripted {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let mut script = self.script.lock().unwrap();
        match script.incoming.pop_front() {
            Some(message) => {
                let read = std::mem::replace(&mut self.current, message);
                script.read.push(read);
            }
            None if script.closed => {
                return Poll::Ready(Received::Closed(Error::new("the script is over")));
            }
            None => {
                script.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        if self.current.len() >= LONG {
            // Our transports pass on long messages like this.
            let message = std::mem::take(&mut self.current).into_bytes();
            return Poll::Ready(Received::Encoded(Encoding::Json, vec![message.into()]));
        }
        Poll::Ready(Received::Message(&self.current))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let mut script = self.script.lock().unwrap();
        let mut sent = 0;
        while let Some(message) = outgoing.peek() {
            sent += message.len();
            if message.starts_with(b"[\"resolve\"") {
                script.resolved += 1;
            } else if message.starts_with(b"[\"reject\"") {
                script.rejected += 1;
                script.last_rejection = String::from_utf8_lossy(message).into_owned();
            } else if message.starts_with(b"[\"push\"") {
                script.calls += 1;
                if script.answers {
                    let id = script.calls;
                    script
                        .incoming
                        .push_back(format!("[\"resolve\",{id},null]"));
                }
            } else if message.starts_with(b"[\"abort\"") {
                script.aborted = Some(String::from_utf8_lossy(message).into_owned());
            }
            outgoing.advance();
            // Take only a part, like a socket.
            if sent > 256 * 1024 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        Poll::Ready(())
    }
}

//! A session's messages over its stream.

use std::task::{Context, Poll};

#[cfg(feature = "server")]
use capnweb_core::ByteBudget;
use capnweb_core::{Error, Limits, LinesTransport, Outgoing, Progress, Received, Transport};
use wtransport::Connection;

use crate::stream::SessionStream;

/// The lines of a [`SessionStream`], and the connection that tells of signs of life.
///
/// QUIC may have taken megabytes that wait to be sent, and a ping would come after them. But its
/// acknowledgements show that the peer is there.
#[derive(Debug)]
pub(crate) struct SessionTransport {
    lines: LinesTransport<SessionStream>,
    connection: Connection,
    /// The datagrams that had been received when it was last asked.
    datagrams: u64,
}

impl SessionTransport {
    pub(crate) fn new(stream: SessionStream, limits: &Limits) -> Self {
        Self {
            connection: stream.connection().clone(),
            lines: LinesTransport::new(stream, limits),
            datagrams: 0,
        }
    }

    /// Bounds the bytes of unfinished messages here and in other transports with the same budget.
    #[cfg(feature = "server")]
    pub(crate) fn budget(mut self, unfinished: &ByteBudget) -> Self {
        self.lines = self.lines.budget(unfinished);
        self
    }
}

impl Transport for SessionTransport {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        self.lines.poll_receive(cx)
    }

    fn takes_attachments(&self) -> bool {
        self.lines.takes_attachments()
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        self.lines.poll_send(cx, outgoing)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        self.lines.poll_close(cx, reason)
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn is_in_message(&self) -> bool {
        self.lines.is_in_message()
    }

    fn has_heard(&mut self) -> bool {
        let datagrams = self.connection.quic_connection().stats().udp_rx.datagrams;
        std::mem::replace(&mut self.datagrams, datagrams) != datagrams
    }
}

//! Messages over a session's stream.

use std::task::{Context, Poll};

#[cfg(feature = "server")]
use capnweb_core::ByteBudget;
use capnweb_core::{Error, Limits, LinesTransport, Outgoing, Progress, Received, Transport};
use wtransport::Connection;

use crate::stream::SessionStream;

/// The lines of a [`SessionStream`], and its connection, which reports signs of life.
///
/// QUIC may have megabytes waiting to be sent, and a ping would queue behind them. But its
/// acknowledgements show that the peer is there.
#[derive(Debug)]
pub(crate) struct SessionTransport {
    lines: LinesTransport<SessionStream>,
    connection: Connection,
    /// The number of received datagrams at the last check.
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

    /// Bounds the bytes of unfinished messages, together with other transports on the same budget.
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

//! A byte stream under a transport.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Progress;
use crate::graph::{
    error::Error,
    session_end::{EndCause, SessionEnd},
};

/// How much is read at a time. More would keep the peer waiting: it could not answer while we read.
pub(super) const READ_SIZE: usize = 8 * 1024;

pub(super) struct ByteIo<S> {
    io: S,
    /// What is being written.
    writing: Bytes,
    /// The peer sends nothing more that could be read.
    over: bool,
    /// The peer takes nothing any more: there was an error as we wrote.
    deaf: bool,
    /// The peer has been told that nothing more comes from us.
    shut_down: bool,
    /// The number of bytes that were read, …
    received: u64,
    /// … and of those that were written.
    sent: u64,
}

impl<S> ByteIo<S> {
    pub(super) fn new(io: S) -> Self {
        Self {
            io,
            writing: Bytes::new(),
            over: false,
            deaf: false,
            shut_down: false,
            received: 0,
            sent: 0,
        }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }

    /// Returns how much has been moved.
    #[inline]
    pub(super) fn progress(&self) -> Progress {
        Progress {
            received: self.received,
            beside_messages: 0,
            sent: self.sent,
        }
    }

    /// Nothing more can be read.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Nothing can be written any more, so what the peer has said is all that counts.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Has this written, when all that came before it is.
    pub(super) fn write(&mut self, bytes: Bytes) {
        self.writing = bytes;
    }
}

impl<S: AsyncRead + Unpin> ByteIo<S> {
    /// Reads once. No bytes are the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let mut into = ReadBuf::new(space);
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut into));
        let len = into.filled().len();
        self.over = read.is_err() || len == 0;
        self.received = self.received.wrapping_add(len as u64);
        Poll::Ready(read.map(|()| len).map_err(|error| lost(&error)))
    }
}

impl<S: AsyncWrite + Unpin> ByteIo<S> {
    /// Writes what there is. Ready when there is nothing more.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.writing.has_remaining() {
            let written = Pin::new(&mut self.io).poll_write(cx, &self.writing);
            let len = ready!(self.written(written))?;
            self.writing.advance(len.min(self.writing.len()));
        }
        // What was written is not kept until the next message.
        self.writing = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes some of `bytes`, when all that came before is written, and says how many.
    pub(super) fn poll_write_some(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        ready!(self.poll_write(cx))?;
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(written)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        self.deaf |= flushed.is_err();
        Poll::Ready(flushed.map_err(|error| lost(&error)))
    }

    /// How much was written, which must be something.
    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<Result<usize, Error>> {
        let written = match ready!(written) {
            Ok(0) => Err(closed()),
            Ok(len) => {
                self.sent = self.sent.wrapping_add(len as u64);
                Ok(len)
            }
            Err(error) => Err(lost(&error)),
        };
        self.deaf |= written.is_err();
        Poll::Ready(written)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteIo<S> {
    /// Writes what is left, says that nothing more comes, and waits until nothing more comes from the peer either.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shut_down {
            // Shutting down flushes as well.
            if ready!(self.poll_write(cx)).is_err()
                || ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err()
            {
                return Poll::Ready(());
            }
            self.shut_down = true;
        }
        // To drop a socket with unread data resets it, and a reset can overtake the last words, so
        // read on until the peer has seen them.
        let mut scratch = [0; 4096];
        while !self.over {
            // It is over if this fails.
            let _ = ready!(self.poll_read(cx, &mut scratch));
        }
        Poll::Ready(())
    }
}

impl<S> fmt::Debug for ByteIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteIo")
            .field("writing", &self.writing.len())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

pub(super) fn closed() -> Error {
    closed_by_peer("the peer closed the connection")
}

/// Returns the reason of a session whose peer has closed the connection in good order.
pub(super) fn closed_by_peer(message: impl Into<String>) -> Error {
    Error::disconnected(message).with_session_end(SessionEnd::new(EndCause::Peer).normal())
}

pub(super) fn cut_off() -> Error {
    Error::disconnected("the connection was lost in the middle of a message")
}

fn lost(error: &io::Error) -> Error {
    Error::disconnected(format!("the connection was lost: {error}"))
}

/// The message that tells a peer what it did wrong where the session cannot: it takes the end of the transport for the
/// peer's own doing.
pub(super) fn abort(reason: &Error) -> Vec<u8> {
    let mut message = br#"["abort",["error","#.to_vec();
    capnweb_wire::write_string(&mut message, reason.name());
    message.push(b',');
    capnweb_wire::write_string(&mut message, reason.message());
    message.extend_from_slice(b"]]");
    message
}

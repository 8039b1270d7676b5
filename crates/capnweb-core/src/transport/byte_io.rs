//! The byte stream beneath a transport.

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

/// The maximum size of one read. Larger reads would keep the peer waiting, since nothing is
/// answered during a read.
pub(super) const READ_SIZE: usize = 8 * 1024;

pub(super) struct ByteIo<S> {
    io: S,
    /// The bytes that are being written.
    writing: Bytes,
    /// True once the peer has ended the stream, or reading has failed.
    read_ended: bool,
    /// True once writing has failed: the peer takes nothing any more.
    write_failed: bool,
    /// True once the stream is shut down for writing.
    shut_down: bool,
    /// The number of bytes that were read.
    received: u64,
    /// The number of bytes that were written.
    sent: u64,
}

impl<S> ByteIo<S> {
    pub(super) fn new(io: S) -> Self {
        Self {
            io,
            writing: Bytes::new(),
            read_ended: false,
            write_failed: false,
            shut_down: false,
            received: 0,
            sent: 0,
        }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }

    /// Returns the numbers of bytes that were moved.
    #[inline]
    pub(super) fn progress(&self) -> Progress {
        Progress {
            received: self.received,
            beside_messages: 0,
            sent: self.sent,
        }
    }

    /// Returns whether nothing more can be read.
    pub(super) fn has_read_ended(&self) -> bool {
        self.read_ended
    }

    /// Returns whether writing has failed, so that only reading is left to do.
    pub(super) fn has_write_failed(&self) -> bool {
        self.write_failed
    }

    /// Sets the bytes to write next. Everything before them must have been written.
    pub(super) fn write(&mut self, bytes: Bytes) {
        self.writing = bytes;
    }
}

impl<S: AsyncRead + Unpin> ByteIo<S> {
    /// Reads once. Reading no bytes means that the stream has ended.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let mut into = ReadBuf::new(space);
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut into));
        let len = into.filled().len();
        self.read_ended = read.is_err() || len == 0;
        self.received = self.received.wrapping_add(len as u64);
        Poll::Ready(read.map(|()| len).map_err(|error| lost(&error)))
    }
}

impl<S: AsyncWrite + Unpin> ByteIo<S> {
    /// Writes the pending bytes, and is ready once all of them are written.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.writing.has_remaining() {
            let written = Pin::new(&mut self.io).poll_write(cx, &self.writing);
            let len = ready!(self.written(written))?;
            self.writing.advance(len.min(self.writing.len()));
        }
        // Free the buffer instead of keeping it until the next message.
        self.writing = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Writes some of `bytes`, after all pending bytes, and returns how many were written.
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
        self.write_failed |= flushed.is_err();
        Poll::Ready(flushed.map_err(|error| lost(&error)))
    }

    /// Returns the number of bytes that were written. None at all is an error.
    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<Result<usize, Error>> {
        let written = match ready!(written) {
            Ok(0) => Err(closed()),
            Ok(len) => {
                self.sent = self.sent.wrapping_add(len as u64);
                Ok(len)
            }
            Err(error) => Err(lost(&error)),
        };
        self.write_failed |= written.is_err();
        Poll::Ready(written)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteIo<S> {
    /// Writes the pending bytes, shuts the stream down for writing, and reads until the peer has
    /// done so too.
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
        // Dropping a socket with unread data resets the connection, and the reset can overtake the
        // last messages. So read on until the peer has seen them.
        let mut scratch = [0; 4096];
        while !self.read_ended {
            // A failed read ends the stream as well.
            let _ = ready!(self.poll_read(cx, &mut scratch));
        }
        Poll::Ready(())
    }
}

impl<S> fmt::Debug for ByteIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteIo")
            .field("writing", &self.writing.len())
            .field("read_ended", &self.read_ended)
            .finish_non_exhaustive()
    }
}

pub(super) fn closed() -> Error {
    closed_by_peer("the peer closed the connection")
}

/// Returns the error of a session that the peer closed properly.
pub(super) fn closed_by_peer(message: impl Into<String>) -> Error {
    Error::disconnected(message).with_session_end(SessionEnd::new(EndCause::Peer).normal())
}

pub(super) fn cut_off() -> Error {
    Error::disconnected("the connection was lost in the middle of a message")
}

fn lost(error: &io::Error) -> Error {
    Error::disconnected(format!("the connection was lost: {error}"))
}

/// Returns the message that reports `reason` to the peer. The session cannot send it, because to
/// the session a closed transport is the peer's doing.
pub(super) fn abort(reason: &Error) -> Vec<u8> {
    let mut message = br#"["abort",["error","#.to_vec();
    capnweb_wire::write_string(&mut message, reason.name());
    message.push(b',');
    capnweb_wire::write_string(&mut message, reason.message());
    message.extend_from_slice(b"]]");
    message
}

//! Streams.
//!
//! A stream has two ends. A reader takes chunks from a [`Source`], and a writer passes them to a
//! [`Destination`]. Chunks are undecoded payloads, so everything in them passes through unchanged.
//! Each end can be the application's, a [`pipe`]'s in this process, or a peer's: see
//! `session::remote_stream` for streams that are written to a peer. A [`pump`] moves chunks from
//! any source to any destination, with one task per stream.
//!
//! The reader sets the pace: a source is polled only when the destination has room, and a peer's
//! write is answered when its chunk is taken. A chunk that is passed on to another peer counts as
//! taken when that peer says so: its [`Acknowledgement`] travels with it. So the reader's pace
//! reaches the writer through any number of sessions, and so does the news that the reader is gone.

mod blob_content;
mod pipe;
mod pump;
mod slot;
mod transfer;

use std::task::{Context, Poll};

pub(crate) use self::{
    blob_content::BlobContent,
    pipe::{Acknowledgement, Pipe, PipeSink, PipeWriter, new_pipe},
    pump::Pump,
    slot::{Reserved, Slot},
    transfer::transfer,
};
use crate::{
    graph::error::{Error, Result},
    graph::payload::Payload,
};

/// The end of a stream that chunks are read from. Dropping it tells the writer that the reader is
/// gone.
pub(crate) trait Source: Send {
    /// Returns the next chunk, or `None` at the end. Nothing follows an error.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>>;

    /// Makes the writer wait for [`finish`](Self::finish), rather than for the end to be read, to
    /// learn that the stream has arrived.
    fn hold_end(&mut self) {}

    /// Makes the writer wait for the [acknowledgement](Self::take_acknowledgement) of a chunk,
    /// rather than for the chunk to be read, to learn that it was taken.
    fn hold_acknowledgements(&mut self) {}

    /// Takes the acknowledgement that is owed for the last chunk, if it is held.
    fn take_acknowledgement(&mut self) -> Option<Acknowledgement> {
        None
    }

    /// Returns whether the error that was read means that the writer was dropped without closing
    /// the stream.
    fn is_released(&self) -> bool {
        false
    }

    /// Reports whether the end was passed on successfully.
    fn finish(&mut self, result: Result<()>) {
        let _ = result;
    }

    /// Tells the writer why the stream is not read any further.
    fn cancel(self: Box<Self>, reason: Error) {
        let _ = reason;
    }
}

/// The end of a stream that chunks are written to. Dropping it before it is closed tells the reader
/// that the stream broke off.
pub(crate) trait Destination: Send {
    /// Waits for room for a chunk. If there is room, the task is still woken when the destination
    /// fails.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Takes a chunk. There must be room for it.
    fn write(&mut self, chunk: Payload) -> Result<()>;

    /// Returns whether this learns when a chunk has been taken at the other end.
    fn is_acknowledged(&self) -> bool {
        false
    }

    /// Takes a chunk, and acknowledges it once it has been taken at the other end. There must be
    /// room for it.
    fn write_acknowledged(
        &mut self,
        chunk: Payload,
        acknowledgement: Acknowledgement,
    ) -> Result<()> {
        let written = self.write(chunk);
        acknowledgement.settle(written.clone());
        written
    }

    /// Makes sure that all chunks are on their way.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Ends the stream, and waits until everything has arrived.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Breaks the stream off.
    fn abort(self: Box<Self>, reason: Error);

    /// Returns the pipe behind this, if there is one, so that a peer can write to it directly.
    fn pipe_writer(&self) -> Option<std::sync::Arc<PipeWriter>> {
        None
    }
}

pub(crate) type BoxSource = Box<dyn Source>;
pub(crate) type BoxDestination = Box<dyn Destination>;

/// A stream that has been read to its end.
pub(crate) struct Ended;

impl Source for Ended {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        Poll::Ready(None)
    }
}

/// A stream that begins with a chunk that was already taken from it.
pub(crate) struct Unread {
    pub(crate) chunk: Option<Payload>,
    pub(crate) rest: BoxSource,
}

impl Source for Unread {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        match self.chunk.take() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => self.rest.poll_next(cx),
        }
    }

    fn hold_end(&mut self) {
        self.rest.hold_end();
    }

    fn hold_acknowledgements(&mut self) {
        self.rest.hold_acknowledgements();
    }

    fn take_acknowledgement(&mut self) -> Option<Acknowledgement> {
        self.rest.take_acknowledgement()
    }

    fn is_released(&self) -> bool {
        self.rest.is_released()
    }

    fn finish(&mut self, result: Result<()>) {
        self.rest.finish(result);
    }

    fn cancel(self: Box<Self>, reason: Error) {
        self.rest.cancel(reason);
    }
}

/// Returns the error for a stream that has been sent elsewhere.
pub(crate) fn given_away() -> Error {
    Error::type_error("the stream was given away, or is being read elsewhere")
}

/// Returns the error of a peer's `abort`.
pub(crate) fn abort_reason(reason: Payload) -> Error {
    reason.into_thrown().without_stubs()
}

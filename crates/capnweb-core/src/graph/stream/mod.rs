//! Streams.
//!
//! A stream has two ends. Who reads from one asks a [`Source`] for chunks; who writes to one hands
//! them to a [`Destination`]. Chunks are payloads, undecoded, so that whatever is in them passes
//! through. Each end can be the application's, a [`pipe`]'s of this process, or a peer's: see
//! `session::stream` for what is written to a peer. A [`pump`] moves chunks from any source to any
//! destination, one task a stream.
//!
//! Pace goes backwards: a source is asked for a chunk only when the destination has room, and a peer
//! that writes is answered when its chunk is taken. Where a chunk goes on to another peer, it is taken
//! when that peer says so: its [`Acknowledgement`] travels with it. So the reader's pace reaches the
//! writer, however many sessions lie between them, and so does the news that nobody reads.

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

/// Where chunks come from. Dropping it tells the writer that nobody reads.
pub(crate) trait Source: Send {
    /// The next chunk; `None` at the end. After an error nothing more comes.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>>;

    /// The writer learns that the stream has arrived not when its end is reached but from
    /// [`finish`](Self::finish).
    fn hold_end(&mut self) {}

    /// The writer learns that a chunk was taken not when it is read but from its
    /// [acknowledgement](Self::take_acknowledgement).
    fn hold_acknowledgements(&mut self) {}

    /// Takes the acknowledgement that is owed for the chunk read last, if it is held.
    fn take_acknowledgement(&mut self) -> Option<Acknowledgement> {
        None
    }

    /// Returns whether the error that was read says that the writer let go of the stream unclosed.
    fn is_released(&self) -> bool {
        false
    }

    /// The end has been passed on, or not.
    fn finish(&mut self, result: Result<()>) {
        let _ = result;
    }

    /// Tells the writer why nobody reads.
    fn cancel(self: Box<Self>, reason: Error) {
        let _ = reason;
    }
}

/// Where chunks go. Dropping it before it is closed tells the reader that no more comes.
pub(crate) trait Destination: Send {
    /// Whether there is room for a chunk. While there is, the task is woken should that fail.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Takes a chunk, for which there was room.
    fn write(&mut self, chunk: Payload) -> Result<()>;

    /// Returns whether this learns when a chunk has been taken at its other end.
    fn is_acknowledged(&self) -> bool {
        false
    }

    /// Takes a chunk, for which there was room, and acknowledges it once it has been taken at the
    /// other end.
    fn write_acknowledged(
        &mut self,
        chunk: Payload,
        acknowledgement: Acknowledgement,
    ) -> Result<()> {
        let written = self.write(chunk);
        acknowledgement.settle(written.clone());
        written
    }

    /// Sees to it that what was written is on its way.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Ends the stream, and waits until all has arrived.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>>;

    /// Breaks the stream off.
    fn abort(self: Box<Self>, reason: Error);

    /// What a peer can write to directly, if this is such a thing.
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

/// A stream that begins with a chunk which was taken from it already.
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

/// What is said where the stream is somewhere else.
pub(crate) fn given_away() -> Error {
    Error::type_error("the stream was given away, or is being read elsewhere")
}

/// The reason of a peer's `abort`.
pub(crate) fn abort_reason(reason: Payload) -> Error {
    reason.into_thrown().without_stubs()
}

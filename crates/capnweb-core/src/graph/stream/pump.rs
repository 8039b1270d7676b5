//! Moving chunks from a source to a destination.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use crate::{
    graph::{
        error::Error,
        peer_call::Charge,
        stream::{BoxDestination, BoxSource},
    },
    runtime::Handle,
};

/// The number of chunks that are moved before other tasks get their turn.
const BUDGET: usize = 32;

/// A stream that a task moves from one end to the other.
pub(crate) struct Pump {
    /// The two ends, until the stream has ended.
    ends: Option<(BoxSource, BoxDestination)>,
    /// True once the source has ended.
    closing: bool,
    /// True if there may be something to flush.
    unflushed: bool,
    /// Delays the end of a batch until everything has been written.
    pumping: Option<Charge>,
}

/// The ways in which a stream ends.
enum End {
    Arrived,
    /// The destination has failed.
    Refused(Error),
    /// The source has failed.
    BrokenOff(Error),
    /// The writer dropped the source without closing it.
    Released,
    /// The stream cannot continue.
    Stuck(Error),
}

impl Pump {
    pub(crate) fn new(
        source: BoxSource,
        destination: BoxDestination,
        pumping: Option<Charge>,
    ) -> Self {
        Self {
            ends: Some((source, destination)),
            closing: false,
            unflushed: false,
            pumping,
        }
    }

    /// Spawns the pump on the current runtime, falling back to `runtime`. Without a runtime, only
    /// chunks that are ready at once are moved.
    pub(crate) fn start(mut self, runtime: Option<&Handle>) {
        if let Some((source, destination)) = &mut self.ends {
            source.hold_end();
            if destination.is_acknowledged() {
                source.hold_acknowledgements();
            }
        }
        let current = Handle::try_current().ok();
        if let Some(runtime) = current.as_ref().or(runtime) {
            runtime.spawn(self);
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_end(&mut cx, usize::MAX) {
            Poll::Ready(end) => self.end(end),
            // Everything is sent, but there is no task to learn whether it arrives.
            Poll::Pending if self.closing => {}
            Poll::Pending => self.end(End::Stuck(Error::new(
                "a stream whose chunks are not ready at once needs a Tokio runtime",
            ))),
        }
    }

    /// Moves up to `budget` chunks, and is ready once the stream has ended.
    fn poll_end(&mut self, cx: &mut Context<'_>, budget: usize) -> Poll<End> {
        let Some((source, destination)) = &mut self.ends else {
            return Poll::Ready(End::Arrived);
        };
        for _ in 0..budget {
            if self.closing {
                let closed = destination.poll_close(cx);
                // Everything has been written. A batch must not wait for it to arrive.
                self.pumping = None;
                return closed.map(|closed| closed.map_or_else(End::Refused, |()| End::Arrived));
            }
            if let Err(error) = ready!(destination.poll_ready(cx)) {
                return Poll::Ready(End::Refused(error));
            }
            match source.poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.unflushed = true;
                    let written = match source.take_acknowledgement() {
                        Some(acknowledgement) => {
                            destination.write_acknowledged(chunk, acknowledgement)
                        }
                        None => destination.write(chunk),
                    };
                    if let Err(error) = written {
                        return Poll::Ready(End::Refused(error));
                    }
                }
                Poll::Ready(Some(Err(_))) if source.is_released() => {
                    return Poll::Ready(End::Released);
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(End::BrokenOff(error)),
                Poll::Ready(None) => self.closing = true,
                Poll::Pending => {
                    if self.unflushed {
                        if let Err(error) = ready!(destination.poll_flush(cx)) {
                            return Poll::Ready(End::Refused(error));
                        }
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells both ends how the stream ended.
    fn end(&mut self, end: End) {
        if let Some((mut source, destination)) = self.ends.take() {
            match end {
                End::Arrived => source.finish(Ok(())),
                End::Refused(error) => source.cancel(error),
                End::BrokenOff(error) => destination.abort(error),
                // The destination decides what its reader is told.
                End::Released => drop(destination),
                End::Stuck(error) => {
                    source.cancel(error.clone());
                    destination.abort(error);
                }
            }
        }
        self.pumping = None;
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let end = ready!(self.poll_end(cx, BUDGET));
        self.end(end);
        Poll::Ready(())
    }
}

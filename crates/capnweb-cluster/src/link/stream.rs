//! The stream of bytes between two nodes.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{frame::HEADER, state::Shared};
use crate::bus::{Bus, BusError, Message};

/// The largest fragment of the stream in one message, if the bus takes it.
const FRAGMENT: usize = 128 << 10;

/// A stream of bytes to another node, in order and without loss.
pub(crate) struct LinkStream {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) shared: Arc<Shared>,
    /// The subject that the peer subscribes to.
    pub(super) peer: String,
    /// The subject that this side subscribes to.
    pub(super) own: String,
    pub(super) publishing: Option<BoxFuture<'static, Result<(), BusError>>>,
}

impl LinkStream {
    /// Waits until the last data frame has its place on the bus.
    fn poll_publishing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(publishing) = &mut self.publishing {
            let published = std::task::ready!(publishing.as_mut().poll(cx));
            self.publishing = None;
            if let Err(error) = published {
                self.shared.break_with(&error.to_string());
            } else {
                self.shared.lock().data_is_published();
            }
        }
        Poll::Ready(self.shared.lock().check())
    }
}

impl AsyncWrite for LinkStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_publishing(cx))?;
        let most = self.bus.max_payload().saturating_sub(HEADER).max(1);
        let fragment = bytes.get(..most.min(FRAGMENT)).unwrap_or(bytes);
        let frame = {
            let mut state = self.shared.lock();
            if !state.has_room() {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.next_data(fragment)
        };
        let message = Message::new(frame).with_reply(self.own.clone());
        self.publishing = Some(self.bus.publish(&self.peer, message));
        match self.poll_publishing(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(fragment.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_publishing(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.lock().has_sent_end {
            return Poll::Ready(Ok(()));
        }
        std::task::ready!(self.poll_publishing(cx))?;
        let mut state = self.shared.lock();
        state.is_ending = true;
        state.writer = Some(cx.waker().clone());
        drop(state);
        self.shared.pump.notify_one();
        Poll::Pending
    }
}

impl AsyncRead for LinkStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            let Some(content) = state.take(buffer.remaining()) else {
                break;
            };
            buffer.put_slice(&content);
        }
        if buffer.filled().len() > before {
            let owes = state.owes_acknowledgement();
            drop(state);
            if owes {
                self.shared.pump.notify_one();
            }
            return Poll::Ready(Ok(()));
        }
        if state.is_at_end() {
            return Poll::Ready(Ok(()));
        }
        state.check()?;
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for LinkStream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_ending = true;
        if self.publishing.is_some() {
            // A frame that may never be sent.
            drop(state);
            self.shared.break_with("the stream was dropped");
            return;
        }
        drop(state);
        self.shared.pump.notify_one();
    }
}

impl fmt::Debug for LinkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkStream")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

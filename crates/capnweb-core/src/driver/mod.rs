//! Moving a session's messages through a transport.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;

mod busy_poll;
mod keep_alive;
mod watcher;

use crate::{
    driver::{busy_poll::BusyPoll, keep_alive::KeepAliveState},
    graph::{engine::effort, error::Error},
    outgoing::Outgoing,
    runtime::{self, Handle, Sleep},
    session::Connection,
    transport::{Encoding, Received, Transport},
};

/// Runs a session over a transport, and resolves to the reason when the session is over.
///
/// It is created by [`Connection::drive`]. In each turn it reads a limited number of messages,
/// handles them, and writes all resulting messages together. So there is one flush per wake, and
/// neither side waits for the other. Dropping the driver breaks the session.
#[must_use = "a session does nothing unless its driver is spawned or awaited"]
#[derive(Debug)]
pub struct Driver<T> {
    connection: Connection,
    transport: T,
    /// The messages that the transport has not taken yet.
    outgoing: Outgoing,
    /// The number of bytes that were taken from the session and are not sent and flushed yet.
    sending: usize,
    /// True once the peer has closed the transport: it reads nothing more, so the transport only
    /// has to be closed here too.
    received_all: bool,
    /// True if nothing was received because earlier messages are still being evaluated.
    waits: bool,
    /// The reason why the transport accepts nothing more, while messages may still arrive.
    failed: Option<Error>,
    busy_poll: BusyPoll,
    keep_alive: KeepAliveState,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The driver has not been polled.
    Starting,
    Running,
    /// The peer has aborted the session. The driver waits for the transport's close code, within a
    /// time limit.
    Aborted(Pin<Box<Sleep>>),
    /// The last messages are being sent and the transport is being closed, within a time limit.
    Closing {
        reason: Error,
        timeout: Option<Pin<Box<Sleep>>>,
        flushed: bool,
    },
    /// The transport is gone.
    Over(Error),
}

/// The maximum number of messages to read before writing. With more, the peer and other sessions
/// would wait too long.
const BUDGET: usize = 1024;

/// The maximum number of messages at a time from a peer that writes each message separately.
const TRICKLE: usize = 8;

/// The time limit for the peer to receive the last messages and the end of the transport.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for the close code after the peer has aborted the session.
const CODE_TIMEOUT: Duration = Duration::from_millis(100);

impl Connection {
    /// Runs the session over a transport. The future is meant for `tokio::spawn`. It completes with
    /// the reason when the session ends. Dropping it breaks the session.
    ///
    /// # Panics
    ///
    /// The future panics in a Tokio runtime whose timer is not enabled. Outside of a Tokio runtime
    /// it has no clock: it sends no pings, and closing the transport has no time limit.
    pub fn drive<T: Transport>(self, transport: T) -> Driver<T> {
        Driver::new(self, transport)
    }
}

impl<T: Transport> Driver<T> {
    pub(crate) fn new(mut connection: Connection, transport: T) -> Self {
        connection.set_driven();
        if transport.has_close_codes() {
            connection.await_close_code();
        }
        Self {
            busy_poll: BusyPoll::new(connection.options().busy_poll_time()),
            connection,
            transport,
            outgoing: Outgoing::default(),
            sending: 0,
            received_all: false,
            waits: false,
            failed: None,
            keep_alive: KeepAliveState::default(),
            phase: Phase::Starting,
        }
    }

    /// Receives messages, and returns their number. Receives none while earlier messages are still
    /// being evaluated on another thread.
    fn receive(&mut self, cx: &mut Context<'_>) -> usize {
        if self.connection.is_evaluating() {
            self.waits = true;
            return 0;
        }
        for count in 0..BUDGET {
            match self.transport.poll_receive(cx) {
                Poll::Ready(Received::Message(message)) => {
                    self.busy_poll.worked();
                    effort::spend(message.len());
                    if self.connection.receive(message).is_err() {
                        return count;
                    }
                }
                Poll::Ready(Received::Encoded(encoding, parts)) => {
                    if self.receive_encoded(encoding, parts).is_err() {
                        return count;
                    }
                }
                Poll::Ready(Received::Attached(message, attachments)) => {
                    self.busy_poll.worked();
                    effort::spend(message.len());
                    let received = self.connection.receive_attached(message, attachments);
                    if received.is_err() {
                        return count;
                    }
                }
                Poll::Ready(Received::Closed(reason)) => {
                    self.connection.break_off(reason);
                    self.received_all = true;
                    return count;
                }
                Poll::Pending => return count,
            }
            // Offloaded work exhausts it.
            if effort::is_exhausted() {
                self.waits = self.connection.is_evaluating();
                return if self.waits { count + 1 } else { BUDGET };
            }
        }
        BUDGET
    }

    /// Receives long messages, which are decoded on another thread.
    #[cold]
    fn receive_encoded(&mut self, encoding: Encoding, parts: Vec<Bytes>) -> Result<(), Error> {
        self.busy_poll.worked();
        let len = parts.iter().map(Bytes::len).sum();
        let limits = self.connection.options().limits().clone();
        let decode = Box::new(move || encoding.decode_parts(parts, &limits));
        self.connection.receive_encoded(len, decode)
    }

    /// Sends all messages. Ready once all are sent.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            // Messages that the transport has taken may still have to be flushed.
            if self.sending > 0 {
                ready!(self.transport.poll_send(cx, &mut self.outgoing))?;
                effort::spend(self.sending);
            }
            let sent = std::mem::take(&mut self.sending);
            if !self.connection.refill(&mut self.outgoing, sent) {
                return Poll::Ready(Ok(()));
            }
            self.busy_poll.worked();
            if !self.transport.takes_attachments() {
                self.outgoing.inline();
            }
            self.sending = self.outgoing.bytes();
            if sent > 0 && effort::is_exhausted() {
                // Send the rest in the next turn.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Returns whether to poll again before anything is sent.
    ///
    /// If a peer writes message by message and has not read answers that were sent long ago, it
    /// does not need each answer at once. Receiving a packet costs it more than reading an answer,
    /// so it is better served if the answers arrive together.
    fn holds_back(&mut self, received: usize, cx: &mut Context<'_>) -> bool {
        let trickles = received <= TRICKLE
            && self.sending == 0
            && self.busy_poll.expects_more()
            && self.connection.is_peer_behind();
        if !trickles {
            self.busy_poll.let_go();
        }
        trickles && self.busy_poll.hold_back(received > 0, cx)
    }

    /// Returns the earlier failure to send.
    #[cold]
    fn failed_before(&self) -> Poll<Result<(), Error>> {
        Poll::Ready(self.failed.clone().map_or(Ok(()), Err))
    }

    /// Ends the session because the transport accepts nothing more. Messages that the peer sent
    /// before it closed the connection still count: returns false if more of them may arrive.
    #[cold]
    fn fail(&mut self, error: Error, received: usize) -> bool {
        let is_first = self.failed.replace(error.clone()).is_none();
        if is_first {
            return true;
        }
        if received == BUDGET || self.waits {
            return false;
        }
        self.connection.break_off(error.clone());
        self.phase = Phase::Over(self.connection.end_reason().unwrap_or(error));
        true
    }

    /// Discards messages after an abort, and returns their number. Ends the session if the
    /// transport is closed.
    fn discard(&mut self, cx: &mut Context<'_>) -> usize {
        for count in 0..BUDGET {
            match self.transport.poll_receive(cx) {
                Poll::Ready(
                    Received::Message(_) | Received::Attached(..) | Received::Encoded(..),
                ) => {}
                Poll::Ready(Received::Closed(reason)) => {
                    self.connection.break_off(reason);
                    self.received_all = true;
                    return count;
                }
                Poll::Pending => return count,
            }
        }
        BUDGET
    }

    /// Waits for the close code of a peer that has aborted the session. Without a clock, it does
    /// not wait.
    fn await_close(&mut self) {
        match Handle::try_current() {
            Ok(_) => {
                self.keep_alive.stop();
                self.phase = Phase::Aborted(Box::pin(runtime::sleep(CODE_TIMEOUT)));
            }
            Err(_) => {
                self.connection.end_as_aborted(None);
            }
        }
    }

    fn start_closing(&mut self, reason: Error) {
        self.keep_alive.stop();
        let timeout = Handle::try_current()
            .ok()
            .map(|_| Box::pin(runtime::sleep(CLOSE_TIMEOUT)));
        self.phase = Phase::Closing {
            reason,
            timeout,
            flushed: self.received_all,
        };
    }
}

impl<T: Transport> Future for Driver<T> {
    type Output = Error;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Error> {
        let this = &mut *self;
        this.connection.awake();
        let _counting = effort::CountingPoll::start();
        loop {
            match &mut this.phase {
                Phase::Over(reason) => {
                    let reason = reason.clone();
                    this.connection.transport_closed();
                    return Poll::Ready(reason);
                }
                Phase::Starting => {
                    this.start_watch();
                    this.phase = Phase::Running;
                }
                Phase::Running => {
                    this.waits = false;
                    let mut received = this.receive(cx);
                    if this.keep_alive.is_watched() {
                        this.look_for_life(received, cx);
                    }
                    if !this.connection.start_queued() && !this.connection.is_evaluating() {
                        // Start more calls in the next turn.
                        received = BUDGET;
                    }
                    if let Some(reason) = this.connection.end_reason() {
                        this.start_closing(reason);
                        continue;
                    }
                    if this.connection.is_aborted() {
                        this.await_close();
                        continue;
                    }
                    if this.holds_back(received, cx) {
                        return Poll::Pending;
                    }
                    let sent = if this.failed.is_none() {
                        this.send(cx)
                    } else {
                        this.failed_before()
                    };
                    if this.keep_alive.is_watched() {
                        this.note_sent(sent.is_pending());
                    }
                    let blocked = match sent {
                        Poll::Ready(Ok(())) => false,
                        Poll::Pending => true,
                        Poll::Ready(Err(error)) => {
                            if this.fail(error, received) {
                                continue;
                            }
                            true
                        }
                    };
                    if received == BUDGET {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    if this.connection.sleep(cx, blocked, this.waits) {
                        if !this.busy_poll.look_again(cx) {
                            this.outgoing.rest();
                        }
                        return Poll::Pending;
                    }
                }
                Phase::Aborted(timeout) => {
                    if timeout.as_mut().poll(cx).is_ready() {
                        this.connection.end_as_aborted(None);
                    }
                    let received = this.discard(cx);
                    if let Some(reason) = this.connection.end_reason() {
                        this.start_closing(reason);
                        continue;
                    }
                    if received == BUDGET {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    if this.connection.sleep_until_end(cx) {
                        return Poll::Pending;
                    }
                }
                Phase::Closing {
                    reason,
                    timeout,
                    flushed,
                } => {
                    let reason = reason.clone();
                    let late = timeout
                        .as_mut()
                        .is_some_and(|timeout| timeout.as_mut().poll(cx).is_ready());
                    let flushed = *flushed;
                    if late {
                        this.phase = Phase::Over(reason);
                        continue;
                    }
                    if !flushed {
                        let failed = ready!(this.send(cx)).is_err();
                        if failed {
                            this.phase = Phase::Over(reason);
                        } else if let Phase::Closing { flushed, .. } = &mut this.phase {
                            *flushed = true;
                        }
                        continue;
                    }
                    ready!(this.transport.poll_close(cx, Some(&reason)));
                    this.phase = Phase::Over(reason);
                }
            }
        }
    }
}

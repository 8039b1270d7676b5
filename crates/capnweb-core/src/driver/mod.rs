//! Moving a session's messages through a transport.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Sleep;

mod busy_poll;
mod keep_alive;
mod watcher;

use crate::{
    driver::{busy_poll::BusyPoll, keep_alive::KeepAliveState},
    graph::{engine::effort, error::Error},
    outgoing::Outgoing,
    session::Connection,
    transport::{Received, Transport},
};

/// Runs a session over a transport until it is over, and gives the reason.
///
/// Made by [`Connection::drive`]. It reads a bounded number of messages, does what they say, and
/// writes all that came of it together: one flush a wake, and neither side waits for the other.
/// Dropping it breaks the session.
#[must_use = "a session does nothing unless its driver is spawned or awaited"]
#[derive(Debug)]
pub struct Driver<T> {
    connection: Connection,
    transport: T,
    /// What the transport has not taken yet.
    outgoing: Outgoing,
    /// How many bytes were taken from the session and are not sent and flushed.
    sending: usize,
    /// The peer has closed the transport: it reads nothing more, and what is left to do is to close
    /// it here too.
    received_all: bool,
    /// Nothing was taken in since what came before is still being evaluated.
    waits: bool,
    /// Why the transport takes nothing more, while there may be something to take in.
    failed: Option<Error>,
    busy_poll: BusyPoll,
    keep_alive: KeepAliveState,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// It has not been polled.
    Starting,
    Running,
    /// The last messages are sent and the transport is closed, in bounded time.
    Closing {
        reason: Error,
        timeout: Option<Pin<Box<Sleep>>>,
        flushed: bool,
    },
    /// The transport is gone.
    Over(Error),
}

/// Messages read before writing: more would keep the peer waiting, and other sessions too.
const BUDGET: usize = 1024;

/// So few messages at a time come from a peer that writes each by itself.
const TRICKLE: usize = 8;

/// How long the peer has for the last messages and the end of the transport.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

impl Connection {
    /// Runs the session over a transport. The future ends when the session does, with the reason;
    /// it is meant for `tokio::spawn`. Dropping it breaks the session.
    ///
    /// # Panics
    ///
    /// The future panics in a Tokio runtime whose timer is not enabled. Outside of a Tokio runtime
    /// it has no clock: it sends no pings, and waits for as long as it takes to close the transport.
    pub fn drive<T: Transport>(self, transport: T) -> Driver<T> {
        Driver::new(self, transport)
    }
}

impl<T: Transport> Driver<T> {
    pub(crate) fn new(connection: Connection, transport: T) -> Self {
        connection.set_driven();
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

    /// Takes messages in, and says how many there were. None are while what came before is still
    /// being evaluated elsewhere.
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
            // Whatever is offloaded exhausts it.
            if effort::is_exhausted() {
                self.waits = self.connection.is_evaluating();
                return if self.waits { count + 1 } else { BUDGET };
            }
        }
        BUDGET
    }

    /// Sends what there is. Ready when all has been sent.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            // What the transport has taken may still have to be flushed.
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
                // The rest is for the next turn.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Whether it is better to look again before anything is sent.
    ///
    /// A peer that goes on writing message by message, and has not read answers that were sent long ago, has no use for
    /// each answer at once. It is better served if they come together: to take a packet in costs it more than to read an
    /// answer does.
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

    /// Returns the failure to send that came before.
    #[cold]
    fn failed_before(&self) -> Poll<Result<(), Error>> {
        Poll::Ready(self.failed.clone().map_or(Ok(()), Err))
    }

    /// Ends the session, since the transport takes nothing more. What the peer said before it
    /// stopped listening still counts: returns false if there is more of it to wait for.
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

    fn start_closing(&mut self, reason: Error) {
        self.keep_alive.stop();
        let timeout = tokio::runtime::Handle::try_current()
            .ok()
            .map(|_| Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)));
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
                        // There is more to do in the next turn.
                        received = BUDGET;
                    }
                    if let Some(reason) = this.connection.end_reason() {
                        this.start_closing(reason);
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

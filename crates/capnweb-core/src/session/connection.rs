//! The protocol's side of a session.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{
    AbortNotice, SessionGuard, SessionInner, SessionOptions, compat, events, inner::State,
    receive::Scratch,
};
use crate::{
    Attachment,
    graph::{
        engine::effort,
        error::{Error, Kind, Result},
        hook::Hook,
        session_end::EndCause,
        work::Work,
    },
    outgoing::Outgoing,
};

/// The protocol's side of a session, apart from any I/O: messages go in and come out.
///
/// ```text
///   open ── end_of_input (batch server) ──► answering ──┐
///    │                                                  │
///    ├── the peer aborts, the transport ends, close,    │
///    │   a violation, a limit, everything is dropped    │
///    ▼                                                  ▼
///   ended: imports break, callbacks run, exports are dropped; handlers have a grace period,
///          and what is queued to be sent (an `abort` at last) is still to be taken
/// ```
///
/// Most users hand it to a transport with [`drive`](Self::drive). Dropping it ends the session.
pub struct Connection {
    pub(super) inner: Arc<SessionInner>,
    /// A server's session lives as long as its connection.
    guard: Option<Arc<SessionGuard>>,
    scratch: Scratch,
    /// The work since other tasks last had their turn, if there is no driver.
    spent: usize,
}

impl Connection {
    pub(crate) fn new(guard: &Arc<SessionGuard>) -> Self {
        let inner = guard.inner().clone();
        let guard = (!inner.role.is_client()).then(|| guard.clone());
        Self {
            scratch: Scratch::new(&inner),
            inner,
            guard,
            spent: 0,
        }
    }

    /// Returns what keeps the session alive; `None` for a client of which nothing is held any more.
    pub(crate) fn guard(&self) -> Option<Arc<SessionGuard>> {
        match &self.guard {
            Some(guard) => Some(guard.clone()),
            None => self.inner.guard.upgrade(),
        }
    }

    /// The settings.
    pub fn options(&self) -> &SessionOptions {
        &self.inner.options
    }

    pub(crate) fn set_main_hook(&mut self, main: Hook) {
        let mut state = self.inner.lock();
        let old = if state.ended.is_some() {
            Some(main)
        } else {
            state.exports.set_main(main)
        };
        state.later.extend(old.map(Work::DropHook));
    }

    /// Takes one message of the peer's in.
    ///
    /// # Errors
    ///
    /// If the session is over, be it by this message. What the peer is to be told is in the outgoing
    /// messages.
    pub fn receive(&mut self, message: &str) -> Result<()> {
        self.receive_attached(message, &[])
    }

    /// Takes one message of the peer's in that has long byte strings beside its text.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn receive_attached(&mut self, message: &str, attachments: &[Attachment]) -> Result<()> {
        self.inner.take_in(message, attachments, &mut self.scratch)
    }

    /// Takes one message of the peer's in like [`receive`](Self::receive), and gives way to other
    /// tasks.
    ///
    /// What takes long is done on another thread while this waits, as it is under a
    /// [`Driver`](crate::Driver). It is for transports that have no driver, inside a Tokio runtime. The
    /// future is not to be dropped before it is done: what it has begun goes on.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub async fn receive_in_turn(&mut self, message: &str) -> Result<()> {
        self.inner.set_runtime();
        self.set_awaited();
        {
            let counting = effort::Counting::start_from(self.spent);
            effort::spend(message.len());
            self.receive(message)?;
            self.spent = counting.spent();
        }
        if self.is_evaluating() {
            let inner = self.inner.clone();
            poll_fn(move |cx| {
                inner.set_driver(Some(cx.waker().clone()));
                if inner.is_evaluating() {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
        }
        if self.spent >= effort::MAX_IN_POLL {
            self.spent = 0;
            tokio::task::yield_now().await;
        }
        self.inner.check_alive()
    }

    /// For the driver, which waits for long work that is done elsewhere.
    pub(crate) fn set_driven(&self) {
        self.inner.lock().out.bound();
        self.set_awaited();
    }

    /// Long work is done elsewhere from now on, since somebody waits for it.
    fn set_awaited(&self) {
        self.inner.driven.store(true, Ordering::Relaxed);
    }

    /// For the driver: whether such work is not done. Nothing more is to be taken in before it is.
    pub(crate) fn is_evaluating(&self) -> bool {
        self.inner.is_evaluating()
    }

    /// Nothing more will come from the peer, though it can still be answered: whatever waits for
    /// the peer fails at once.
    pub fn end_of_input(&mut self) {
        self.inner.end_input(Error::with_kind(
            Kind::Disconnected,
            "Error",
            "a result of the client was awaited in an HTTP batch, which cannot bring it back; \
             callbacks whose results matter need a WebSocket",
        ));
    }

    /// Ends the session since its transport is over: everything breaks with `reason`. The peer is
    /// not told.
    pub fn end(&mut self, reason: Error) {
        self.break_off(reason);
        self.transport_closed();
    }

    /// Ends the session, whose transport is still to be closed.
    pub(crate) fn break_off(&mut self, reason: Error) {
        self.inner.end(reason, AbortNotice::Silent);
    }

    /// Marks the transport as closed, once the session has ended.
    pub(crate) fn transport_closed(&mut self) {
        self.inner.transport_closed();
    }

    /// Returns the reason of the session's end, if it is over.
    pub fn end_reason(&self) -> Option<Error> {
        self.inner.end_reason()
    }

    /// Waits until the session is over, and returns the reason. A client's session is over when nothing
    /// of it is held any more, too.
    ///
    /// It does not wait for the transport, as [`Session::closed`](crate::Session::closed) does: it is
    /// for those who close that.
    pub fn ended(&self) -> impl Future<Output = Error> + Send + 'static {
        let inner = self.inner.clone();
        async move { poll_fn(|cx| inner.poll_ended(cx)).await }
    }

    /// Takes the messages that wait to be sent.
    pub fn take_outgoing(&mut self) -> Outgoing {
        let mut state = self.inner.lock();
        state.wake_ready();
        let out = state.out.take_all();
        state.hand_over(None);
        state.check_drained();
        drop(state);
        let mut out = self.adapt(out);
        out.inline();
        events::sending(self.inner.number, &out);
        out
    }

    /// The messages as this peer understands them.
    fn adapt(&self, mut out: Outgoing) -> Outgoing {
        let version = self.inner.options.peer_version_ref();
        if version.knows_all() {
            return out;
        }
        out.inline();
        compat::adapt(out, version)
    }

    /// Waits until everything that the peer asked for has been answered and all streams that were
    /// given to it are written, or the session is over.
    pub fn answered(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.inner.clone();
        async move {
            inner.set_runtime();
            let answered =
                |state: &State| (state.ended.is_some() || state.is_answered()).then_some(());
            poll_fn(|cx| {
                let _counting = effort::Counting::start();
                let is_through = inner.start_queued();
                // There is no driver to start calls that wait for room.
                inner.set_driver(Some(cx.waker().clone()));
                if !is_through && !inner.is_evaluating() {
                    // The rest is for the next turn.
                    cx.waker().wake_by_ref();
                }
                inner.poll_state(cx, answered, |waiting| &mut waiting.drained)
            })
            .await;
            inner.set_driver(None);
        }
    }

    /// For the client of a batch: waits until it is time to send it, which is when a promise is
    /// polled the second time and the streams in it are written whole, or the session is over.
    pub fn flush_requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.inner.clone();
        async move {
            poll_fn(|cx| {
                let mut waiting = Some(cx.waker().clone());
                let mut state = inner.lock();
                if state.ended.is_some() || state.is_flush_due() {
                    return Poll::Ready(());
                }
                // What was there before is dropped after the lock.
                std::mem::swap(&mut state.flush.waiting, &mut waiting);
                Poll::Pending
            })
            .await;
        }
    }

    /// Returns whether a batch is to be sent even if the session is over, since nothing of it is
    /// held: [`Session::send_batch`](crate::Session::send_batch) was called.
    pub fn is_sent_by_hand(&self) -> bool {
        self.inner.lock().flush.by_hand
    }

    /// For the driver, whose messages are all sent and were `sent` bytes: puts what there is to send in their place, and
    /// their memory to use. False if there is nothing.
    pub(crate) fn refill(&mut self, outgoing: &mut Outgoing, sent: usize) -> bool {
        let mut state = self.inner.lock();
        state.sending = state.sending.saturating_sub(sent);
        if sent > 0 {
            // It was sent first, since all before it was.
            state.unsent_ping = 0;
        }
        if sent > 0 && !state.waiting.ready.is_empty() {
            state.wake_ready();
        }
        if state.out.is_empty() {
            if sent > 0 {
                state.check_drained();
            }
            return false;
        }
        let next_call = state.out.exchange(outgoing);
        state.hand_over(next_call);
        if !self.inner.options.peer_version_ref().knows_all() {
            drop(state);
            *outgoing = self.adapt(std::mem::take(outgoing));
            state = self.inner.lock();
        }
        state.sending += outgoing.bytes();
        drop(state);
        events::sending(self.inner.number, outgoing);
        true
    }

    /// For the driver, which is running now: it need not be woken.
    pub(crate) fn awake(&mut self) {
        self.inner.set_runtime();
        self.inner.set_driver(None);
    }

    /// For the driver: has it woken when there is something to do. False if there is already; what
    /// there is to send does not count while the transport is `blocked`. If it `waits` it takes
    /// nothing in before long work is done.
    #[inline]
    pub(crate) fn sleep(&mut self, cx: &Context<'_>, blocked: bool, waits: bool) -> bool {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.inner.lock();
        let sendable = !blocked && !state.out.is_empty();
        let is_evaluating = state.evaluation.is_running();
        let startable = !state.queue.is_empty() && !is_evaluating && !self.inner.is_busy(&state);
        // What was waited for can be done by now.
        let readable = waits && !is_evaluating;
        if state.ended.is_some()
            || sendable
            || startable
            || readable
            || self.inner.life.is_alarmed()
        {
            return false;
        }
        state.out.rest();
        // What was there before is dropped after the lock.
        std::mem::swap(&mut state.driver, &mut waker);
        true
    }

    /// For the driver: whether the peer has a good deal to read, and what there is to send would not add much to it.
    pub(crate) fn is_peer_behind(&self) -> bool {
        /// The number of answers that were sent and not released by a peer that is behind.
        const UNREAD_ANSWERS: usize = 32;
        /// The number of bytes that are worth a write of their own.
        const WRITE_BYTES: usize = 8 * 1024;
        let state = self.inner.lock();
        // Those that are held back already it can hardly have read.
        let unread = state.exports.unread().saturating_sub(state.out.len());
        unread >= UNREAD_ANSWERS && !state.out.is_empty() && state.out.bytes() < WRITE_BYTES
    }

    /// For the driver: starts calls that waited for room. False if it stopped before it was through.
    pub(crate) fn start_queued(&self) -> bool {
        self.inner.start_queued()
    }
}

impl SessionInner {
    fn set_driver(&self, mut waker: Option<Waker>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.driver, &mut waker);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.inner.end_by(
            EndCause::Here,
            Error::with_kind(
                Kind::Disconnected,
                "Error",
                "the session's connection was dropped: its runtime was shut down or its task aborted",
            ),
            AbortNotice::Silent,
        );
        self.inner.transport_closed();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("session", &self.inner.number)
            .finish_non_exhaustive()
    }
}

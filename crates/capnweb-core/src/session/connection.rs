//! The protocol's side of a session.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{
    AbortNotice, Decode, SessionGuard, SessionInner, SessionOptions, compat, events,
    inner::State,
    receive::{PeerAbort, Scratch},
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
    runtime,
};

/// The protocol's side of a session, without any I/O: messages go in and come out.
///
/// ```text
///   open ── end_of_input (batch server) ──► answering ──┐
///    │                                                  │
///    ├── the peer aborts, the transport ends, close,    │
///    │   a violation, a limit, everything is dropped    │
///    ▼                                                  ▼
///   ended: imports break, callbacks run, exports are dropped; handlers have a grace period,
///          and the queued messages (an `abort` comes last) can still be taken
/// ```
///
/// Most applications pass it to a transport with [`drive`](Self::drive). Dropping it ends the
/// session.
pub struct Connection {
    pub(super) inner: Arc<SessionInner>,
    /// A server's session lives as long as its connection.
    guard: Option<Arc<SessionGuard>>,
    scratch: Scratch,
    /// The amount of work since other tasks last had their turn, if there is no driver.
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

    /// Returns the guard that keeps the session alive, or `None` for a client whose handles were
    /// all dropped.
    pub(crate) fn guard(&self) -> Option<Arc<SessionGuard>> {
        match &self.guard {
            Some(guard) => Some(guard.clone()),
            None => self.inner.guard.upgrade(),
        }
    }

    /// Returns the settings.
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

    /// Receives one message from the peer.
    ///
    /// # Errors
    ///
    /// Returns an error if the session is over, possibly because of this message. The outgoing
    /// messages then contain the notice for the peer.
    pub fn receive(&mut self, message: &str) -> Result<()> {
        self.receive_attached(message, &[])
    }

    /// Receives one message from the peer that has long byte strings attached to its text.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`receive`](Self::receive).
    pub fn receive_attached(&mut self, message: &str, attachments: &[Attachment]) -> Result<()> {
        self.inner.take_in(message, attachments, &mut self.scratch)
    }

    /// Receives messages that `decode` decodes on another thread. They have `len` bytes until then.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`receive`](Self::receive).
    pub(crate) fn receive_encoded(&mut self, len: usize, decode: Decode) -> Result<()> {
        self.inner.take_in_encoded(len, decode)
    }

    /// Receives one message like [`receive`](Self::receive), and lets other tasks run.
    ///
    /// Work that takes long is done on another thread while this waits, as it is with a
    /// [`Driver`](crate::Driver). Use this for transports without a driver, in a Tokio runtime. Do
    /// not drop the future before it completes, since its work on the other thread would go on.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`receive`](Self::receive).
    pub async fn receive_in_turn(&mut self, message: &str) -> Result<()> {
        self.in_turn(message.len(), |this| this.receive(message))
            .await
    }

    /// Receives messages like [`receive_in_turn`](Self::receive_in_turn) that `decode` decodes on
    /// another thread, one per line. They have `len` bytes until then.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`receive`](Self::receive), and the error of `decode`.
    pub async fn receive_encoded_in_turn<D>(&mut self, len: usize, decode: D) -> Result<()>
    where
        D: FnOnce() -> Result<(String, Vec<Attachment>)> + Send + 'static,
    {
        self.in_turn(0, |this| this.receive_encoded(len, Box::new(decode)))
            .await
    }

    /// Receives messages, which takes at least the given effort, and waits for the work on another
    /// thread.
    async fn in_turn(
        &mut self,
        effort: usize,
        receive: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.inner.set_runtime();
        self.set_awaited();
        {
            let counting = effort::Counting::start_from(self.spent);
            effort::spend(effort);
            receive(self)?;
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
            yield_once().await;
        }
        self.inner.check_alive()
    }

    /// Marks the session as driven: its driver waits for long work on other threads.
    pub(crate) fn set_driven(&self) {
        self.inner.lock().out.bound();
        self.set_awaited();
    }

    /// Moves long work to other threads from now on, since its end is awaited.
    fn set_awaited(&self) {
        self.inner.driven.store(true, Ordering::Relaxed);
    }

    /// Returns whether work on another thread is not done. Until then, the driver must not receive
    /// anything.
    pub(crate) fn is_evaluating(&self) -> bool {
        self.inner.is_evaluating()
    }

    /// Makes an abort of the peer end the session only when the transport is closed or
    /// [`end_as_aborted`](Self::end_as_aborted) is called, for a transport with close codes.
    pub(crate) fn await_close_code(&mut self) {
        self.inner.lock().abort = PeerAbort::AwaitsClose;
    }

    /// Returns whether the peer has aborted the session and the close code is awaited.
    pub(crate) fn is_aborted(&self) -> bool {
        self.inner.is_aborted()
    }

    /// Ends the session with the reason of the peer's abort, if there is one that has not ended it
    /// yet. `closed` is the reason for which the transport was closed meanwhile.
    pub(crate) fn end_as_aborted(&mut self, closed: Option<&Error>) -> bool {
        if !self.is_aborted() {
            return false;
        }
        let PeerAbort::Received(reason) = std::mem::take(&mut self.inner.lock().abort) else {
            return false;
        };
        let end = closed
            .and_then(Error::session_end)
            .filter(|end| end.cause() == EndCause::Peer && end.close_code().is_some());
        let reason = match end {
            Some(end) => reason.with_session_end(*end),
            None => reason,
        };
        self.inner
            .end_by(EndCause::Peer, reason, AbortNotice::Silent);
        true
    }

    /// Marks the end of the peer's messages. The peer can still be answered, but everything that
    /// waits for a message from it fails at once.
    pub fn end_of_input(&mut self) {
        self.inner.end_input(Error::with_kind(
            Kind::Disconnected,
            "Error",
            "a result of the client was awaited in an HTTP batch, which cannot bring it back; \
             callbacks whose results matter need a WebSocket",
        ));
    }

    /// Ends the session because its transport is over: everything breaks with `reason`. The peer is
    /// not notified.
    pub fn end(&mut self, reason: Error) {
        self.break_off(reason);
        self.transport_closed();
    }

    /// Ends the session while its transport is still open.
    ///
    /// If the peer has aborted it, that is the reason.
    pub(crate) fn break_off(&mut self, reason: Error) {
        if !self.end_as_aborted(Some(&reason)) {
            self.inner.end(reason, AbortNotice::Silent);
        }
    }

    /// Marks the transport as closed after the session has ended.
    pub(crate) fn transport_closed(&mut self) {
        self.inner.transport_closed();
    }

    /// Returns the reason for the session's end, if it is over.
    pub fn end_reason(&self) -> Option<Error> {
        self.inner.end_reason()
    }

    /// Waits until the session is over, and returns the reason. A client's session is also over
    /// when all of its handles are dropped.
    ///
    /// Unlike [`Session::closed`](crate::Session::closed), it does not wait for the transport, so
    /// it suits code that closes the transport itself.
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
        events::sending(self.inner.number, &out, self.inner.hooks.as_ref());
        out
    }

    /// Returns the messages in the forms that this peer understands.
    fn adapt(&self, mut out: Outgoing) -> Outgoing {
        let version = self.inner.options.peer_version_ref();
        if version.knows_all() {
            return out;
        }
        out.inline();
        compat::adapt(out, version)
    }

    /// Waits until everything that the peer requested is answered and all streams that it received
    /// are written, or until the session is over.
    pub fn answered(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.inner.clone();
        async move {
            inner.set_runtime();
            let answered =
                |state: &State| (state.ended.is_some() || state.is_answered()).then_some(());
            poll_fn(|cx| {
                let _counting = effort::Counting::start();
                let is_through = inner.start_queued();
                // Without a driver, nothing else starts the calls that wait for room.
                inner.set_driver(Some(cx.waker().clone()));
                if !is_through && !inner.is_evaluating() {
                    // Do the rest in the next turn.
                    cx.waker().wake_by_ref();
                }
                inner.poll_state(cx, answered, |waiting| &mut waiting.drained)
            })
            .await;
            inner.set_driver(None);
        }
    }

    /// Waits until it is time to send a client's batch, or until the session is over. It is time
    /// when a promise is polled for the second time and the batch's streams are written completely.
    pub fn flush_requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.inner.clone();
        async move {
            poll_fn(|cx| {
                let mut waiting = Some(cx.waker().clone());
                let mut state = inner.lock();
                if state.ended.is_some() || state.is_flush_due() {
                    return Poll::Ready(());
                }
                // The previous waker is dropped outside the lock.
                std::mem::swap(&mut state.flush.waiting, &mut waiting);
                Poll::Pending
            })
            .await;
        }
    }

    /// Returns whether a batch must be sent even if all of its handles are dropped, because
    /// [`Session::send_batch`](crate::Session::send_batch) was called.
    pub fn is_sent_by_hand(&self) -> bool {
        self.inner.lock().flush.by_hand
    }

    /// Replaces the driver's messages, which have all been sent and were `sent` bytes long, by the
    /// next ones, and reuses their memory. Returns false if there are none.
    pub(crate) fn refill(&mut self, outgoing: &mut Outgoing, sent: usize) -> bool {
        let mut state = self.inner.lock();
        state.sending = state.sending.saturating_sub(sent);
        if sent > 0 {
            // The ping was sent too, since all earlier messages were.
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
        events::sending(self.inner.number, outgoing, self.inner.hooks.as_ref());
        true
    }

    /// Notes that the driver is running, so it need not be woken.
    pub(crate) fn awake(&mut self) {
        self.inner.set_runtime();
        self.inner.set_driver(None);
    }

    /// Registers the driver to be woken when there is something to do. Returns false if there
    /// already is. Messages to send do not count while the transport is `blocked`. If the driver
    /// `waits`, it receives nothing until the work on another thread is done.
    #[inline]
    pub(crate) fn sleep(&mut self, cx: &Context<'_>, blocked: bool, waits: bool) -> bool {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.inner.lock();
        let sendable = !blocked && !state.out.is_empty();
        let is_evaluating = state.evaluation.is_running();
        let startable = !state.queue.is_empty() && !is_evaluating && !self.inner.is_busy(&state);
        // The awaited work may be done by now.
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
        // The previous waker is dropped outside the lock.
        std::mem::swap(&mut state.driver, &mut waker);
        true
    }

    /// Registers the driver to be woken at the end of the session. Returns false if it is over.
    pub(crate) fn sleep_until_end(&mut self, cx: &Context<'_>) -> bool {
        self.inner.set_driver(Some(cx.waker().clone()));
        self.inner.lock().ended.is_none()
    }

    /// Returns whether the peer has many answers to read and the next messages to send are few.
    pub(crate) fn is_peer_behind(&self) -> bool {
        /// The number of sent and unreleased answers from which a peer counts as being behind.
        const UNREAD_ANSWERS: usize = 32;
        /// The number of bytes that justify a write.
        const WRITE_BYTES: usize = 8 * 1024;
        let state = self.inner.lock();
        // The peer cannot have read those that are still held back.
        let unread = state.exports.unread().saturating_sub(state.out.len());
        unread >= UNREAD_ANSWERS && !state.out.is_empty() && state.out.bytes() < WRITE_BYTES
    }

    /// Starts calls that waited for room. Returns false if it stopped early because this takes
    /// long.
    pub(crate) fn start_queued(&self) -> bool {
        self.inner.start_queued()
    }
}

/// Lets other tasks run once.
async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(
        |cx| match std::mem::replace(&mut has_yielded, true) || !runtime::yield_now(cx) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        },
    )
    .await;
}

impl SessionInner {
    fn set_driver(&self, mut waker: Option<Waker>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.driver, &mut waker);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end_as_aborted(None);
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

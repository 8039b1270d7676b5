//! The protocol's side of a session.

use std::{
    future::{Future, poll_fn},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{
    Outgoing, Session,
    end::Say,
    handle::Life,
    old_peers,
    receive::Scratch,
    shared::{Shared, State},
};
use crate::{
    Attachment,
    driver::Driver,
    error::{Error, Kind, Result},
    stub::Stub,
    transport::Transport,
};

/// The protocol's side of a session, apart from any I/O: messages go in and come out.
///
/// Most users hand it to a transport with [`drive`](Self::drive). Dropping it ends the session.
pub struct Connection {
    shared: Arc<Shared>,
    /// A server's session lives as long as its connection.
    life: Option<Arc<Life>>,
    scratch: Scratch,
}

impl Connection {
    pub(super) fn new(life: &Arc<Life>) -> Self {
        let shared = life.shared().clone();
        let life = (!shared.role.is_client()).then(|| life.clone());
        Self {
            scratch: Scratch::new(&shared),
            shared,
            life,
        }
    }

    /// The session; `None` if it is a client's of which nothing is held any more.
    pub fn session(&self) -> Option<Session> {
        match &self.life {
            Some(life) => Some(Session::from_life(life.clone())),
            None => self.shared.life.upgrade().map(Session::from_life),
        }
    }

    /// The settings.
    pub fn options(&self) -> &super::SessionOptions {
        &self.shared.options
    }

    /// Sets the object that the peer sees as our main object. Without one its calls are rejected.
    pub fn set_main(&mut self, main: Stub) {
        let hook = main.into_hook();
        let mut state = self.shared.lock();
        let old = if state.ended.is_some() {
            Some(hook)
        } else {
            state.main.replace(hook)
        };
        state.later.extend(old.map(crate::work::Work::DropHook));
    }

    /// Runs the session over a transport. The future ends when the session does, with the reason;
    /// it is meant for `tokio::spawn`. Dropping it breaks the session.
    ///
    /// # Panics
    ///
    /// The future panics in a Tokio runtime whose timer is not enabled.
    pub fn drive<T: Transport>(self, transport: T) -> Driver<T> {
        Driver::new(self, transport)
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
        self.check_alive()?;
        let received = self.shared.receive(message, attachments, &mut self.scratch);
        if let Err(error) = received {
            self.shared.end(error, Say::Abort);
        }
        self.check_alive()
    }

    fn check_alive(&self) -> Result<()> {
        if self.shared.over.load(Ordering::Acquire) {
            return Err(self.ended().unwrap_or_else(Error::internal));
        }
        Ok(())
    }

    /// Nothing more will come from the peer, though it can still be answered: whatever waits for
    /// the peer fails at once.
    pub fn end_of_input(&mut self) {
        self.shared.end_input(Error::with_kind(
            Kind::Disconnected,
            "Error",
            "a result of the client was awaited in an HTTP batch, which cannot bring it back; \
             callbacks whose results matter need a WebSocket",
        ));
    }

    /// The session is over: everything breaks with `reason`. The peer is not told.
    pub fn end(&mut self, reason: Error) {
        self.shared.end(reason, Say::Nothing);
    }

    /// Why the session is over, if it is.
    pub fn ended(&self) -> Option<Error> {
        self.shared.lock().ended.clone()
    }

    /// Waits until the session is over, and returns the reason. A client's session is over when nothing
    /// of it is held any more, too.
    pub fn closed(&self) -> impl Future<Output = Error> + Send + 'static {
        let shared = self.shared.clone();
        async move {
            let ended = |state: &State| state.ended.clone();
            poll_fn(|cx| shared.poll_state(cx, ended, |state| &mut state.closed)).await
        }
    }

    /// Takes the messages that wait to be sent.
    pub fn take_outgoing(&mut self) -> Outgoing {
        let mut state = self.shared.lock();
        let ready = std::mem::take(&mut state.ready);
        state.wake(ready);
        let out = std::mem::take(&mut state.out);
        drop(state);
        let mut out = self.adapt(out);
        out.inline();
        out
    }

    /// The messages as this peer understands them.
    fn adapt(&self, mut out: Outgoing) -> Outgoing {
        if self.shared.options.is_for_old_peers() {
            out.inline();
            old_peers::adapt(out)
        } else {
            out
        }
    }

    /// Waits until everything that the peer asked for has been answered and all streams that were
    /// given to it are written, or the session is over.
    pub fn answered(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.shared.clone();
        async move {
            shared.set_runtime();
            let answered =
                |state: &State| (state.ended.is_some() || state.is_drained()).then_some(());
            poll_fn(|cx| {
                shared.start_parked();
                // There is no driver to start calls that wait for room.
                shared.set_driver(Some(cx.waker().clone()));
                shared.poll_state(cx, answered, |state| &mut state.drained)
            })
            .await;
            shared.set_driver(None);
        }
    }

    /// For the client of a batch: waits until it is time to send it, which is when a promise is
    /// polled the second time and the streams in it are written whole, or the session is over.
    pub fn flush_requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.shared.clone();
        async move {
            poll_fn(|cx| {
                let mut waiting = Some(cx.waker().clone());
                let mut state = shared.lock();
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

    /// For the driver, whose messages are all sent and were `sent` bytes: puts what there is to send in their place, and
    /// their memory to use. False if there is nothing.
    pub(crate) fn refill(&mut self, outgoing: &mut Outgoing, sent: usize) -> bool {
        let mut state = self.shared.lock();
        state.sending = state.sending.saturating_sub(sent);
        if sent > 0 && !state.ready.is_empty() {
            let ready = std::mem::take(&mut state.ready);
            state.wake(ready);
        }
        if state.out.is_empty() {
            return false;
        }
        std::mem::swap(&mut state.out, outgoing);
        if self.shared.options.is_for_old_peers() {
            drop(state);
            *outgoing = self.adapt(std::mem::take(outgoing));
            state = self.shared.lock();
        }
        state.sending += outgoing.bytes();
        true
    }

    /// For the driver, which is running now: it need not be woken.
    pub(crate) fn awake(&mut self) {
        self.shared.set_runtime();
        self.shared.set_driver(None);
    }

    /// For the driver: has it woken when there is something to do. False if there is already; what
    /// there is to send does not count while the transport is `blocked`.
    pub(crate) fn sleep(&mut self, cx: &Context<'_>, blocked: bool) -> bool {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.lock();
        let sendable = !blocked && !state.out.is_empty();
        let startable = !state.parked.is_empty() && !self.shared.is_busy(&state);
        if state.ended.is_some() || sendable || startable {
            return false;
        }
        state.out.rest();
        // What was there before is dropped after the lock.
        std::mem::swap(&mut state.driver, &mut waker);
        true
    }

    /// For the driver: whether the peer has a good deal to read, and what there is to send would not add much to it.
    pub(crate) fn is_peer_behind(&self) -> bool {
        /// So many answers that were sent.
        const BEHIND: usize = 32;
        /// So many bytes are worth a write of their own.
        const MUCH: usize = 8 * 1024;
        let state = self.shared.lock();
        // Those that are held back already it can hardly have read.
        let unread = state.unread.saturating_sub(state.out.len());
        unread >= BEHIND && !state.out.is_empty() && state.out.bytes() < MUCH
    }

    /// For the driver: starts calls that waited for room.
    pub(crate) fn start_parked(&self) {
        self.shared.start_parked();
    }
}

impl Shared {
    fn set_driver(&self, mut waker: Option<Waker>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.driver, &mut waker);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.end(
            Error::with_kind(
                Kind::Disconnected,
                "Error",
                "the session's connection was dropped: its runtime was shut down or its task aborted",
            ),
            Say::Nothing,
        );
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("session", &self.shared.number)
            .finish_non_exhaustive()
    }
}

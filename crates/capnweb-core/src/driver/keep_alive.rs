//! The driver's part in noticing a silent peer.

use super::{Driver, watcher::Registration};
use crate::{
    session::{Alarm, KeepAlive},
    transport::{Progress, Transport},
};

/// The signs of life that a driver has seen of its peer.
#[derive(Debug, Default)]
pub(super) struct KeepAliveState {
    /// Set by the first poll, with or without a watcher.
    started: bool,
    /// Has the watcher look at the session.
    registration: Option<Registration>,
    /// The transport's progress at the last poll.
    seen: Progress,
    /// The largest number of received bytes that belonged to messages.
    of_messages: u64,
    /// The number of bytes that the transport had not taken.
    left: usize,
    /// Set while the transport takes no more.
    blocked: bool,
    /// Set while the transport has a ping to send.
    ping_queued: bool,
}

impl KeepAliveState {
    pub(super) fn is_ping_queued(&self) -> bool {
        self.ping_queued
    }

    /// Notes that all that the transport had is sent.
    pub(super) fn ping_sent(&mut self) {
        self.ping_queued = false;
    }

    /// Ends the watch: the session is over.
    pub(super) fn stop(&mut self) {
        self.registration = None;
    }
}

impl<T: Transport> Driver<T> {
    /// Has the session watched, the first time.
    #[inline]
    pub(super) fn watch(&mut self) {
        if !std::mem::replace(&mut self.keep_alive.started, true) {
            self.start_watch();
        }
    }

    #[cold]
    fn start_watch(&mut self) {
        if self.connection.options().keep_alive_ref().is_some()
            && self.transport.can_fall_silent()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let session = self.connection.downgrade();
            self.keep_alive.registration = Some(Registration::new(&runtime, session));
        }
    }

    /// Notes what has come: so many whole messages, and what the transport has of others.
    #[inline]
    pub(super) fn note_received(&mut self, messages: usize) {
        let progress = self.transport.progress();
        let state = &mut self.keep_alive;
        let life = self.connection.life();
        if messages > 0 || progress.received != state.seen.received {
            life.note_heard();
            let of_messages = progress.received.wrapping_sub(progress.beside_messages);
            if messages > 0 || of_messages > state.of_messages {
                life.note_advanced();
            }
            state.of_messages = of_messages.max(state.of_messages);
        }
        if progress.in_message != state.seen.in_message {
            life.set_in_message(progress.in_message);
        }
        state.seen.received = progress.received;
        state.seen.in_message = progress.in_message;
    }

    /// Notes what was sent. What a peer takes that has let us wait is a sign of life.
    #[inline]
    pub(super) fn note_sent(&mut self, blocked: bool) {
        let state = &mut self.keep_alive;
        if !state.blocked && !blocked {
            return;
        }
        let (sent, left) = (self.transport.progress().sent, self.outgoing.bytes());
        if state.blocked && (!blocked || sent != state.seen.sent || left < state.left) {
            self.connection.life().note_heard();
        }
        (state.seen.sent, state.left, state.blocked) = (sent, left, blocked);
    }

    /// Attends to what the watcher has found, unless that is no longer so.
    #[cold]
    pub(super) fn attend(&mut self) {
        let life = self.connection.life();
        let (Some(alarm), Some(keep_alive)) = (
            life.take_alarm(),
            self.connection.options().keep_alive_ref().copied(),
        ) else {
            return;
        };
        let silence = keep_alive.interval() + keep_alive.timeout();
        match alarm {
            Alarm::Ping | Alarm::Silence if life.is_heard() => {}
            Alarm::Ping => {
                // From here on it counts.
                self.transport.has_heard();
                self.ping();
            }
            Alarm::Silence if self.transport.has_heard() => life.note_heard(),
            Alarm::Silence if self.keep_alive.blocked => {
                self.connection.end_for_silence(format!(
                    "the peer has neither sent nor taken anything for {silence:?}"
                ));
            }
            Alarm::Silence => self.connection.end_for_silence(format!(
                "the peer has sent nothing for {silence:?}, not even an answer to a ping"
            )),
            Alarm::HalfMessage if life.is_going_on() => {}
            Alarm::HalfMessage => self.connection.end_for_silence(format!(
                "a message of the peer has not gone on for {silence:?}"
            )),
        }
    }

    fn ping(&mut self) {
        if self.keep_alive.blocked {
            // It would go behind all that waits. Whether that moves on tells as much.
            return;
        }
        if self.transport.ping() {
            self.keep_alive.ping_queued = true;
        } else {
            self.connection.ping();
        }
    }
}

impl KeepAlive {
    /// The time between two looks at a session.
    pub(super) fn step(&self) -> std::time::Duration {
        self.interval().min(self.timeout()) / 4
    }
}

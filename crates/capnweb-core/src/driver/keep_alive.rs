//! The driver's part in detecting a silent peer.

use std::task::Context;

use capnweb_wire::InSeconds;

use super::{Driver, watcher::Registration};
use crate::{runtime::Handle, session::Alarm, transport::Transport};

/// The signs of life that a driver has seen of its peer.
#[derive(Debug, Default)]
pub(super) struct KeepAliveState {
    /// The registration with the watcher.
    registration: Option<Registration>,
    /// The number of received bytes at the last poll.
    received: u64,
    /// The largest number of received bytes that belonged to messages.
    of_messages: u64,
    /// The numbers of bytes that the transport has sent, and that it has not taken yet.
    outgoing: (u64, usize),
    /// True while the transport accepts no more.
    blocked: bool,
    /// True while the transport has a ping to send.
    ping_queued: bool,
}

impl KeepAliveState {
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        self.registration.is_some()
    }

    /// Stops the watch because the session is over.
    pub(super) fn stop(&mut self) {
        self.registration = None;
    }
}

impl<T: Transport> Driver<T> {
    /// Starts the watch if it is useful.
    pub(super) fn start_watch(&mut self) {
        if self.connection.options().keep_alive().is_some()
            && self.transport.can_fall_silent()
            && let Ok(runtime) = Handle::try_current()
        {
            let session = self.connection.downgrade();
            self.keep_alive.registration = Some(Registration::new(&runtime, session));
        }
    }

    /// Looks for signs of life after `messages` complete messages were received, and handles the
    /// watcher's alarms.
    #[inline]
    pub(super) fn look_for_life(&mut self, messages: usize, cx: &mut Context<'_>) {
        let received = self.transport.progress().received;
        if messages > 0 {
            self.connection.life().note_message();
            self.keep_alive.received = received;
        } else if received != self.keep_alive.received {
            self.note_bytes();
        }
        if self.connection.life().is_alarmed() {
            self.attend();
        }
        if self.keep_alive.ping_queued {
            // If this fails, so will the next read or write.
            let sent = self.transport.poll_send(cx, &mut self.outgoing);
            self.keep_alive.ping_queued = sent.is_pending();
        }
    }

    /// Records bytes that did not complete a message.
    fn note_bytes(&mut self) {
        let progress = self.transport.progress();
        let state = &mut self.keep_alive;
        state.received = progress.received;
        let of_messages = progress.received.wrapping_sub(progress.beside_messages);
        if of_messages > state.of_messages {
            state.of_messages = of_messages;
            self.connection.life().note_message();
        } else {
            self.connection.life().note_heard();
        }
    }

    /// Records what was sent. If the peer reads again after it has blocked us, that is a sign of
    /// life.
    #[inline]
    pub(super) fn note_sent(&mut self, blocked: bool) {
        let blocked = blocked || self.keep_alive.ping_queued;
        if self.keep_alive.blocked || blocked {
            self.note_blocked(blocked);
        }
    }

    fn note_blocked(&mut self, blocked: bool) {
        let outgoing = (self.transport.progress().sent, self.outgoing.bytes());
        let state = &mut self.keep_alive;
        let (sent, left) = state.outgoing;
        if state.blocked && (!blocked || outgoing.0 != sent || outgoing.1 < left) {
            self.connection.life().note_heard();
        }
        (state.outgoing, state.blocked) = (outgoing, blocked);
    }

    /// Handles the watcher's alarm, unless it is out of date.
    #[cold]
    fn attend(&mut self) {
        let life = self.connection.life();
        let (Some(alarm), Some(keep_alive)) = (
            life.take_alarm(),
            self.connection.options().keep_alive().copied(),
        ) else {
            return;
        };
        if self.connection.is_evaluating() {
            // Nothing is read from the peer meanwhile, so it cannot be silent. It still receives
            // pings.
            life.note_message();
            if alarm == Alarm::Ping {
                self.ping();
            }
            return;
        }
        let (signs, in_message) = (life.signs(), self.transport.is_in_message());
        let how = match alarm {
            Alarm::Ping | Alarm::Silence if signs.heard => return,
            Alarm::HalfMessage if signs.advanced || !in_message => return,
            Alarm::Ping => {
                // Count from here on.
                self.transport.has_heard();
                return self.ping();
            }
            Alarm::Silence if self.transport.has_heard() => return life.note_heard(),
            _ if in_message => Silence::InMessage,
            _ if self.keep_alive.blocked => Silence::Unread,
            _ => Silence::Mute,
        };
        let time = InSeconds(keep_alive.interval() + keep_alive.timeout());
        self.connection.end_for_silence(match how {
            Silence::InMessage => format!("a message from the peer has stalled for {time}"),
            Silence::Unread => {
                format!("the peer has neither sent nor taken anything for {time}")
            }
            Silence::Mute => {
                format!("the peer has sent nothing for {time}, not even an answer to a ping")
            }
        });
    }

    fn ping(&mut self) {
        if self.keep_alive.blocked {
            // A ping would be queued behind all waiting messages. Whether these are sent tells just
            // as much.
            return;
        }
        if self.transport.ping() {
            self.keep_alive.ping_queued = true;
        } else {
            self.connection.ping();
        }
    }
}

/// The ways in which a peer can be silent.
enum Silence {
    InMessage,
    Unread,
    Mute,
}

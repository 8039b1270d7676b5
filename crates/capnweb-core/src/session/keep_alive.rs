//! Signs of life: settings, and the flags by which the driver and its watcher talk about them.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use capnweb_wire::encode;
use tokio::sync::oneshot;

use super::{AbortNotice, Connection, SessionInner};
use crate::graph::{
    error::{Error, Result},
    hook::Hook,
    remote::TakeOutcome,
    session_end::EndCause,
};

/// Decides how a session notices a peer that is gone without a word.
///
/// Such a peer was frozen or cut off: no end of the connection ever arrives. After
/// [`interval`](Self::interval) without a byte from the peer the session sends a ping. If nothing at
/// all comes for [`timeout`](Self::timeout) after that, the session ends with
/// [`EndCause::Silence`](crate::EndCause::Silence).
///
/// Signs of life are bytes from the peer, whatever they belong to, and bytes that the peer takes
/// after it has let us wait: a slow peer is alive. A message that does not go on for `interval` and
/// `timeout` together ends the session too, even if the peer answers pings.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb::{KeepAlive, SessionOptions};
///
/// // Notice within 15 seconds, at most 17.
/// let keep_alive = KeepAlive::new()
///     .with_interval(Duration::from_secs(10))
///     .with_timeout(Duration::from_secs(5));
/// let options = SessionOptions::new().keep_alive(keep_alive);
/// assert_eq!(options.keep_alive_ref(), Some(&keep_alive));
/// ```
///
/// # Precision
///
/// One task watches all sessions of a Tokio runtime. It looks at each session four times in the
/// shorter of the two times, so a ping goes out up to a third of that late, and never early.
/// [`with_precision`](Self::with_precision) has it look more often, for a client that is to notice
/// soon. Neither time is shorter than ten milliseconds or longer than seven weeks.
///
/// # Without a Tokio runtime
///
/// A driver that is polled outside of a Tokio runtime has no clock: it sends no pings. A batch needs
/// none, since its request has a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// In milliseconds, as the next: each session has these.
    interval: u32,
    timeout: u32,
    /// The longest time between two looks at a session.
    precision: u32,
}

/// The shortest time that can be set, in milliseconds.
const MIN: u32 = 10;

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(MIN)
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            interval: 20_000,
            timeout: 20_000,
            precision: u32::MAX,
        }
    }
}

impl KeepAlive {
    /// The defaults: a ping after 20 seconds, and 20 seconds for the answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time without a byte from the peer after which a ping is sent. Default: 20 seconds.
    ///
    /// Proxies and address translators forget connections that are idle for 30 seconds or more, so
    /// the pings also keep a connection open through these.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.into())
    }

    /// Sets [`interval`](Self::interval).
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = millis(interval);
        self
    }

    /// The time after a ping in which some byte has to come. Default: 20 seconds.
    ///
    /// TCP needs some seconds to get over a gap in a mobile network, and a busy peer may be as long
    /// in getting to the ping.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.into())
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = millis(timeout);
        self
    }

    /// Sets the longest time between two looks at a session. By default a quarter of the shorter of
    /// the two times decides alone.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capnweb_core::KeepAlive;
    ///
    /// // A ping after 15 seconds, and at most 16.
    /// let keep_alive = KeepAlive::new()
    ///     .with_interval(Duration::from_secs(15))
    ///     .with_precision(Duration::from_millis(750));
    /// ```
    #[must_use]
    pub fn with_precision(mut self, precision: Duration) -> Self {
        self.precision = millis(precision);
        self
    }

    /// The time between two looks at a session.
    pub(crate) fn step(&self) -> Duration {
        let quarter = self.interval().min(self.timeout()) / 4;
        quarter.min(Duration::from_millis(self.precision.into()))
    }
}

/// Flags about the peer between the driver and the watcher.
///
/// The driver only stores them, so that a message costs no more than that.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// The signs of life since the watcher last looked: [`HEARD`] and [`ADVANCED`].
    signs: AtomicU8,
    /// An [`Alarm`] for the driver; 0 is none.
    alarm: AtomicU8,
}

/// Something was heard of the peer.
const HEARD: u8 = 1;

/// A message has begun, gone on or come.
const ADVANCED: u8 = 2;

/// A finding of the watcher, for the driver to attend to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Nothing was heard for a while: a ping is due.
    Ping = 1,
    /// Nothing was heard after the ping.
    Silence = 2,
    /// No message has come or gone on for long: if one has begun, it does not go on.
    HalfMessage = 3,
}

/// The signs of life since the watcher last looked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    pub(crate) heard: bool,
    pub(crate) advanced: bool,
}

impl Life {
    /// Notes a sign of life that belongs to a message.
    #[inline]
    pub(crate) fn note_message(&self) {
        self.signs.store(HEARD | ADVANCED, Ordering::Relaxed);
    }

    /// Notes a sign of life that belongs to no message.
    pub(crate) fn note_heard(&self) {
        self.signs.fetch_or(HEARD, Ordering::Relaxed);
    }

    /// Returns the signs of life since the watcher last looked.
    pub(crate) fn signs(&self) -> Signs {
        Signs::of(self.signs.load(Ordering::Relaxed))
    }

    /// Takes the signs of life since the last time.
    pub(crate) fn take_signs(&self) -> Signs {
        Signs::of(self.signs.swap(0, Ordering::Relaxed))
    }

    /// Returns whether the driver has something to attend to.
    #[inline]
    pub(crate) fn is_alarmed(&self) -> bool {
        self.alarm.load(Ordering::Relaxed) != 0
    }

    /// Takes what the driver has to attend to.
    pub(crate) fn take_alarm(&self) -> Option<Alarm> {
        match self.alarm.swap(0, Ordering::Relaxed) {
            1 => Some(Alarm::Ping),
            2 => Some(Alarm::Silence),
            3 => Some(Alarm::HalfMessage),
            _ => None,
        }
    }
}

impl Signs {
    fn of(bits: u8) -> Self {
        Self {
            heard: bits & HEARD != 0,
            advanced: bits & ADVANCED != 0,
        }
    }
}

impl SessionInner {
    /// Has the driver attend to `alarm`.
    pub(crate) fn raise(&self, alarm: Alarm) {
        self.life.alarm.store(alarm as u8, Ordering::Relaxed);
        // A driver that goes to sleep looks at the alarm under this lock.
        self.lock().wake_driver();
    }

    /// Calls nothing at the peer, which has to answer: a ping that every peer knows.
    fn ping(&self) {
        let mut state = self.lock();
        if state.ended.is_some() || state.imports.is_pinging() {
            return;
        }
        let was_flushed = state.is_flushed();
        let id = state.imports.push_ping(None);
        state.write(encode::push_null);
        state.write(|out| encode::pull(out, id));
        if was_flushed {
            // Nobody waits for a ping to be sent.
            state.unsent_ping = state.out.bytes();
        }
    }
}

/// The asker of a ping, who is told of the answer.
struct RoundTrip {
    id: i64,
    session: Weak<SessionInner>,
    answered: oneshot::Sender<Result<()>>,
}

impl TakeOutcome for RoundTrip {
    fn take_outcome(self: Box<Self>, outcome: &Hook) {
        if let Some(session) = self.session.upgrade() {
            let mut state = session.lock();
            if state.ended.is_none() {
                state.write(|out| encode::release(out, self.id, 1));
            }
        }
        let answer = match outcome {
            Hook::Broken(error) if error.session_end().is_some() => Err(error.clone()),
            // Whatever it answers, it is there.
            _ => Ok(()),
        };
        // The asker may have gone.
        let _ = self.answered.send(answer);
    }
}

impl SessionInner {
    /// Calls nothing at the peer and returns what is told of the answer.
    ///
    /// # Errors
    ///
    /// The reason of the session's end, if it is over.
    pub(crate) fn round_trip(self: &Arc<Self>) -> Result<oneshot::Receiver<Result<()>>> {
        let (answered, answer) = oneshot::channel();
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone());
        }
        let id = state.imports.next_id();
        let taker = RoundTrip {
            id,
            session: Arc::downgrade(self),
            answered,
        };
        state.imports.push_ping(Some(Box::new(taker)));
        state.write(encode::push_null);
        state.write(|out| encode::pull(out, id));
        Ok(answer)
    }
}

impl Connection {
    pub(crate) fn life(&self) -> &Life {
        &self.inner.life
    }

    /// For the watcher: the session, which this does not keep alive.
    pub(crate) fn downgrade(&self) -> Weak<SessionInner> {
        Arc::downgrade(&self.inner)
    }

    /// For the driver of a transport that has no pings of its own: sends one of the session.
    pub(crate) fn ping(&mut self) {
        self.inner.ping();
    }

    /// Ends the session since the peer was silent. The peer is told, in case it can hear.
    pub(crate) fn end_for_silence(&mut self, message: String) {
        self.inner.end_by(
            EndCause::Silence,
            Error::disconnected(message),
            AbortNotice::Sent,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_within_what_clocks_can_express() {
        let keep_alive = KeepAlive::new()
            .with_interval(Duration::ZERO)
            .with_timeout(Duration::MAX);
        assert_eq!(keep_alive.interval(), Duration::from_millis(10));
        assert!(keep_alive.timeout() > Duration::from_secs(49 * 24 * 60 * 60));
    }

    #[test]
    fn signs_are_taken_once() {
        let life = Life::default();
        life.note_heard();
        assert!(life.signs().heard && !life.signs().advanced);
        life.note_message();
        life.note_heard();
        let signs = life.take_signs();
        assert!(signs.heard && signs.advanced);
        let signs = life.take_signs();
        assert!(!signs.heard && !signs.advanced);
    }

    #[test]
    fn an_alarm_is_taken_once() {
        let life = Life::default();
        for alarm in [Alarm::Ping, Alarm::Silence, Alarm::HalfMessage] {
            life.alarm.store(alarm as u8, Ordering::Relaxed);
            assert!(life.is_alarmed());
            assert_eq!(life.take_alarm(), Some(alarm));
            assert_eq!((life.take_alarm(), life.is_alarmed()), (None, false));
        }
    }
}

//! Keep-alive: its settings, and the flags that the driver and its watcher share.

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

/// The settings for detecting a peer that has vanished.
///
/// If a peer is frozen or cut off, its connection never ends. After [`interval`](Self::interval)
/// without a byte from the peer, the session therefore sends a ping. If nothing arrives for another
/// [`timeout`](Self::timeout), the session ends with
/// [`EndCause::Silence`](crate::EndCause::Silence).
///
/// Any byte from the peer is a sign of life. So are bytes that the peer takes after it has blocked
/// our writes: a slow peer is alive. A message that makes no progress for `interval` and `timeout`
/// together ends the session too, even if the peer answers pings.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb::{KeepAlive, SessionOptions};
///
/// // Detect a silent peer after 15 seconds, or at most 17.
/// let keep_alive = KeepAlive::new()
///     .with_interval(Duration::from_secs(10))
///     .with_timeout(Duration::from_secs(5));
/// let options = SessionOptions::new().with_keep_alive(keep_alive);
/// assert_eq!(options.keep_alive(), Some(&keep_alive));
/// ```
///
/// # Precision
///
/// One task watches all sessions of a Tokio runtime. It checks each session four times within the
/// shorter of the two times. So a ping is sent up to a third of that time late, and never early.
/// For more frequent checks, use [`with_precision`](Self::with_precision). Both times are at least
/// ten milliseconds and at most seven weeks.
///
/// # Without a Tokio runtime
///
/// A driver that is polled outside of a Tokio runtime has no clock, and sends no pings. A batch
/// needs no pings, since its request has a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// In milliseconds, like the next field, to keep sessions small.
    interval: u32,
    timeout: u32,
    /// The longest time between two checks of a session.
    precision: u32,
}

/// The shortest possible setting, in milliseconds.
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
    /// Creates the default settings: a ping after 20 seconds, and 20 seconds for the answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the time without a byte from the peer after which a ping is sent. Default: 20
    /// seconds.
    ///
    /// Proxies and address translators drop connections that are idle for 30 seconds or more. The
    /// pings also keep such connections open.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.into())
    }

    /// Sets [`interval`](Self::interval).
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = millis(interval);
        self
    }

    /// Returns the time after a ping within which a byte must arrive. Default: 20 seconds.
    ///
    /// TCP needs some seconds to recover from an outage of a mobile network, and a busy peer may
    /// take as long to process the ping.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.into())
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = millis(timeout);
        self
    }

    /// Sets the longest time between two checks of a session. By default, it is a quarter of the
    /// shorter of the two times.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capnweb_core::KeepAlive;
    ///
    /// // A ping after 15 seconds, or at most 16.
    /// let keep_alive = KeepAlive::new()
    ///     .with_interval(Duration::from_secs(15))
    ///     .with_precision(Duration::from_millis(750));
    /// ```
    #[must_use]
    pub fn with_precision(mut self, precision: Duration) -> Self {
        self.precision = millis(precision);
        self
    }

    /// Returns the time between two checks of a session.
    pub(crate) fn step(&self) -> Duration {
        let quarter = self.interval().min(self.timeout()) / 4;
        quarter.min(Duration::from_millis(self.precision.into()))
    }
}

/// Flags about the peer that the driver and the watcher share.
///
/// For each message, the driver only sets a flag.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// The signs of life since the watcher's last check: [`HEARD`] and [`ADVANCED`].
    signs: AtomicU8,
    /// An [`Alarm`] for the driver, or 0 for none.
    alarm: AtomicU8,
}

/// Something was received from the peer.
const HEARD: u8 = 1;

/// A message began, continued or arrived.
const ADVANCED: u8 = 2;

/// A finding of the watcher that the driver has to handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Nothing was received for a while: a ping is due.
    Ping = 1,
    /// Nothing was received after the ping.
    Silence = 2,
    /// No message has arrived or continued for a long time. If one has begun, it has stalled.
    HalfMessage = 3,
}

/// The signs of life since the watcher's last check.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signs {
    pub(crate) heard: bool,
    pub(crate) advanced: bool,
}

impl Life {
    /// Records a sign of life that belongs to a message.
    #[inline]
    pub(crate) fn note_message(&self) {
        self.signs.store(HEARD | ADVANCED, Ordering::Relaxed);
    }

    /// Records a sign of life that does not belong to a message.
    pub(crate) fn note_heard(&self) {
        self.signs.fetch_or(HEARD, Ordering::Relaxed);
    }

    /// Returns the signs of life since the watcher's last check.
    pub(crate) fn signs(&self) -> Signs {
        Signs::of(self.signs.load(Ordering::Relaxed))
    }

    /// Returns the signs of life since the last call, and resets them.
    pub(crate) fn take_signs(&self) -> Signs {
        Signs::of(self.signs.swap(0, Ordering::Relaxed))
    }

    /// Returns whether there is an alarm for the driver.
    #[inline]
    pub(crate) fn is_alarmed(&self) -> bool {
        self.alarm.load(Ordering::Relaxed) != 0
    }

    /// Takes the alarm for the driver.
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
    /// Raises `alarm` for the driver.
    pub(crate) fn raise(&self, alarm: Alarm) {
        self.life.alarm.store(alarm as u8, Ordering::Relaxed);
        // Under this lock, a driver that goes to sleep checks for the alarm.
        self.lock().wake_driver();
    }

    /// Sends a ping: a call of nothing, which every peer has to answer.
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

/// The receiver of the answer to a ping.
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
            // Any answer shows that the peer is alive.
            _ => Ok(()),
        };
        // It fails if nobody waits for the answer any more.
        let _ = self.answered.send(answer);
    }
}

impl SessionInner {
    /// Sends a ping, and returns a receiver for its answer.
    ///
    /// # Errors
    ///
    /// Returns the reason for the session's end, if it is over.
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

    /// Returns a weak reference to the session, for the watcher.
    pub(crate) fn downgrade(&self) -> Weak<SessionInner> {
        Arc::downgrade(&self.inner)
    }

    /// Sends a ping of the session, for a transport without its own pings.
    pub(crate) fn ping(&mut self) {
        self.inner.ping();
    }

    /// Ends the session because the peer was silent. The peer is notified, in case it still reads.
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

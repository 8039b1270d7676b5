//! Polling again instead of sleeping.

use std::{task::Context, time::Duration};

use crate::runtime::{SystemInstant as Instant, has_one_thread, yield_now};

/// Decides whether an idle driver polls again soon, or sleeps until it is woken.
///
/// Waking a thread takes some microseconds, also of the thread that wakes it, and this is longer
/// than a call. So if the next message arrives sooner, it is cheaper to wait for it. The earlier
/// waits predict this. A session whose messages are far apart never polls in vain, and a session
/// whose messages were close together does so only once. (A long burst contains short waits too,
/// between the turns of a transport.)
///
/// This only applies to a runtime with one thread. With several threads, an idle thread is notified
/// about sockets by another one, and would only keep itself awake.
#[derive(Debug)]
pub(super) struct BusyPoll {
    /// The maximum duration.
    limit: Duration,
    /// True if polling is useful in this runtime, once that is known.
    suits: Option<bool>,
    /// The time since which there is nothing to do.
    idle_since: Option<Instant>,
    /// The number of short waits in a row.
    short: u32,
    /// The time since which something is held back, and the time of the last message.
    held: Option<(Instant, Instant)>,
}

/// The maximum time for which messages are held back.
const MAX_HELD: Duration = Duration::from_millis(1);

/// The number of short waits that are required. A single one says little: the answer to a rare call
/// arrives soon, but the next call does not.
const ENOUGH: u32 = 2;

impl BusyPoll {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            suits: None,
            idle_since: None,
            short: 0,
            held: None,
        }
    }

    /// Records that there was something to do.
    pub(super) fn worked(&mut self) {
        let Some(since) = self.idle_since.take() else {
            return;
        };
        self.short = if since.elapsed() < self.limit {
            self.short.saturating_add(1)
        } else {
            0
        };
    }

    /// Decides whether to hold back messages that the peer does not need yet. If messages arrive at
    /// short intervals (`came` is true if one has just arrived), schedules another poll before
    /// anything is sent, and returns true.
    pub(super) fn hold_back(&mut self, came: bool, cx: &mut Context<'_>) -> bool {
        if !self.expects_more() {
            return false;
        }
        let now = Instant::now();
        let (since, last) = self.held.get_or_insert((now, now));
        if came {
            *last = now;
        }
        if now.duration_since(*last) >= self.limit || now.duration_since(*since) >= MAX_HELD {
            self.held = None;
            return false;
        }
        yield_now(cx)
    }

    /// Records that nothing is held back.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }

    /// Returns whether to stay awake for the next message, judging by earlier waits.
    #[inline]
    pub(super) fn expects_more(&mut self) -> bool {
        self.short >= ENOUGH && self.is_on()
    }

    #[inline]
    fn is_on(&mut self) -> bool {
        !self.limit.is_zero() && *self.suits.get_or_insert_with(has_one_thread)
    }

    /// Decides what to do when there is nothing to do. If polling is worth it, schedules another
    /// poll, after the other tasks and after the runtime has checked its sockets, and returns true.
    pub(super) fn look_again(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_on() {
            return false;
        }
        let now = Instant::now();
        let since = *self.idle_since.get_or_insert(now);
        if self.short < ENOUGH {
            return false;
        }
        if now.duration_since(since) >= self.limit {
            self.short = 0;
            return false;
        }
        yield_now(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, thread::sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    fn look_again(busy_poll: &mut BusyPoll) -> bool {
        busy_poll.look_again(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn after_short_waits_it_looks_again() {
        let mut busy_poll = BusyPoll::new(LIMIT);
        for _ in 0..ENOUGH {
            assert!(!look_again(&mut busy_poll));
            busy_poll.worked();
        }
        assert!(look_again(&mut busy_poll));
        busy_poll.worked();
        assert!(look_again(&mut busy_poll));
    }

    #[tokio::test]
    async fn after_a_long_wait_it_sleeps() {
        let mut busy_poll = BusyPoll::new(LIMIT);
        busy_poll.short = ENOUGH;
        assert!(look_again(&mut busy_poll));
        sleep(LIMIT);
        assert!(!look_again(&mut busy_poll));
        busy_poll.worked();
        assert_eq!(busy_poll.short, 0);
        assert!(!look_again(&mut busy_poll));
    }

    #[tokio::test]
    async fn what_can_wait_is_held_back_while_messages_come() {
        let mut busy_poll = BusyPoll::new(LIMIT);
        let mut hold_back = |came| {
            busy_poll.short = ENOUGH;
            busy_poll.hold_back(came, &mut Context::from_waker(Waker::noop()))
        };
        assert!(hold_back(true));
        sleep(MAX_HELD);
        // The limit is reached, although messages keep arriving.
        assert!(!hold_back(true));
        assert!(hold_back(true));
        busy_poll.let_go();
        assert!(busy_poll.held.is_none());
    }

    #[tokio::test]
    async fn nothing_is_held_back_for_a_message_that_does_not_come() {
        let mut busy_poll = BusyPoll::new(Duration::from_micros(1));
        let mut hold_back = |came| {
            busy_poll.short = ENOUGH;
            busy_poll.hold_back(came, &mut Context::from_waker(Waker::noop()))
        };
        assert!(hold_back(true));
        sleep(Duration::from_micros(1));
        assert!(!hold_back(false));
        busy_poll.short = 0;
        assert!(!busy_poll.hold_back(true, &mut Context::from_waker(Waker::noop())));
    }

    #[tokio::test]
    async fn it_can_be_switched_off() {
        let mut busy_poll = BusyPoll::new(Duration::ZERO);
        busy_poll.short = ENOUGH;
        assert!(!look_again(&mut busy_poll));
        assert!(busy_poll.idle_since.is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn among_several_threads_it_sleeps() {
        let mut busy_poll = BusyPoll::new(LIMIT);
        busy_poll.short = ENOUGH;
        assert!(!look_again(&mut busy_poll));
    }
}

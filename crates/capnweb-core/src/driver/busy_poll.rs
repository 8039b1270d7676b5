//! Looking again instead of sleeping.

use std::{
    future::Future,
    pin::pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Decides whether a driver that has nothing to do looks again soon or sleeps until it is woken.
///
/// To wake a thread costs some microseconds, of the one that wakes as well, and that is more than a call: where the next
/// message comes sooner, it is cheaper to wait for it. Whether it does is guessed from the waits before. A session whose
/// messages are far apart never waits in vain, and one whose messages were close pays for that once. (Long bursts have short waits
/// in them, between the turns of a transport, and are among those.)
///
/// That holds for a runtime of one thread. In one of several a thread that has nothing to do is told of sockets by another, and
/// would only keep itself awake.
#[derive(Debug)]
pub(super) struct BusyPoll {
    /// For how long at most.
    limit: Duration,
    /// Whether the runtime is one in which it is worth it, once that is known.
    suits: Option<bool>,
    /// Since when there has been nothing to do.
    idle_since: Option<Instant>,
    /// How many waits in succession were short.
    short: u32,
    /// Since when something is held back, and when something last came.
    held: Option<(Instant, Instant)>,
}

/// For how long something is held back at most.
const MAX_HELD: Duration = Duration::from_millis(1);

/// One short wait alone means little: the answer to a call that is made now and then comes soon, the next call does not.
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

    /// There was something to do.
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

    /// There is something to send that the peer can wait for. While messages come soon after one another (one has come now,
    /// if `came`), has the task polled again for a while, before anything is sent; true then.
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

    /// Nothing is held back.
    pub(super) fn let_go(&mut self) {
        self.held = None;
    }

    /// Whether the next message is worth waiting for awake, by the waits before.
    #[inline]
    pub(super) fn expects_more(&mut self) -> bool {
        self.short >= ENOUGH && self.is_on()
    }

    #[inline]
    fn is_on(&mut self) -> bool {
        !self.limit.is_zero() && *self.suits.get_or_insert_with(has_one_thread)
    }

    /// There is nothing to do. If it is worth it, has the task polled again after the others and after the runtime has
    /// looked for what came; true then.
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

/// Has the task polled again. One that wakes itself comes before the runtime looks at its sockets; this one comes after.
fn yield_now(cx: &mut Context<'_>) -> bool {
    pin!(tokio::task::yield_now()).poll(cx).is_pending()
}

/// Whether this is in a runtime of one thread.
fn has_one_thread() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
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
        // Long enough, though messages come.
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

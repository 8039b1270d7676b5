//! Two clocks that differ by the time that the machine slept.

use std::{fmt, pin::Pin, time::Duration};

use capnweb_core::runtime::{Instant, Sleep, SystemTime, sleep_until};

/// The clocks by which a client detects that the machine slept.
///
/// While the machine sleeps, the timers' clock stands still and the wall clock goes on. Implement
/// this trait to simulate a jump in a test; applications do not need it.
pub trait Clocks: Send + Sync + 'static {
    /// Returns the time of the timers' clock, since an arbitrary start.
    fn timers(&self) -> Duration;

    /// Returns the time of the wall clock, since an arbitrary start.
    fn wall(&self) -> Duration;
}

/// The clocks of the system.
pub(crate) struct SystemClocks {
    start: Instant,
}

impl SystemClocks {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clocks for SystemClocks {
    fn timers(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Duration {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        time.unwrap_or_default()
    }
}

/// The time between two comparisons of the clocks.
const TICK: Duration = Duration::from_secs(1);

/// The times at which the clocks are compared. Missed ticks are skipped.
pub(crate) struct Ticks {
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Ticks {
    pub(crate) fn new() -> Self {
        Self::starting_at(Instant::now() + TICK)
    }

    fn starting_at(due: Instant) -> Self {
        Self {
            due,
            timer: Box::pin(sleep_until(due)),
        }
    }

    /// Waits for the next tick.
    pub(crate) async fn next(&mut self) {
        self.timer.as_mut().await;
        let mut due = self.due + TICK;
        let now = Instant::now();
        if due <= now {
            due = now + TICK;
        }
        *self = Self::starting_at(due);
    }
}

/// The smallest difference between the clocks that counts as a jump.
const JUMP: Duration = Duration::from_secs(5);

/// Compares two clocks from tick to tick.
pub(crate) struct JumpDetector {
    timers: Duration,
    wall: Duration,
}

impl JumpDetector {
    pub(crate) fn new(clocks: &dyn Clocks) -> Self {
        Self {
            timers: clocks.timers(),
            wall: clocks.wall(),
        }
    }

    /// Returns how far the wall clock jumped ahead since the last call, if it did. Turning the
    /// clock back does not count.
    pub(crate) fn look(&mut self, clocks: &dyn Clocks) -> Option<Duration> {
        let before = std::mem::replace(self, Self::new(clocks));
        let timers = self.timers.saturating_sub(before.timers);
        let wall = self.wall.saturating_sub(before.wall);
        wall.checked_sub(timers).filter(|ahead| *ahead >= JUMP)
    }
}

impl fmt::Debug for JumpDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JumpDetector")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Set(Mutex<(u64, u64)>);

    impl Clocks for Set {
        fn timers(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().0)
        }

        fn wall(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().1)
        }
    }

    #[test]
    fn only_a_wall_clock_that_goes_ahead_is_a_jump() {
        let clocks = Set(Mutex::new((100, 1000)));
        let mut detector = JumpDetector::new(&clocks);
        let mut look = |timers, wall| {
            *clocks.0.lock().unwrap() = (timers, wall);
            detector.look(&clocks)
        };
        assert_eq!(look(101, 1001), None);
        // On a busy machine both clocks are read late.
        assert_eq!(look(120, 1020), None);
        assert_eq!(look(121, 1024), None);
        assert_eq!(look(122, 2000), Some(Duration::from_secs(975)));
        assert_eq!(look(123, 2001), None);
        // The clock is turned back by an hour.
        assert_eq!(look(124, 100), None);
        assert_eq!(look(125, 101), None);
    }
}

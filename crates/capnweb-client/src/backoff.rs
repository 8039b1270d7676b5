//! Pauses between attempts.

use std::time::Duration;

use crate::random::Random;

/// Decides how long to pause before the next attempt to connect.
///
/// Each pause is random, between zero and the size of a window. The window starts at `base` and
/// doubles with each failure, up to `cap`. Clients that lost their server at the same time
/// therefore return at different times. Once the window has reached `cap`, a pause is at least half
/// of it. Otherwise a server that comes back after a long outage would at first see twice the later
/// rate of connections.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_client::Backoff;
///
/// // The default of a client.
/// let backoff = Backoff::full_jitter(Duration::from_millis(250), Duration::from_secs(30));
/// assert_eq!(backoff, Backoff::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    reset_after: Duration,
    seed: Option<u64>,
}

impl Default for Backoff {
    /// Starts with a window of 250 milliseconds, which grows to 30 seconds. It is reset after 10
    /// seconds of being connected.
    fn default() -> Self {
        Self::full_jitter(Duration::from_millis(250), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Creates a backoff whose window starts at `base` and doubles with each failure, up to `cap`.
    #[must_use]
    pub fn full_jitter(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap: cap.max(base),
            reset_after: Duration::from_secs(10),
            seed: None,
        }
    }

    /// Sets how long a session must last to reset the window when it ends. Default: 10 seconds.
    ///
    /// The pauses therefore keep growing for a server that accepts clients only to drop them at
    /// once.
    #[must_use]
    pub fn reset_after(mut self, time: Duration) -> Self {
        self.reset_after = time;
        self
    }

    /// Sets the seed of the random generator, for tests. The default is seeded by the system.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Returns the window after `failures` failures in a row.
    pub(crate) fn window(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// Returns the pause after `failures` failures in a row.
    pub(crate) fn pause(&self, failures: u32, random: &mut Random) -> Duration {
        let window = self.window(failures);
        let least = if failures > 1 && window == self.cap {
            window / 2
        } else {
            Duration::ZERO
        };
        least + random.up_to(window - least)
    }

    /// Returns whether a session that lasted for `time` resets the count of failures.
    pub(crate) fn is_reset_by(&self, time: Duration) -> bool {
        time >= self.reset_after
    }

    pub(crate) fn random(&self) -> Random {
        Random::new(self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_doubles_up_to_the_cap() {
        let millis = Duration::from_millis;
        let backoff = Backoff::full_jitter(millis(100), millis(1000));
        let windows: Vec<_> = (0..7).map(|failures| backoff.window(failures)).collect();
        let expected = [100, 100, 200, 400, 800, 1000, 1000].map(millis);
        assert_eq!(windows, expected);
        assert_eq!(backoff.window(u32::MAX), millis(1000));
        let forever = Backoff::full_jitter(Duration::MAX, Duration::ZERO);
        assert_eq!(forever.window(40), Duration::MAX);
    }

    #[test]
    fn pauses_are_within_the_window() {
        let backoff = Backoff::default().seed(3);
        let mut random = backoff.random();
        for failures in 0..100 {
            let pause = backoff.pause(failures, &mut random);
            assert!(pause <= backoff.window(failures));
            if backoff.window(failures) == Duration::from_secs(30) {
                assert!(pause >= Duration::from_secs(15));
            }
        }
    }
}

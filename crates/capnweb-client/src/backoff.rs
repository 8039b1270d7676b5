//! Pauses between attempts.

use std::time::Duration;

use crate::random::Random;

/// Decides how long to pause before the next attempt to connect.
///
/// The pause is random between zero and a window. The window starts at `base`, doubles with each
/// failure and ends at `cap`. So clients that lost their server at the same time do not return at
/// the same time. A pause of the largest window is at least half of it, so that a server that comes
/// back after a long outage is not asked by twice as many clients at first as later.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_client::Backoff;
///
/// // What a client does unless told otherwise.
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
    /// A window of 250 milliseconds that grows to 30 seconds, and is reset after 10 seconds of
    /// being connected.
    fn default() -> Self {
        Self::full_jitter(Duration::from_millis(250), Duration::from_secs(30))
    }
}

impl Backoff {
    /// A window that starts at `base`, doubles with each failure and ends at `cap`.
    #[must_use]
    pub fn full_jitter(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap: cap.max(base),
            reset_after: Duration::from_secs(10),
            seed: None,
        }
    }

    /// Sets how long a session has to last before its end counts as the first failure again.
    /// Default: 10 seconds.
    ///
    /// A server that accepts every client and then drops it is thus not asked more and more often.
    #[must_use]
    pub fn reset_after(mut self, time: Duration) -> Self {
        self.reset_after = time;
        self
    }

    /// Sets the seed of the generator, for tests. By default the system's entropy decides.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Returns the window after this many failures in a row.
    pub(crate) fn window(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// Returns the pause after this many failures in a row.
    pub(crate) fn pause(&self, failures: u32, random: &mut Random) -> Duration {
        let window = self.window(failures);
        let least = if failures > 1 && window == self.cap {
            window / 2
        } else {
            Duration::ZERO
        };
        least + random.up_to(window - least)
    }

    /// Returns whether a session that lasted for `time` makes up for the failures before it.
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

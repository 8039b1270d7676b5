//! Circuit breakers: servers that fail are avoided for a while.

use std::time::Duration;

use capnweb_core::runtime::Instant;

/// Decides when a failing server is avoided for a while.
///
/// After a number of failures in a row, the server's circuit opens: the client does not connect to
/// it for some time. Up to half of that time is added at random, so that clients do not return
/// together. The circuit is then half-open, and one attempt to connect either closes it or opens it
/// again for the same time. Only connections count: an error of the application never opens a
/// circuit. If there is no other server, an open circuit has no effect, and only
/// [`Backoff`](crate::Backoff) delays the attempts.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_client::Breaker;
///
/// // The default of a client.
/// let breaker = Breaker::after(5).open_for(Duration::from_secs(10));
/// assert_eq!(breaker, Breaker::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    open_for: Duration,
}

impl Default for Breaker {
    /// Opens a circuit for 10 seconds after 5 failures in a row.
    fn default() -> Self {
        Self::after(5)
    }
}

impl Breaker {
    /// Opens a circuit after `failures` failures in a row, but at least one.
    #[must_use]
    pub fn after(failures: u32) -> Self {
        Self {
            failures: failures.max(1),
            open_for: Duration::from_secs(10),
        }
    }

    /// Sets how long a circuit stays open. Default: 10 seconds.
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// Returns the longest random time to add to [`open_for`](Self::open_for).
    pub(crate) fn jitter(&self) -> Duration {
        self.open_for / 2
    }
}

/// The circuit of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// The time at which an attempt is allowed again.
    open_until: Option<Instant>,
}

impl Circuit {
    /// Returns the time before which the circuit allows no attempt.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        self.open_until
    }

    /// Counts a failed attempt. Returns whether it opened the circuit, for the breaker's time plus
    /// `jitter`.
    pub(crate) fn fail(&mut self, breaker: &Breaker, now: Instant, jitter: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= breaker.failures;
        if opens {
            self.open_until = now.checked_add(breaker.open_for.saturating_add(jitter));
        }
        opens
    }

    /// Closes the circuit after a successful connection.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    /// Allows the next attempt at once.
    pub(crate) fn half_open(&mut self) {
        self.open_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(10);

    #[test]
    fn failures_in_a_row_open_a_circuit() {
        let breaker = Breaker::after(3).open_for(OPEN_FOR);
        let now = Instant::now();
        let mut circuit = Circuit::default();
        assert!(
            !circuit.fail(&breaker, now, Duration::ZERO)
                && !circuit.fail(&breaker, now, Duration::ZERO)
        );
        assert_eq!(circuit.open_until(), None);
        circuit.close();
        assert!(
            !circuit.fail(&breaker, now, Duration::ZERO)
                && !circuit.fail(&breaker, now, Duration::ZERO)
        );
        assert!(circuit.fail(&breaker, now, Duration::ZERO));
        assert_eq!(circuit.open_until(), Some(now + OPEN_FOR));
    }

    #[test]
    fn one_attempt_decides_about_a_half_open_circuit() {
        let breaker = Breaker::after(2).open_for(OPEN_FOR);
        let now = Instant::now();
        let mut circuit = Circuit::default();
        circuit.fail(&breaker, now, Duration::ZERO);
        circuit.fail(&breaker, now, Duration::ZERO);
        let later = now + OPEN_FOR;
        assert!(circuit.fail(&breaker, later, Duration::ZERO));
        assert_eq!(circuit.open_until(), Some(later + OPEN_FOR));
        circuit.close();
        assert_eq!(circuit, Circuit::default());
    }
}

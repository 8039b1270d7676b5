//! Circuit breakers: servers that fail are left alone for a while.

use std::time::Duration;

use tokio::time::Instant;

/// Decides when a server is left alone for a while.
///
/// After so many failures in a row the server's circuit is open: it is not asked for some time, and
/// up to half of that longer, so that its clients do not return together.
/// After that it is half-open, and one attempt to connect decides: the circuit closes, or is open
/// for the same time again. Only connections count: no error of the application opens a circuit.
/// Without another server to ask, an open circuit changes nothing: the pauses of
/// [`Backoff`](crate::Backoff) alone spare the only one.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_client::Breaker;
///
/// // What a client does unless told otherwise.
/// let breaker = Breaker::after(5).open_for(Duration::from_secs(10));
/// assert_eq!(breaker, Breaker::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    open_for: Duration,
}

impl Default for Breaker {
    /// Open for 10 seconds after 5 failures in a row.
    fn default() -> Self {
        Self::after(5)
    }
}

impl Breaker {
    /// Opens a circuit after this many failures in a row, at least one.
    #[must_use]
    pub fn after(failures: u32) -> Self {
        Self {
            failures: failures.max(1),
            open_for: Duration::from_secs(10),
        }
    }

    /// Sets how long a circuit is open. Default: 10 seconds.
    #[must_use]
    pub fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// The most that a circuit is open beyond that.
    pub(crate) fn jitter(&self) -> Duration {
        self.open_for / 2
    }
}

/// The circuit of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// The time from which on one attempt may be made.
    open_until: Option<Instant>,
}

impl Circuit {
    /// Returns the time before which nothing may be tried.
    pub(crate) fn open_until(&self) -> Option<Instant> {
        self.open_until
    }

    /// Counts an attempt that failed. Returns whether this opened the circuit, for `jitter` longer
    /// than the breaker says.
    pub(crate) fn fail(&mut self, breaker: &Breaker, now: Instant, jitter: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= breaker.failures;
        if opens {
            self.open_until = now.checked_add(breaker.open_for.saturating_add(jitter));
        }
        opens
    }

    /// Closes the circuit: the server was connected to.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    /// Lets the next attempt be made at once.
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

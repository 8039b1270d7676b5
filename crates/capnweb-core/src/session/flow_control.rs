//! The amount of unacknowledged data that a writer may have.
//!
//! The window follows the bandwidth-delay product: the rate at which the peer acknowledges, times
//! the shortest round trip so far, times a growth factor that makes it probe for more. The peer
//! acknowledges what its reader takes, so a slow reader keeps the window small. Each writer can
//! choose its own constants. These are those of the TypeScript library, except for the smallest
//! window.
//!
//! This module does not read a clock: callers pass the time.

use std::time::Duration;

use crate::runtime::SystemInstant as Instant;

/// The initial window, when nothing is known yet.
const INITIAL: f64 = 256.0 * 1024.0;
/// The smallest window, which every reader must handle at the start anyway. On a short path the
/// product can be less than one chunk. With so small a window, both ends would take turns waiting
/// for each other.
const MIN: f64 = INITIAL;
const MAX: f64 = 1024.0 * 1024.0 * 1024.0;
/// The growth factor per round trip in the first phase.
const STARTUP_GROWTH: f64 = 2.0;
/// The growth factor per round trip once the first phase has found the limit.
const STEADY_GROWTH: f64 = 1.25;
/// The smallest factor by which a round trip shrinks the window.
const DECAY: f64 = 0.90;
/// The number of rounds without notable growth that end the first phase.
const STARTUP_ROUNDS: u32 = 3;

/// The state of one writer.
#[derive(Debug)]
pub(super) struct FlowControl {
    window: f64,
    in_flight: f64,
    /// The total amount that was acknowledged, and the time of the last acknowledgement.
    delivered: f64,
    delivered_at: Option<Instant>,
    /// The time of the first acknowledgement, and the amount that was acknowledged by then.
    first: Option<(Instant, f64)>,
    shortest_trip: Duration,
    startup: Option<Startup>,
}

/// The first phase, in which the window may double in each round trip.
#[derive(Debug, Default)]
struct Startup {
    rounds_without_growth: u32,
    window_at_start: f64,
    /// A round ends with the acknowledgement of a write that was sent after this time.
    round_from: Option<Instant>,
}

/// A write that has been sent, with the state at that time.
#[derive(Debug)]
pub(super) struct InFlight {
    size: f64,
    at: Instant,
    delivered: f64,
    delivered_at: Option<Instant>,
    window: f64,
    filled: bool,
}

impl Default for FlowControl {
    fn default() -> Self {
        Self {
            window: INITIAL,
            in_flight: 0.0,
            delivered: 0.0,
            delivered_at: None,
            first: None,
            shortest_trip: Duration::MAX,
            startup: Some(Startup::default()),
        }
    }
}

impl FlowControl {
    /// Returns whether the next write has to wait. A write larger than the window is sent anyway,
    /// and then the next one waits.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight >= self.window
    }

    /// Records that a write of `size` code units is sent.
    pub(super) fn sent(&mut self, size: usize, now: Instant) -> InFlight {
        // This is exact up to 2^53.
        let size = size as f64;
        self.in_flight += size;
        InFlight {
            size,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            window: self.window,
            filled: self.is_full(),
        }
    }

    /// Records a failed write, which says nothing about the path to the peer.
    pub(super) fn failed(&mut self, write: &InFlight) {
        self.in_flight -= write.size;
    }

    /// Records the acknowledgement of a write.
    pub(super) fn acknowledged(&mut self, write: &InFlight, now: Instant) {
        self.in_flight -= write.size;
        self.delivered += write.size;
        self.delivered_at = Some(now);
        let trip = now.saturating_duration_since(write.at);
        self.shortest_trip = self.shortest_trip.min(trip);
        let Some(first) = self.first else {
            // A rate requires two points in time.
            self.first = Some((now, self.delivered));
            return;
        };
        let (since, before) = match write.delivered_at {
            Some(at) => (at, write.delivered),
            None => first,
        };
        let interval = now.saturating_duration_since(since).as_secs_f64();
        let rate = (self.delivered - before) / interval;
        let growth = match self.startup {
            Some(_) => STARTUP_GROWTH,
            None => STEADY_GROWTH,
        };
        let product = rate * self.shortest_trip.as_secs_f64() * growth;
        // No time has passed, so the path is at least fast.
        let product = if product.is_finite() { product } else { MAX };
        let wanted = product.min(write.window * growth);
        let wanted = if write.filled {
            wanted.max(write.window * DECAY)
        } else {
            // The application is slow, not the peer. Any shrinkage since then remains.
            wanted.max(self.window)
        };
        self.window = wanted.clamp(MIN, MAX);
        self.end_round(write, now);
    }

    /// Ends the first phase once the window no longer grows.
    fn end_round(&mut self, write: &InFlight, now: Instant) {
        let Some(startup) = &mut self.startup else {
            return;
        };
        if startup.round_from.is_some_and(|from| write.at < from) {
            return;
        }
        if self.window > startup.window_at_start * STEADY_GROWTH {
            startup.rounds_without_growth = 0;
        } else {
            startup.rounds_without_growth += 1;
        }
        startup.round_from = Some(now);
        startup.window_at_start = self.window;
        if startup.rounds_without_growth >= STARTUP_ROUNDS {
            self.startup = None;
        }
    }
}

#[cfg(test)]
mod tests;

//! How much a writer may have unacknowledged.
//!
//! The window follows the bandwidth-delay product: the rate at which the peer acknowledges, times the
//! shortest round trip ever seen, times a growth factor, so that it keeps probing for more. The peer
//! acknowledges what its reader takes, so a slow reader keeps the window small. Which numbers to use
//! is the writer's affair alone; these are those of the TypeScript library, but for the smallest window.
//!
//! Nothing here looks at a clock: the time is handed in.

use std::time::Duration;

use crate::runtime::SystemInstant as Instant;

/// Before anything is known.
const INITIAL: f64 = 256.0 * 1024.0;
/// As much as any reader has to bear at the start. With less than a few chunks on a short way, where the product is less than
/// one, both ends would take turns and wait for one another.
const MIN: f64 = INITIAL;
const MAX: f64 = 1024.0 * 1024.0 * 1024.0;
/// By how much the window may grow in a round trip: first,
const STARTUP_GROWTH: f64 = 2.0;
/// and once that has found the limit.
const STEADY_GROWTH: f64 = 1.25;
/// How much of it is left after a round trip, at least.
const DECAY: f64 = 0.90;
/// The start is over after so many rounds without growth worth the name.
const STARTUP_ROUNDS: u32 = 3;

/// The state of one writer.
#[derive(Debug)]
pub(super) struct FlowControl {
    window: f64,
    in_flight: f64,
    /// What has been acknowledged in all, and when last.
    delivered: f64,
    delivered_at: Option<Instant>,
    /// The first acknowledgement: when it came, and what had been delivered then.
    first: Option<(Instant, f64)>,
    shortest_trip: Duration,
    startup: Option<Startup>,
}

/// The first phase, in which the window may double with each round trip.
#[derive(Debug, Default)]
struct Startup {
    rounds_without_growth: u32,
    window_at_start: f64,
    /// A round is over when something is acknowledged that was sent after this.
    round_from: Option<Instant>,
}

/// A write that has been sent: what was known then.
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
    /// Whether the next write has to wait. One that is larger than the window is sent all the same,
    /// and then the next one waits.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight >= self.window
    }

    /// A write of so many code units is sent.
    pub(super) fn sent(&mut self, size: usize, now: Instant) -> InFlight {
        // Exact up to 2^53.
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

    /// A write has failed, which tells nothing about the way to the peer.
    pub(super) fn failed(&mut self, write: &InFlight) {
        self.in_flight -= write.size;
    }

    /// A write has been acknowledged.
    pub(super) fn acknowledged(&mut self, write: &InFlight, now: Instant) {
        self.in_flight -= write.size;
        self.delivered += write.size;
        self.delivered_at = Some(now);
        let trip = now.saturating_duration_since(write.at);
        self.shortest_trip = self.shortest_trip.min(trip);
        let Some(first) = self.first else {
            // A rate needs two points in time.
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
        // No time has passed: nothing can be said but that it was fast.
        let product = if product.is_finite() { product } else { MAX };
        let wanted = product.min(write.window * growth);
        let wanted = if write.filled {
            wanted.max(write.window * DECAY)
        } else {
            // It is the application that is slow, not the peer. What the window has shrunk by
            // meanwhile stays.
            wanted.max(self.window)
        };
        self.window = wanted.clamp(MIN, MAX);
        self.end_round(write, now);
    }

    /// Ends the first phase once the window has stopped growing.
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

//! A writer and its path to the peer, in virtual time.

use std::collections::VecDeque;

use super::*;

/// A path with a bandwidth, a minimum round trip, and a reader at its end.
struct Way {
    control: FlowControl,
    now: Instant,
    /// The time at which the link is free for the next write.
    free_at: Instant,
    /// Code units per second.
    bandwidth: f64,
    trip: Duration,
    /// The writes in flight, with the times of their acknowledgements.
    under_way: VecDeque<(InFlight, Instant)>,
}

const CHUNK: usize = 16 * 1024;

impl Way {
    fn new(bandwidth: f64, trip: Duration) -> Self {
        let now = Instant::now();
        Self {
            control: FlowControl::default(),
            now,
            free_at: now,
            bandwidth,
            trip,
            under_way: VecDeque::new(),
        }
    }

    fn write(&mut self, size: usize) {
        let write = self.control.sent(size, self.now);
        self.free_at =
            self.free_at.max(self.now) + Duration::from_secs_f64(size as f64 / self.bandwidth);
        self.under_way.push_back((write, self.free_at + self.trip));
    }

    /// Waits for the next acknowledgement.
    fn acknowledge(&mut self) {
        let (write, at) = self.under_way.pop_front().unwrap();
        self.now = self.now.max(at);
        self.control.acknowledged(&write, self.now);
    }

    /// Writes as much as the window allows for a period of time.
    fn saturate(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            while !self.control.is_full() {
                self.write(CHUNK);
            }
            self.acknowledge();
        }
    }

    fn window(&self) -> f64 {
        self.control.window
    }

    fn product(&self) -> f64 {
        self.bandwidth * self.trip.as_secs_f64()
    }
}

const TRIP: Duration = Duration::from_millis(100);
const MB: f64 = 1e6;

#[test]
fn a_write_is_sent_first_and_the_next_one_waits() {
    let mut control = FlowControl::default();
    let now = Instant::now();
    let almost = control.sent(256 * 1024 - 1, now);
    assert!(!control.is_full() && !almost.filled);
    let over = control.sent(10 * 1024 * 1024, now);
    assert!(control.is_full() && over.filled);
    control.acknowledged(&over, now + TRIP);
    assert!(!control.is_full());
}

#[test]
fn the_window_grows_to_what_the_way_holds() {
    let mut way = Way::new(100.0 * MB, TRIP);
    way.saturate(TRIP * 3);
    let early = way.window();
    assert!(early > INITIAL && early < way.product());
    way.saturate(TRIP * 20);
    assert!(way.window() >= way.product() * 0.9, "{}", way.window());
}

#[test]
fn it_at_most_doubles_with_each_round_trip() {
    let mut way = Way::new(10_000.0 * MB, TRIP);
    let mut last = way.window();
    for _ in 0..8 {
        // One round: fill the window, and acknowledge everything.
        while !way.control.is_full() {
            way.write(CHUNK);
        }
        for _ in 0..way.under_way.len() {
            way.acknowledge();
        }
        assert!(way.window() <= last * 2.0);
        last = way.window();
    }
    assert!(last > INITIAL * 16.0, "{last}");
}

#[test]
fn it_stays_where_the_way_is_full() {
    let mut way = Way::new(20.0 * MB, TRIP);
    way.saturate(TRIP * 60);
    assert!(way.control.startup.is_none());
    let plateau = way.window();
    way.saturate(TRIP * 100);
    // The shortest round trip is the one without a queue, so no queue builds up.
    let product = way.product();
    assert!((product..product * 1.6).contains(&plateau), "{plateau}");
    assert!((product..product * 1.6).contains(&way.window()));
}

#[test]
fn it_shrinks_with_the_bandwidth_but_slowly() {
    let mut way = Way::new(100.0 * MB, TRIP);
    way.saturate(TRIP * 60);
    let wide = way.window();
    way.bandwidth = 10.0 * MB;
    let trips_before = way.now;
    while way.window() > wide * 0.95 {
        way.saturate(Duration::from_millis(1));
    }
    assert!(way.now - trips_before >= TRIP);
    // No step shrinks the window by more than a tenth of its size at the time of sending.
    let write = way.control.sent(CHUNK, way.now);
    let then = way.window();
    way.now += TRIP * 100;
    way.control.acknowledged(&write, way.now);
    assert!(way.window() >= then * DECAY * 0.999);
    way.saturate(TRIP * 2000);
    assert!(way.window() < wide / 4.0, "{} of {wide}", way.window());
    assert!(way.window() >= way.product());
}

#[test]
fn an_application_that_is_slow_does_not_shrink_it() {
    let mut way = Way::new(100.0 * MB, TRIP);
    way.saturate(TRIP * 60);
    while !way.under_way.is_empty() {
        way.acknowledge();
    }
    let wide = way.window();
    for _ in 0..1000 {
        way.write(100);
        way.acknowledge();
        way.now += TRIP;
    }
    assert!(way.window() >= wide);
}

#[test]
fn a_failed_write_frees_its_room_and_tells_nothing() {
    let mut control = FlowControl::default();
    let now = Instant::now();
    let write = control.sent(1 << 20, now);
    assert!(control.is_full());
    control.failed(&write);
    assert!(!control.is_full());
    assert_eq!((control.in_flight, control.window), (0.0, INITIAL));
    assert!(control.first.is_none() && control.shortest_trip == Duration::MAX);
}

#[test]
fn it_is_never_smaller_than_the_least() {
    let mut way = Way::new(0.1 * MB, Duration::from_millis(1));
    way.saturate(TRIP * 3000);
    assert_eq!(way.window(), MIN);
}

#[test]
fn it_is_never_larger_than_the_most() {
    let mut control = FlowControl::default();
    let mut now = Instant::now();
    for _ in 0..40 {
        // Acknowledge all writes at once, so that the rate is unlimited.
        let writes: Vec<_> = (0..4).map(|_| control.sent(1 << 30, now)).collect();
        now += TRIP;
        for write in &writes {
            control.acknowledged(write, now);
        }
    }
    assert_eq!(control.window, MAX);
}

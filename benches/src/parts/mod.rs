//! The parts of a call, to measure the cost of each side without sockets. `cargo xtask
//! instructions` counts instructions, and the criterion suite measures time.

mod client;
mod local;
mod map;
mod server;
mod session;

use std::time::{Duration, Instant};

pub use self::{
    client::ClientOnly,
    local::Local,
    map::MapOnly,
    server::ServerOnly,
    session::{InSession, Way},
};

/// The number of calls in flight, for parts that can have more than one.
pub const GROUP: usize = 64;

/// A part that makes calls.
pub trait Part {
    /// Prepares `calls` calls, a multiple of [`GROUP`]. This is not measured.
    fn prepare(&mut self, calls: usize);
    /// Makes the calls.
    ///
    /// # Panics
    ///
    /// Panics if a call is not answered, or has a wrong answer.
    fn run(&mut self);
    /// Checks answers whose check is too expensive during the measurement. This is not measured.
    ///
    /// # Panics
    ///
    /// Panics if an answer is missing or wrong.
    fn check(&self) {}
}

/// The number of calls that are prepared at a time.
const AT_ONCE: usize = 128 * GROUP;

/// Returns the time for at least `calls` calls, rounded up to whole groups, and their number. Some
/// calls are made first to warm up.
pub fn measure(part: &mut dyn Part, calls: usize) -> (usize, Duration) {
    part.prepare(AT_ONCE);
    part.run();
    part.check();
    let calls = calls.next_multiple_of(GROUP);
    let mut left = calls;
    let mut time = Duration::ZERO;
    while left > 0 {
        let now = left.min(AT_ONCE);
        part.prepare(now);
        let started = Instant::now();
        measured(part);
        time += started.elapsed();
        part.check();
        left -= now;
    }
    (calls, time)
}

/// Runs the part. Callgrind counts the function with this name.
#[inline(never)]
fn measured(part: &mut dyn Part) {
    part.run();
}

//! A call taken apart: what each side of it costs, without sockets. `cargo xtask instructions` counts, the criterion
//! suite takes the time.

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

/// So many calls are under way at a time where a part can have more than one.
pub const GROUP: usize = 64;

/// Something that makes calls.
pub trait Part {
    /// Makes ready for so many calls, a multiple of [`GROUP`]. What is done here is not measured.
    fn prepare(&mut self, calls: usize);
    /// Makes the calls.
    ///
    /// # Panics
    ///
    /// If one is not answered, or wrongly.
    fn run(&mut self);
    /// Looks at answers that are too costly to look at while they come. This is not measured either.
    ///
    /// # Panics
    ///
    /// If one is missing or wrong.
    fn check(&self) {}
}

/// So many calls are made ready at a time.
const AT_ONCE: usize = 128 * GROUP;

/// The time that so many calls take, or somewhat more, so that they are whole groups. Some are made before.
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

/// Callgrind counts what happens in a function of this name.
#[inline(never)]
fn measured(part: &mut dyn Part) {
    part.run();
}

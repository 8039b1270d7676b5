//! Counts the work between two lines of output. The measuring program samples the processes at
//! these lines.

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use crate::options::Options;

/// Prints a line at once, since its time matters. An error means that nothing reads it.
pub(crate) fn print(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) units: u64,
    pub(crate) time: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        write!(f, r#"{{"units": {}, "seconds": {seconds:.6}}}"#, self.units)
    }
}

/// A clock that warms up, measures, and ends. It is checked after each batch, so it needs no
/// thread.
pub(crate) struct Clock<'a> {
    print: &'a mut dyn FnMut(&str),
    time: Duration,
    phase: Phase,
}

enum Phase {
    WarmUp { until: Instant },
    Measure { since: Instant, before: u64 },
    Over(Report),
}

impl<'a> Clock<'a> {
    pub(crate) fn start(options: &Options, print: &'a mut dyn FnMut(&str)) -> Self {
        let until = Instant::now() + options.warm_up;
        Self {
            print,
            time: options.time,
            phase: Phase::WarmUp { until },
        }
    }

    /// Records the amount of work so far.
    pub(crate) fn tick(&mut self, done: u64) {
        let now = Instant::now();
        match self.phase {
            Phase::WarmUp { until } if now >= until => {
                (self.print)("start");
                self.phase = Phase::Measure {
                    since: Instant::now(),
                    before: done,
                };
            }
            Phase::Measure { since, before } if now - since >= self.time => {
                (self.print)("stop");
                self.phase = Phase::Over(Report {
                    units: done - before,
                    time: now - since,
                });
            }
            _ => {}
        }
    }

    /// Returns the result, once the time is over.
    pub(crate) fn report(&self) -> Option<Report> {
        match self.phase {
            Phase::Over(report) => Some(report),
            _ => None,
        }
    }
}

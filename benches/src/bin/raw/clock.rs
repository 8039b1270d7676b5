//! Counts what is done between two lines of output, by which the measuring program samples the processes.

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use crate::options::Options;

/// Prints a line at once, since the moment is the message. Whoever does not read it does not want it.
pub(crate) fn print(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// What was measured.
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

/// Warms up, measures, and is over. It is asked after each batch, so it needs no thread.
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

    /// Tells how much has been done so far.
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

    /// The result, when the time is over.
    pub(crate) fn report(&self) -> Option<Report> {
        match self.phase {
            Phase::Over(report) => Some(report),
            _ => None,
        }
    }
}

//! Counts the work between two lines of output. The measuring program samples the processes at
//! these lines.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::Result;

/// A counter of work, shared by the tasks that do it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    units: AtomicU64,
    over: AtomicBool,
}

/// The result of a measurement.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// The amount of work, in the case's unit.
    pub units: u64,
    /// The duration in seconds.
    pub seconds: f64,
}

impl Meter {
    /// Counts completed work.
    pub fn add(&self, units: u64) {
        self.0.units.fetch_add(units, Ordering::Relaxed);
    }

    /// Returns whether the time is up, so that no more work should start.
    pub fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Relaxed)
    }

    /// Ends the measurement, so that no more work starts.
    pub fn end(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }

    /// Measures for `time`.
    ///
    /// # Errors
    ///
    /// Returns an error if nobody reads the output.
    pub async fn clock(&self, time: Duration) -> Result<Report> {
        let units = || self.0.units.load(Ordering::Relaxed);
        let (start, before) = (Instant::now(), units());
        say("start")?;
        tokio::time::sleep(time).await;
        let (seconds, after) = (start.elapsed().as_secs_f64(), units());
        say("stop")?;
        Ok(Report {
            units: after - before,
            seconds,
        })
    }
}

/// Prints a line at once, since its time matters.
///
/// # Errors
///
/// Returns an error if nobody reads the output.
pub fn say(line: &str) -> Result {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

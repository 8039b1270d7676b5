//! Counts what is done between two lines of output, by which the measuring program samples the processes.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::Result;

/// What is counted, shared by the tasks that do it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    units: AtomicU64,
    over: AtomicBool,
}

/// What was measured.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// How much was done, in the case's unit.
    pub units: u64,
    /// In what time.
    pub seconds: f64,
}

impl Meter {
    /// Counts so much as done.
    pub fn add(&self, units: u64) {
        self.0.units.fetch_add(units, Ordering::Relaxed);
    }

    /// Whether nothing more is to be started.
    pub fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Relaxed)
    }

    /// Nothing more is to be started.
    pub fn end(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }

    /// Measures for so long.
    ///
    /// # Errors
    ///
    /// If nobody reads the output.
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

/// Prints a line at once, since the moment is the message.
///
/// # Errors
///
/// If nobody reads the output.
pub fn say(line: &str) -> Result {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

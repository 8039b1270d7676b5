//! Counting the work between two points in time.

use std::{
    future::Future,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{task::JoinHandle, time::sleep};

use crate::{Result, options::Options};

/// The progress of the workers, and whether they continue.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<State>);

#[derive(Default)]
struct State {
    units: AtomicU64,
    over: AtomicBool,
}

impl Progress {
    pub(crate) fn goes_on(&self) -> bool {
        !self.0.over.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, units: u64) {
        self.0.units.fetch_add(units, Ordering::Relaxed);
    }

    fn units(&self) -> u64 {
        self.0.units.load(Ordering::Relaxed)
    }
}

/// Runs a number of workers as tasks until the time is up, and prints their work during the
/// measurement.
///
/// # Errors
///
/// Returns the first error of a worker.
pub(crate) async fn measure<F>(
    workers: usize,
    options: &Options,
    worker: impl Fn(Progress) -> F,
) -> Result
where
    F: Future<Output = Result> + Send + 'static,
{
    let progress = Progress::default();
    let mut working: FuturesUnordered<JoinHandle<Result>> = (0..workers)
        .map(|_| tokio::spawn(worker(progress.clone())))
        .collect();
    let report = tokio::select! {
        report = conduct(&progress, options) => report?,
        ended = working.next() => {
            if let Some(ended) = ended {
                ended??;
            }
            return Err("a worker has ended before its time".into());
        }
    };
    while let Some(ended) = working.next().await {
        ended??;
    }
    println!("{report}");
    Ok(())
}

/// Waits for the measured time, and reports the progress of the workers.
async fn conduct(progress: &Progress, options: &Options) -> Result<String> {
    sleep(options.warm_up).await;
    say("start")?;
    let (started, before) = (Instant::now(), progress.units());
    sleep(options.time).await;
    let (units, seconds) = (progress.units() - before, started.elapsed().as_secs_f64());
    say("stop")?;
    progress.0.over.store(true, Ordering::Relaxed);
    Ok(report(units, seconds))
}

pub(crate) fn report(units: u64, seconds: f64) -> String {
    format!("{{\"units\": {units}, \"seconds\": {seconds:.6}}}")
}

/// Prints a word at once. The reader records the time.
pub(crate) fn say(word: &str) -> Result {
    println!("{word}");
    Ok(std::io::stdout().flush()?)
}

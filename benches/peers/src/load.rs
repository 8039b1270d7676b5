//! Loads: operations that are repeated.

use std::{future::Future, time::Duration};

use tokio::task::JoinSet;

use crate::{Load, Meter, Report, Result};

/// The number of sessions that are opened at a time, so that no backlog overflows.
const OPENED_AT_ONCE: usize = 64;

/// The time limit for pending operations to end.
const GRACE: Duration = Duration::from_secs(30);

impl Load {
    /// Runs as many tasks as should be in flight. Each repeats `step`, which counts as `units`.
    ///
    /// # Errors
    ///
    /// Returns the first error of a step.
    pub async fn tasks<F, S>(&self, units: u64, step: F) -> Result<Report>
    where
        F: Fn() -> S + Clone + Send + 'static,
        S: Future<Output = Result> + Send + 'static,
    {
        let (meter, mut tasks) = (Meter::default(), JoinSet::new());
        for _ in 0..self.in_flight {
            tasks.spawn(repeat(meter.clone(), units, step.clone()));
        }
        self.measure(meter, tasks).await
    }

    /// Runs tasks like [`tasks`](Self::tasks), on a `LocalSet`.
    ///
    /// # Errors
    ///
    /// Returns the first error of a step.
    pub async fn local_tasks<F, S>(&self, units: u64, step: F) -> Result<Report>
    where
        F: Fn() -> S + Clone + 'static,
        S: Future<Output = Result> + 'static,
    {
        let (meter, mut tasks) = (Meter::default(), JoinSet::new());
        for _ in 0..self.in_flight {
            tasks.spawn_local(repeat(meter.clone(), units, step.clone()));
        }
        self.measure(meter, tasks).await
    }

    /// Measures what the tasks count until the time is up.
    ///
    /// # Errors
    ///
    /// Returns the first error of a task.
    pub async fn measure(&self, meter: Meter, mut tasks: JoinSet<Result>) -> Result<Report> {
        let clock = async {
            tokio::time::sleep(self.warm_up).await;
            meter.clock(self.time).await
        };
        let report = tokio::select! {
            report = clock => report?,
            Some(ended) = tasks.join_next() => {
                ended??;
                return Err("a task ended before its time".into());
            }
        };
        meter.end();
        let rest = async {
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(report)
        };
        tokio::time::timeout(GRACE, rest).await?
    }

    /// Opens as many sessions as requested with `open`, and keeps them idle.
    ///
    /// # Errors
    ///
    /// Returns an error if a session cannot be opened.
    pub async fn hold<T, S>(&self, open: impl Fn() -> S) -> Result<Report>
    where
        S: Future<Output = Result<T>>,
    {
        let mut held = Vec::with_capacity(self.sessions);
        while held.len() < self.sessions {
            let count = OPENED_AT_ONCE.min(self.sessions - held.len());
            held.extend(futures_util::future::try_join_all((0..count).map(|_| open())).await?);
        }
        let seconds = Meter::default().clock(self.time).await?.seconds;
        Ok(Report {
            units: held.len() as u64,
            seconds,
        })
    }
}

async fn repeat<F, S>(meter: Meter, units: u64, step: F) -> Result
where
    F: Fn() -> S,
    S: Future<Output = Result>,
{
    while !meter.is_over() {
        step().await?;
        meter.add(units);
    }
    Ok(())
}

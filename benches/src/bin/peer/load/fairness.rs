//! Many sessions that call as fast as they are answered, to measure fairness.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use tokio::{task::JoinHandle, time::sleep};

use crate::{
    Result,
    load::{Unsupported, calls, progress::say, sessions},
    options::{Options, Over},
};

/// Makes one call at a time in each session. The final report includes the smallest, the median and
/// the largest number of calls of a session, and percentiles.
pub(crate) async fn load(options: &Options) -> Result {
    if options.over == Over::Batch {
        return Err(Unsupported::new("a batch is one exchange").into());
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut counts = Vec::new();
    let mut callers: Vec<JoinHandle<Result>> = Vec::new();
    for api in sessions::open(options).await? {
        let (count, over) = (Arc::new(AtomicU32::new(0)), over.clone());
        counts.push(count.clone());
        callers.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                calls::check(api.add(2.0, 3.0).await?)?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    let done = || -> Vec<u32> {
        let counts = counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    };
    sleep(options.warm_up).await;
    say("start")?;
    let (started, before) = (Instant::now(), done());
    sleep(options.time).await;
    let (after, seconds) = (done(), started.elapsed().as_secs_f64());
    say("stop")?;
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await??;
    }
    let both = after.iter().zip(&before);
    let calls = both.map(|(after, before)| after - before).collect();
    println!("{}", report(calls, seconds));
    Ok(())
}

fn report(mut calls: Vec<u32>, seconds: f64) -> String {
    calls.sort_unstable();
    let at = |percent: usize| {
        let last = calls.len().saturating_sub(1);
        calls.get(last * percent / 100).copied().unwrap_or_default()
    };
    let units: u64 = calls.iter().copied().map(u64::from).sum();
    format!(
        "{{\"units\": {units}, \"seconds\": {seconds:.6}, \"least\": {}, \"percent1\": {}, \
         \"median\": {}, \"percent99\": {}, \"most\": {}}}",
        at(0),
        at(1),
        at(50),
        at(99),
        at(100),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_report_is_of_all_sessions() {
        let report = super::report((1..=101).rev().collect(), 2.0);
        assert_eq!(
            report,
            "{\"units\": 5151, \"seconds\": 2.000000, \"least\": 1, \"percent1\": 2, \"median\": 51, \
             \"percent99\": 100, \"most\": 101}"
        );
    }
}

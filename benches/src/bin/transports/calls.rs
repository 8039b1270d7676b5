//! Calls without other load.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use capnweb::Stub;
use futures_util::future::try_join_all;

use crate::{
    Result,
    link::{Link, Place},
};

const IN_FLIGHT: usize = 256;

pub(crate) async fn measure(link: Link, place: &Place, time: Duration) -> Result {
    let started = Instant::now();
    let api = link.connect(place).await?;
    call(&api).await?;
    let first = started.elapsed();

    // The first calls warm up.
    one_at_a_time(&api, time / 10).await?;
    let (median, _) = one_at_a_time(&api, time).await?;
    in_flight(&api, time / 10).await?;
    let rate = in_flight(&api, time).await?;
    println!(
        "{link:<15} connected and answered in {first:>8.2?}; a call takes {median:>8.2?}; \
         {rate:>8.0} calls/s with {IN_FLIGHT} in flight"
    );
    Ok(())
}

async fn call(api: &Stub) -> Result {
    let sum: f64 = api.call("add", (2, 3)).fetch().await?;
    assert_eq!(sum, 5.0);
    Ok(())
}

/// Returns the median time and the number of calls.
async fn one_at_a_time(api: &Stub, time: Duration) -> Result<(Duration, usize)> {
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < time {
        let started = Instant::now();
        call(api).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok((median, times.len()))
}

async fn in_flight(api: &Stub, time: Duration) -> Result<f64> {
    let started = Instant::now();
    let calls = Cell::new(0_u32);
    try_join_all((0..IN_FLIGHT).map(|_| async {
        while started.elapsed() < time {
            call(api).await?;
            calls.set(calls.get() + 1);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    }))
    .await?;
    Ok(f64::from(calls.get()) / started.elapsed().as_secs_f64())
}

//! Small calls alongside a large stream.

use std::time::{Duration, Instant};

use capnweb::{Bytes, Stub, stream::Readable};
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    Result,
    link::{Link, Place},
};

const CHUNK: usize = 16 << 10;

/// The interval between calls, whether or not earlier calls have been answered.
const EVERY: Duration = Duration::from_millis(20);

/// The time for the stream to reach its full speed.
const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) async fn measure(link: Link, place: &Place, time: Duration) -> Result {
    let calling = link.connect(place).await?;
    report(link, "no stream", 0.0, small_calls(&calling, time).await?);

    let (rate, calls) = beside(&calling, &calling, time).await?;
    report(link, "the same session", rate, calls);
    drop(calling);

    let (calling, streaming) = (link.connect(place).await?, link.connect(place).await?);
    let (rate, calls) = beside(&calling, &streaming, time).await?;
    report(link, "another session", rate, calls);
    Ok(())
}

/// Makes calls on `calling` while a stream is read from `streaming`. Returns the stream's bytes per
/// second, and the times of the calls.
async fn beside(calling: &Stub, streaming: &Stub, time: Duration) -> Result<(f64, Vec<Duration>)> {
    let mut stream: Readable<Bytes> = streaming.call("zeros", (CHUNK,)).fetch().await?;
    let started = Instant::now();
    let mut bytes = 0_u32;
    let reading = async {
        while let Some(chunk) = stream.next().await {
            // The time to reach full speed is not counted.
            if started.elapsed() > WARM_UP {
                bytes = bytes.saturating_add(u32::try_from(chunk?.len())?);
            }
        }
        Err::<(), Box<dyn std::error::Error + Send + Sync>>("the stream has ended".into())
    };
    let calls = async {
        sleep(WARM_UP).await;
        small_calls(calling, time).await
    };
    let calls = tokio::select! {
        calls = calls => calls?,
        ended = reading => return Err(ended.err().unwrap_or_else(|| "the stream has ended".into())),
    };
    let rate = f64::from(bytes) / (started.elapsed() - WARM_UP).as_secs_f64();
    Ok((rate, calls))
}

/// Returns the times of calls at regular intervals.
async fn small_calls(api: &Stub, time: Duration) -> Result<Vec<Duration>> {
    let started = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = Vec::new();
    while started.elapsed() < time {
        ticks.tick().await;
        let api = api.clone();
        calls.push(tokio::spawn(async move {
            let started = Instant::now();
            api.call("add", (2, 3)).fetch::<f64>().await?;
            Ok::<_, capnweb::Error>(started.elapsed())
        }));
    }
    let mut times = Vec::new();
    for call in calls {
        times.push(call.await??);
    }
    times.sort_unstable();
    Ok(times)
}

fn report(link: Link, stream: &str, rate: f64, times: Vec<Duration>) {
    let at = |percent: usize| {
        let last = times.len().saturating_sub(1);
        times.get(last * percent / 100).copied().unwrap_or_default()
    };
    println!(
        "{link:<15} stream on {stream:<17} {:>6.2} MB/s; calls: median {:>8.1?}, 95 % {:>8.1?}, \
         99 % {:>8.1?}, most {:>8.1?}",
        rate / 1e6,
        at(50),
        at(95),
        at(99),
        at(100),
    );
}

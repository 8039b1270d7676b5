//! Whole sessions: many idle ones, or one after another.

use std::time::Instant;

use tokio::time::sleep;

use crate::{
    Result, connect,
    load::{
        Unsupported, calls,
        progress::{measure, report, say},
    },
    open_files,
    options::{Options, Over},
    service::ServiceStub,
};

/// Opens sessions with one call each, one after another.
pub(crate) async fn connect(options: &Options) -> Result {
    if options.over == Over::Batch {
        return Err(Unsupported::new("a batch is one exchange; its case is `batch`").into());
    }
    let progress_options = options.clone();
    measure(1, options, |progress| {
        let options = progress_options.clone();
        async move {
            while progress.goes_on() {
                let api = connect::connect(&options, &options.at).await?;
                calls::check(api.add(2.0, 3.0).await?)?;
                progress.add(1);
            }
            Ok(())
        }
    })
    .await
}

/// Opens sessions with one call each, and keeps all of them open.
pub(crate) async fn idle(options: &Options) -> Result {
    if options.over == Over::Batch {
        return Err(Unsupported::new("a batch is one exchange").into());
    }
    let sessions = open(options).await?;
    say("start")?;
    let started = Instant::now();
    sleep(options.time).await;
    let seconds = started.elapsed().as_secs_f64();
    say("stop")?;
    println!("{}", report(sessions.len() as u64, seconds));
    Ok(())
}

/// Opens a number of sessions, and makes one call on each.
pub(crate) async fn open(options: &Options) -> Result<Vec<ServiceStub>> {
    open_files::allow_all()?;
    let mut sessions = Vec::with_capacity(options.sessions);
    for _ in 0..options.sessions {
        let api = connect::connect(options, &options.at).await?;
        calls::check(api.add(2.0, 3.0).await?)?;
        sessions.push(api);
    }
    Ok(sessions)
}

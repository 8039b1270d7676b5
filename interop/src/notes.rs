//! `capnweb-interop notes`: adds notes to the example `service` through a client that reconnects.

use std::{process::ExitCode, sync::Arc, time::Duration};

use capnweb::{Backoff, Client, Stub, WhileDown, client::Attempt};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::{arguments::Arguments, ready, signal};

/// The number of calls in progress.
const AT_ONCE: usize = 8;

/// The number of milliseconds that each call takes.
const TAKES_MS: u32 = 20;

/// The shortest pause before another attempt to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// The time limit for the whole run.
const LIMIT: Duration = Duration::from_secs(300);

/// The number of calls of each outcome.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcomes {
    acknowledged: usize,
    /// The calls that have failed. None is made again.
    failed: usize,
    attempts: usize,
}

/// Makes calls until the process is told to stop, and prints their outcomes.
pub(crate) async fn run(mut arguments: Arguments) -> Result<ExitCode, String> {
    let url = arguments.take("url").ok_or("--url is missing")?;
    let token = arguments.take("token").ok_or("--token is missing")?;
    let prefix = arguments
        .take("prefix")
        .unwrap_or_else(|| "rust".to_owned());
    let authorization: Arc<str> = format!("Bearer {token}").into();
    let client = Client::to([url])
        .prepare(move |attempt: Attempt| {
            let attempt = attempt.header("authorization", &*authorization);
            std::future::ready(Ok(attempt))
        })
        // Servers that are restarted again and again would make the client wait longer and longer.
        .backoff(Backoff::full_jitter(PAUSE, 10 * PAUSE).reset_after(Duration::from_secs(1)))
        .while_down(WhileDown::Queue {
            calls: 2 * AT_ONCE,
            bytes: 1 << 20,
            wait: Duration::from_secs(30),
        })
        .start();
    let api: Stub = client.main();
    let stopped = signal::stopped().map_err(|error| error.to_string())?;
    let adding = stream::iter(1..)
        .take_until(stopped)
        .map(|number: u64| {
            let note = api.call("addNote", (format!("{prefix} {number}"), TAKES_MS));
            async move { note.fetch::<i64>().await }
        })
        .buffer_unordered(AT_ONCE)
        .fold(Outcomes::default(), async |mut outcomes, added| {
            match added {
                Ok(_) => outcomes.acknowledged += 1,
                Err(error) => {
                    eprintln!("capnweb-interop: {error:?}");
                    outcomes.failed += 1;
                }
            }
            outcomes
        });
    let Ok(mut outcomes) = tokio::time::timeout(LIMIT, adding).await else {
        return Err(format!("not finished after {LIMIT:?}"));
    };
    outcomes.attempts = client.attempts();
    ready::tell(&outcomes)?;
    Ok(match outcomes.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

//! `capnweb-interop rooms`: posts in the example `rooms` through a client that reconnects.

use std::{pin::pin, process::ExitCode, time::Duration};

use capnweb::{Backoff, Client, Error, Result, WhileDown};
use serde::Serialize;

use crate::{arguments::Arguments, ready, signal};

/// The shortest pause before another attempt to connect.
const PAUSE: Duration = Duration::from_millis(50);

/// The time limit for one call.
const LIMIT: Duration = Duration::from_secs(60);

/// The part of the main object that this client calls.
#[capnweb::interface]
trait Front {
    async fn room(&self, name: String) -> Result<RoomStub>;
}

#[capnweb::interface]
trait Room {
    #[rpc(idempotent)]
    async fn post(&self, sender: String, number: u32, text: String) -> Result<Message>;
}

#[capnweb::value]
struct Message {
    number: u32,
}

/// The number of acknowledged messages, and the errors of others.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    acknowledged: u32,
    errors: Vec<String>,
}

/// Posts until the process is told to stop, and prints the outcome.
pub(crate) async fn run(mut arguments: Arguments) -> std::result::Result<ExitCode, String> {
    let url = arguments.take("url").ok_or("--url is missing")?;
    let sender = arguments.take("sender").ok_or("--sender is missing")?;
    let client = Client::to([url])
        .backoff(Backoff::full_jitter(PAUSE, 4 * PAUSE).reset_after(PAUSE))
        .while_down(WhileDown::Queue {
            calls: 64,
            bytes: 1 << 20,
            wait: LIMIT,
        })
        .start();
    let front: FrontStub = client.main();
    let room: RoomStub = client.derive(&front, |front| front.room("lobby"));
    let stopped = signal::stopped().map_err(|error| error.to_string())?;
    let mut outcome = Outcome::default();
    let mut stopped = pin!(stopped);
    loop {
        let number = outcome.acknowledged + 1;
        match post(&room, &sender, number).await {
            Ok(message) if message.number == number => outcome.acknowledged = number,
            Ok(_) => outcome.errors.push("the answer is another one".to_owned()),
            Err(error) => outcome.errors.push(format!("{error:?}")),
        }
        tokio::select! {
            () = &mut stopped => break,
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    }
    ready::tell(&outcome)?;
    Ok(ExitCode::SUCCESS)
}

async fn post(room: &RoomStub, sender: &str, number: u32) -> Result<Message> {
    let posted = room.post(sender, number, format!("message {number}"));
    match tokio::time::timeout(LIMIT, posted).await {
        Ok(posted) => posted,
        Err(_) => Err(Error::new("a call was not answered")),
    }
}

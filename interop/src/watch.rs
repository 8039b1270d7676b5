//! `capnweb-interop watch`: an idle client that reports its end.

use std::process::ExitCode;

use capnweb::{EndCause, ws::Connect};
use serde_json::json;

use crate::{arguments::Arguments, ready};

/// Connects, prints `{"connected":true}`, and makes a call that is never answered. When the session
/// ends, prints the cause and message of the end, and the error of the call.
pub(crate) async fn run(mut arguments: Arguments) -> Result<ExitCode, String> {
    let url = arguments
        .take("url")
        .ok_or("--url of the server is missing")?;
    let options = arguments.session_options()?;
    let session = Connect::new(&url)
        .options(options)
        .session()
        .await
        .map_err(|error| error.to_string())?;
    let api = session.main();
    let pong = api.call("ping", ()).fetch::<String>().await;
    ready::tell(&json!({ "connected": pong.map_err(|error| error.to_string())? }))?;
    let Err(failure) = api.call("sleep", (86_400_000,)).fetch::<()>().await else {
        return Err("the call should not have been answered".to_owned());
    };
    let cause = failure.session_end().map(|end| end.cause());
    ready::tell(&json!({
        "silence": cause == Some(EndCause::Silence),
        "disconnected": failure.is_disconnected(),
        "message": failure.message(),
    }))?;
    Ok(ExitCode::SUCCESS)
}

//! Listening, and reporting the address to the harness.

use std::io::Write;

use serde::Serialize;
use tokio::net::TcpListener;

/// Binds `address`, and returns the listener with its actual address.
pub(crate) async fn listen(address: &str) -> Result<(TcpListener, String), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, bound.to_string()))
}

/// Prints a line of JSON that somebody waits for, such as `{"addr":"127.0.0.1:12345"}`.
pub(crate) fn tell(ready: &impl Serialize) -> Result<(), String> {
    let line = serde_json::to_string(ready).map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print: {error}"))
}

/// Prints the report of a check.
pub(crate) fn report(report: &serde_json::Value) {
    println!("{report}");
}

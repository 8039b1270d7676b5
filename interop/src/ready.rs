//! Listening, and reporting the address to the harness.

use std::io::Write;

use tokio::net::TcpListener;

/// Binds `address`, and returns the listener with its actual address.
pub(crate) async fn listen(address: &str) -> Result<(TcpListener, String), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, bound.to_string()))
}

/// Prints the line that the harness waits for, such as `{"addr":"127.0.0.1:12345"}`.
pub(crate) fn tell(ready: &serde_json::Value) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ready}")
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print the address: {error}"))
}

/// Prints the report of a check.
pub(crate) fn report(report: &serde_json::Value) {
    println!("{report}");
}

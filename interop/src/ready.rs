//! Listening, and telling the harness where.

use std::io::Write;

use tokio::net::TcpListener;

/// Binds `address` and prints `{"addr":"127.0.0.1:12345"}` with what became of it.
pub(crate) async fn listen(address: &str) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::json!({ "addr": bound.to_string() }))
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print the address: {error}"))?;
    Ok(listener)
}

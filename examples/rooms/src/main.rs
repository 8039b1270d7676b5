//! Chat rooms on three nodes behind HAProxy, with a page that shows which node each room lives on
//! while nodes are killed and come back:
//!
//! ```sh
//! npm --prefix interop/browser ci
//! cargo run -p rooms
//! ```
//!
//! Then open the printed address. It needs `nats-server` and `haproxy`. Without `nats-server`,
//! there is one node, whose directory is in its memory. See `docs/cluster.md`.

mod api;
mod front;
mod launch;
mod node;
mod page;
mod room;
mod store;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        // `launch` starts this program again for each node.
        Some("node") => node::run().await,
        address => launch::run(address.unwrap_or("127.0.0.1:8080")).await,
    }
}

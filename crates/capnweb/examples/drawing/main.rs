//! A drawing that everybody who has the page open draws on, over WebSocket, HTTP batch or WebTransport:
//!
//! ```sh
//! npm --prefix interop/browser ci
//! cargo run --example drawing --features webtransport
//! ```
//!
//! Then open the page at the address that it prints, twice. `cargo xtask wasm --drawing` makes another page, in Rust, which
//! is at `/rust/`.

mod board;

use std::{error::Error, path::Path};

use axum::{
    Json, Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use capnweb::webtransport::{Identity, Server};
use tokio::net::TcpListener;

use crate::board::{Board, DrawingStub};

/// A file of the page, by its path from the root of the repository. It is read when it is asked for, so
/// that one can work on the page while the server runs.
async fn file(path: &'static str, kind: &'static str) -> Response {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::fs::read(root.join(path)) {
        Ok(content) => ([(header::CONTENT_TYPE, kind)], content).into_response(),
        Err(error) => {
            let text = format!(
                "{path}: {error}; have `npm --prefix interop/browser ci` and `cargo xtask wasm --drawing` been run?"
            );
            eprintln!("{text}");
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One for all: every session gets the same object.
    let board = DrawingStub::new(Board::default());

    // WebTransport has an address of its own, whose port the page is told, and a certificate, which the
    // page knows by its hash.
    let identity = Identity::self_signed(["127.0.0.1", "localhost"])?;
    let for_webtransport = board.clone();
    let webtransport = Server::new(&identity)
        .route("/api", move |_| for_webtransport.clone())
        .bind("127.0.0.1:0")?;
    let config = serde_json::json!({
        "webTransport": format!("https://{}/api", webtransport.local_addr()),
        "certificateHash": identity.certificate_hash().to_string(),
    });

    let app = Router::new()
        .route("/api", capnweb::axum::rpc(move || board.clone()))
        .route("/config.json", get(async move || Json(config)))
        .route(
            "/",
            get(|| file("crates/capnweb/examples/drawing/page.html", "text/html")),
        )
        .route(
            "/page.js",
            get(|| file("crates/capnweb/examples/drawing/page.js", "text/javascript")),
        )
        .route(
            "/rust/",
            get(|| file("crates/capnweb/examples/drawing/rust.html", "text/html")),
        )
        .route(
            "/rust/drawing_web.js",
            get(|| file("target/wasm-drawing/drawing_web.js", "text/javascript")),
        )
        .route(
            "/rust/drawing_web_bg.wasm",
            get(|| {
                file(
                    "target/wasm-drawing/drawing_web_bg.wasm",
                    "application/wasm",
                )
            }),
        )
        .route(
            "/capnweb.js",
            get(|| {
                file(
                    "interop/browser/node_modules/capnweb/dist/index.js",
                    "text/javascript",
                )
            }),
        )
        .route(
            "/capnweb-webtransport.js",
            get(|| file("interop/browser/capnweb-webtransport.js", "text/javascript")),
        );
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = TcpListener::bind(address).await?;
    // Not `localhost`: WebTransport would try IPv6 first.
    println!("http://{}/", listener.local_addr()?);
    tokio::select! {
        served = capnweb::axum::serve(listener, app) => served?,
        () = webtransport.serve() => {}
    }
    Ok(())
}

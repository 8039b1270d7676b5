//! A drawing that all visitors of a page share, over WebSocket, HTTP batch or WebTransport:
//!
//! ```sh
//! npm --prefix interop/browser ci
//! cargo run --example drawing --features webtransport
//! ```
//!
//! Then open the printed address in two windows. `cargo xtask wasm --drawing` builds another page,
//! in Rust, which is served at `/rust/`.

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

/// Serves a file of the page, by its path from the root of the repository. The file is read for
/// each request, so the page can be edited while the server runs.
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
    // All sessions share one object.
    let board = DrawingStub::new(Board::default());

    // WebTransport has a separate address and a self-signed certificate. The page receives the port
    // and the certificate's hash.
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
    // Not `localhost`, since WebTransport would try IPv6 first.
    println!("http://{}/", listener.local_addr()?);
    tokio::select! {
        served = capnweb::axum::serve(listener, app) => served?,
        () = webtransport.serve() => {}
    }
    Ok(())
}

//! The page.

use std::path::Path;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// npm `capnweb`, from the root of the repository.
const CAPNWEB: &str = "interop/browser/node_modules/capnweb/dist/index.js";

const SCRIPT: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/javascript");
const PAGE: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/html");

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(async || ([PAGE], include_str!("../page.html"))))
        .route(
            "/page.js",
            get(async || ([SCRIPT], include_str!("../page.js"))),
        )
        .route("/capnweb.js", get(capnweb))
}

async fn capnweb() -> Response {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::fs::read(root.join(CAPNWEB)) {
        Ok(content) => ([SCRIPT], content).into_response(),
        Err(error) => {
            let text =
                format!("{CAPNWEB}: {error}; has `npm --prefix interop/browser ci` been run?");
            eprintln!("{text}");
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

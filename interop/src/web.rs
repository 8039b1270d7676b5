//! The checks and the main object of `capnweb-interop` for JavaScript hosts: Node, browsers and
//! Workers.

#![cfg(all(target_family = "wasm", target_os = "unknown"))]

// A server in a Worker has no command line.
#[allow(dead_code)]
mod arguments;
mod client;
mod commons;
mod counter;
mod describe;
mod differential;
mod fetch;
mod main_object;
mod moody;
mod probe;
#[path = "ready_web.rs"]
mod ready;
mod shapes;
mod streams;
mod tour;

use std::{process::ExitCode, sync::Arc};

use capnweb::{
    Encoding,
    worker::{Rpc, worker},
};
use js_sys::Function;
use wasm_bindgen::{JsCast, JsError, JsValue, prelude::wasm_bindgen};

use crate::{arguments::Arguments, commons::Commons, main_object::main_object};

const USAGE: &str = "the arguments are those of `capnweb-interop client`";

const KNOWN: &[&str] = &[
    "hash",
    "only",
    "over",
    "peer",
    "seed",
    "url",
    "values",
    "webtransport",
];

/// Runs the checks of `capnweb-interop client`. Each report is passed to `report`, as a line of
/// JSON. Returns whether all checks passed.
#[wasm_bindgen]
pub async fn check(arguments: Vec<String>, report: Function) -> Result<bool, JsError> {
    ready::report_to(report);
    let failed = |error: String| JsError::new(&error);
    let arguments = Arguments::parse(arguments.into_iter(), KNOWN).map_err(failed)?;
    let code = client::run(arguments).await.map_err(failed)?;
    Ok(code == ExitCode::SUCCESS)
}

thread_local! {
    /// What the requests of one instance have in common.
    static COMMONS: Arc<Commons> = Arc::default();
}

/// Answers a request like `capnweb-interop serve`.
#[wasm_bindgen]
pub async fn serve(request: web_sys::Request, context: JsValue) -> Result<JsValue, JsError> {
    let request = worker::Request::from(request);
    let context = worker::Context::new(context.unchecked_into());
    let rpc = Rpc::new().allow_origin("*");
    let rpc = match request.path().as_str() {
        "/message-pack" => rpc.encoding(Encoding::MessagePack),
        _ => rpc,
    };
    let commons = COMMONS.with(Arc::clone);
    let response = rpc
        .answer(request, &context, || main_object(&commons))
        .await
        .map_err(|error| JsError::new(&error.to_string()))?;
    Ok(web_sys::Response::from(response).into())
}

/// Panics, as a handler with a mistake does.
#[wasm_bindgen]
pub fn panic() {
    panic!("this was asked for");
}

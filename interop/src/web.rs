//! The checks and the main object of `capnweb-interop` on JavaScript hosts: Node, browsers and
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
mod outliving;
mod probe;
#[path = "ready_web.rs"]
mod ready;
mod shapes;
mod streams;
mod tour;

use std::{process::ExitCode, sync::Arc, time::Duration};

use capnweb::{
    Encoding, Object, Stub, StubType,
    worker::{
        Rpc, WaitUntil,
        worker::{self, worker_sys},
    },
};
use futures_util::future::try_join_all;
use js_sys::Function;
use tokio::time::Instant;
use wasm_bindgen::{JsCast, JsError, JsValue, prelude::wasm_bindgen};

use crate::{
    arguments::Arguments,
    commons::Commons,
    main_object::{MainStub, main_object},
};

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

/// Runs the checks of `capnweb-interop client`. Passes each report to `report` as a line of JSON.
/// Returns true if all checks passed.
#[wasm_bindgen]
pub async fn check(arguments: Vec<String>, report: Function) -> Result<bool, JsError> {
    ready::report_to(report);
    let failed = |error: String| JsError::new(&error);
    let arguments = Arguments::parse(arguments.into_iter(), KNOWN).map_err(failed)?;
    let code = client::run(arguments).await.map_err(failed)?;
    Ok(code == ExitCode::SUCCESS)
}

thread_local! {
    /// The state that the requests of one instance share.
    static COMMONS: Arc<Commons> = Arc::default();
}

/// Answers a request like `capnweb-interop serve`.
#[wasm_bindgen]
pub async fn serve(request: web_sys::Request, context: JsValue) -> Result<JsValue, JsError> {
    let request = worker::Request::from(request);
    let path = request.path();
    let answered = match path.strip_prefix("/plain") {
        // A request of the Worker itself.
        Some(path) => {
            let context = worker::Context::new(context.unchecked_into());
            answer(path, request, &context).await
        }
        // One of the Durable Object that holds what sessions share.
        None => {
            let state = context.unchecked_into::<worker_sys::DurableObjectState>();
            answer(&path, request, &worker::State::from(state)).await
        }
    };
    let response = answered.map_err(|error| JsError::new(&error.to_string()))?;
    Ok(web_sys::Response::from(response).into())
}

async fn answer(
    path: &str,
    request: worker::Request,
    context: &impl WaitUntil,
) -> worker::Result<worker::Response> {
    let rpc = Rpc::new().allow_origin("*");
    match path {
        "/calling" => calling(&request).await,
        "/panicking" => rpc.answer(request, context, panicking).await,
        "/refusing" => {
            let refuse = || Err::<Stub, _>((403, "not for you"));
            rpc.answer(request, context, refuse).await
        }
        path => {
            let rpc = match path {
                "/message-pack" => rpc.encoding(Encoding::MessagePack),
                _ => rpc,
            };
            let commons = COMMONS.with(Arc::clone);
            rpc.answer(request, context, || main_object(&commons)).await
        }
    }
}

/// Answers a request as a client of the server whose URL is the query. The answer is the sum of 2
/// and 3 from there, or an error.
async fn calling(request: &worker::Request) -> worker::Result<worker::Response> {
    let url = request.url()?.query().unwrap_or_default().to_owned();
    let called = async {
        let api: MainStub = if url.starts_with("ws:") {
            capnweb::web::connect(&url)?
        } else {
            capnweb::web::batch(&url)
        };
        api.add(2.0, 3.0).await
    };
    let answer = match called.await {
        Ok(sum) => sum.to_string(),
        Err(error) => error.to_string(),
    };
    worker::Response::ok(answer)
}

/// Makes calls for `millis` milliseconds, `in_flight` at a time. Returns the number of calls per
/// second.
#[wasm_bindgen]
pub async fn measure(url: String, in_flight: u32, millis: u32) -> Result<f64, JsError> {
    let failed = |error: capnweb::Error| JsError::new(&error.to_string());
    let session = capnweb::web::Connect::new(url)
        .open()
        .await
        .map_err(failed)?;
    let api = MainStub::from_stub(session.main());
    api.add(2.0, 3.0).await.map_err(failed)?;
    let began = Instant::now();
    let end = began + Duration::from_millis(millis.into());
    let caller = async || {
        let mut calls = 0_u32;
        while Instant::now() < end {
            let sum = api.add(2.0, 3.0).await?;
            calls += u32::from(sum == 5.0);
        }
        capnweb::Result::Ok(calls)
    };
    let calls = try_join_all((0..in_flight).map(|_| caller()))
        .await
        .map_err(failed)?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(f64::from(calls.iter().sum::<u32>()) / seconds)
}

/// Opens a WebSocket to `url`, with a main object that panics when called, and keeps it open.
/// Returns when the socket is open.
#[wasm_bindgen]
pub async fn connect_and_panic(url: String) -> Result<(), JsError> {
    let session = capnweb::web::Connect::new(url)
        .main(panicking())
        .open()
        .await
        .map_err(|error| JsError::new(&error.to_string()))?;
    // Keep the session for as long as the page or process lives.
    std::mem::forget(session);
    Ok(())
}

/// Returns an object with a method that panics, like a faulty handler.
fn panicking() -> Stub {
    Object::new()
        .method("panic", || async { panic_now() })
        .method("exhaust", || async { exhaust_memory() })
        .method("wait", || async {
            std::future::pending::<()>().await;
            Ok(())
        })
        .method("add", async |a: f64, b: f64| Ok(a + b))
        .into_stub()
}

/// Allocates memory until there is none left.
fn exhaust_memory() -> capnweb::Result<usize> {
    const SIZE: usize = 1 << 28;
    let parts: Vec<Vec<u8>> = (0..64).map(|_| Vec::with_capacity(SIZE)).collect();
    Ok(std::hint::black_box(parts).len())
}

fn panic_now() -> capnweb::Result<()> {
    panic!("this was asked for")
}

//! What Cap'n Web does, in two scenes: `cargo run --example quickstart`.
//!
//! 1. Three calls, each of which needs the one before, in a single HTTP request.
//! 2. A WebSocket to the same address, where the server calls the client back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use capnweb::{Error, Object, Stub};

/// What the server offers to everybody.
fn api() -> Stub {
    Object::new()
        .method("authenticate", |token: String| async move {
            match token.as_str() {
                "open sesame" => Ok(user(7)),
                _ => Err(Error::new("wrong token")),
            }
        })
        .method("getProfile", |id: u32| async move {
            Ok(format!("Ada, user number {id}"))
        })
        .method("countDown", |from: u32, tick: Stub| async move {
            for n in (1..=from).rev() {
                tick.invoke((n,)).await?;
            }
            Ok("lift-off")
        })
        .into_stub()
}

/// What it offers to a user alone: whoever has not been handed this object cannot call it.
fn user(id: u32) -> Stub {
    Object::new()
        .method("getId", move || async move { Ok(id) })
        .into_stub()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A server on a free port. For each request it makes an `api()`, and counts.
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let app = axum::Router::new().route(
        "/api",
        capnweb::axum::rpc(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            api()
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(capnweb::axum::serve(listener, app));

    println!("1. Three calls over HTTP, each of which needs the one before");
    let api: Stub = capnweb::http::batch(format!("http://{address}/api"));
    let user = api.call("authenticate", ("open sesame",));
    let id = user.call("getId", ());
    let profile = api.call("getProfile", (id,));
    // So far nothing has been sent. All three go together, and no call waits for its answer here.
    println!("   answer: {}", profile.fetch::<String>().await?);
    println!("   round trips: {}", requests.swap(0, Ordering::Relaxed));

    println!("2. A WebSocket, and a callback");
    let api: Stub = capnweb::ws::connect(format!("ws://{address}/api")).await?;
    let ticks = Arc::new(AtomicUsize::new(0));
    let counter = ticks.clone();
    let tick = Stub::function(move |n: u32| {
        counter.fetch_add(1, Ordering::Relaxed);
        println!("   the server calls: {n}");
        async { Ok(()) }
    });
    let end = api.call("countDown", (3, tick)).fetch::<String>().await?;
    println!("   answer: {end}");
    println!(
        "   round trips: 1 from here, {} from the server, over {} connection",
        ticks.load(Ordering::Relaxed),
        requests.load(Ordering::Relaxed),
    );
    Ok(())
}

//! Main objects for many tests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_core::{Error, Object, Payload, Result, Stub};

/// Returns a counter: `increment(by = 1)` and the property `value`.
pub(crate) fn counter(start: f64) -> Stub {
    let value = Arc::new(Mutex::new(start));
    let read = value.clone();
    Object::new()
        .sync_method("increment", move |by: Option<f64>| {
            let mut value = value.lock().unwrap();
            *value += by.unwrap_or(1.0);
            Ok(*value)
        })
        .getter("value", move |_| Ok(*read.lock().unwrap()))
        .into_stub()
}

/// Returns the main object of most tests.
pub(crate) fn calculator() -> Stub {
    Object::new()
        .method("square", async |n: f64| Ok(n * n))
        .method("add", |a: f64, b: f64| async move { Ok(a + b) })
        .method("echo", |value: Payload| async move { Ok(value) })
        .method("makeCounter", |start: Option<f64>| async move {
            Ok(counter(start.unwrap_or_default()))
        })
        .method("callFunction", |f: Stub, n: f64| async move {
            f.invoke((n,)).fetch::<f64>().await
        })
        .method(
            "list",
            |n: u32| async move { Ok((0..n).collect::<Vec<_>>()) },
        )
        .method("fail", |message: String| async move {
            Err::<(), _>(Error::range_error(message))
        })
        .method("user", async || {
            let user: Result<_> = Ok(serde_json::json!({"name": "Ada", "id": 7, "tags": ["x"]}));
            user
        })
        .method("wait", |ms: u64| async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(ms)
        })
        .property("version", "1.0")
        .into_stub()
}

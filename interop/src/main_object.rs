//! The main object of `capnweb-interop serve`. `node/main-object.mjs` has the same one in JavaScript.

use std::{sync::Arc, time::Duration};

use capnweb::{Answer, Call, Error, Get, Object, Payload, Property, Stub, Target};
use serde::Serialize;

use crate::{
    commons::{Commons, Member},
    counter::counter,
    probe::probe,
};

/// A fresh main object for one connection.
pub(crate) fn main_object(commons: &Arc<Commons>) -> Stub {
    Stub::new(Main {
        methods: Arc::new(methods(commons)),
        _member: commons.mains.join(),
    })
}

/// The main object: its methods, and those that need more than their own arguments.
struct Main {
    methods: Arc<Object>,
    _member: Member,
}

impl Target for Main {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match call.method() {
            "self" => Answer::ready(Stub::from_arc(self)),
            "echoArgs" => Answer::result(Ok(call.into_args())),
            _ => self.methods.clone().call(call),
        }
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match get.name() {
            "self" | "echoArgs" => Property::Method,
            _ => self.methods.clone().get(get),
        }
    }
}

/// What a call of a callback or stub gave: `{result: …}`.
#[derive(Serialize)]
struct Outcome {
    result: Payload,
}

/// The same, as `callBack` words it: `{got: …}`.
#[derive(Serialize)]
struct Got {
    got: Payload,
}

#[derive(Serialize)]
struct User {
    name: &'static str,
    id: u32,
    tags: [&'static str; 1],
}

fn methods(commons: &Arc<Commons>) -> Object {
    let for_counters = commons.clone();
    let probe = probe(commons);
    Object::new()
        .sync_method("square", |i: f64| Ok(i * i))
        .sync_method("add", |a: f64, b: f64| Ok(a + b))
        .sync_method("next", |n: f64| Ok(n + 1.0))
        .sync_method("ping", || Ok("pong from rust"))
        .sync_method("echo", |x: Payload| Ok(x))
        .sync_method("returnNumber", |i: f64| Ok(i))
        .sync_method("returnNull", || Ok(None::<()>))
        .sync_method("returnUndefined", || Ok(()))
        .sync_method("nothing", || Ok(()))
        .sync_method("getUser", || {
            Ok(User {
                name: "Ada",
                id: 7,
                tags: ["x"],
            })
        })
        .sync_method("list", |n: u32| Ok((0..n).collect::<Vec<_>>()))
        .sync_method("generateFibonacci", |n: usize| {
            Ok(fibonacci().take(n).collect::<Vec<_>>())
        })
        .sync_method("throwError", || {
            Err::<(), _>(Error::range_error("test error"))
        })
        .sync_method("fail", |message: String| {
            Err::<(), _>(Error::range_error(message))
        })
        .sync_method("makeCounter", move |start: Option<f64>| {
            Ok(counter(&for_counters, start.unwrap_or(0.0)))
        })
        .method(
            "incrementCounter",
            |counter: Stub, by: Option<f64>| async move {
                counter
                    .call("increment", (by.unwrap_or(1.0),))
                    .fetch::<Payload>()
                    .await
            },
        )
        .method("useCounter", |counter: Stub, by: Payload| async move {
            counter.call("increment", (by,)).fetch::<Payload>().await
        })
        .method("callSquare", |target: Stub, i: Payload| async move {
            Ok(Outcome {
                result: target.call("square", (i,)).fetch().await?,
            })
        })
        .method("callFunction", |function: Stub, i: Payload| async move {
            Ok(Outcome {
                result: function.invoke((i,)).fetch().await?,
            })
        })
        .method("callBack", |function: Stub, x: Payload| async move {
            Ok(Got {
                got: function.invoke((x,)).fetch().await?,
            })
        })
        .method("sleep", |ms: f64| async move {
            let duration = Duration::try_from_secs_f64(ms / 1000.0)
                .map_err(|_| Error::range_error(format!("cannot sleep for {ms} ms")))?;
            tokio::time::sleep(duration).await;
            Ok(ms)
        })
        .property("version", "1.0")
        .getter("probe", move |_| Ok(probe.clone()))
}

fn fibonacci() -> impl Iterator<Item = f64> {
    std::iter::successors(Some((0.0, 1.0)), |&(a, b)| Some((b, a + b))).map(|(a, _)| a)
}

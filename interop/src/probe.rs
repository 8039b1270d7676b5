//! What a check needs to see or provoke on this side, beyond the main object's own methods: the
//! property `probe` of the main object. README.md lists what each method promises, and
//! `node/probe.mjs` has the same in JavaScript.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use capnweb::{
    Answer, Call, Context, Date, Error, Get, Object, Payload, Promise, Property, Result, Session,
    Stub, Target, Value,
};
use serde::Serialize;

use crate::{commons::Commons, counter::counter, describe::describe};

/// The probe of one connection.
pub(crate) fn probe(commons: &Arc<Commons>) -> Stub {
    let kept = Arc::new(Kept::default());
    let object = Object::new();
    let object = with_looking(object, commons);
    let object = with_journals(object, commons);
    let object = with_calls_back(object, &kept);
    let object = with_sharing(object, commons);
    let object = with_results(object, commons);
    let object = with_errors(object);
    Stub::new(Probe {
        methods: Arc::new(object),
        kept,
    })
}

struct Probe {
    methods: Arc<Object>,
    kept: Arc<Kept>,
}

impl Target for Probe {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        if call.method() != "callKept" {
            return self.methods.clone().call(call);
        }
        let args = call.into_args();
        match self.kept.get() {
            // Sent before this returns, so that calls of what is kept stay in order.
            Some(stub) => Answer::future(stub.invoke(args).fetch::<Payload>()),
            None => Answer::error(Error::new("no callback is kept")),
        }
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        self.methods.clone().get(get)
    }
}

/// A callback that outlives the call that brought it.
#[derive(Default)]
struct Kept(Mutex<Option<Stub>>);

impl Kept {
    fn get(&self) -> Option<Stub> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, stub: Option<Stub>) {
        let old = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *kept, stub)
        };
        drop(old);
    }
}

#[derive(Serialize)]
struct Stats {
    imports: usize,
    exports: usize,
}

#[derive(Serialize)]
struct Live {
    mains: usize,
    counters: usize,
}

fn session(cx: &Context) -> Result<Session> {
    cx.session()
        .ok_or_else(|| Error::new("this was called from within the process"))
}

async fn pause(ms: f64) -> Result<()> {
    let duration = Duration::try_from_secs_f64(ms / 1000.0)
        .map_err(|_| Error::range_error(format!("cannot wait for {ms} ms")))?;
    tokio::time::sleep(duration).await;
    Ok(())
}

fn with_looking(object: Object, commons: &Arc<Commons>) -> Object {
    let commons = commons.clone();
    object
        .method("stats", |cx: Context| async move {
            // By the next turn this call itself stands in the table.
            tokio::task::yield_now().await;
            let stats = session(&cx)?.stats();
            Ok(Stats {
                imports: stats.imports,
                exports: stats.exports,
            })
        })
        .sync_method("live", move || {
            Ok(Live {
                mains: commons.mains.count(),
                counters: commons.counters.count(),
            })
        })
        .sync_method("describe", |value: Value| Ok(describe(&value)))
        .sync_method("decode", |value: Value| Ok(value))
}

fn with_journals(object: Object, commons: &Arc<Commons>) -> Object {
    let [noting, noting_after, waiting, taking] = std::array::from_fn(|_| commons.clone());
    object
        .sync_method("note", move |key: String, entry: Payload| {
            noting.note(key, entry);
            Ok(())
        })
        .method("noteAfter", move |key: String, ms: f64, entry: String| {
            let commons = noting_after.clone();
            async move {
                commons.note(key.clone(), Payload::encode(&format!("{entry} started"))?);
                pause(ms).await?;
                commons.note(key, Payload::encode(&format!("{entry} ended"))?);
                Ok(())
            }
        })
        .method("noteCancel", move |cx: Context, key: String| {
            let commons = waiting.clone();
            async move {
                cx.canceled().await;
                commons.note(key, Payload::encode(&"canceled")?);
                Ok(())
            }
        })
        .sync_method("notes", move |key: String| Ok(taking.take_notes(&key)))
}

fn with_calls_back(object: Object, kept: &Arc<Kept>) -> Object {
    let [keeping, dropping] = [kept.clone(), kept.clone()];
    object
        .sync_method("keep", move |stub: Stub| {
            keeping.set(Some(stub));
            Ok(())
        })
        .sync_method("dropKept", move || {
            dropping.set(None);
            Ok(())
        })
        .method("callMany", |function: Stub, n: u32| async move {
            let calls: Vec<_> = (0..n)
                .map(|i| function.invoke((i,)).fetch::<Payload>())
                .collect();
            let mut results = Vec::with_capacity(calls.len());
            for call in calls {
                results.push(call.await?);
            }
            Ok(results)
        })
        .method(
            "callPeer",
            |cx: Context, method: String, args: Payload| async move {
                session(&cx)?
                    .main()
                    .call(&method, args)
                    .fetch::<Payload>()
                    .await
            },
        )
        .method("readPeer", |cx: Context, property: String| async move {
            session(&cx)?
                .main()
                .get(property.as_str())
                .fetch::<Payload>()
                .await
        })
        .sync_method("hangUp", |cx: Context| {
            session(&cx)?.close(Error::new("hung up"));
            Ok(())
        })
}

fn with_sharing(object: Object, commons: &Arc<Commons>) -> Object {
    let [sharing, taking, ending] = [commons.clone(), commons.clone(), commons.clone()];
    object
        .sync_method("share", move |name: String, stub: Stub| {
            sharing.share(name, Some(stub));
            Ok(())
        })
        .sync_method("shared", move |name: String| {
            taking
                .shared(&name)
                .ok_or_else(|| Error::new(format!("nothing is shared as {name}")))
        })
        .sync_method("unshare", move |name: String| {
            ending.share(name, None);
            Ok(())
        })
}

#[derive(Serialize)]
struct Nested {
    a: Inner,
    triple: Stub,
}

#[derive(Serialize)]
struct Inner {
    b: [u32; 3],
}

#[derive(Serialize)]
struct Stubs {
    list: [Stub; 2],
    deep: Deep,
    double: Stub,
}

#[derive(Serialize)]
struct Deep {
    counter: Stub,
}

#[derive(Serialize)]
struct Twice {
    a: Stub,
    b: Stub,
}

#[derive(Serialize)]
struct Later {
    now: bool,
    later: Promise<Value>,
}

#[derive(Serialize)]
struct HalfBroken {
    fine: bool,
    bad: Promise<Value>,
}

fn with_results(object: Object, commons: &Arc<Commons>) -> Object {
    let [after, many, one] = [commons.clone(), commons.clone(), commons.clone()];
    object
        .getter("nested", |_| {
            Ok(Nested {
                a: Inner { b: [10, 20, 30] },
                triple: Stub::function(|x: f64| async move { Ok(x * 3.0) }),
            })
        })
        .method("counterAfter", move |ms: f64, n: f64| {
            let commons = after.clone();
            async move {
                pause(ms).await?;
                Ok(counter(&commons, n))
            }
        })
        .sync_method("stubs", move || {
            let [first, second, third] = [1.0, 2.0, 3.0].map(|start| counter(&many, start));
            Ok(Stubs {
                list: [first, second],
                deep: Deep { counter: third },
                double: Stub::function(|x: f64| async move { Ok(x * 2.0) }),
            })
        })
        .sync_method("twice", move || {
            let a = counter(&one, 0.0);
            Ok(Twice { b: a.clone(), a })
        })
        .sync_method("later", |ms: f64, value: Payload| {
            let later = Promise::from_future(async move {
                pause(ms).await?;
                Ok(value)
            });
            Ok(Later { now: true, later })
        })
        .sync_method("broken", |message: String| {
            Ok(HalfBroken {
                fine: true,
                bad: Promise::rejected(Error::range_error(message)),
            })
        })
}

#[derive(Serialize)]
struct Data {
    list: [u32; 2],
    when: Date,
}

fn with_errors(object: Object) -> Object {
    object
        .sync_method("rich", || Err::<(), _>(rich_error()))
        .sync_method("richValue", || Ok(rich_error()))
        .sync_method("aggregate", || {
            let errors = [Error::type_error("first"), Error::range_error("second")];
            Err::<(), _>(Error::named("AggregateError", "several").with_prop("errors", errors))
        })
}

fn rich_error() -> Error {
    Error::range_error("out of reach")
        .with_prop("code", "E_REACH")
        .with_prop(
            "data",
            Data {
                list: [1, 2],
                when: Date::from_millis(0),
            },
        )
        .with_cause(Error::type_error("the reason"))
}

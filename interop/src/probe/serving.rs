//! The server's probe.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use capnweb::{
    Callback, Context, Date, Error, Payload, Promise, Result, Session, Stub, SubscriberGuard, Value,
};

use super::{
    Deep, ErrorData, HalfBroken, Inner, Later, Live, Nested, Probe, ProbeStub, Stubs, Tables,
    Twice, Watch, WatchStub,
};
use crate::{
    commons::Commons,
    counter::{CounterStub, counter},
    describe::describe,
    streams::troubled_streams,
};

/// Returns the probe of one connection.
pub(crate) fn probe(commons: &Arc<Commons>) -> ProbeStub {
    ProbeStub::new(Serving {
        commons: commons.clone(),
        kept: Kept::default(),
        streams: troubled_streams(commons),
    })
}

/// The number of calls to make before other tasks get their turn.
const TURN: u32 = 256;

struct Serving {
    commons: Arc<Commons>,
    kept: Kept,
    streams: Stub,
}

/// A callback that outlives the call that passed it.
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

/// Keeps a watcher registered.
struct Watching {
    _guard: SubscriberGuard,
}

impl Watch for Watching {}

fn session(context: &Context) -> Result<Session> {
    context
        .session()
        .ok_or_else(|| Error::new("this was called from within the process"))
}

async fn pause(ms: f64) -> Result<()> {
    let duration = Duration::try_from_secs_f64(ms / 1000.0)
        .map_err(|_| Error::range_error(format!("cannot wait for {ms} ms")))?;
    tokio::time::sleep(duration).await;
    Ok(())
}

impl Probe for Serving {
    async fn stats(&self, context: Context) -> Result<Tables> {
        // By its next turn, this call itself is in the table.
        tokio::task::yield_now().await;
        let stats = session(&context)?.stats();
        Ok(Tables {
            imports: stats.imports,
            exports: stats.exports,
        })
    }

    fn live(&self) -> Result<Live> {
        Ok(Live {
            mains: self.commons.mains.count(),
            counters: self.commons.counters.count(),
        })
    }

    fn describe(&self, value: Value) -> Result<String> {
        Ok(describe(&value))
    }

    fn decode(&self, value: Value) -> Result<Value> {
        Ok(value)
    }

    fn note(&self, key: String, entry: Payload) -> Result<()> {
        self.commons.note(key, entry);
        Ok(())
    }

    async fn note_after(&self, key: String, ms: f64, entry: String) -> Result<()> {
        let commons = &self.commons;
        commons.note(key.clone(), Payload::encode(&format!("{entry} started"))?);
        pause(ms).await?;
        commons.note(key, Payload::encode(&format!("{entry} ended"))?);
        Ok(())
    }

    async fn note_cancel(&self, context: Context, key: String) -> Result<()> {
        context.canceled().await;
        self.commons.note(key, Payload::encode(&"canceled")?);
        Ok(())
    }

    fn notes(&self, key: String) -> Result<Vec<Payload>> {
        Ok(self.commons.take_notes(&key))
    }

    fn keep(&self, function: Stub) -> Result<()> {
        self.kept.set(Some(function));
        Ok(())
    }

    fn call_kept(&self) -> Result<Stub> {
        self.kept
            .get()
            .ok_or_else(|| Error::new("no callback is kept"))
    }

    fn drop_kept(&self) -> Result<()> {
        self.kept.set(None);
        Ok(())
    }

    async fn call_many(&self, context: Context, function: Stub, n: u32) -> Result<Vec<Payload>> {
        let session = context.session();
        let mut calls = Vec::new();
        for i in 0..n {
            calls.push(function.invoke((i,)).fetch::<Payload>());
            if i % TURN == TURN - 1 {
                // Making very many calls takes long, like any work of a handler.
                tokio::task::yield_now().await;
                if let Some(reason) = session.as_ref().and_then(Session::end_reason) {
                    return Err(reason);
                }
            }
        }
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            results.push(call.await?);
        }
        Ok(results)
    }

    async fn call_peer(&self, context: Context, method: String, args: Payload) -> Result<Payload> {
        let peer = session(&context)?.main();
        peer.call(&method, args).fetch().await
    }

    async fn read_peer(&self, context: Context, property: String) -> Result<Payload> {
        let peer = session(&context)?.main();
        peer.get(property.as_str()).fetch().await
    }

    fn hang_up(&self, context: Context) -> Result<()> {
        session(&context)?.close(Error::new("hung up"));
        Ok(())
    }

    fn announce_drain(&self, context: Context, ms: f64) -> Result<()> {
        let time = Duration::try_from_secs_f64(ms / 1000.0);
        let time = time.map_err(|_| Error::range_error("no time"))?;
        session(&context)?.announce_drain(time);
        Ok(())
    }

    fn watch(&self, key: String, watcher: Callback<u32>) -> Result<WatchStub> {
        let guard = self.commons.watchers(key).add(watcher);
        Ok(WatchStub::new(Watching { _guard: guard }))
    }

    async fn announce(&self, key: String, n: u32) -> Result<usize> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let watchers = self.commons.watchers(key);
        for number in 0..n {
            // A watcher that lags is removed by the next call.
            let _ = tokio::time::timeout(PATIENCE, watchers.ready()).await;
            watchers.publish(|watcher| watcher.call(number));
        }
        Ok(watchers.len())
    }

    fn share(&self, name: String, stub: Stub) -> Result<()> {
        self.commons.share(name, Some(stub));
        Ok(())
    }

    fn shared(&self, name: String) -> Result<Stub> {
        self.commons
            .shared(&name)
            .ok_or_else(|| Error::new(format!("nothing is shared as {name}")))
    }

    fn unshare(&self, name: String) -> Result<()> {
        self.commons.share(name, None);
        Ok(())
    }

    fn nested(&self) -> Result<Nested> {
        Ok(Nested {
            a: Inner {
                b: vec![10.0, 20.0, 30.0],
            },
            triple: Callback::new(|x: f64| x * 3.0),
        })
    }

    async fn counter_after(&self, ms: f64, n: f64) -> Result<CounterStub> {
        pause(ms).await?;
        Ok(counter(&self.commons, n))
    }

    fn stubs(&self) -> Result<Stubs> {
        let [first, second, third] = [1.0, 2.0, 3.0].map(|start| counter(&self.commons, start));
        Ok(Stubs {
            list: vec![first, second],
            deep: Deep { counter: third },
            double: Callback::new(|x: f64| x * 2.0),
        })
    }

    fn twice(&self) -> Result<Twice> {
        let a = counter(&self.commons, 0.0);
        Ok(Twice { b: a.clone(), a })
    }

    fn later(&self, ms: f64, value: Payload) -> Result<Later> {
        let later = Promise::from_future(async move {
            pause(ms).await?;
            Ok(value)
        });
        Ok(Later { now: true, later })
    }

    fn broken(&self, message: String) -> Result<HalfBroken> {
        Ok(HalfBroken {
            fine: true,
            bad: Promise::rejected(Error::range_error(message)),
        })
    }

    fn streams(&self) -> Result<Stub> {
        Ok(self.streams.clone())
    }

    fn rich(&self) -> Result<()> {
        Err(rich_error())
    }

    fn rich_value(&self) -> Result<Error> {
        Ok(rich_error())
    }

    fn aggregate(&self) -> Result<()> {
        let errors = [Error::type_error("first"), Error::range_error("second")];
        Err(Error::named("AggregateError", "several").with_prop("errors", errors))
    }
}

fn rich_error() -> Error {
    Error::range_error("out of reach")
        .with_prop("code", "E_REACH")
        .with_prop(
            "data",
            ErrorData {
                list: vec![1.0, 2.0],
                when: Date::from_millis(0),
            },
        )
        .with_cause(Error::type_error("the reason"))
}

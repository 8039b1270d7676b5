//! Counters that live in Durable Objects, behind a Worker:
//!
//! ```sh
//! cd examples/worker-counter && npx wrangler dev
//! ```
//!
//! Without wrangler and without the target `wasm32-unknown-unknown`, this does the same:
//!
//! ```sh
//! cargo xtask wasm --counter
//! ```
//!
//! Then, from any client, such as the command `capnweb`:
//!
//! ```sh
//! capnweb call http://localhost:8787/apples 'increment(2)'
//! capnweb listen ws://localhost:8787/apples 'watch($cb)'
//! ```
//!
//! The path is the counter's name. All clients of a counter talk to one Durable Object.

#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use std::{
    cell::OnceCell,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use capnweb::{
    Callback, OrInternal, Result, SubscriberGuard, Subscribers,
    web::{Local, local},
};
use worker::{
    Context, DurableObject, Env, Request, Response, State, Storage, durable_object, event,
};

/// A counter.
#[capnweb::interface]
pub trait Counter {
    /// Returns the value.
    fn value(&self) -> Result<i64>;

    /// Adds to the value, and returns the new one.
    async fn increment(&self, by: i64) -> Result<i64>;

    /// Calls back with each new value, until the result is released.
    fn watch(&self, on_change: Callback<i64>) -> Result<WatchStub>;
}

/// Keeps a callback registered.
#[capnweb::interface]
pub trait Watch {}

struct Watching {
    _guard: SubscriberGuard,
}

impl Watch for Watching {}

/// The counter of one Durable Object.
struct Counting {
    value: AtomicI64,
    storage: Local<Storage>,
    watchers: Subscribers<Callback<i64>>,
}

/// The key of the value in the object's storage.
const VALUE: &str = "value";

impl Counter for Counting {
    fn value(&self) -> Result<i64> {
        Ok(self.value.load(Ordering::Relaxed))
    }

    async fn increment(&self, by: i64) -> Result<i64> {
        let value = self.value.fetch_add(by, Ordering::Relaxed) + by;
        local(self.storage.put(VALUE, value)).await.or_internal()?;
        self.watchers.publish(|on_change| on_change.call(value));
        Ok(value)
    }

    fn watch(&self, on_change: Callback<i64>) -> Result<WatchStub> {
        Ok(WatchStub::new(Watching {
            _guard: self.watchers.add(on_change),
        }))
    }
}

/// The Durable Object.
#[durable_object]
pub struct CounterObject {
    state: State,
    counter: OnceCell<Arc<Counting>>,
}

impl CounterObject {
    /// Returns the counter, whose value is read for the first request. The host delivers no other
    /// request meanwhile.
    async fn counter(&self) -> worker::Result<Arc<Counting>> {
        if let Some(counter) = self.counter.get() {
            return Ok(counter.clone());
        }
        let storage = self.state.storage();
        let value = storage.get(VALUE).await?.unwrap_or(0);
        let new = || {
            Arc::new(Counting {
                value: AtomicI64::new(value),
                storage: Local::new(storage),
                watchers: Subscribers::new(),
            })
        };
        Ok(self.counter.get_or_init(new).clone())
    }
}

impl DurableObject for CounterObject {
    fn new(state: State, _: Env) -> Self {
        Self {
            state,
            counter: OnceCell::new(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let counter = self.counter().await?;
        capnweb::worker::rpc(request, &self.state, || CounterStub::new(counter)).await
    }
}

/// Passes a request on to the Durable Object that the path names.
#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
    let counters = env.durable_object("COUNTERS")?;
    let counter = counters.id_from_name(&request.path())?.get_stub()?;
    counter.fetch_with_request(request).await
}

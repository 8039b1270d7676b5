//! The property `probe` of the main object, with which checks observe and control the server beyond
//! the main object's own methods. README.md specifies each method, and `node/probe.mjs` implements
//! them in JavaScript.

mod serving;

use capnweb::{Callback, Context, Date, Error, Payload, Promise, Result, Stub, Value};

pub(crate) use self::serving::probe;
use crate::counter::CounterStub;

/// The probe of one connection.
///
/// Methods that only a JavaScript server can have are missing here. Checks call them by name.
#[capnweb::interface]
pub(crate) trait Probe {
    // Observing.
    async fn stats(&self, context: Context) -> Result<Tables>;
    fn live(&self) -> Result<Live>;
    fn describe(&self, value: Value) -> Result<String>;
    fn decode(&self, value: Value) -> Result<Value>;

    // Order, and calls that continue to run.
    fn note(&self, key: String, entry: Payload) -> Result<()>;
    async fn note_after(&self, key: String, ms: f64, entry: String) -> Result<()>;
    async fn note_cancel(&self, context: Context, key: String) -> Result<()>;
    fn notes(&self, key: String) -> Result<Vec<Payload>>;

    // Calls in the other direction.
    fn keep(&self, function: Stub) -> Result<()>;

    /// Returns the stored function. This is a property rather than a method, which would have a
    /// fixed number of arguments. Callers do not see a difference.
    #[rpc(get)]
    fn call_kept(&self) -> Result<Stub>;
    fn drop_kept(&self) -> Result<()>;
    async fn call_many(&self, context: Context, function: Stub, n: u32) -> Result<Vec<Payload>>;
    async fn call_peer(&self, context: Context, method: String, args: Payload) -> Result<Payload>;
    async fn read_peer(&self, context: Context, property: String) -> Result<Payload>;
    fn hang_up(&self, context: Context) -> Result<()>;
    fn announce_drain(&self, context: Context, ms: f64) -> Result<()>;

    // Subscribers.
    fn watch(&self, key: String, watcher: Callback<u32>) -> Result<WatchStub>;

    /// Calls the watchers of the topic with 0 … n − 1. Waits for each watcher for a limited time,
    /// then removes it. Returns the number of remaining watchers.
    async fn announce(&self, key: String, n: u32) -> Result<usize>;

    // Passing stubs between sessions.
    fn share(&self, name: String, stub: Stub) -> Result<()>;
    fn shared(&self, name: String) -> Result<Stub>;
    fn unshare(&self, name: String) -> Result<()>;

    // Results to check.
    #[rpc(get)]
    fn nested(&self) -> Result<Nested>;
    async fn counter_after(&self, ms: f64, n: f64) -> Result<CounterStub>;
    fn stubs(&self) -> Result<Stubs>;
    fn twice(&self) -> Result<Twice>;
    fn later(&self, ms: f64, value: Payload) -> Result<Later>;
    fn broken(&self, message: String) -> Result<HalfBroken>;

    /// Returns streams with problems, or with problematic content. Checks call its methods by name.
    #[rpc(get)]
    fn streams(&self) -> Result<Stub>;

    // Errors.
    fn rich(&self) -> Result<()>;
    fn rich_value(&self) -> Result<Error>;
    fn aggregate(&self) -> Result<()>;
}

/// The registration of a watcher. Dropping it ends the watch.
#[capnweb::interface]
pub(crate) trait Watch {}

/// The contents of a session's tables.
#[capnweb::value]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) imports: usize,
    pub(crate) exports: usize,
}

/// The objects that are alive in the server's process.
#[capnweb::value]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) mains: usize,
    pub(crate) counters: usize,
}

#[capnweb::value]
pub(crate) struct Nested {
    pub(crate) a: Inner,
    pub(crate) triple: Callback<f64, f64>,
}

#[capnweb::value]
pub(crate) struct Inner {
    pub(crate) b: Vec<f64>,
}

#[capnweb::value]
pub(crate) struct Stubs {
    pub(crate) list: Vec<CounterStub>,
    pub(crate) deep: Deep,
    pub(crate) double: Callback<f64, f64>,
}

#[capnweb::value]
pub(crate) struct Deep {
    pub(crate) counter: CounterStub,
}

/// The same counter twice.
#[capnweb::value]
pub(crate) struct Twice {
    pub(crate) a: CounterStub,
    pub(crate) b: CounterStub,
}

#[capnweb::value]
pub(crate) struct Later {
    pub(crate) now: bool,
    pub(crate) later: Promise<Value>,
}

#[capnweb::value]
pub(crate) struct HalfBroken {
    pub(crate) fine: bool,
    pub(crate) bad: Promise<Value>,
}

/// The property `data` of the error of `rich`.
#[capnweb::value]
#[derive(Debug, PartialEq)]
pub(crate) struct ErrorData {
    pub(crate) list: Vec<f64>,
    pub(crate) when: Date,
}

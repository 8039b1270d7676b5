//! A server that counts the calls it runs.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb_core::{Error, Object, Result, Stub};

use crate::network::Network;

/// Returns a network whose server `a` counts the calls that it runs.
pub(crate) fn network() -> (Network, Counting) {
    let network = Network::new();
    let counting = Counting::new();
    let main = counting.clone();
    network.serve("a", move |_| main.main());
    (network, counting)
}

/// Counts the executions of all calls by their IDs, and the objects that were handed out.
#[derive(Clone, Default)]
pub(crate) struct Counting {
    executed: Arc<Mutex<HashMap<u32, u32>>>,
    pub(crate) order: Arc<Mutex<Vec<u32>>>,
    pub(crate) hellos: Arc<AtomicUsize>,
    pub(crate) joins: Arc<AtomicUsize>,
    alive: Arc<AtomicU32>,
}

/// An object that is counted while it exists.
struct Token(Arc<AtomicU32>);

impl Token {
    fn new(alive: &Arc<AtomicU32>) -> Arc<Self> {
        alive.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self(alive.clone()))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn run(&self, id: u32) -> u32 {
        self.order.lock().unwrap().push(id);
        let mut executed = self.executed.lock().unwrap();
        let count = executed.entry(id).or_default();
        *count += 1;
        *count
    }

    /// Returns how many times a call was run.
    pub(crate) fn executed(&self, id: u32) -> u32 {
        self.executed
            .lock()
            .unwrap()
            .get(&id)
            .copied()
            .unwrap_or_default()
    }

    /// Returns the number of calls that were run, and the most executions of any of them.
    pub(crate) fn totals(&self) -> (usize, u32) {
        let executed = self.executed.lock().unwrap();
        (
            executed.len(),
            executed.values().copied().max().unwrap_or_default(),
        )
    }

    /// Returns the number of objects from `child` that still exist.
    pub(crate) fn alive(&self) -> u32 {
        self.alive.load(Ordering::SeqCst)
    }

    /// Returns a main object or a child of one.
    pub(crate) fn main(&self) -> Stub {
        self.object(None)
    }

    fn object(&self, name: Option<String>) -> Stub {
        let (count, child, hello, slow) = (self.clone(), self.clone(), self.clone(), self.clone());
        let token = name.as_ref().map(|_| Token::new(&self.alive));
        let path = name.clone().unwrap_or_default();
        Object::new()
            .property("name", name.unwrap_or_else(|| "main".to_owned()))
            .sync_method("count", move |id: u32| {
                let _token = &token;
                Ok(count.run(id))
            })
            .sync_method("child", move |name: String| {
                child.joins.fetch_add(1, Ordering::SeqCst);
                if name.starts_with("no") {
                    return Err(Error::not_found("no such child"));
                }
                Ok(child.object(Some(format!("{path}/{name}"))))
            })
            .sync_method("hello", move || {
                hello.hellos.fetch_add(1, Ordering::SeqCst);
                Ok("hello")
            })
            .method("slow", move |id: u32, millis: u64| {
                let slow = slow.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    Ok(slow.run(id))
                }
            })
            .sync_method("echo", |text: String| Ok(text))
            .sync_method("fail", || Err::<(), _>(Error::new("it failed")))
            .method("hang", std::future::pending::<Result<()>>)
            .into_stub()
    }
}

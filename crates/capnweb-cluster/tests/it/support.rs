//! A cluster of nodes that host rooms, whose logs are in one store.

use std::{
    collections::HashMap,
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_cluster::{
    Activation, Backbone, Cluster, ClusterOptions, Epoch, Hosting, MemoryBus, MemoryNetwork, Rights,
};
use capnweb_core::{Error, Result};

#[capnweb_macros::interface(crate = "capnweb_core")]
pub(crate) trait Room {
    /// Appends a message with the sender's number for it, once. Returns the length of the log.
    #[rpc(idempotent)]
    async fn post(&self, sender: String, number: u32) -> Result<usize>;
    /// Returns the node and the epoch of the activation.
    #[rpc(idempotent)]
    async fn place(&self) -> Result<(String, u64)>;
    /// Appends after some milliseconds, unless the store refuses it.
    async fn post_later(&self, sender: String, number: u32, wait: u64) -> Result<usize>;
    /// Returns the number of calls of this method on this activation, which is in memory alone.
    async fn count(&self) -> Result<u32>;
    /// Stops the activation.
    async fn retire(&self) -> Result<()>;
}

/// The durable logs of all rooms, which refuse writes with an older epoch.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<HashMap<String, Log>>>);

#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) epoch: Epoch,
    pub(crate) messages: Vec<(String, u32)>,
    /// The epochs of all activations.
    pub(crate) activations: Vec<u64>,
    pub(crate) refused: usize,
}

impl Store {
    pub(crate) fn log(&self, room: &str) -> Log {
        self.0
            .lock()
            .unwrap()
            .get(room)
            .cloned()
            .unwrap_or_default()
    }

    fn load(&self, room: &str, epoch: Epoch) {
        let mut logs = self.0.lock().unwrap();
        let log = logs.entry(room.to_owned()).or_default();
        log.activations.push(epoch.0);
        log.epoch = log.epoch.max(epoch);
    }

    fn append(&self, room: &str, epoch: Epoch, sender: String, number: u32) -> Result<usize> {
        let mut logs = self.0.lock().unwrap();
        let log = logs.entry(room.to_owned()).or_default();
        if log.epoch > epoch {
            log.refused += 1;
            return Err(Error::aborted("a later activation has written"));
        }
        log.epoch = epoch;
        let message = (sender, number);
        if !log.messages.contains(&message) {
            log.messages.push(message);
        }
        Ok(log.messages.len())
    }
}

pub(crate) struct Lounge {
    name: String,
    node: usize,
    here: Activation,
    store: Store,
    count: Mutex<u32>,
}

impl Room for Lounge {
    async fn post(&self, sender: String, number: u32) -> Result<usize> {
        self.store
            .append(&self.name, self.here.epoch(), sender, number)
    }

    async fn place(&self) -> Result<(String, u64)> {
        Ok((self.node.to_string(), self.here.epoch().0))
    }

    async fn post_later(&self, sender: String, number: u32, wait: u64) -> Result<usize> {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        self.store
            .append(&self.name, self.here.epoch(), sender, number)
    }

    async fn count(&self) -> Result<u32> {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        Ok(*count)
    }

    async fn retire(&self) -> Result<()> {
        self.here.retire();
        Ok(())
    }
}

/// A node of the tests.
pub(crate) struct Node {
    pub(crate) bus: MemoryBus,
    pub(crate) cluster: Cluster,
}

/// A network, its store, and the nodes of one cluster.
pub(crate) struct World {
    pub(crate) network: MemoryNetwork,
    pub(crate) store: Store,
    pub(crate) options: ClusterOptions,
    #[cfg(feature = "nats")]
    nats: Option<crate::server::Server>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            network: MemoryNetwork::new(),
            store: Store::default(),
            options: ClusterOptions::new(),
            #[cfg(feature = "nats")]
            nats: None,
        }
    }

    /// Creates a world whose nodes are connected by NATS. Returns `None` if there is no server.
    #[cfg(feature = "nats")]
    pub(crate) async fn nats() -> Option<Self> {
        Some(Self {
            nats: Some(crate::server::Server::start().await?),
            ..Self::new()
        })
    }

    async fn backbone(&self, bus: &MemoryBus) -> Backbone {
        #[cfg(feature = "nats")]
        if let Some(server) = &self.nats {
            return server.nats().await.into();
        }
        Backbone::from((&self.network, bus))
    }

    /// Adds a node that hosts nothing.
    pub(crate) async fn client(&self) -> Node {
        let bus = self.network.node();
        let backbone = self.backbone(&bus).await;
        let cluster = Cluster::join_with(backbone, "test", self.options.clone());
        let cluster = soon(cluster).await.unwrap();
        Node { bus, cluster }
    }

    /// Adds a node that hosts rooms.
    pub(crate) async fn host(&self, number: usize) -> Node {
        let node = self.client().await;
        self.host_rooms(&node, number);
        node
    }

    /// Adds a node that hosts rooms and spreads them over the hosts.
    pub(crate) async fn host_spread(&self, number: usize) -> Node {
        let node = self.client().await;
        self.host_rooms(&node, number).spread();
        node
    }

    /// Adds a node that hosts rooms and can restrict them.
    pub(crate) async fn host_restricted(
        &self,
        number: usize,
        restrict: impl Fn(RoomStub, Rights) -> Result<RoomStub> + Send + Sync + 'static,
    ) -> Node {
        let node = self.client().await;
        self.host_rooms(&node, number).restrict(restrict);
        node
    }

    fn host_rooms(&self, node: &Node, number: usize) -> Hosting<RoomStub> {
        let store = self.store.clone();
        let factory = move |name: String, here: Activation| {
            let store = store.clone();
            async move {
                if name.starts_with("missing") {
                    return Err(Error::not_found("there is no such room"));
                }
                store.load(&name, here.epoch());
                Ok(Lounge {
                    name,
                    node: number,
                    here,
                    store,
                    count: Mutex::new(0),
                })
            }
        };
        node.cluster.host::<RoomStub, _>("room", factory)
    }

    /// Adds `count` nodes that host rooms.
    pub(crate) async fn hosts<const N: usize>(&self) -> [Node; N] {
        let mut nodes = Vec::new();
        for number in 0..N {
            nodes.push(self.host(number).await);
        }
        nodes.try_into().ok().unwrap()
    }
}

/// Waits for `future`, for at most two minutes of virtual time.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    let limit = Duration::from_secs(120);
    tokio::time::timeout(limit, future.into_future())
        .await
        .unwrap()
}

/// Runs tests on each bus: in virtual time on a `MemoryNetwork`, and in real time on a NATS server
/// if there is one.
macro_rules! on_each_bus {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $test() {
                    super::$test(crate::support::World::new()).await;
                }
            )*
        }

        #[cfg(feature = "nats")]
        mod on_nats {
            $(
                #[tokio::test]
                async fn $test() {
                    if let Some(world) = crate::support::World::nats().await {
                        super::$test(world).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_each_bus;

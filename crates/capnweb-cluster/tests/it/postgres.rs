//! The directory on a PostgreSQL server of this machine. Skipped if there is none.

use std::time::{Duration, Instant};

use capnweb_cluster::{
    Activation, Cluster, ClusterOptions, Directory as _, DirectoryError, MemoryNetwork, Postgres,
};
use capnweb_core::Result;

use crate::{
    directories,
    postgres_server::PostgresServer,
    proxy::{Faults, Proxy, Upstream},
    support::soon,
};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Place {
    /// Returns the number of the node and the epoch.
    #[rpc(idempotent)]
    async fn place(&self) -> Result<(u32, u64)>;
}

struct At(u32, Activation);

impl Place for At {
    async fn place(&self) -> Result<(u32, u64)> {
        Ok((self.0, self.1.epoch().0))
    }
}

const LEASE: Duration = Duration::from_secs(2);

async fn host(network: &MemoryNetwork, directory: Postgres, number: u32) -> Cluster {
    let options = ClusterOptions::new().with_lease(LEASE);
    let joined = Cluster::join_with((network.node(), directory), "test", options);
    let cluster = soon(joined).await.unwrap();
    cluster.host::<PlaceStub, _>("place", move |_: String, here: Activation| async move {
        Ok(At(number, here))
    });
    cluster
}

/// One server runs all checks, since each test has a process of its own.
#[tokio::test]
async fn postgres_is_a_directory() {
    let Some(mut server) = PostgresServer::start().await else {
        return;
    };
    nodes_create_the_table_at_the_same_time(&server).await;
    directories::check(server.directory().await, "check").await;
    objects_move_and_fail_over(&server).await;
    a_server_that_is_silent_is_asked_again(&server).await;
    leases_survive_a_restart(&mut server).await;
}

async fn nodes_create_the_table_at_the_same_time(server: &PostgresServer) {
    let joining = (0..6).map(|_| {
        let config = server.config();
        tokio::spawn(async move { Postgres::connect(&config).await.map(drop) })
    });
    for joined in joining.collect::<Vec<_>>() {
        soon(joined).await.unwrap().unwrap();
    }
}

async fn objects_move_and_fail_over(server: &PostgresServer) {
    let network = MemoryNetwork::new();
    // A runtime of its own, which ends like a process.
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
    let first = server.directory().await;
    let joined = runtime.spawn({
        let network = network.clone();
        async move { host(&network, first, 1).await }
    });
    let first = joined.await.unwrap();
    let place: PlaceStub = first.get("place", "a");
    let first_epoch = {
        let placed = runtime.spawn(place.place().into_future());
        let (number, epoch) = soon(placed).await.unwrap().unwrap();
        assert_eq!(number, 1);
        epoch
    };
    let second = host(&network, server.directory().await, 2).await;
    let place: PlaceStub = second.get("place", "a");
    assert_eq!(soon(place.place()).await.unwrap(), (1, first_epoch));

    // Until its last task has stopped, it may still answer.
    let stopped = tokio::task::spawn_blocking(|| runtime.shutdown_timeout(Duration::from_secs(30)));
    soon(stopped).await.unwrap();
    let crashed = Instant::now();
    let (number, second_epoch) = soon(place.place()).await.unwrap();
    assert_eq!(number, 2);
    assert!(second_epoch > first_epoch);
    // Before the lease is over, the crashed node might still act. (The lease was renewed up to a
    // third of its length before.)
    assert!(crashed.elapsed() >= LEASE / 2, "{:?}", crashed.elapsed());

    let third = host(&network, server.directory().await, 3).await;
    let watching: PlaceStub = third.get("place", "a");
    assert_eq!(soon(watching.place()).await.unwrap().0, 2);
    soon(second.leave()).await;
    let (number, third_epoch) = soon(watching.place()).await.unwrap();
    assert_eq!(number, 3);
    assert!(third_epoch > second_epoch);
    soon(third.leave()).await;
}

async fn a_server_that_is_silent_is_asked_again(server: &PostgresServer) {
    let proxy = Proxy::start(Upstream::Unix(server.socket())).await;
    let config = format!("host=127.0.0.1 port={} user=postgres", proxy.port());
    let directory = soon(Postgres::connect(&config)).await.unwrap();
    let key = "silent.key";
    let first = directory.create(key, "1".into()).await.unwrap();
    proxy.set(Faults {
        is_silent: true,
        ..Faults::default()
    });
    let write = directory.update(key, "2".into(), first);
    let limit = Duration::from_millis(200);
    assert!(tokio::time::timeout(limit, write).await.is_err());
    // The old connection stays silent, and a new one works.
    proxy.cut();
    proxy.set(Faults::default());
    let entry = soon(directory.get(key)).await.unwrap().unwrap();
    // The write was done or not.
    let is_done = entry.revision != first;
    assert_eq!(entry.value, if is_done { "2" } else { "1" });

    // While the server refuses, errors name the reason, and nothing hangs.
    proxy.set(Faults {
        refuses: true,
        ..Faults::default()
    });
    proxy.cut();
    let refused = soon(async {
        loop {
            // The first may have been sent before the cut.
            if let Err(error) = directory.get(key).await {
                return error;
            }
        }
    });
    assert!(matches!(refused.await, DirectoryError::Unavailable(_)));
    proxy.set(Faults::default());
    let entry = soon(directory.get(key)).await.unwrap().unwrap();
    directory.delete(key, entry.revision).await.unwrap();
}

async fn leases_survive_a_restart(server: &mut PostgresServer) {
    let network = MemoryNetwork::new();
    let first = host(&network, server.directory().await, 1).await;
    let second = host(&network, server.directory().await, 2).await;
    let place: PlaceStub = first.get("place", "b");
    let placed = soon(place.place()).await.unwrap();
    let node = first.node();
    // It stops at once, as in a crash, and comes back within the lease.
    let directory = server.directory().await;
    server.stop("-QUIT");
    let down = Instant::now();
    let asked = soon(directory.get("any")).await;
    assert!(matches!(asked, Err(DirectoryError::Unavailable(_))));
    server.restart();
    server.is_ready().await;
    let outage = down.elapsed();
    let watching: PlaceStub = second.get("place", "b");
    let found = soon(watching.place()).await.unwrap();
    println!("the server was away for {outage:?}");
    if outage < LEASE / 3 {
        assert_eq!((found, first.node()), (placed, node));
    }
    soon(second.leave()).await;
    soon(first.leave()).await;
}

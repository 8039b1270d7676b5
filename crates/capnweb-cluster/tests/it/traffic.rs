//! The messages of nodes that are idle or find each other, for the figures of `docs/cluster.md`.
//! Skipped if there is no NATS server.

use std::time::Duration;

use capnweb_cluster::{Activation, Cluster, ClusterOptions, Nats};
use capnweb_core::Result;

use crate::{
    proxy::{Passed, Proxy, Upstream},
    server::Server,
    support::soon,
};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Echo {
    async fn echo(&self, text: String) -> Result<String>;
}

struct Wall;

impl Echo for Wall {
    async fn echo(&self, text: String) -> Result<String> {
        Ok(text)
    }
}

/// The messages of a node, in both directions.
#[derive(Clone, Copy, Debug)]
struct Traffic {
    messages: f64,
    bytes: f64,
}

impl Traffic {
    fn between(before: Passed, after: Passed) -> Self {
        let difference = |of: fn(Passed) -> u64| (of(after) - of(before)) as f64;
        Self {
            messages: difference(|passed| passed.published + passed.delivered),
            bytes: difference(|passed| passed.published_bytes + passed.delivered_bytes),
        }
    }

    fn per_message(self) -> f64 {
        self.bytes / self.messages
    }
}

async fn node(proxy: &Proxy, lease: Duration, heartbeat: Duration) -> Cluster {
    let options = ClusterOptions::new()
        .with_lease(lease)
        .with_heartbeat(heartbeat, heartbeat * 30);
    let nats = soon(Nats::connect(&proxy.url())).await.unwrap();
    soon(Cluster::join_with(nats, "shop", options))
        .await
        .unwrap()
}

/// Waits until `count` messages have passed.
async fn passed(proxy: &Proxy, count: u64) -> Passed {
    soon(async {
        loop {
            let passed = proxy.passed();
            if passed.published + passed.delivered >= count {
                return passed;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn idle_nodes_send_leases_and_heartbeats_alone() {
    let Some(server) = Server::start().await else {
        return;
    };
    drop(server.nats().await);
    let proxy = || Proxy::start(Upstream::Nats(server.address()));
    let never = Duration::from_secs(600);

    // Leases: a request and its answer for each.
    let idle = proxy().await;
    let cluster = node(&idle, Duration::from_millis(150), never).await;
    let before = idle.passed();
    let after = passed(&idle, before.published + before.delivered + 40).await;
    let lease = Traffic::between(before, after);
    soon(cluster.leave()).await;

    // The first call between two nodes, the first call on another object, and one more.
    let (near, far) = (proxy().await, proxy().await);
    let client = node(&near, never, never).await;
    let host = node(&far, never, never).await;
    host.host::<EchoStub, _>("echo", async |_: String, _: Activation| Ok(Wall));
    let (mut calls, mut stubs) = (Vec::new(), Vec::new());
    for name in ["a", "b", "b"] {
        let before = near.passed();
        let echo: EchoStub = client.get("echo", name);
        soon(echo.echo("x")).await.unwrap();
        calls.push(Traffic::between(before, near.passed()));
        // It stays known.
        stubs.push(echo);
    }
    soon(client.leave()).await;
    soon(host.leave()).await;

    // Heartbeats.
    let beat = Duration::from_millis(40);
    let client = node(&near, never, beat).await;
    let host = node(&far, never, beat).await;
    host.host::<EchoStub, _>("echo", async |_: String, _: Activation| Ok(Wall));
    let echo: EchoStub = client.get("echo", "a");
    soon(echo.echo("x")).await.unwrap();
    tokio::time::sleep(beat).await;
    let before = near.passed();
    let after = passed(&near, before.published + before.delivered + 40).await;
    let heartbeat = Traffic::between(before, after);
    let [node, object, call] = calls[..] else {
        unreachable!("there were three");
    };
    println!(
        "a renewal: 2 messages of {:.0} bytes; a heartbeat: {:.0} bytes; the first call to a node: \
         {:.0} messages, {:.0} bytes; to another object: {:.0}, {:.0}; a call: {:.0}, {:.0}",
        lease.per_message(),
        heartbeat.per_message(),
        node.messages,
        node.bytes,
        object.messages,
        object.bytes,
        call.messages,
        call.bytes,
    );
    // The calculation for many nodes depends on this.
    assert!(lease.per_message() < 500.0, "{lease:?}");
    assert!(heartbeat.per_message() < 300.0, "{heartbeat:?}");
    assert!(node.messages < 40.0, "{node:?}");
    soon(client.leave()).await;
    soon(host.leave()).await;
}

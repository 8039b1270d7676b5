//! Objects are found, activated once, and called from everywhere.

use std::{collections::HashSet, time::Duration};

use capnweb_core::Promise;

use crate::support::{RoomStub, World, on_each_bus, soon};

on_each_bus! {
    all_nodes_call_one_activation,
    objects_live_where_they_are_first_called,
    clients_spread_objects_over_the_hosts,
    calls_before_the_first_host_wait_for_it,
    errors_of_factories_reach_the_callers,
    results_are_pipelined_through_a_gate,
    names_may_hold_anything,
}

async fn all_nodes_call_one_activation(world: World) {
    let nodes = world.hosts::<3>().await;
    let client = world.client().await;
    let mut counts = HashSet::new();
    for node in nodes.iter().chain([&client]) {
        let room: RoomStub = node.cluster.get("room", "lobby");
        counts.insert(soon(room.count()).await.unwrap());
    }
    assert_eq!(counts, HashSet::from([1, 2, 3, 4]));
    assert_eq!(world.store.log("lobby").activations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn simultaneous_calls_activate_once() {
    for delay in [0, 1, 7] {
        let world = World::new();
        world.network.delay(Duration::from_millis(delay));
        let nodes = world.hosts::<5>().await;
        let rooms: Vec<RoomStub> = nodes
            .iter()
            .map(|node| node.cluster.get("room", "lobby"))
            .collect();
        let places = rooms.iter().map(|room| room.place());
        let places = futures_util::future::try_join_all(places.map(IntoFuture::into_future));
        let places: HashSet<_> = soon(places).await.unwrap().into_iter().collect();
        assert_eq!(places.len(), 1);
        assert_eq!(world.store.log("lobby").activations.len(), 1);
        // One session of the host with each other node, and one of each node with itself.
        let sessions: usize = nodes.iter().map(|node| node.cluster.sessions()).sum();
        assert!(sessions <= 2 * 4 + 5, "{sessions}");
    }
}

async fn objects_live_where_they_are_first_called(world: World) {
    let nodes = world.hosts::<3>().await;
    for (number, node) in nodes.iter().enumerate() {
        let room: RoomStub = node.cluster.get("room", &format!("room {number}"));
        assert_eq!(soon(room.place()).await.unwrap().0, number.to_string());
        assert_eq!(node.cluster.objects(), 1);
    }
}

async fn clients_spread_objects_over_the_hosts(world: World) {
    let _nodes = world.hosts::<3>().await;
    let client = world.client().await;
    let mut places = HashSet::new();
    for number in 0..12 {
        let room: RoomStub = client.cluster.get("room", &number.to_string());
        places.insert(soon(room.place()).await.unwrap().0);
    }
    assert_eq!(places.len(), 3);
}

async fn calls_before_the_first_host_wait_for_it(world: World) {
    let client = world.client().await;
    let room: RoomStub = client.cluster.get("room", "lobby");
    let posted = room.post("Ada", 1);
    let posted = tokio::spawn(posted.into_future());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _host = world.host(0).await;
    assert_eq!(soon(posted).await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_host_fail_when_patience_ends() {
    let world = World::new();
    let client = world.client().await;
    let room: RoomStub = client.cluster.get("room", "lobby");
    let error = soon(room.post("Ada", 1)).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("unavailable"));
    assert!(!error.may_have_run());
}

async fn errors_of_factories_reach_the_callers(world: World) {
    let _nodes = world.hosts::<2>().await;
    let client = world.client().await;
    for _ in 0..2 {
        // A later stub tries again.
        let room: RoomStub = client.cluster.get("room", "missing");
        let error = soon(room.count()).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some("not_found"));
    }
}

async fn results_are_pipelined_through_a_gate(world: World) {
    let [host] = world.hosts::<1>().await;
    let client = world.client().await;
    for node in [&host, &client] {
        let room: RoomStub = node.cluster.get("room", "lobby");
        let length = room.post("Ada", 1);
        // The promise of a result is an argument of the next call.
        let longer = room.post("Ada", Promise::cast::<u32>(length));
        assert!(soon(longer).await.is_ok());
    }
}

async fn names_may_hold_anything(world: World) {
    let [host] = world.hosts::<1>().await;
    for name in ["", ".", "a.b", "ä ö", "=", "*", ">"] {
        let room: RoomStub = host.cluster.get("room", name);
        assert_eq!(soon(room.post("Ada", 1)).await.unwrap(), 1, "{name:?}");
    }
    assert_eq!(host.cluster.objects(), 7);
}

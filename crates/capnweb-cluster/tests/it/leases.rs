//! Leases, and the epochs that protect data where leases fail.

use std::time::Duration;

use crate::support::{RoomStub, World, soon};

#[tokio::test(start_paused = true)]
async fn a_node_writes_once_for_all_of_its_objects() {
    let world = World::new();
    let [host] = world.hosts::<1>().await;
    for number in 0..100 {
        let room: RoomStub = host.cluster.get("room", &number.to_string());
        soon(room.post("Ada", 1)).await.unwrap();
    }
    let directory = world.network.directory(&host.bus);
    let before = directory.writes();
    tokio::time::sleep(Duration::from_secs(50)).await;
    // Three renewals in each lease of five seconds.
    let writes = directory.writes() - before;
    assert!((28..=32).contains(&writes), "{writes}");
}

#[tokio::test(start_paused = true)]
async fn writes_of_an_outdated_activation_are_refused() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    let room: RoomStub = first.cluster.get("room", "lobby");
    // It writes after others have taken over, as a process does that was suspended.
    let late = tokio::spawn(room.post_later("Ada", 1, 20_000).into_future());
    tokio::task::yield_now().await;
    soon(room.place()).await.unwrap();
    world.network.partition(&first.bus);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other: RoomStub = second.cluster.get("room", "lobby");
    assert_eq!(soon(other.post("Eve", 1)).await.unwrap(), 1);
    assert!(soon(late).await.unwrap().is_err());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let log = world.store.log("lobby");
    assert_eq!(log.messages, [("Eve".to_owned(), 1)]);
    assert_eq!(log.refused, 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_directory_is_survived() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    let room: RoomStub = first.cluster.get("room", "lobby");
    soon(room.post("Ada", 1)).await.unwrap();
    let remote: RoomStub = second.cluster.get("room", "lobby");
    soon(remote.post("Eve", 1)).await.unwrap();
    let id = first.cluster.node();
    // Shorter than the lease: nothing is lost.
    world.network.cut(&first.bus);
    tokio::time::sleep(Duration::from_millis(900)).await;
    world.network.heal(&first.bus);
    assert_eq!(soon(remote.post("Eve", 2)).await.unwrap(), 3);
    assert_eq!(first.cluster.node(), id);
    assert_eq!(world.store.log("lobby").activations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_write_lets_two_nodes_hold_an_object_but_one_write() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    let directory = world.network.directory(&first.bus);
    // The directory acknowledges an activation and forgets it.
    directory.lose(1);
    let room: RoomStub = first.cluster.get("room", "lobby");
    soon(room.post("Ada", 1)).await.unwrap();
    let other: RoomStub = second.cluster.get("room", "lobby");
    assert_eq!(soon(other.post("Eve", 1)).await.unwrap(), 2);
    let log = world.store.log("lobby");
    assert_eq!(log.activations.len(), 2);
    // Both live. The store admits only the later one.
    let error = soon(room.post("Ada", 2)).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("aborted"));
    assert_eq!(soon(other.post("Eve", 2)).await.unwrap(), 3);
}

//! Nodes crash, are cut off, and come back.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{RoomStub, World, soon};

#[tokio::test(start_paused = true)]
async fn objects_of_a_crashed_node_are_activated_elsewhere() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    let room: RoomStub = first.cluster.get("room", "lobby");
    assert_eq!(soon(room.place()).await.unwrap().0, "0");
    let room: RoomStub = second.cluster.get("room", "lobby");
    assert_eq!(soon(room.post("Ada", 1)).await.unwrap(), 1);

    world.network.kill(&first.bus);
    let crashed = Instant::now();
    assert_eq!(soon(room.post("Ada", 2)).await.unwrap(), 2);
    let took = crashed.elapsed();
    // Not before the lease is over, since the node might still act.
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert!(took <= Duration::from_secs(6), "{took:?}");
    let log = world.store.log("lobby");
    assert!(log.activations[0] < log.activations[1]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_stops_before_others_take_over() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    let ours: RoomStub = first.cluster.get("room", "lobby");
    soon(ours.post("Ada", 1)).await.unwrap();
    let theirs: RoomStub = second.cluster.get("room", "lobby");
    soon(theirs.post("Eve", 1)).await.unwrap();

    world.network.partition(&first.bus);
    // The node goes on until it has to stop.
    let isolated = Instant::now();
    let mut last = Instant::now();
    let taken_over = tokio::spawn(async move {
        let posted = theirs.post("Eve", 2).await;
        (posted, Instant::now())
    });
    while !taken_over.is_finished() {
        let post = tokio::time::timeout(Duration::from_millis(100), ours.post("Ada", 2));
        if matches!(post.await, Ok(Ok(_))) {
            last = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(isolated.elapsed() < Duration::from_secs(60));
    }
    let (posted, at) = taken_over.await.unwrap();
    // The message that the isolated node has taken counts.
    assert_eq!(posted.unwrap(), 4);
    assert!(last < at);
    assert_eq!(world.store.log("lobby").refused, 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_joins_again() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    let room: RoomStub = first.cluster.get("room", "lobby");
    soon(room.post("Ada", 1)).await.unwrap();
    let before = first.cluster.node().unwrap();
    world.network.partition(&first.bus);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(first.cluster.node(), None);
    let other: RoomStub = second.cluster.get("room", "lobby");
    assert_eq!(soon(other.place()).await.unwrap().0, "1");

    world.network.heal(&first.bus);
    let after = soon(first.cluster.joined()).await.unwrap();
    assert_ne!(before, after);
    // Its stub now refers to the new activation.
    assert_eq!(soon(room.place()).await.unwrap().0, "1");
    let rejoined: RoomStub = second.cluster.get("room", "other");
    soon(rejoined.post("Ada", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn crashes_lose_and_repeat_no_message() {
    let world = World::new();
    let mut nodes: Vec<_> = world.hosts::<3>().await.into_iter().enumerate().collect();
    let mut senders = Vec::new();
    for sender in 0..3 {
        let client = world.client().await;
        senders.push(tokio::spawn(async move {
            let room: RoomStub = client.cluster.get("room", "lobby");
            for number in 0..200 {
                room.post(sender.to_string(), number).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }));
    }
    for crash in 0..4 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        // Every failover is used before the next crash, or calls would wait for all of them.
        let before = world.store.log("lobby").messages.len();
        let posted = async {
            while world.store.log("lobby").messages.len() < before + 9 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon(posted).await;
        let (_, watcher) = nodes.last().unwrap();
        let room: RoomStub = watcher.cluster.get("room", "lobby");
        let place: usize = soon(room.place()).await.unwrap().0.parse().unwrap();
        nodes.push((3 + crash, world.host(3 + crash).await));
        let index = nodes.iter().position(|(number, _)| *number == place);
        let (_, crashed) = nodes.remove(index.unwrap());
        world.network.kill(&crashed.bus);
    }
    for sender in senders {
        soon(sender).await.unwrap();
    }
    let log = world.store.log("lobby");
    assert_eq!(log.messages.len(), 600);
    for sender in 0..3 {
        let sender = sender.to_string();
        let numbers = log.messages.iter().filter(|(from, _)| *from == sender);
        let numbers: Vec<_> = numbers.map(|(_, number)| *number).collect();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    }
}

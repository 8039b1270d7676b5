//! Events reach the subscribers of all nodes.

use capnweb_cluster::{Events, Topic};
use capnweb_core::Stub;

use crate::support::{World, on_each_bus, soon};

on_each_bus! {
    events_reach_all_nodes_in_order,
    topics_are_apart,
    events_of_another_type_are_errors_and_stubs_are_refused,
}

async fn next<T: serde::de::DeserializeOwned>(events: &mut Events<T>) -> T {
    soon(events.next()).await.unwrap().unwrap()
}

async fn events_reach_all_nodes_in_order(world: World) {
    let nodes = [
        world.client().await,
        world.client().await,
        world.client().await,
    ];
    let mut subscribers = Vec::new();
    for node in &nodes {
        let topic: Topic<(String, u32)> = node.cluster.topic("room.lobby");
        subscribers.push(topic.subscribe().await.unwrap());
        subscribers.push(topic.subscribe().await.unwrap());
    }
    let topic: Topic<(String, u32)> = nodes[0].cluster.topic("room.lobby");
    for number in 0..10 {
        topic.publish(&("hello".to_owned(), number)).await.unwrap();
    }
    for subscriber in &mut subscribers {
        for number in 0..10 {
            assert_eq!(next(subscriber).await, ("hello".to_owned(), number));
        }
    }
}

async fn topics_are_apart(world: World) {
    let node = world.client().await;
    let other = node.cluster.topic::<u32>("b");
    let mut events = node.cluster.topic::<u32>("a").subscribe().await.unwrap();
    other.publish(&1).await.unwrap();
    node.cluster.topic::<u32>("a").publish(&2).await.unwrap();
    assert_eq!(next(&mut events).await, 2);
}

#[tokio::test(start_paused = true)]
async fn slow_subscribers_learn_what_they_missed() {
    let world = World::new();
    let node = world.client().await;
    let topic = node.cluster.topic::<u32>("a");
    let mut events = topic.subscribe().await.unwrap();
    for number in 0..2000 {
        topic.publish(&number).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let error = soon(events.next()).await.unwrap().unwrap_err();
    assert_eq!(error.code().as_deref(), Some("data_loss"));
    assert_eq!(next(&mut events).await, 2000 - 1024);
}

async fn events_of_another_type_are_errors_and_stubs_are_refused(world: World) {
    let node = world.client().await;
    let mut numbers = node.cluster.topic::<u32>("a").subscribe().await.unwrap();
    let texts = node.cluster.topic::<String>("a");
    texts.publish(&"no number".to_owned()).await.unwrap();
    assert!(
        soon(numbers.next())
            .await
            .unwrap()
            .unwrap_err()
            .is_type_error()
    );
    let stubs = node.cluster.topic::<Stub>("a");
    let stub = Stub::function(async || Ok(1));
    assert!(stubs.publish(&stub).await.is_err());
    let long = texts.publish(&"x".repeat(2 << 20)).await.unwrap_err();
    assert!(long.is_limit());
}

//! Sturdy references are restored on any node, with their rights alone.

use std::time::Duration;

use capnweb_cluster::{ClusterOptions, Keyring, Rights, SturdyRef};
use capnweb_core::{Answer, Call, Error, StubType as _, Target};

use crate::support::{RoomStub, World, on_each_bus, soon};

on_each_bus! {
    references_are_restored_on_any_node,
    rights_restrict_an_object_also_after_it_has_moved,
    revoked_references_are_refused_on_every_node,
}

const POST: Rights = Rights::bit(0);
const HOUR: Duration = Duration::from_secs(3600);

fn keys(world: &mut World) {
    world.options = ClusterOptions::new().with_keyring(Keyring::new(1, &[7; 32]));
}

fn world() -> World {
    let mut world = World::new();
    keys(&mut world);
    world
}

/// The error code of a call through a restored reference, or of restoring it.
async fn code_of(cluster: &capnweb_cluster::Cluster, token: &SturdyRef) -> Option<String> {
    match soon(cluster.restore::<RoomStub>(token)).await {
        Ok(room) => soon(room.count()).await.err()?.code(),
        Err(error) => error.code(),
    }
}

async fn references_are_restored_on_any_node(mut world: World) {
    keys(&mut world);
    let [first, second] = world.hosts::<2>().await;
    let token = first
        .cluster
        .persist("room", "lobby", Rights::ALL, HOUR)
        .unwrap();
    // It survives as a text.
    let token: SturdyRef = token.as_str().parse().unwrap();
    let client = world.client().await;
    for node in [&first, &second, &client] {
        let room: RoomStub = soon(node.cluster.restore(&token)).await.unwrap();
        assert!(soon(room.count()).await.is_ok());
    }
    assert_eq!(world.store.log("lobby").activations.len(), 1);
}

/// An object with the method `post` of a room, and no other.
struct OnlyPost(RoomStub);

impl Target for OnlyPost {
    fn call(self: std::sync::Arc<Self>, call: Call<'_>) -> Answer {
        match call.method() {
            "post" => Answer::ready(self.0.as_stub().call("post", call.into_args())),
            _ => Answer::error(Error::permission_denied("you may only post")),
        }
    }
}

async fn rights_restrict_an_object_also_after_it_has_moved(mut world: World) {
    keys(&mut world);
    let mut hosts = Vec::new();
    for number in 0..2 {
        let node = world.host_restricted(number, |room, rights| {
            assert_eq!(rights, POST);
            Ok(RoomStub::from_stub(capnweb_core::Stub::new(OnlyPost(room))))
        });
        hosts.push(node.await);
    }
    let client = world.client().await;
    let token = client.cluster.persist("room", "lobby", POST, HOUR).unwrap();
    let room: RoomStub = soon(client.cluster.restore(&token)).await.unwrap();
    for number in 1..3 {
        assert!(soon(room.post("Ada", number)).await.is_ok());
        let error = soon(room.count()).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some("permission_denied"));
        let place: RoomStub = client.cluster.get("room", "lobby");
        let place = soon(place.place()).await.unwrap().0;
        if number == 1 {
            let left = hosts.remove(place.parse().unwrap());
            soon(left.cluster.leave()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rights_without_a_restriction_are_refused() {
    let world = world();
    let [host] = world.hosts::<1>().await;
    let token = host.cluster.persist("room", "lobby", POST, HOUR).unwrap();
    let code = code_of(&host.cluster, &token).await;
    assert_eq!(code.as_deref(), Some("permission_denied"));
}

async fn revoked_references_are_refused_on_every_node(mut world: World) {
    keys(&mut world);
    let [first, second] = world.hosts::<2>().await;
    let token = first
        .cluster
        .persist("room", "lobby", Rights::ALL, HOUR)
        .unwrap();
    let other = first
        .cluster
        .persist("room", "lobby", Rights::ALL, HOUR)
        .unwrap();
    for _ in 0..2 {
        soon(second.cluster.revoke(&token)).await.unwrap();
    }
    let code = code_of(&first.cluster, &token).await;
    assert_eq!(code.as_deref(), Some("permission_denied"));
    assert_eq!(code_of(&first.cluster, &other).await, None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_restored_while_revocations_are_unknown() {
    let world = world();
    let [host] = world.hosts::<1>().await;
    let token = host
        .cluster
        .persist("room", "lobby", Rights::ALL, HOUR)
        .unwrap();
    world.network.partition(&host.bus);
    let code = code_of(&host.cluster, &token).await;
    assert_eq!(code.as_deref(), Some("unavailable"));
}

#[tokio::test(start_paused = true)]
async fn expired_foreign_and_forged_references_are_refused() {
    let world = world();
    let [host] = world.hosts::<1>().await;
    let cluster = &host.cluster;
    let expired = cluster
        .persist("room", "lobby", Rights::ALL, Duration::ZERO)
        .unwrap();
    let theirs = cluster
        .persist_for("Ada", "room", "lobby", Rights::ALL, HOUR)
        .unwrap();
    for token in [expired, theirs.clone(), "forged".parse().unwrap()] {
        let code = code_of(cluster, &token).await;
        assert_eq!(code.as_deref(), Some("permission_denied"));
    }
    let room: RoomStub = soon(cluster.restore_for("Ada", &theirs)).await.unwrap();
    assert!(soon(room.count()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_node_without_keys_neither_seals_nor_opens() {
    let world = World::new();
    let [host] = world.hosts::<1>().await;
    let error = host
        .cluster
        .persist("room", "lobby", Rights::ALL, HOUR)
        .unwrap_err();
    assert_eq!(error.code().as_deref(), Some("failed_precondition"));
}

//! Servers that drain: their objects move before their sessions end.

use std::{collections::HashSet, time::Duration};

use capnweb_core::{Result, Session, SessionOptions, StubType as _, pair};
use capnweb_net::{Drain, Drained, Sessions, TransportKind};
use tokio::task::JoinHandle;

use crate::support::{Node, Room, RoomStub, World, on_each_bus, soon};

on_each_bus! {
    objects_move_before_the_sessions_of_their_server_end,
    objects_that_nobody_else_hosts_stay_until_the_sessions_have_ended,
}

/// A server's object for clients, which calls a room wherever it lives.
struct Door(RoomStub);

impl Room for Door {
    async fn post(&self, sender: String, number: u32) -> Result<usize> {
        self.0.post(sender, number).await
    }

    async fn place(&self) -> Result<(String, u64)> {
        self.0.place().await
    }

    async fn post_later(&self, from: String, number: u32, wait: u64) -> Result<usize> {
        self.0.post_later(from, number, wait).await
    }

    async fn count(&self) -> Result<u32> {
        self.0.count().await
    }

    async fn retire(&self) -> Result<()> {
        self.0.retire().await
    }
}

/// Connects a client to the server of `node`.
fn connect(sessions: &Sessions, node: &Node) -> (Session, RoomStub) {
    let (ours, theirs) = pair();
    let options = || SessionOptions::new().without_keep_alive();
    let (session, mut connection) = Session::server(options());
    sessions.track(&session, TransportKind::Stream, None);
    let door = RoomStub::new(Door(node.cluster.get("room", "lobby")));
    connection.set_main(door.into_stub());
    tokio::spawn(connection.drive(theirs));
    let (client, connection) = Session::client(options());
    tokio::spawn(connection.drive(ours));
    let room = RoomStub::from_stub(client.main());
    (client, room)
}

/// Posts until the session has ended, and returns the number of answers.
fn post_until_the_end(session: Session, room: RoomStub) -> JoinHandle<u32> {
    tokio::spawn(async move {
        for number in 0.. {
            match soon(room.post("Ada", number)).await {
                Ok(_) => {}
                // The session's last calls are refused.
                Err(error) if error.message() == "the server is restarting" => return number,
                Err(error) if session.end_reason().is_some() => {
                    assert!(error.is_disconnected(), "{error:?}");
                    return number;
                }
                Err(error) => panic!("{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        0
    })
}

fn numbers(world: &World, sender: &str) -> Vec<u32> {
    let log = world.store.log("lobby").messages;
    let of = log.into_iter().filter(|(from, _)| from == sender);
    of.map(|(_, number)| number).collect()
}

async fn objects_move_before_the_sessions_of_their_server_end(world: World) {
    let server = world.host(0).await;
    let sessions = Sessions::new();
    let (client, room) = connect(&sessions, &server);
    assert_eq!(soon(room.place()).await.unwrap().0, "0");
    let other = world.host(1).await;
    let elsewhere: RoomStub = other.cluster.get("room", "lobby");
    assert_eq!(soon(elsewhere.count()).await.unwrap(), 1);

    let posting = post_until_the_end(client.clone(), room.clone());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let posting_elsewhere = tokio::spawn(async move {
        let mut number = 0;
        while !*stopped.borrow() {
            // It is not repeated if it is lost.
            soon(elsewhere.post_later("Eve", number, 1)).await.unwrap();
            number += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        number
    });
    tokio::time::sleep(Duration::from_millis(100)).await;

    let node = server.cluster.clone();
    sessions.on_drain(|sessions_end| node.leave_after(sessions_end));
    let drain = Drain::new()
        .lb_delay(Duration::ZERO)
        .spread(Duration::from_secs(2));
    let watching = async {
        // The session is served while the room already lives on the other node.
        while soon(room.place()).await.unwrap().0 != "1" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(client.end_reason().is_none());
        assert!(server.cluster.node().is_some());
    };
    let (drained, ()) = soon(async { tokio::join!(sessions.drain(drain), watching) }).await;
    assert_eq!((drained.idle, drained.cut_off), (1, 0));
    // The node has left.
    assert!(server.cluster.joined().await.is_err());
    let acknowledged = soon(posting).await.unwrap();
    assert!(acknowledged > 0);
    stop.send_replace(true);
    let acknowledged_elsewhere = soon(posting_elsewhere).await.unwrap();
    assert!(numbers(&world, "Ada").into_iter().eq(0..acknowledged));
    assert!(
        numbers(&world, "Eve")
            .into_iter()
            .eq(0..acknowledged_elsewhere)
    );
    assert_eq!(world.store.log("lobby").refused, 0);
}

async fn objects_that_nobody_else_hosts_stay_until_the_sessions_have_ended(world: World) {
    let server = world.host(0).await;
    let sessions = Sessions::new();
    let (session, room) = connect(&sessions, &server);
    assert_eq!(soon(room.count()).await.unwrap(), 1);
    let posting = post_until_the_end(session, room);
    let node = server.cluster.clone();
    sessions.on_drain(|sessions_end| node.leave_after(sessions_end));
    let drain = Drain::new()
        .lb_delay(Duration::from_secs(1))
        .spread(Duration::from_secs(1));
    let drained: Drained = soon(sessions.drain(drain)).await;
    assert_eq!((drained.idle, drained.cut_off), (1, 0));
    assert!(soon(posting).await.unwrap() > 20);
    // It has lived in one place.
    assert_eq!(world.store.log("lobby").activations.len(), 1);
    assert!(server.cluster.joined().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_hosts_no_new_objects() {
    let world = World::new();
    let [first, second] = world.hosts::<2>().await;
    // Both offer to host rooms by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let node = first.cluster.clone();
    let leaving = tokio::spawn(node.leave_after(async {
        let _ = ended.await;
    }));
    // Longer than the node asks for other hosts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (number, node) in [&first, &second].into_iter().cycle().take(6).enumerate() {
        let room: RoomStub = node.cluster.get("room", &number.to_string());
        assert_eq!(soon(room.place()).await.unwrap().0, "1");
    }
    assert_eq!(first.cluster.objects(), 0);
    end.send(()).unwrap();
    soon(leaving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn objects_of_spread_kinds_are_activated_on_all_nodes() {
    let world = World::new();
    let mut nodes = Vec::new();
    for number in 0..3 {
        nodes.push(world.host_spread(number).await);
    }
    let mut places = HashSet::new();
    for number in 0..40 {
        let room: RoomStub = nodes[0].cluster.get("room", &number.to_string());
        places.insert(soon(room.place()).await.unwrap().0);
    }
    assert_eq!(places.len(), 3);
}

//! Nodes in processes of their own, which are killed. Skipped if there is no NATS server.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use capnweb_cluster::{Activation, Cluster, ClusterOptions, Nats};
use capnweb_core::{Error, Result};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{server::Server, support::soon};

/// The variable with the server's address, in the environment of a node's process.
const URL: &str = "CAPNWEB_TEST_NATS";
/// The variable with the number of kills. A longer run sets it, and the lease in milliseconds.
const KILLS: &str = "CAPNWEB_TEST_KILLS";
const LEASE: &str = "CAPNWEB_TEST_LEASE";
/// The variable with the number of messages of the run with a kill every three seconds.
const MESSAGES: &str = "CAPNWEB_TEST_MESSAGES";

/// A room, which keeps its messages in a log.
#[capnweb_macros::interface(crate = "capnweb_core")]
trait Hall {
    #[rpc(idempotent)]
    async fn post(&self, sender: String, number: u32) -> Result<()>;
    /// Returns the ID of the process.
    #[rpc(idempotent)]
    async fn process(&self) -> Result<u32>;
    /// Appends after half a second.
    async fn post_later(&self, sender: String, number: u32) -> Result<()>;
    /// Does not return.
    async fn stay(&self) -> Result<()>;
}

/// The durable log of a room, which lives on a node that is not killed.
#[capnweb_macros::interface(crate = "capnweb_core")]
trait Log {
    #[rpc(idempotent)]
    async fn append(&self, epoch: u64, sender: String, number: u32) -> Result<()>;
}

struct Stage {
    log: LogStub,
    here: Activation,
}

impl Hall for Stage {
    async fn post(&self, sender: String, number: u32) -> Result<()> {
        let epoch = self.here.epoch().0;
        self.log.append(epoch, sender, number).await
    }

    async fn process(&self) -> Result<u32> {
        Ok(std::process::id())
    }

    async fn post_later(&self, sender: String, number: u32) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.post(sender, number).await
    }

    async fn stay(&self) -> Result<()> {
        std::future::pending().await
    }
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    epoch: u64,
    messages: Vec<(String, u32)>,
    refused: usize,
}

impl Log for Book {
    async fn append(&self, epoch: u64, sender: String, number: u32) -> Result<()> {
        let mut content = self.0.lock().unwrap();
        if epoch < content.epoch {
            content.refused += 1;
            return Err(Error::aborted("a later activation has written"));
        }
        content.epoch = epoch;
        let message = (sender, number);
        if !content.messages.contains(&message) {
            content.messages.push(message);
        }
        Ok(())
    }
}

fn lease() -> Duration {
    let lease = std::env::var(LEASE).ok();
    Duration::from_millis(lease.map_or(2_000, |lease| lease.parse().unwrap()))
}

async fn join(nats: Nats) -> Cluster {
    // Silence alone would be noticed too late for the test.
    let options = ClusterOptions::new()
        .with_lease(lease())
        .with_heartbeat(Duration::from_secs(1), Duration::from_secs(60))
        .with_drain(Duration::from_secs(2));
    soon(Cluster::join_with(nats, "test", options))
        .await
        .unwrap()
}

/// The program of a node, which runs in a process of its own: hosts rooms until its input ends or
/// says that it is to leave.
#[tokio::test]
#[ignore = "the program of the processes of other tests"]
async fn node_process() {
    let url = std::env::var(URL).expect("started by another test");
    let cluster = join(Nats::connect(&url).await.unwrap()).await;
    let logs = cluster.clone();
    cluster.host::<HallStub, _>("hall", move |name: String, here: Activation| {
        let log = logs.get("log", &name);
        async move { Ok(Stage { log, here }) }
    });
    println!("ready");
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    if let Ok(Some(_)) = input.next_line().await {
        cluster.leave().await;
    }
}

async fn start(server: &Server) -> Child {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["processes::node_process", "--exact", "--ignored"])
        .arg("--nocapture")
        .env(URL, server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = process.stdout.take().unwrap();
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = soon(lines.next_line()).await.unwrap() {
        if line.ends_with("ready") {
            // Whatever it prints later must not block it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return process;
        }
    }
    panic!("a node has ended before it was ready");
}

/// Starts three nodes. Returns them by the IDs of their processes.
async fn start_three(server: &Server) -> HashMap<u32, Child> {
    let mut nodes = HashMap::new();
    for _ in 0..3 {
        let node = start(server).await;
        nodes.insert(node.id().unwrap(), node);
    }
    nodes
}

/// Adds a node that keeps the logs of all rooms in `book`.
async fn keep(server: &Server, book: &Book) -> Cluster {
    let store = join(server.nats().await).await;
    let kept = book.clone();
    store.host::<LogStub, _>("log", move |_: String, _: Activation| {
        let log = kept.clone();
        async move { Ok(log) }
    });
    store
}

fn signal(process: &Child, signal: &str) {
    let id = process.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args([signal, &id])
        .status();
    assert!(sent.unwrap().success());
}

fn percentile(sorted: &[Duration], hundredth: usize) -> Duration {
    sorted[(sorted.len() - 1) * hundredth / 100]
}

#[tokio::test]
async fn no_acknowledged_message_is_lost_when_nodes_are_killed() {
    let Some(server) = Server::start().await else {
        return;
    };
    let kills = std::env::var(KILLS).map_or(2, |kills| kills.parse().unwrap());
    let book = Book::default();
    let _store = keep(&server, &book).await;
    let mut nodes = start_three(&server).await;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut senders = Vec::new();
    for sender in 0..3 {
        let (client, stopped) = (join(server.nats().await).await, stopped.clone());
        senders.push(tokio::spawn(async move {
            let hall: HallStub = client.get("hall", "lobby");
            let (mut acknowledged, mut longest) = (0, Duration::ZERO);
            while !*stopped.borrow() {
                let begun = Instant::now();
                soon(hall.post(sender.to_string(), acknowledged))
                    .await
                    .unwrap();
                acknowledged += 1;
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (acknowledged, longest)
        }));
    }

    let watcher = join(server.nats().await).await;
    let hall: HallStub = watcher.get("hall", "lobby");
    let mut failovers = Vec::new();
    let mut noticed = Vec::new();
    let mut moves = Vec::new();
    for round in 0..kills {
        // The rooms are in use before each kill.
        let before = book.0.lock().unwrap().messages.len();
        let posted = async {
            while book.0.lock().unwrap().messages.len() < before + 300 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(posted).await;
        let process = soon(hall.process()).await.unwrap();
        let mut node = nodes.remove(&process).unwrap();
        let stays = hall.stay();
        let stays = tokio::spawn(async move { (stays.await, Instant::now()) });
        // The call is under way when a later one is answered.
        assert_eq!(soon(hall.process()).await.unwrap(), process);
        let begun = Instant::now();
        node.start_kill().unwrap();
        let next = soon(hall.process()).await.unwrap();
        failovers.push(begun.elapsed());
        assert_ne!(next, process);
        let (stayed, at) = soon(stays).await.unwrap();
        assert!(stayed.unwrap_err().may_have_run());
        noticed.push(at - begun);
        let new = start(&server).await;
        nodes.insert(new.id().unwrap(), new);

        // A planned move.
        let mut node = nodes.remove(&next).unwrap();
        let begun = Instant::now();
        let mut input = node.stdin.take().unwrap();
        input.write_all(b"leave\n").await.unwrap();
        while soon(hall.process()).await.unwrap() == next {
            assert!(begun.elapsed() < Duration::from_secs(60), "round {round}");
        }
        moves.push(begun.elapsed());
        soon(node.wait()).await.unwrap();
        let new = start(&server).await;
        nodes.insert(new.id().unwrap(), new);
    }
    stop.send_replace(true);
    let mut counts = Vec::new();
    let mut longest = Duration::ZERO;
    for sender in senders {
        let (count, waited) = soon(sender).await.unwrap();
        counts.push(count);
        longest = longest.max(waited);
    }
    failovers.sort_unstable();
    moves.sort_unstable();
    noticed.sort_unstable();
    println!(
        "{kills} kills, lease {:?}: noticed p50 {:?}, max {:?}; failover p50 {:?}, max {:?}; \
         move p50 {:?}, max {:?}; \
         messages {counts:?}, longest call {longest:?}",
        lease(),
        percentile(&noticed, 50),
        percentile(&noticed, 100),
        percentile(&failovers, 50),
        percentile(&failovers, 100),
        percentile(&moves, 50),
        percentile(&moves, 100),
    );

    let content = book.0.lock().unwrap();
    assert_eq!(content.refused, 0);
    for (sender, count) in counts.into_iter().enumerate() {
        assert_eq!(numbers_of(&content, sender), (0..count).collect::<Vec<_>>());
    }
    // Before the lease is over, the killed node might still act. (The lease was renewed up to a
    // third of its length before.)
    assert!(failovers[0] >= lease() / 2, "{failovers:?}");
}

/// Returns the numbers of a sender's messages in the order of the log.
fn numbers_of(content: &Content, sender: usize) -> Vec<u32> {
    let sender = sender.to_string();
    let numbers = content.messages.iter().filter(|(from, _)| *from == sender);
    numbers.map(|(_, number)| *number).collect()
}

#[tokio::test]
async fn every_message_is_kept_once_while_a_node_is_killed_every_three_seconds() {
    const SENDERS: u32 = 3;
    let Some(server) = Server::start().await else {
        return;
    };
    let messages = std::env::var(MESSAGES).map_or(100, |messages| messages.parse().unwrap());
    let book = Book::default();
    let _store = keep(&server, &book).await;
    let mut nodes = start_three(&server).await;
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let client = join(server.nats().await).await;
        let share = messages / SENDERS + u32::from(sender < messages % SENDERS);
        senders.push(tokio::spawn(async move {
            let hall: HallStub = client.get("hall", "lobby");
            let mut longest = Duration::ZERO;
            for number in 0..share {
                let begun = Instant::now();
                let posted = soon(hall.post(sender.to_string(), number)).await;
                posted.unwrap();
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            longest
        }));
    }
    let watcher = join(server.nats().await).await;
    let hall: HallStub = watcher.get("hall", "lobby");
    let begun = Instant::now();
    let (mut kills, mut next) = (0, begun);
    while kills == 0 || senders.iter().any(|sender| !sender.is_finished()) {
        let process = soon(hall.process()).await.unwrap();
        if Instant::now() < next {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        next = Instant::now() + Duration::from_secs(3);
        let mut node = nodes.remove(&process).unwrap();
        node.start_kill().unwrap();
        kills += 1;
        let new = start(&server).await;
        nodes.insert(new.id().unwrap(), new);
    }
    let mut longest = Duration::ZERO;
    for sender in senders {
        longest = longest.max(soon(sender).await.unwrap());
    }
    println!(
        "{messages} messages in {:?}, {kills} kills, lease {:?}: longest call {longest:?}",
        begun.elapsed(),
        lease(),
    );
    let content = book.0.lock().unwrap();
    assert_eq!(content.messages.len(), messages as usize);
    for sender in 0..SENDERS as usize {
        let numbers = numbers_of(&content, sender);
        let count = u32::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_node_that_was_suspended_writes_nothing_when_it_goes_on() {
    let Some(server) = Server::start().await else {
        return;
    };
    let book = Book::default();
    let _store = keep(&server, &book).await;
    let watcher = join(server.nats().await).await;
    let hall: HallStub = watcher.get("hall", "lobby");
    let first = start(&server).await;
    let process = soon(hall.process()).await.unwrap();
    assert_eq!(Some(process), first.id());
    let second = start(&server).await;

    let late = tokio::spawn(hall.post_later("Ada", 1).into_future());
    soon(hall.post("Ada", 0)).await.unwrap();
    signal(&first, "-STOP");
    let other = join(server.nats().await).await;
    let other: HallStub = other.get("hall", "lobby");
    let posted = tokio::spawn(other.post("Eve", 0).into_future());
    // For two leases nothing tells the others that the process will go on.
    tokio::time::sleep(2 * lease()).await;
    soon(posted).await.unwrap().unwrap();
    signal(&first, "-CONT");
    assert!(soon(late).await.unwrap().is_err());
    // Its node joins again, and finds the room where it lives now.
    assert_eq!(soon(hall.process()).await.unwrap(), second.id().unwrap());
    soon(hall.post("Ada", 2)).await.unwrap();
    let content = book.0.lock().unwrap();
    let messages = [("Ada", 0), ("Eve", 0), ("Ada", 2)];
    let messages = messages.map(|(sender, number)| (sender.to_owned(), number));
    assert_eq!(content.messages, messages);
}

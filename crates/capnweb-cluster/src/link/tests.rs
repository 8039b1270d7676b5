//! Links over a network with faults, in virtual time.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::{LinkStream, Pulse, open};
use crate::{
    bus::Bus as _,
    memory::{MemoryBus, MemoryNetwork},
};

const PULSE: Pulse = Pulse {
    interval: Duration::from_secs(1),
    silence: Duration::from_secs(3),
};

async fn linked(network: &MemoryNetwork) -> ((MemoryBus, LinkStream), (MemoryBus, LinkStream)) {
    let (a, b) = (network.node(), network.node());
    let to_a = a.subscribe("a", None).await.unwrap();
    let to_b = b.subscribe("b", None).await.unwrap();
    let one = open(Arc::new(a.clone()), to_a, "a".into(), "b".into(), PULSE);
    let other = open(Arc::new(b.clone()), to_b, "b".into(), "a".into(), PULSE);
    ((a, one), (b, other))
}

/// Reads until an error, and returns its message.
async fn error_of(stream: &mut LinkStream) -> String {
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test(start_paused = true)]
async fn long_streams_arrive_in_fragments() {
    let network = MemoryNetwork::new();
    network.set_max_payload(1000);
    network.delay(Duration::from_millis(1));
    let ((_a, mut one), (_b, mut other)) = linked(&network).await;
    // More than the window, so it has to be acknowledged.
    let sent: Vec<u8> = (0..=255).cycle().take(10 << 20).collect();
    let copy = sent.clone();
    let writing = tokio::spawn(async move {
        one.write_all(&copy).await.unwrap();
        one.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    other.read_to_end(&mut received).await.unwrap();
    writing.await.unwrap();
    assert!(received == sent);
}

#[tokio::test(start_paused = true)]
async fn writers_wait_for_readers() {
    let network = MemoryNetwork::new();
    let ((_a, mut one), (_b, mut other)) = linked(&network).await;
    let bytes = vec![7; 20 << 20];
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while written < bytes.len() {
            let write = one.write(&bytes[written..]);
            match tokio::time::timeout(Duration::from_secs(60), write).await {
                Ok(len) => written += len.unwrap(),
                Err(_) => break,
            }
        }
        (written, one)
    });
    let (written, _one) = writing.await.unwrap();
    assert!((4 << 20..5 << 20).contains(&written), "{written}");
    let mut read = vec![0; written];
    other.read_exact(&mut read).await.unwrap();
    assert!(read.iter().all(|byte| *byte == 7));
}

#[tokio::test(start_paused = true)]
async fn lost_messages_break_a_link() {
    let network = MemoryNetwork::new();
    let ((_a, mut one), (b, mut other)) = linked(&network).await;
    network.lose(&b, 1);
    one.write_all(b"lost").await.unwrap();
    one.write_all(b"found").await.unwrap();
    assert_eq!(
        error_of(&mut other).await,
        "messages between the nodes were lost"
    );
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_last_message_is_noticed() {
    let network = MemoryNetwork::new();
    let ((_a, mut one), (b, mut other)) = linked(&network).await;
    network.lose(&b, 1);
    let start = Instant::now();
    one.write_all(b"lost").await.unwrap();
    assert_eq!(
        error_of(&mut other).await,
        "messages between the nodes were lost"
    );
    assert!(start.elapsed() <= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn dead_nodes_are_noticed_at_once() {
    let network = MemoryNetwork::new();
    let ((_a, mut one), (b, _other)) = linked(&network).await;
    network.kill(&b);
    let start = Instant::now();
    one.write_all(b"anybody?").await.unwrap();
    assert_eq!(error_of(&mut one).await, "the other node is gone");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn silence_breaks_a_link() {
    let network = MemoryNetwork::new();
    let ((_a, mut one), (b, mut other)) = linked(&network).await;
    // Heartbeats keep it alive.
    tokio::time::sleep(Duration::from_secs(100)).await;
    one.write_all(b"x").await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), b'x');
    network.partition(&b);
    let start = Instant::now();
    for stream in [&mut one, &mut other] {
        assert_eq!(
            error_of(stream).await,
            "the other node has sent nothing for 3s"
        );
    }
    assert!(start.elapsed() <= Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn dropped_streams_end() {
    let network = MemoryNetwork::new();
    let ((_a, mut one), (_b, mut other)) = linked(&network).await;
    one.write_all(b"last words").await.unwrap();
    drop(one);
    let mut read = String::new();
    other.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "last words");
}

//! Streams between two sessions.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use capnweb_core::{
    ByteStream, Bytes, Error, Object, Promise, Readable, Stub, Value, Writable, pipe,
};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use crate::support::{Gate, connect, counter, idle, within};

/// Returns an object with streams in both directions.
pub(crate) fn streams() -> Stub {
    Object::new()
        .method("count", |to: u32| async move {
            Ok(Readable::from_stream(stream::iter(0..to)))
        })
        .method("sum", |numbers: Readable<u32>| async move {
            numbers
                .try_fold(0u32, |sum, n| async move { Ok(sum + n) })
                .await
        })
        .method("echo", |stream: Value| async move { Ok(stream) })
        .method("writeTo", |mut to: Writable<u32>, n: u32| async move {
            for n in 0..n {
                to.send(n).await?;
            }
            to.close().await
        })
        .method("drop", |stream: Value| async move {
            drop(stream);
            Ok(())
        })
        .method("failAfter", |n: u32| async move {
            let chunks = (0..n)
                .map(Ok)
                .chain([Err(Error::range_error("out of chunks"))]);
            Ok(Readable::<u32>::from_stream(stream::iter(chunks)))
        })
        .method(
            "readThenFail",
            |mut numbers: Readable<u32>, n: u32| async move {
                for _ in 0..n {
                    numbers.next().await.transpose()?;
                }
                numbers.cancel(Error::range_error("seen enough"));
                Ok(())
            },
        )
        .into_stub()
}

#[tokio::test]
async fn a_stream_in_a_result_is_read() {
    let peers = connect(streams());
    let numbers: Readable<u32> = within(peers.api.call("count", (1000,)).fetch())
        .await
        .unwrap();
    let numbers: Vec<u32> = within(numbers.try_collect()).await.unwrap();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    peers.settle().await;
}

#[tokio::test]
async fn a_stream_in_an_argument_is_read() {
    let peers = connect(streams());
    let numbers = Readable::from_stream(stream::iter(0..1000u32));
    let sum = within(peers.api.call("sum", (numbers,)).fetch::<u32>()).await;
    assert_eq!(sum.unwrap(), 499_500);
    peers.settle().await;
}

#[tokio::test]
async fn the_peer_writes_to_a_writable() {
    let peers = connect(streams());
    let (to, numbers) = pipe::<u32>();
    let written = peers.api.call("writeTo", (to, 1000)).fetch::<()>();
    let (written, numbers) =
        within(async { tokio::join!(written, numbers.try_collect::<Vec<u32>>()) }).await;
    written.unwrap();
    assert_eq!(numbers.unwrap(), (0..1000).collect::<Vec<_>>());
    peers.settle().await;
}

#[tokio::test]
async fn the_peer_writes_to_a_sink() {
    let peers = connect(streams());
    let sum = Arc::new(AtomicUsize::new(0));
    let sink = futures_util::sink::unfold(sum.clone(), |sum, n: u32| async move {
        sum.fetch_add(n as usize, Ordering::Relaxed);
        Ok::<_, Error>(sum)
    });
    let to = Writable::from_sink(sink);
    within(peers.api.call("writeTo", (to, 1000)).fetch::<()>())
        .await
        .unwrap();
    assert_eq!(sum.load(Ordering::Relaxed), 499_500);
    peers.settle().await;
}

#[tokio::test]
async fn a_stream_can_be_echoed() {
    let peers = connect(streams());
    let numbers = Readable::from_stream(stream::iter(0..100u32));
    let numbers: Readable<u32> = within(peers.api.call("echo", (numbers,)).fetch())
        .await
        .unwrap();
    let numbers: Vec<u32> = within(numbers.try_collect()).await.unwrap();
    assert_eq!(numbers.len(), 100);
    peers.settle().await;
}

#[tokio::test]
async fn a_writable_can_be_echoed() {
    let peers = connect(streams());
    let (to, numbers) = pipe::<u32>();
    let mut to: Writable<u32> = within(peers.api.call("echo", (to,)).fetch()).await.unwrap();
    let write = async {
        to.send(1).await?;
        to.send(2).await?;
        to.close().await
    };
    let (written, numbers) =
        within(async { tokio::join!(write, numbers.try_collect::<Vec<u32>>()) }).await;
    written.unwrap();
    assert_eq!(numbers.unwrap(), [1, 2]);
    drop(to);
    peers.settle().await;
}

#[tokio::test]
async fn a_promise_of_a_stream_may_be_an_argument() {
    let peers = connect(streams());
    let numbers = peers.api.call("count", (10,));
    let sum = within(peers.api.call("sum", (numbers,)).fetch::<u32>()).await;
    assert_eq!(sum.unwrap(), 45);
    peers.settle().await;
}

#[tokio::test]
async fn streams_may_be_fields_and_chunks() {
    #[derive(Serialize, Deserialize)]
    struct File {
        name: String,
        content: ByteStream,
    }
    let peers = connect(streams());
    let files = (0..3).map(|n| File {
        name: format!("file {n}"),
        content: ByteStream::from_reader(std::io::Cursor::new(vec![n; 100_000])),
    });
    let files = Readable::from_stream(stream::iter(files));
    let mut files: Readable<File> = within(peers.api.call("echo", (files,)).fetch())
        .await
        .unwrap();
    for n in 0..3 {
        let mut file = within(files.next()).await.unwrap().unwrap();
        assert_eq!(file.name, format!("file {n}"));
        let mut content = Vec::new();
        within(file.content.read_to_end(&mut content))
            .await
            .unwrap();
        assert_eq!(content, vec![n; 100_000]);
    }
    assert!(within(files.next()).await.is_none());
    peers.settle().await;
}

#[tokio::test]
async fn capabilities_and_promises_may_be_chunks() {
    let peers = connect(streams());
    let counters = (0..10).map(|n| (counter(f64::from(n)), counter(0.0).get("value")));
    let counters = Readable::<(Stub, Promise<Value>)>::from_stream(stream::iter(counters));
    let counters: Readable<(Stub, f64)> = within(peers.api.call("echo", (counters,)).fetch())
        .await
        .unwrap();
    let counters: Vec<(Stub, f64)> = within(counters.try_collect()).await.unwrap();
    for (n, (counter, zero)) in counters.iter().enumerate() {
        assert_eq!(*zero, 0.0);
        let value = within(counter.call("increment", ()).fetch::<f64>())
            .await
            .unwrap();
        assert_eq!(value, n as f64 + 1.0);
    }
    drop(counters);
    peers.settle().await;
}

#[tokio::test]
async fn an_error_of_the_source_reaches_the_reader() {
    let peers = connect(streams());
    let mut numbers: Readable<u32> = within(peers.api.call("failAfter", (2,)).fetch())
        .await
        .unwrap();
    // Unread chunks are lost when the stream is aborted.
    let mut error = None;
    while let Some(chunk) = within(numbers.next()).await {
        if let Err(reason) = chunk {
            error = Some(reason);
        }
    }
    let error = error.unwrap();
    assert!(
        error.is_range_error() && error.message() == "out of chunks",
        "{error}"
    );
    peers.settle().await;
}

#[tokio::test]
async fn a_reader_that_cancels_tells_the_writer_why() {
    let peers = connect(streams());
    let (mut to, numbers) = pipe::<u32>();
    let call = peers.api.call("readThenFail", (numbers, 2)).fetch::<()>();
    let write = async {
        loop {
            if let Err(error) = to.send(1).await {
                return error;
            }
        }
    };
    let (called, error) = within(async { tokio::join!(call, write) }).await;
    called.unwrap();
    assert_eq!(error.message(), "seen enough");
    assert_eq!(
        within(to.close()).await.unwrap_err().message(),
        "seen enough"
    );
    peers.settle().await;
}

#[tokio::test]
async fn an_unread_stream_is_canceled_when_dropped() {
    let peers = connect(streams());
    let (mut to, numbers) = pipe::<u32>();
    within(peers.api.call("drop", (numbers,)).fetch::<()>())
        .await
        .unwrap();
    let error = within(async {
        loop {
            if let Err(error) = to.send(1).await {
                return error;
            }
        }
    })
    .await;
    assert!(
        error.message().contains("dropped before it was read"),
        "{error}"
    );
    peers.settle().await;
}

#[tokio::test]
async fn an_unclosed_writable_is_aborted_when_dropped() {
    let peers = connect(streams());
    let (to, mut numbers) = pipe::<u32>();
    within(peers.api.call("drop", (to,)).fetch::<()>())
        .await
        .unwrap();
    let error = within(numbers.next()).await.unwrap().unwrap_err();
    assert!(
        error.message().contains("dropped before it was closed"),
        "{error}"
    );
    assert!(within(numbers.next()).await.is_none());
    peers.settle().await;
}

#[tokio::test]
async fn a_stream_can_be_sent_only_once() {
    let peers = connect(streams());
    let mut numbers = Readable::from_stream(stream::iter(0..10u32));
    // Both are in one message, so neither is sent.
    let error = within(
        peers
            .api
            .call("echo", (&numbers, &numbers))
            .fetch::<Value>(),
    )
    .await
    .unwrap_err();
    assert!(error.message().contains("given away"), "{error}");
    assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 0);
    // Another argument cannot be serialized, so the stream is returned.
    let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
    within(peers.api.call("sum", (&numbers, unwritable)).fetch::<u32>())
        .await
        .unwrap_err();
    assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 1);
    let sum = within(peers.api.call("sum", (&numbers,)).fetch::<u32>()).await;
    assert_eq!(sum.unwrap(), 44);
    let error = within(peers.api.call("sum", (&numbers,)).fetch::<u32>())
        .await
        .unwrap_err();
    assert!(error.message().contains("given away"), "{error}");
    let error = within(numbers.next()).await.unwrap().unwrap_err();
    assert!(error.is_type_error(), "{error}");
    assert!(within(numbers.next()).await.is_none());
    peers.settle().await;
}

#[tokio::test]
async fn a_slow_reader_delays_its_writer_and_nothing_else() {
    let peers = connect(
        Object::new()
            .method("hold", {
                let gate = Gate::closed();
                let opener = gate.clone();
                move |mut bytes: Readable<Bytes>, open: Stub| {
                    let (gate, opener) = (gate.clone(), opener.clone());
                    async move {
                        let first = bytes
                            .next()
                            .await
                            .transpose()?
                            .map_or(0, |chunk| chunk.len());
                        open.invoke(()).fetch::<()>().await?;
                        opener.open();
                        gate.pass().await;
                        bytes
                            .try_fold(first, |sum, chunk| async move { Ok(sum + chunk.len()) })
                            .await
                    }
                }
            })
            .method("ping", async || Ok("pong"))
            .into_stub(),
    );
    let written = Arc::new(AtomicUsize::new(0));
    let counting = written.clone();
    const CHUNK: usize = 10_000;
    let chunks = stream::iter((0..1000).map(move |_| {
        counting.fetch_add(CHUNK, Ordering::Relaxed);
        Bytes::from(vec![7; CHUNK])
    }));
    let held = Gate::closed();
    let release = held.clone();
    let reached = Arc::new(tokio::sync::Notify::new());
    let reaching = reached.clone();
    let stop = Stub::function(move || {
        let (held, reaching) = (held.clone(), reaching.clone());
        async move {
            reaching.notify_one();
            held.pass().await;
            Ok(())
        }
    });
    let sum = peers
        .api
        .call("hold", (Readable::from_stream(chunks), stop))
        .fetch::<usize>();
    let sum = tokio::spawn(sum);
    within(reached.notified()).await;
    idle().await;
    // The first window is 256 KiB, and the writer does not get far beyond it, even with base64.
    let then = written.load(Ordering::Relaxed);
    assert!((150_000..600_000).contains(&then), "{then}");
    assert!(peers.server.stream_bytes() < 900_000);
    let pong = within(peers.api.call("ping", ()).fetch::<String>()).await;
    assert_eq!(pong.unwrap(), "pong");
    release.open();
    assert_eq!(within(sum).await.unwrap().unwrap(), 1000 * CHUNK);
    assert_eq!(peers.server.stream_bytes(), 0);
    peers.settle().await;
}

#[tokio::test]
async fn a_byte_stream_is_read_like_a_file() {
    let peers = connect(streams());
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let bytes = ByteStream::from_reader(std::io::Cursor::new(data.clone()));
    let mut bytes: ByteStream = within(peers.api.call("echo", (bytes,)).fetch())
        .await
        .unwrap();
    let mut start = [0; 100];
    within(bytes.read_exact(&mut start)).await.unwrap();
    assert_eq!(start, data[..100]);
    // Bytes that were received and not read are forwarded too.
    let mut bytes: ByteStream = within(peers.api.call("echo", (bytes,)).fetch())
        .await
        .unwrap();
    let mut rest = Vec::new();
    within(bytes.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, data[100..]);
    peers.settle().await;
}

#[tokio::test]
async fn a_writable_is_written_like_a_file() {
    let peers = connect(
        Object::new()
            .method("send", |mut to: Writable<Bytes>| async move {
                for n in 0..100 {
                    to.send(Bytes::from(vec![n; 1000])).await?;
                }
                to.close().await
            })
            .into_stub(),
    );
    let (near, mut far) = tokio::io::duplex(1024);
    let sent = peers
        .api
        .call("send", (Writable::from_writer(near),))
        .fetch::<()>();
    let mut received = Vec::new();
    let (sent, read) = within(async { tokio::join!(sent, far.read_to_end(&mut received)) }).await;
    sent.unwrap();
    read.unwrap();
    assert_eq!(received.len(), 100_000);
    assert!(
        received
            .chunks(1000)
            .enumerate()
            .all(|(n, chunk)| chunk.iter().all(|b| usize::from(*b) == n))
    );
    peers.settle().await;
}

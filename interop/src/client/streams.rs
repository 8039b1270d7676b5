//! Streams in both directions.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use capnweb::{
    Bytes, Error, Promise, Stub, StubType, Value, join_all,
    stream::{ByteStream, Readable, Writable, pipe},
};
use futures_util::{SinkExt, Stream, StreamExt, TryStreamExt, stream};
use tokio::io::AsyncReadExt;

use super::{
    check::{Checks, Failure, Outcome, Over, ensure, ensure_eq, ensure_err},
    peer::{Peer, eventually},
};

fn bytes(n: usize, size: usize) -> Readable<Bytes> {
    let counting = (0..=u8::MAX).cycle().take(n);
    Readable::from_stream(stream::iter(
        counting.map(move |n| Bytes::from(vec![n; size])),
    ))
}

fn text(chunks: &'static [&'static str]) -> Readable<String> {
    Readable::from_stream(stream::iter(chunks.iter().copied())).cast()
}

/// Returns an endless stream, and the number of chunks that were requested, which is negative once
/// the stream is dropped.
fn endless() -> (Readable<String>, Arc<Endless>) {
    let seen = Arc::new(Endless::default());
    let counting = Watch(seen.clone());
    let chunks = stream::repeat_with(move || {
        counting.0.made.fetch_add(1, Ordering::Relaxed);
        "x".repeat(1000)
    });
    (Readable::from_stream(chunks), seen)
}

#[derive(Debug, Default)]
struct Endless {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

struct Watch(Arc<Endless>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Endless {
    async fn ensure_canceled(&self) -> Outcome {
        let canceled = eventually(async || Ok(self.dropped.load(Ordering::Relaxed) == 1)).await?;
        ensure!(canceled, self);
        Ok(())
    }
}

async fn count(stream: impl Stream<Item = capnweb::Result<Bytes>>) -> Result<usize, Error> {
    stream
        .try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) })
        .await
}

/// Returns the main object for calls by name, since each check reads a stream as another type.
fn api(peer: &Peer) -> Stub {
    peer.api().as_stub().clone()
}

fn troubled(peer: &Peer) -> Stub {
    peer.probe().as_stub().get("streams").into()
}

pub(super) fn checks(checks: &mut Checks) {
    reading(checks);
    writing(checks);
    failing(checks);
    pacing(checks);
}

fn reading(checks: &mut Checks) {
    // A batch's answer contains the whole stream.
    for (name, over, why) in [
        ("streams: a result is read", Over::WS, None),
        (
            "streams: a result is read in a batch",
            Over::BATCH,
            Some("the reference cuts streams in an answer off"),
        ),
    ] {
        let check = checks.add(name, over, |peer| async move {
            let api = api(&peer);
            let (five, hi) = tokio::try_join!(
                api.call("readable", (5, 1000)).fetch::<Readable<Bytes>>(),
                api.call("getStream", ()).fetch::<Readable<String>>(),
            )?;
            let five: Vec<Bytes> = five.try_collect().await?;
            let seen: Vec<_> = five.iter().map(|chunk| (chunk.len(), chunk[999])).collect();
            ensure_eq!(seen, [0, 1, 2, 3, 4].map(|n| (1000, n)));
            ensure_eq!(hi.try_collect::<Vec<_>>().await?, ["hi"]);
            Ok(())
        });
        if let Some(why) = why {
            check.not_node(why);
        }
    }

    checks.add(
        "streams: an argument is read",
        Over::BOTH,
        |peer| async move {
            let api = api(&peer);
            let count = api.call("countBytes", (bytes(10, 5000),)).fetch::<usize>();
            let none = api.call("countBytes", (bytes(0, 1),)).fetch::<usize>();
            let all = api.call("readAll", (text(&["one ", "two ", "three"]),));
            let answers = tokio::try_join!(count, none, all.fetch::<String>())?;
            ensure_eq!(answers, (50_000, 0, "one two three".to_owned()));
            Ok(())
        },
    );

    checks.add(
        "streams: megabytes are read, there and here",
        Over::WS,
        |peer| async move {
            let api = api(&peer);
            let there = api.call("countBytes", (bytes(500, 20_000),));
            ensure_eq!(there.fetch::<usize>().await?, 10_000_000);
            let here: ByteStream = api.call("readable", (500, 20_000)).fetch().await?;
            let mut here = here;
            let mut content = Vec::new();
            let read = here.read_to_end(&mut content).await;
            ensure_eq!(read.map_err(|error| error.to_string()), Ok(10_000_000));
            Ok(())
        },
    );

    checks.add(
        "streams: bytes are read from what can be read",
        Over::BOTH,
        |peer| async move {
            let reader = std::io::Cursor::new(vec![b'a'; 300_000]);
            let stream = ByteStream::from_reader(reader);
            let all = api(&peer).call("readAll", (stream,)).fetch::<String>();
            ensure_eq!(all.await?, "a".repeat(300_000));
            Ok(())
        },
    );

    checks.add(
        "streams: a stream goes there and back",
        Over::WS,
        |peer| async move {
            let api = api(&peer);
            let back: Readable<String> = api
                .call("echoStream", (text(&["a", "b", "c"]),))
                .fetch()
                .await?;
            ensure_eq!(back.try_collect::<Vec<_>>().await?, ["a", "b", "c"]);
            let back: Readable<Bytes> = api
                .call("echoStream", (bytes(100, 10_000),))
                .fetch()
                .await?;
            ensure_eq!(count(back).await?, 1_000_000);
            Ok(())
        },
    );

    checks.add(
        "streams: a promise of a stream is an argument",
        Over::BOTH,
        |peer| async move {
            let api = api(&peer);
            let stream = api.call("getStream", ());
            let all = api.call("readAll", (stream,)).fetch::<String>();
            ensure_eq!(all.await?, "hi");
            Ok(())
        },
    );

    checks.add(
        "streams: many at once, with calls between",
        Over::WS,
        |peer| async move {
            let api = api(&peer);
            let counts = (0..20).map(|n| {
                api.call("countBytes", (bytes(20 + n, 1000),))
                    .cast::<usize>()
            });
            let counts = join_all(counts.collect::<Vec<_>>());
            let reads = (0..20).map(|n| api.call("readable", (20 + n, 1000)));
            let reads =
                futures_util::future::join_all(reads.map(|read| async move {
                    count(read.fetch::<Readable<Bytes>>().await?).await
                }));
            let squares = join_all((0..20).map(|n| api.call("square", (n,)).cast::<u32>()));
            let (counts, reads, squares) = tokio::join!(counts, reads, squares);
            let expected: Vec<usize> = (0..20).map(|n| (20 + n) * 1000).collect();
            ensure_eq!(counts.into_iter().collect::<Result<Vec<_>, _>>()?, expected);
            ensure_eq!(reads.into_iter().collect::<Result<Vec<_>, _>>()?, expected);
            let squares: Vec<u32> = squares.into_iter().collect::<Result<_, _>>()?;
            ensure_eq!(squares, (0..20).map(|n| n * n).collect::<Vec<_>>());
            Ok(())
        },
    );

    checks.add(
        "streams: objects of the peer in chunks are called",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            let counters: Readable<Stub> =
                troubled(&peer).call("counterStream", (5,)).fetch().await?;
            let mut sum = 0.0;
            let mut counters = std::pin::pin!(counters);
            while let Some(counter) = counters.next().await.transpose()? {
                sum += counter.call("increment", (10,)).fetch::<f64>().await?;
            }
            ensure_eq!(sum, 60.0);
            let gone = eventually(async || Ok(peer.live().await?.counters == before)).await?;
            ensure!(gone, peer.live().await?);
            Ok(())
        },
    );

    checks.add(
        "streams: objects of ours in chunks are called",
        Over::WS,
        |peer| async move {
            let counters = (0..5).map(|n| {
                Stub::new(
                    capnweb::Object::new()
                        .sync_method("increment", move |by: f64| Ok(f64::from(n) + by)),
                )
            });
            let counters = Readable::from_stream(stream::iter(counters));
            let sum: Promise<f64> = troubled(&peer).call("sumCounters", (counters,)).cast();
            ensure_eq!(sum.await?, 15.0);
            Ok(())
        },
    );
}

fn writing(checks: &mut Checks) {
    checks.add(
        "streams: the peer writes to a stream of ours",
        Over::WS,
        |peer| async move {
            let (to, chunks) = pipe::<String>();
            let written = api(&peer).call("writeTo", (to,)).fetch::<()>();
            let (written, chunks) = tokio::join!(written, chunks.try_collect::<Vec<_>>());
            written?;
            ensure_eq!(chunks?, ["hi"]);
            Ok(())
        },
    );

    checks.add(
        "streams: we write to a stream of the peer's",
        Over::WS,
        |peer| async move {
            let mut to: Writable<Value> = api(&peer).call("writable", ()).fetch().await?;
            for _ in 0..100 {
                to.send(Value::Bytes(vec![0; 10_000].into())).await?;
            }
            to.send("and a string".into()).await?;
            to.close().await?;
            Ok(())
        },
    );
}

fn failing(checks: &mut Checks) {
    checks.add(
        "streams: an error in a stream of the peer arrives",
        Over::WS,
        |peer| async move {
            let failing: Readable<String> =
                troubled(&peer).call("failingStream", (2,)).fetch().await?;
            let error = ensure_err!(failing.try_collect::<Vec<_>>().await);
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "out of chunks")
            );
            Ok(())
        },
    );

    checks.add(
        "streams: an error in a stream of ours arrives",
        Over::WS,
        |peer| async move {
            let chunks = [
                Ok("chunk".to_owned()),
                Err(Error::range_error("out of chunks")),
            ];
            let failing = Readable::<String>::from_stream(stream::iter(chunks));
            let error = ensure_err!(api(&peer).call("readAll", (failing,)).await);
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "out of chunks")
            );
            Ok(())
        },
    );

    checks.add(
        "streams: a peer that breaks off writing gives its reason",
        Over::WS,
        |peer| async move {
            let (to, chunks) = pipe::<String>();
            let written = troubled(&peer)
                .call("writeThenAbort", (to, 3))
                .fetch::<()>();
            let (written, chunks) = tokio::join!(written, chunks.try_collect::<Vec<_>>());
            written?;
            let error = ensure_err!(chunks);
            ensure_eq!((error.name(), error.message()), ("RangeError", "gave up"));
            Ok(())
        },
    );

    checks.add(
        "streams: a writable of the peer that fails gives its reason",
        Over::WS,
        |peer| async move {
            let mut to: Writable<u32> = troubled(&peer)
                .call("failingWritable", (2,))
                .fetch()
                .await?;
            let mut written = Ok(());
            for n in 0..1000 {
                written = to.send(n).await;
                if written.is_err() {
                    break;
                }
            }
            let error = match written {
                Ok(()) => ensure_err!(to.close().await),
                Err(error) => error,
            };
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "no more room")
            );
            Ok(())
        },
    );

    checks.add(
        "streams: a reader that stops cancels our stream",
        Over::WS,
        |peer| async move {
            let (chunks, seen) = endless();
            troubled(&peer)
                .call("readThenCancel", (chunks, 3))
                .fetch::<()>()
                .await?;
            seen.ensure_canceled().await
        },
    );

    checks.add(
        "streams: a stream that we do not read on is canceled",
        Over::WS,
        |peer| async move {
            let mut chunks: Readable<Bytes> = peer
                .api()
                .call("readable", (1_000_000, 1000))
                .fetch()
                .await?;
            ensure_eq!(
                chunks.next().await.transpose()?.map(|chunk| chunk.len()),
                Some(1000)
            );
            Ok(())
        },
    );

    checks.add(
        "streams: an argument that is not read is canceled",
        Over::WS,
        |peer| async move {
            let (chunks, seen) = endless();
            api(&peer).call("ping", (chunks,)).fetch::<String>().await?;
            seen.ensure_canceled().await
        },
    );

    checks.add(
        "streams: a session that ends breaks its streams",
        Over::WS,
        |peer| async move {
            let other = peer.connect().await?;
            let (chunks, seen) = endless();
            let read: Readable<Bytes> = other
                .main()
                .call("readable", (1_000_000, 1000))
                .fetch()
                .await?;
            let call = other
                .main()
                .get("probe")
                .get("streams")
                .call("readWhenTold", (chunks,))
                .fetch::<usize>();
            other.main().call("square", (1,)).fetch::<u32>().await?;
            other.close(Error::new("enough"));
            ensure_err!(call.await);
            ensure_err!(read.try_collect::<Vec<_>>().await);
            seen.ensure_canceled().await
        },
    );
}

fn pacing(checks: &mut Checks) {
    checks.add(
        "streams: a slow reader holds our stream up, and no calls",
        Over::WS,
        |peer| async move {
            let made = Arc::new(AtomicUsize::new(0));
            let making = made.clone();
            let chunks = Readable::from_stream(stream::iter((0..1000).map(move |_| {
                making.fetch_add(1, Ordering::Relaxed);
                Bytes::from(vec![0; 10_000])
            })));
            let streams = troubled(&peer);
            let counted = tokio::spawn(streams.call("readWhenTold", (chunks,)).fetch::<usize>());
            eventually(async || Ok(made.load(Ordering::Relaxed) > 10)).await?;
            for n in 0..20 {
                ensure_eq!(api(&peer).call("square", (n,)).fetch::<u32>().await?, n * n);
            }
            // The first window is 256 KiB, and base64 adds a third.
            let then = made.load(Ordering::Relaxed);
            ensure!(then < 100, then);
            streams.call("go", ()).fetch::<()>().await?;
            let counted = counted
                .await
                .map_err(|error| Failure::new(error.to_string()))?;
            ensure_eq!(counted?, 10_000_000);
            Ok(())
        },
    );

    checks.add(
        "streams: we hold the peer's stream up while we are slow",
        Over::WS,
        |peer| async move {
            let mut chunks: Readable<Bytes> =
                api(&peer).call("readable", (1000, 10_000)).fetch().await?;
            let first = chunks
                .next()
                .await
                .transpose()?
                .map_or(0, |chunk| chunk.len());
            for n in 0..20 {
                ensure_eq!(api(&peer).call("square", (n,)).fetch::<u32>().await?, n * n);
            }
            let held = peer.session()?.stream_bytes();
            ensure!(held < 1 << 20, held);
            ensure_eq!(first + count(chunks).await?, 10_000_000);
            ensure_eq!(peer.session()?.stream_bytes(), 0);
            Ok(())
        },
    );

    checks.add(
        "streams: a reader that is slow gets all there is",
        Over::WS,
        |peer| async move {
            let read = troubled(&peer).call("readSlowly", (bytes(20, 50_000), 2));
            ensure_eq!(read.fetch::<usize>().await?, 1_000_000);
            Ok(())
        },
    );
}

//! Random streams: many at once, in both directions, direct or through a proxy, with errors, early
//! ends and slow readers.
//!
//! A reader must receive the written chunks in order, as far as it reads. When everything has
//! ended, all tables must hold only the main objects.

use std::time::Duration;

use capnweb_core::{
    Bytes, Error, Object, Payload, Promise, Readable, Result, Session, SessionOptions, Stats, Stub,
    Writable, pair, pipe,
};
use futures_util::{SinkExt, StreamExt, future::join_all, stream};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed},
};

use crate::support::eventually;

/// The way in which one stream is created, sent and read.
#[derive(Clone, Debug)]
struct Plan {
    way: Way,
    /// The sizes of its chunks.
    chunks: Vec<u16>,
    end: End,
    /// The number of chunks after which the reader stops, or `None` if it reads all.
    read: Option<usize>,
    /// The number of chunks after which the reader pauses.
    rest: usize,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// The test reads a result.
    Result,
    /// The peer reads an argument, and reports what it received.
    Argument,
    /// The stream goes back and forth this many times.
    Echo(u8),
    /// The peer writes to one of our pipes.
    Writable,
    /// The stream is in a struct, whose promise is passed on.
    Promise,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Error,
    /// The writer is dropped without closing.
    Drop,
}

fn plan() -> impl Strategy<Value = Plan> {
    let way = prop_oneof![
        Just(Way::Result),
        Just(Way::Argument),
        (1u8..4).prop_map(Way::Echo),
        Just(Way::Writable),
        Just(Way::Promise),
    ];
    let size = prop_oneof![4 => 0u16..100, 1 => 0u16..20_000];
    let end = prop_oneof![4 => Just(End::Close), 1 => Just(End::Error), 1 => Just(End::Drop)];
    let read = prop_oneof![3 => Just(None), 1 => (0usize..30).prop_map(Some)];
    (way, vec(size, 0..60), end, read, 1usize..20).prop_map(|(way, chunks, end, read, rest)| Plan {
        way,
        chunks,
        end,
        read,
        rest,
    })
}

/// Returns a chunk that contains its position.
fn chunk(place: usize, size: u16) -> Bytes {
    vec![u8::try_from(place).unwrap_or_default(); usize::from(size)].into()
}

/// The chunks and the end that a reader has received.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Seen {
    sizes: Vec<usize>,
    in_order: bool,
    error: Option<String>,
    stopped: bool,
}

async fn read(mut stream: Readable<Bytes>, plan: (Option<usize>, usize)) -> Seen {
    let (read, rest) = plan;
    let mut seen = Seen {
        sizes: Vec::new(),
        in_order: true,
        error: None,
        stopped: false,
    };
    loop {
        let place = seen.sizes.len();
        if read == Some(place) {
            seen.stopped = true;
            return seen;
        }
        match stream.next().await {
            None => return seen,
            Some(Err(error)) => {
                seen.error = Some(error.message().to_owned());
                return seen;
            }
            Some(Ok(chunk)) => {
                let place = u8::try_from(place).unwrap_or_default();
                seen.in_order &= chunk.iter().all(|byte| *byte == place);
                seen.sizes.push(chunk.len());
            }
        }
        if place.is_multiple_of(rest) {
            tokio::task::yield_now().await;
        }
    }
}

async fn write(mut to: Writable<Bytes>, chunks: Vec<u16>, end: u8) -> Result<()> {
    for (place, size) in chunks.iter().enumerate() {
        to.send(chunk(place, *size)).await?;
    }
    match end {
        0 => to.close().await,
        1 => {
            to.abort(Error::range_error("failure"));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn main_object() -> Stub {
    Object::new()
        .sync_method("make", |chunks: Vec<u16>, fails: bool| {
            let last = fails.then(|| Err(Error::range_error("failure")));
            let chunks = (0..)
                .zip(chunks)
                .map(|(place, size)| Ok(chunk(place, size)));
            Ok([Readable::<Bytes>::from_stream(stream::iter(
                chunks.chain(last),
            ))])
        })
        .method(
            "read",
            |stream: Readable<Bytes>, plan: (Option<usize>, usize)| async move {
                Ok(read(stream, plan).await)
            },
        )
        .method(
            "write",
            |to: Writable<Bytes>, chunks: Vec<u16>, end: u8| async move {
                // The reader causes the writer's failures.
                Ok(write(to, chunks, end).await.is_ok())
            },
        )
        .sync_method("echo", |value: Payload| Ok(value))
        .into_stub()
}

impl Plan {
    fn source(&self) -> Readable<Bytes> {
        let (to, from) = pipe();
        let writing = write(to, self.chunks.clone(), self.end as u8);
        tokio::spawn(writing);
        from
    }

    async fn run(self, api: Stub) -> Result<(), TestCaseError> {
        let plan = (self.read, self.rest);
        let fails = !matches!(self.end, End::Close);
        let seen: Result<Seen> = match self.way {
            Way::Result => match api
                .call("make", (&self.chunks, fails))
                .get(0u64)
                .fetch()
                .await
            {
                Ok(stream) => Ok(read(stream, plan).await),
                Err(error) => Err(error),
            },
            Way::Argument => api.call("read", (self.source(), plan)).fetch().await,
            Way::Echo(times) => {
                let mut stream = Ok(self.source());
                for _ in 0..times {
                    stream = match stream {
                        Ok(stream) => api.call("echo", (stream,)).fetch().await,
                        error => error,
                    };
                }
                match stream {
                    Ok(stream) => Ok(read(stream, plan).await),
                    Err(error) => Err(error),
                }
            }
            Way::Writable => {
                let (to, from) = pipe();
                let written = api.call("write", (to, &self.chunks, self.end as u8));
                let (seen, written) = tokio::join!(read(from, plan), written.fetch::<bool>());
                written.map(|_| seen)
            }
            Way::Promise => {
                let made: Promise<_> = api.call("make", (&self.chunks, fails));
                api.call("read", (made.get(0u64), plan)).fetch().await
            }
        };
        let seen = seen.map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let sizes: Vec<usize> = self.chunks.iter().map(|size| usize::from(*size)).collect();
        prop_assert!(seen.in_order, "{seen:?}");
        prop_assert!(sizes.starts_with(&seen.sizes), "{seen:?}");
        if seen.stopped {
            prop_assert_eq!(Some(seen.sizes.len()), self.read);
        } else if fails {
            // Unread chunks are lost when the stream is aborted.
            prop_assert!(seen.error.is_some(), "{seen:?}");
        } else {
            prop_assert_eq!(seen.error, None);
            prop_assert_eq!(seen.sizes, sizes);
        }
        Ok(())
    }
}

/// Returns sessions to a server, possibly through proxies.
fn sessions(hops: usize) -> Vec<Session> {
    let mut main = main_object();
    let mut sessions = Vec::new();
    for _ in 0..=hops {
        let (left, right) = pair();
        let (server, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(main);
        tokio::spawn(connection.drive(left));
        let (client, connection) = Session::client(SessionOptions::new());
        tokio::spawn(connection.drive(right));
        main = client.main();
        sessions.extend([server, client]);
    }
    sessions
}

async fn all(plans: Vec<Plan>, hops: usize) -> Result<(), TestCaseError> {
    let sessions = sessions(hops);
    let api = sessions.last().map(Session::main).unwrap();
    let run = join_all(plans.into_iter().map(|plan| plan.run(api.clone())));
    let results = tokio::time::timeout(Duration::from_secs(20), run).await;
    let Ok(results) = results else {
        return Err(TestCaseError::fail("a stream hangs"));
    };
    results.into_iter().collect::<Result<Vec<()>, _>>()?;
    let empty = Stats {
        imports: 1,
        exports: 1,
    };
    let is_empty = |session: &Session| session.stats() == empty && session.stream_bytes() == 0;
    let all_empty = || sessions.iter().all(is_empty);
    eventually(
        || format!("the tables are not empty: {sessions:?}"),
        all_empty,
    )
    .await;
    Ok(())
}

fn config(cases: u32, seed: u64) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(48, 1))]

    #[test]
    fn random_streams_arrive_and_leave_nothing(plans in vec(plan(), 1..12), hops in 0usize..3) {
        let runtime = crate::runtime_shutdown::runtime(0);
        runtime.block_on(all(plans, hops))?;
    }
}

proptest! {
    #![proptest_config(config(24, 2))]

    #[test]
    fn random_streams_arrive_on_many_threads(plans in vec(plan(), 1..24), hops in 0usize..3) {
        let runtime = crate::runtime_shutdown::runtime(4);
        runtime.block_on(all(plans, hops))?;
    }
}

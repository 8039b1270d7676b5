//! The longest poll of a driver, whatever its peer sends.
//!
//! In each case, a peer asks for as much as it can within the default limits. A poll may take at
//! most 5 ms: `cargo bench -p capnweb-benches --bench longest_poll` fails if one takes longer in
//! the best of three runs. The time in which other threads have the processor does not count, as
//! far as the system reports it.

#![allow(clippy::unwrap_used, reason = "a panic ends the bench")]

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use capnweb::{
    Error, Limits, Object, Payload, Result, Session, SessionOptions, Stub, Value, pair,
    transport::{Outgoing, Received, Transport},
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

/// The bound.
const LONGEST: Duration = Duration::from_millis(5);

/// The number of runs of each case. The best one counts, since the machine does other things too.
const RUNS: usize = 3;

/// A value that takes no time before it is encoded.
struct Many<T>(usize, T);

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0))?;
        for _ in 0..self.0 {
            seq.serialize_element(&self.1)?;
        }
        seq.end()
    }
}

fn main_object() -> Stub {
    Object::new()
        .sync_method("list", |n: usize| Ok(Many(n, 7)))
        .sync_method("getMany", |n: usize| Ok(Many(n, Stub::new(Object::new()))))
        .method("laterMany", |n: usize| async move {
            tokio::task::yield_now().await;
            Ok(Many(n, "twelve bytes"))
        })
        .sync_method("echo", |value: Payload| Ok(value))
        .sync_method("decode", |value: Value| Ok(value))
        .sync_method("count", |values: Vec<Value>| Ok(values.len()))
        .sync_method("square", |n: f64| Ok(n * n))
        .sync_method("nothing", |_: Payload| Ok(()))
        .method("wait", |n: u64| async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            Ok([1, 2, 3])
        })
        .method("callMany", |f: Stub, n: usize| async move {
            // The calls are the application's, in a task of its own.
            let calls = tokio::task::spawn_blocking(move || {
                for i in 0..n {
                    capnweb::Promise::detach(f.invoke((i,)));
                }
            });
            calls.await.map_err(|error| Error::new(error.to_string()))?;
            Ok(())
        })
        .into_stub()
}

/// The messages of a peer, and counts of the messages to it.
#[derive(Default)]
struct Script {
    incoming: VecDeque<String>,
    /// The number of messages to the peer, by kind.
    resolved: usize,
    rejected: usize,
    calls: usize,
    aborted: Option<String>,
    last_rejection: String,
    reader: Option<Waker>,
    /// True if the peer answers calls.
    answers: bool,
    closed: bool,
}

struct Scripted {
    script: Arc<Mutex<Script>>,
    current: String,
}

impl Transport for Scripted {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let mut script = self.script.lock().unwrap();
        match script.incoming.pop_front() {
            Some(message) => self.current = message,
            None if script.closed => {
                return Poll::Ready(Received::Closed(Error::new("the script is over")));
            }
            None => {
                script.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        Poll::Ready(Received::Message(&self.current))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let mut script = self.script.lock().unwrap();
        let mut sent = 0;
        while let Some(message) = outgoing.peek() {
            sent += message.len();
            if message.starts_with(b"[\"resolve\"") {
                script.resolved += 1;
            } else if message.starts_with(b"[\"reject\"") {
                script.rejected += 1;
                script.last_rejection = String::from_utf8_lossy(message).into_owned();
            } else if message.starts_with(b"[\"push\"") {
                script.calls += 1;
                if script.answers {
                    let id = script.calls;
                    script
                        .incoming
                        .push_back(format!("[\"resolve\",{id},null]"));
                }
            } else if message.starts_with(b"[\"abort\"") {
                script.aborted = Some(String::from_utf8_lossy(message).into_owned());
            }
            outgoing.advance();
            // Take only a part, like a socket.
            if sent > 256 * 1024 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Returns the time for which this thread has waited for a processor.
fn time_waited() -> Duration {
    use std::os::unix::fs::FileExt;
    thread_local! {
        static STATS: Option<std::fs::File> = std::fs::File::open("/proc/thread-self/schedstat").ok();
    }
    let mut text = [0; 128];
    let read = STATS.with(|stats| stats.as_ref()?.read_at(&mut text, 0).ok());
    let text = std::str::from_utf8(&text[..read.unwrap_or_default()]).unwrap_or_default();
    let waited = text
        .split(' ')
        .nth(1)
        .and_then(|waited| waited.parse().ok());
    Duration::from_nanos(waited.unwrap_or_default())
}

/// Times each poll of a future.
struct Timed<F> {
    future: F,
    longest: Arc<Mutex<Duration>>,
}

impl<F: Future + Unpin> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let (start, waited) = (Instant::now(), time_waited());
        let result = Pin::new(&mut self.future).poll(cx);
        let took = start.elapsed().saturating_sub(time_waited() - waited);
        let mut longest = self.longest.lock().unwrap();
        *longest = took.max(*longest);
        result
    }
}

/// A peer that asks for much.
struct Case {
    name: &'static str,
    messages: Vec<String>,
    /// The number of outcomes that come back.
    outcomes: usize,
    answers: bool,
}

fn push(expr: &str) -> String {
    format!("[\"push\",{expr}]")
}

fn case(name: &'static str, pushes: Vec<String>, pulls: &[usize]) -> Case {
    let mut messages: Vec<String> = pushes.iter().map(|expr| push(expr)).collect();
    messages.extend(pulls.iter().map(|id| format!("[\"pull\",{id}]")));
    Case {
        name,
        messages,
        outcomes: pulls.len(),
        answers: false,
    }
}

fn list(n: usize) -> String {
    format!("[\"pipeline\",0,[\"list\"],[{n}]]")
}

fn cases() -> Vec<Case> {
    let join = |n: usize, f: &dyn Fn(usize) -> String| -> String {
        (0..n).map(f).collect::<Vec<_>>().join(",")
    };
    let mut cases = vec![
        case(
            "a map of a map over list(2000)",
            vec![
                list(2000),
                r#"["remap",1,[],[["import",1]],[["remap",-1,[],[],[["pipeline",0]]]]]"#.into(),
            ],
            &[2],
        ),
        case(
            "a map of a map that calls, over list(1000)",
            vec![
                list(1000),
                r#"["remap",1,[],[["import",1],["import",0]],[["remap",-1,[],[["import",-2]],[["pipeline",-1,["square"],[["pipeline",0]]]]]]]"#.into(),
            ],
            &[2],
        ),
        case(
            "1,900 by 1,900 reads of an index",
            vec![
                list(1900),
                format!(
                    r#"["remap",1,[],[["import",1]],[{}]]"#,
                    join(1900, &|i| format!("[\"pipeline\",-1,[{i}]]"))
                ),
            ],
            &[2],
        ),
        case(
            "1,900 reads of an index of list(1,000,000)",
            vec![
                list(1_000_000),
                format!("[[{}]]", join(1900, &|i| format!("[\"pipeline\",1,[{i}]]"))),
            ],
            &[2],
        ),
        case(
            "30 doublings of a promise",
            (0..31)
                .map(|i| match i {
                    0 => r#"["pipeline",0,["echo"],["twenty bytes of text"]]"#.into(),
                    i => format!(
                        r#"["pipeline",0,["echo"],[[[["pipeline",{i}],["pipeline",{i}]]]]]"#
                    ),
                })
                .collect(),
            &[31],
        ),
        case(
            "20 doublings that are decoded",
            (0..21)
                .map(|i| match i {
                    0 => r#"["pipeline",0,["decode"],[7]]"#.into(),
                    i => format!(
                        r#"["pipeline",0,["decode"],[[[["pipeline",{i}],["pipeline",{i}]]]]]"#
                    ),
                })
                .collect(),
            &[21],
        ),
        case(
            "14,000 copies of a promise of 500 bytes",
            vec![
                format!(r#"["pipeline",0,["echo"],["{}"]]"#, "x".repeat(500)),
                format!(
                    r#"["pipeline",0,["echo"],[[[{}]]]]"#,
                    join(14_000, &|_| "[\"pipeline\",1]".into())
                ),
            ],
            &[2],
        ),
        case("getMany(4,000,000)", vec![r#"["pipeline",0,["getMany"],[4000000]]"#.into()], &[1]),
        case("getMany(200,000)", vec![r#"["pipeline",0,["getMany"],[200000]]"#.into()], &[1]),
        case("list(10,000,000)", vec![list(10_000_000)], &[1]),
        case("laterMany(2,000,000)", vec![r#"["pipeline",0,["laterMany"],[2000000]]"#.into()], &[1]),
        case(
            "30 MB of numbers",
            vec![format!(
                r#"["pipeline",0,["count"],[[[{}]]]]"#,
                join(15_000_000, &|_| "7".into())
            )],
            &[1],
        ),
        case(
            "30 MB of text",
            vec![format!(r#"["pipeline",0,["echo"],["{}"]]"#, "x".repeat(30 << 20))],
            &[1],
        ),
        case(
            "30 MB of objects of the peer's",
            vec![format!(
                r#"["pipeline",0,["nothing"],[[[{}]]]]"#,
                join(1_600_000, &|i| format!("[\"export\",-{}]", i + 1))
            )],
            &[1],
        ),
        case(
            "24 KB of numbers",
            vec![format!(
                r#"["pipeline",0,["count"],[[[{}]]]]"#,
                join(11_900, &|_| "7".into())
            )],
            &[1],
        ),
        case(
            "500 KB of text",
            vec![format!(
                r#"["pipeline",0,["echo"],["{}"]]"#,
                "x".repeat(500_000)
            )],
            &[1],
        ),
        case(
            "64 KB of calls in one message",
            vec![format!(
                "[[{}]]",
                join(1_980, &|_| "[\"pipeline\",0,[\"square\"],[7]]".into())
            )],
            &[1],
        ),
        case(
            "1 MB of calls in one message",
            vec![format!(
                "[[{}]]",
                join(30_000, &|_| "[\"pipeline\",0,[\"square\"],[7]]".into())
            )],
            &[1],
        ),
        case(
            "15,000 calls on a promise that settles",
            std::iter::once(r#"["pipeline",0,["wait"],[500]]"#.into())
                .chain((0..15_000).map(|_| r#"["pipeline",1,[1]]"#.into()))
                .collect(),
            &(1..15_000).collect::<Vec<_>>(),
        ),
        case(
            "16,000 calls with a promise that settles",
            std::iter::once(r#"["pipeline",0,["wait"],[500]]"#.into())
                .chain((0..16_000).map(|_| r#"["pipeline",0,["count"],[["pipeline",1]]]"#.into()))
                .collect(),
            &(1..16_000).collect::<Vec<_>>(),
        ),
        case(
            "40,000 calls that wait for room",
            (0..16_384)
                .map(|_| r#"["pipeline",0,["wait"],[700]]"#.into())
                .chain((0..40_000).map(|_| r#"["pipeline",0,["square"],[7]]"#.into()))
                .collect(),
            &(1..56_000).collect::<Vec<_>>(),
        ),
    ];
    for (name, answers) in [
        ("callMany(f, 1,000,000), answered", true),
        ("callMany(f, 1,000,000), not answered", false),
    ] {
        cases.push(Case {
            answers,
            ..case(
                name,
                vec![r#"["pipeline",0,["callMany"],[["export",-1],1000000]]"#.into()],
                &[1],
            )
        });
    }
    cases
}

/// The outcome of a run.
struct Run {
    longest: Duration,
    end: Duration,
    total: Duration,
    outcome: String,
}

async fn run(case: &Case) -> Run {
    let script = Arc::new(Mutex::new(Script {
        incoming: case.messages.clone().into(),
        answers: case.answers,
        ..Script::default()
    }));
    let options = SessionOptions::new().with_limits(Limits::default());
    let (_session, mut connection) = Session::server(options);
    connection.set_main(main_object());
    let longest = Arc::new(Mutex::new(Duration::ZERO));
    let transport = Scripted {
        script: script.clone(),
        current: String::new(),
    };
    let start = Instant::now();
    let driver = tokio::spawn(Timed {
        future: connection.drive(transport),
        longest: longest.clone(),
    });
    let deadline = start + Duration::from_secs(60);
    loop {
        {
            let script = script.lock().unwrap();
            let outcomes = script.resolved + script.rejected;
            if outcomes >= case.outcomes || script.aborted.is_some() || Instant::now() > deadline {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let total = start.elapsed();
    // Release everything before the session ends.
    {
        let mut script = script.lock().unwrap();
        for id in 1..=case.outcomes {
            script.incoming.push_back(format!("[\"release\",{id},1]"));
        }
        let reader = script.reader.take();
        drop(script);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let before = std::mem::take(&mut *longest.lock().unwrap());
    {
        let mut script = script.lock().unwrap();
        script.closed = true;
        let reader = script.reader.take();
        drop(script);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
    let _ = driver.await;
    let end = *longest.lock().unwrap();
    let script = script.lock().unwrap();
    let outcome = match &script.aborted {
        Some(reason) => reason.chars().take(90).collect(),
        None => format!(
            "{} resolved, {} rejected, {} calls {}",
            script.resolved,
            script.rejected,
            script.calls,
            script.last_rejection.chars().take(70).collect::<String>()
        ),
    };
    Run {
        longest: before,
        end,
        total,
        outcome,
    }
}

/// The time for which a neighbor is watched.
const WATCHED: Duration = Duration::from_secs(2);

/// The maximum that an attack may add to the 99th percentile of a neighbor's calls.
const MOST_ADDED: Duration = Duration::from_millis(20);

/// Makes calls from one session to another for a while, one after another. Returns the 99th
/// percentile of the time that they take.
async fn neighbor() -> Duration {
    let (left, right) = pair();
    let (_server, mut server) = Session::server(SessionOptions::new());
    server.set_main(main_object());
    tokio::spawn(server.drive(left));
    let (client, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    let api = client.main();
    let calls = tokio::spawn(async move {
        let (begin, mut took) = (Instant::now(), Vec::new());
        while begin.elapsed() < WATCHED {
            let start = Instant::now();
            api.call("square", (7,)).fetch::<f64>().await.unwrap();
            took.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.sort_unstable();
        took[took.len() * 99 / 100]
    });
    calls.await.unwrap()
}

/// Returns the same for a neighbor of a peer that repeats its requests.
async fn neighbor_of(case: Case) -> Duration {
    let attack = tokio::spawn(async move {
        loop {
            run(&case).await;
        }
    });
    let took = neighbor().await;
    attack.abort();
    took
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let mut too_long = Vec::new();
    println!(
        "{:>9} {:>9} {:>9}   the longest poll, the longest at the end, and all of it",
        "ms", "ms", "ms"
    );
    for case in cases() {
        if filter
            .as_ref()
            .is_some_and(|filter| !case.name.contains(filter.as_str()))
        {
            continue;
        }
        let runs = (0..RUNS).map(|_| runtime.block_on(run(&case)));
        let best = runs.min_by_key(|run| run.longest.max(run.end)).unwrap();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "{:9.2} {:9.2} {:9.1}   {}: {}",
            ms(best.longest),
            ms(best.end),
            ms(best.total),
            case.name,
            best.outcome
        );
        if best.longest.max(best.end) > LONGEST {
            too_long.push(case.name);
        }
    }
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let alone = runtime.block_on(neighbor());
    println!(
        "{:9.2} ms is the 99th percentile of a call alone, and beside",
        ms(alone)
    );
    let mut slow = Vec::new();
    for case in cases() {
        let name = case.name;
        if filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter.as_str()))
        {
            let beside = runtime.block_on(neighbor_of(case));
            println!("{:9.2} ms   {name}", ms(beside));
            if beside > alone + MOST_ADDED {
                slow.push(name);
            }
        }
    }
    assert!(
        too_long.is_empty(),
        "polls that take too long: {too_long:?}"
    );
    assert!(slow.is_empty(), "neighbors wait too long: {slow:?}");
}

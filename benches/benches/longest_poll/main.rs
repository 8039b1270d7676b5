//! The longest poll of a driver, whatever its peer sends.
//!
//! In each case, a peer asks for as much as it can within the default limits. A poll may take at
//! most 5 ms: `cargo bench -p capnweb-benches --bench longest_poll` fails if one takes longer in
//! the best of five runs. The time in which other threads have the processor does not count, as
//! far as the system reports it.

#![allow(clippy::unwrap_used, reason = "a panic ends the bench")]

mod cases;
mod script;
mod socket;

use std::{
    pin::Pin,
    process::{Command, ExitCode},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use capnweb::{
    Error, Limits, Object, Payload, Session, SessionOptions, Stub, Value, pair,
    transport::{LinesTransport, Transport},
    ws::WebSocketTransport,
};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use tokio::{net::TcpStream, task::JoinHandle};

use self::{
    cases::{Case, cases},
    script::{Script, Scripted},
    socket::{Carrier, SocketPeer},
};

// With the allocator of glibc, a poll that needs new memory waits for the lock of the process's
// address space while another thread gets or frees much of it, up to 9 ms on two processors.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The bound.
const LONGEST: Duration = Duration::from_millis(5);

/// The number of runs of each case. The best one counts, since the machine does other things too.
const RUNS: usize = 5;

/// A value that takes no time before it is encoded.
struct Many<T>(usize, T);

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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

/// Returns the time for which this thread has had a processor.
fn time_busy() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// The longest of several polls.
#[derive(Clone, Copy, Default)]
struct Longest {
    /// The time without that in which other threads had the processor. It includes waiting for a
    /// lock, whose holder may have lost its processor.
    time: Duration,
    /// The longest time on a processor.
    busy: Duration,
}

/// Times each poll of a future.
struct Timed<F> {
    future: F,
    longest: Arc<Mutex<Longest>>,
}

impl<F: Future + Unpin> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let (start, busy, waited) = (Instant::now(), time_busy(), time_waited());
        let result = Pin::new(&mut self.future).poll(cx);
        let busy = time_busy() - busy;
        let took = start.elapsed().saturating_sub(time_waited() - waited);
        let mut longest = self.longest.lock().unwrap();
        longest.time = took.max(longest.time);
        longest.busy = busy.max(longest.busy);
        result
    }
}

/// The outcome of a run.
struct Run {
    longest: Longest,
    end: Longest,
    total: Duration,
    outcome: String,
}

/// A driver in a task of its own.
struct Driven {
    task: JoinHandle<Error>,
    longest: Arc<Mutex<Longest>>,
    _session: Session,
}

impl Driven {
    fn start(transport: impl Transport) -> Self {
        let (session, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(main_object());
        let longest = Arc::<Mutex<Longest>>::default();
        let task = tokio::spawn(Timed {
            future: connection.drive(transport),
            longest: longest.clone(),
        });
        Self {
            task,
            longest,
            _session: session,
        }
    }

    /// Returns the longest poll since the last call of this method.
    fn longest(&self) -> Longest {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }
}

async fn run(case: &Case) -> Run {
    match case.carrier {
        Carrier::Script => run_script(case).await,
        Carrier::WebSocket { .. } | Carrier::Lines => run_socket(case).await,
    }
}

async fn run_script(case: &Case) -> Run {
    let mut script = Script {
        incoming: case.messages.clone().into(),
        answers: case.answers,
        ..Script::default()
    };
    if case.answers {
        // Growing the list is not the driver's work.
        script.incoming.reserve(1_000_000);
    }
    let script = Arc::new(Mutex::new(script));
    let start = Instant::now();
    let driver = Driven::start(Scripted {
        script: script.clone(),
        current: String::new(),
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
    let before = driver.longest();
    {
        let mut script = script.lock().unwrap();
        script.closed = true;
        let reader = script.reader.take();
        drop(script);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
    let Driven { task, longest, .. } = driver;
    let _ = task.await;
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

async fn run_socket(case: &Case) -> Run {
    let mut peer = SocketPeer::start(case.carrier, &case.messages, case.outcomes);
    let start = Instant::now();
    let server = TcpStream::from_std(peer.server.take().unwrap()).unwrap();
    let limits = Limits::default();
    let driver = match case.carrier {
        Carrier::Lines => Driven::start(LinesTransport::new(server, &limits)),
        _ => Driven::start(WebSocketTransport::server(server, &limits)),
    };
    let outcome = (&mut peer.outcome).await;
    let total = start.elapsed();
    let before = driver.longest();
    peer.close();
    let Driven { task, longest, .. } = driver;
    let _ = task.await;
    let end = *longest.lock().unwrap();
    Run {
        longest: before,
        end,
        total,
        outcome: outcome.unwrap_or_default(),
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

/// The outcome of a case.
struct Row {
    best: Run,
    /// The 99th percentile of a neighbor's calls before the case and beside it.
    alone: Duration,
    beside: Duration,
}

impl Row {
    fn measure(case: Case) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let best = (0..RUNS)
            .map(|_| runtime.block_on(run(&case)))
            .min_by_key(|run| run.longest.time.max(run.end.time))
            .unwrap();
        let alone = runtime.block_on(neighbor());
        let beside = runtime.block_on(neighbor_of(case));
        Self {
            best,
            alone,
            beside,
        }
    }

    fn print(&self, name: &str) {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "{:9.2} {:9.2} {:9.2} {:9.1} {:9.2} {:9.2}   {name}: {}",
            ms(self.best.longest.time),
            ms(self.best.end.time),
            ms(self.best.longest.busy.max(self.best.end.busy)),
            ms(self.best.total),
            ms(self.alone),
            ms(self.beside),
            self.best.outcome.trim_end()
        );
    }

    fn in_bounds(&self) -> bool {
        self.best.longest.time.max(self.best.end.time) <= LONGEST
            && self.beside <= self.alone + MOST_ADDED
    }
}

/// The variable that holds the number of the case that this process is to measure.
const CASE: &str = "LONGEST_POLL_CASE";

/// Measures a case in a process of its own, since what the allocator still holds of other cases
/// would take time too. Returns whether it is within the bounds.
fn measure_apart(index: usize) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .env(CASE, index.to_string())
        .status()
        .unwrap();
    status.success()
}

fn main() -> ExitCode {
    if let Some(index) = std::env::var_os(CASE) {
        let index: usize = index.to_str().unwrap().parse().unwrap();
        let case = cases().swap_remove(index);
        let name = case.name.clone();
        let row = Row::measure(case);
        row.print(&name);
        return ExitCode::from(u8::from(!row.in_bounds()));
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    println!(
        "The longest poll, the longest at the end, the longest on a processor, all of it, and the \
         99th percentile of a neighbor's calls alone and beside the case, in milliseconds:"
    );
    let names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    let mut out_of_bounds = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if filter.as_ref().is_none_or(|filter| name.contains(filter)) && !measure_apart(index) {
            out_of_bounds.push(name);
        }
    }
    if out_of_bounds.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("a poll or a neighbor took too long, or a case failed: {out_of_bounds:?}");
    ExitCode::FAILURE
}

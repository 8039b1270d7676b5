//! Work that takes long is done on other threads, in order, and stops with its session.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    thread::ThreadId,
    time::Duration,
};

use capnweb_core::{
    CallInfo, CallOutcome, Direction, Error, KeepAlive, MessageInfo, Object, Observer, Outgoing,
    Received, Session, SessionInfo, SessionOptions, Stub, Transport,
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::support::{LiveObjects, eventually, within};

/// A transport whose peer is a script.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<LineState>>);

#[derive(Default)]
struct LineState {
    incoming: VecDeque<String>,
    sent: Vec<String>,
    reader: Option<Waker>,
    closed: bool,
}

impl Line {
    fn send(&self, messages: impl IntoIterator<Item = String>) {
        let mut state = self.0.lock().unwrap();
        state.incoming.extend(messages);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Closes the transport once everything has been read.
    fn close(&self) {
        self.0.lock().unwrap().closed = true;
    }

    fn has_sent(&self, start: &str) -> bool {
        let state = self.0.lock().unwrap();
        state.sent.iter().any(|message| message.starts_with(start))
    }

    fn has_outcome(&self, id: usize) -> bool {
        self.has_sent(&format!("[\"resolve\",{id},"))
            || self.has_sent(&format!("[\"reject\",{id},"))
    }

    /// The number of messages that have not been read.
    fn unread(&self) -> usize {
        self.0.lock().unwrap().incoming.len()
    }

    /// Waits for the outcome of call `id`.
    async fn outcome(&self, id: usize) -> String {
        let (resolved, rejected) = (format!("[\"resolve\",{id},"), format!("[\"reject\",{id},"));
        let found = || {
            let state = self.0.lock().unwrap();
            let mut sent = state.sent.iter();
            sent.find(|message| message.starts_with(&resolved) || message.starts_with(&rejected))
                .cloned()
        };
        eventually(|| format!("call {id} has no outcome"), || found().is_some()).await;
        found().unwrap()
    }
}

struct End(Line, String);

impl Transport for End {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let mut state = self.0.0.lock().unwrap();
        let Some(message) = state.incoming.pop_front() else {
            if state.closed {
                return Poll::Ready(Received::Closed(Error::new("gone")));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        drop(state);
        self.1 = message;
        Poll::Ready(Received::Message(&self.1))
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.0.0.lock().unwrap();
        while let Some(message) = outgoing.pop() {
            state
                .sent
                .push(String::from_utf8(message.to_vec()).unwrap());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A transport that can fall silent.
struct Mute(End);

impl Transport for Mute {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        self.0.poll_receive(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        self.0.poll_send(cx, outgoing)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        self.0.poll_close(cx, reason)
    }

    fn can_fall_silent(&self) -> bool {
        true
    }
}

/// A server whose main object is `main`, and its peer.
fn serve(main: Stub) -> (Session, Line) {
    serve_with(SessionOptions::new(), main)
}

fn serve_with(options: SessionOptions, main: Stub) -> (Session, Line) {
    let line = Line::default();
    let (session, mut connection) = Session::server(options);
    connection.set_main(main);
    tokio::spawn(connection.drive(End(line.clone(), String::new())));
    (session, line)
}

/// Records the calls, and the threads on which they were delivered.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u64, ThreadId)>>>);

impl Log {
    fn note(&self, n: u64) {
        self.0.lock().unwrap().push((n, thread::current().id()));
    }

    fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|(n, _)| *n).collect()
    }

    /// Returns whether all of them were delivered on other threads than this one.
    fn is_elsewhere(&self, numbers: impl Fn(u64) -> bool) -> bool {
        let here = thread::current().id();
        let calls = self.0.lock().unwrap();
        let mut some = calls.iter().filter(|(n, _)| numbers(*n)).peekable();
        some.peek().is_some() && some.all(|(_, thread)| *thread != here)
    }
}

/// A list of numbers, which takes no time before it is encoded.
struct Numbers(usize);

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for n in 0..self.0 {
            seq.serialize_element(&n)?;
        }
        seq.end()
    }
}

fn logging(log: &Log) -> Stub {
    let log = log.clone();
    Object::new()
        .sync_method("note", move |n: u64| {
            log.note(n);
            Ok(n)
        })
        .sync_method("list", |n: usize| Ok(Numbers(n)))
        .sync_method("count", |values: Vec<u64>| Ok(values.len()))
        .method("later", |n: usize| async move {
            tokio::task::yield_now().await;
            Ok(Numbers(n))
        })
        .into_stub()
}

fn call(method: &str, args: &str) -> String {
    format!(r#"["push",["pipeline",0,["{method}"],[{args}]]]"#)
}

fn pull(id: usize) -> String {
    format!("[\"pull\",{id}]")
}

/// A map of the elements of call `list` to notes of them.
fn map_to_notes(list: usize) -> String {
    format!(
        r#"["push",["remap",{list},[],[["import",0]],[["pipeline",-1,["note"],[["pipeline",0]]]]]]"#
    )
}

#[tokio::test]
async fn calls_keep_their_order_behind_a_map_that_takes_long() {
    const MANY: usize = 20_000;
    let log = Log::default();
    let (session, line) = serve(logging(&log));
    line.send([
        call("list", &MANY.to_string()),
        map_to_notes(1),
        call("note", "1000000"),
        call("note", "1000001"),
        pull(4),
    ]);
    line.outcome(4).await;
    let expected: Vec<u64> = (0..MANY as u64).chain([1_000_000, 1_000_001]).collect();
    assert_eq!(log.numbers(), expected);
    assert!(log.is_elsewhere(|n| n < 1_000_000));
    assert!(session.end_reason().is_none());
}

#[tokio::test]
async fn calls_keep_their_order_behind_long_arguments() {
    let log = Log::default();
    let (_session, line) = serve(logging(&log));
    let long = "7,".repeat(20_000);
    line.send([
        call("list", "20000"),
        // A message that is long itself, and arguments that get long by what is filled in.
        format!(r#"["push",[[{long}["pipeline",0,["note"],[0]]]]]"#),
        r#"["push",["pipeline",0,["note"],[["pipeline",0,["count"],[["pipeline",1]]]]]]"#
            .to_owned(),
        call("note", "1"),
        pull(4),
    ]);
    line.outcome(4).await;
    assert_eq!(log.numbers(), [0, 20_000, 1]);
    assert!(log.is_elsewhere(|n| n == 0));
}

#[tokio::test]
async fn calls_on_a_promise_keep_their_order_when_it_settles_to_much() {
    let log = Log::default();
    let (_session, line) = serve(logging(&log));
    // They wait for the list; the calls that come after it do not.
    line.send([
        call("later", "20000"),
        map_to_notes(1),
        r#"["push",["pipeline",1,[19999]]]"#.to_owned(),
        pull(2),
        pull(3),
    ]);
    assert_eq!(line.outcome(3).await, r#"["resolve",3,19999]"#);
    let mapped = line.outcome(2).await;
    assert!(mapped.starts_with(r#"["resolve",2,[[0,1,2,"#));
    assert_eq!(log.numbers(), (0..20_000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn answers_that_are_long_are_encoded_elsewhere() {
    let log = Log::default();
    let (_session, line) = serve(logging(&log));
    let length = |n: usize| {
        let text: Vec<String> = (0..n).map(|n| n.to_string()).collect();
        text.join(",").len() + 4
    };
    for (id, method) in ["list", "later"].into_iter().enumerate() {
        line.send([call(method, "100000"), pull(id + 1)]);
        let answer = line.outcome(id + 1).await;
        assert_eq!(answer.len(), r#"["resolve",1,]"#.len() + length(100_000));
    }
}

#[tokio::test]
async fn nothing_is_read_while_long_work_is_done_and_others_are_served() {
    let log = Log::default();
    let (_session, line) = serve(logging(&log));
    line.send([call("list", "200000"), map_to_notes(1)]);
    line.send((0..100).map(|n| call("note", &(1_000_000 + n).to_string())));
    eventually(
        || "the map has not begun".to_owned(),
        || !log.numbers().is_empty(),
    )
    .await;
    // It runs: a message behind it is not read, and another session answers meanwhile.
    let behind = line.unread();
    let (_other, neighbor) = serve(logging(&Log::default()));
    neighbor.send([call("note", "1"), pull(1)]);
    neighbor.outcome(1).await;
    if log.numbers().len() < 200_000 {
        assert_eq!(behind, 100);
    }
    line.send([pull(102)]);
    line.outcome(102).await;
    assert_eq!(log.numbers().len(), 200_100);
}

#[tokio::test]
async fn a_map_stops_when_its_session_ends() {
    let count = Arc::new(AtomicUsize::new(0));
    let live = LiveObjects::default();
    let (counted, token) = (count.clone(), live.token());
    let main = Object::new()
        .sync_method("list", |n: usize| Ok(Numbers(n)))
        .sync_method("note", move |_: u64| {
            let _token = &token;
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .into_stub();
    let line = Line::default();
    let (session, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(main);
    let driver = tokio::spawn(connection.drive(End(line.clone(), String::new())));
    line.send([
        call("list", "1500000"),
        format!(r#"["push",[[{}]]]"#, r#"["pipeline",1],["pipeline",1]"#),
        map_to_notes(1),
        map_to_notes(1),
    ]);
    let began = || count.load(Ordering::Relaxed) > 0;
    eventually(|| "the map has not begun".to_owned(), began).await;
    session.close(Error::new("enough"));
    within(pin!(driver)).await.unwrap();
    live.expect_none().await;
    assert!(count.load(Ordering::Relaxed) < 1_500_000, "it was stopped");
}

#[tokio::test]
async fn a_session_of_many_objects_breaks_all_of_them_when_it_ends() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let main = Object::new()
        .sync_method("keep", move |objects: Vec<Stub>| {
            keep.lock().unwrap().extend(objects);
            Ok(())
        })
        .into_stub();
    let (session, line) = serve(main);
    let objects: Vec<String> = (1..10_000)
        .map(|id| format!("[\"export\",-{id}]"))
        .collect();
    line.send([call("keep", &format!("[[{}]]", objects.join(","))), pull(1)]);
    line.outcome(1).await;
    let objects = std::mem::take(&mut *kept.lock().unwrap());
    assert_eq!(objects.len(), 9_999);
    let waiting = objects[0].call("x", ()).fetch::<u32>();
    session.close(Error::new("enough"));
    assert_eq!(within(waiting).await.unwrap_err().message(), "enough");
    for object in &objects[..10] {
        let error = within(object.call("x", ()).fetch::<u32>())
            .await
            .unwrap_err();
        assert_eq!(error.message(), "enough");
    }
}

/// Waits for the outcome of call `id` of a peer, while a neighbor makes one call after another on
/// the same thread. Fails if the neighbor has to wait for the peer's work.
async fn expect_turns_of_others(main: Stub, messages: Vec<String>, id: usize) -> String {
    let (session, line) = serve(main);
    let (_other, neighbor) = serve(logging(&Log::default()));
    line.send(messages);
    let mut answered = 0;
    while !line.has_outcome(id) {
        assert!(session.end_reason().is_none(), "{:?}", session.end_reason());
        answered += 1;
        neighbor.send([call("note", "7"), pull(answered)]);
        neighbor.outcome(answered).await;
    }
    assert!(answered > 2, "a neighbor made {answered} calls meanwhile");
    line.outcome(id).await
}

/// A value of many objects, which takes no time before it is encoded.
struct Objects(usize);

impl Serialize for Objects {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for _ in 0..self.0 {
            seq.serialize_element(&Stub::new(Object::new()))?;
        }
        seq.end()
    }
}

fn stalling() -> Stub {
    Object::new()
        .sync_method("list", |n: usize| Ok(Numbers(n)))
        .sync_method("text", |n: usize| Ok("x".repeat(n)))
        .sync_method("objects", |n: usize| Ok(Objects(n)))
        .method("objectsLater", |n: usize| async move {
            tokio::task::yield_now().await;
            Ok(Objects(n))
        })
        .getter("numbers", |_| Ok(Numbers(100_000)))
        .sync_method("echo", |value: capnweb_core::Payload| Ok(value))
        .sync_method("count", |values: Vec<u64>| Ok(values.len()))
        .sync_method("square", |n: f64| Ok(n * n))
        .method("wait", |n: usize| async move {
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
            Ok([1, 2, 3])
        })
        .into_stub()
}

fn repeated(n: usize, part: impl Fn(usize) -> String) -> String {
    (0..n).map(part).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn others_have_their_turn_while_a_map_of_a_map_is_evaluated() {
    let messages = vec![
        call("list", "2000"),
        r#"["push",["remap",1,[],[["import",1]],[["remap",-1,[],[],[["pipeline",0]]]]]]"#.into(),
        pull(2),
    ];
    let outcome = expect_turns_of_others(stalling(), messages, 2).await;
    assert!(outcome.starts_with(r#"["reject",2,"#), "{outcome:.200}");
}

#[tokio::test]
async fn others_have_their_turn_while_indices_are_read() {
    let messages = vec![
        call("list", "500"),
        format!(
            r#"["push",["remap",1,[],[["import",1]],[{}]]]"#,
            repeated(500, |i| format!("[\"pipeline\",-1,[{i}]]"))
        ),
        pull(2),
    ];
    let outcome = expect_turns_of_others(stalling(), messages, 2).await;
    assert!(outcome.starts_with(r#"["resolve",2,"#), "{outcome:.200}");
}

#[tokio::test]
async fn others_have_their_turn_while_a_promise_is_doubled() {
    let first = [call("echo", "\"twenty bytes of text\"")];
    let doubled = (1..30).map(|i| {
        let twice = format!(r#"[[["pipeline",{i}],["pipeline",{i}]]]"#);
        call("echo", &twice)
    });
    let messages = first.into_iter().chain(doubled).chain([pull(30)]).collect();
    let outcome = expect_turns_of_others(stalling(), messages, 30).await;
    assert!(outcome.starts_with(r#"["reject",30,"#), "{outcome:.200}");
}

#[tokio::test]
async fn others_have_their_turn_while_results_are_encoded() {
    for (messages, id) in [
        (vec![call("objects", "10000"), pull(1)], 1),
        (vec![call("objectsLater", "10000"), pull(1)], 1),
        (vec![call("list", "200000"), pull(1)], 1),
        (
            vec![r#"["push",["pipeline",0,["numbers"]]]"#.to_owned(), pull(1)],
            1,
        ),
    ] {
        let outcome = expect_turns_of_others(stalling(), messages, id).await;
        assert!(outcome.starts_with(r#"["resolve",1,[["#), "{outcome:.200}");
    }
}

#[tokio::test]
async fn others_have_their_turn_while_long_messages_are_read() {
    let numbers = repeated(60_000, |_| "7".to_owned());
    let calls = repeated(4_000, |_| r#"["pipeline",0,["square"],[7]]"#.to_owned());
    let stubs = repeated(8_000, |i| format!("[\"export\",-{}]", i + 1));
    for message in [
        call("count", &format!("[[{numbers}]]")),
        format!("[\"push\",[[{calls}]]]"),
        call("echo", &format!("[[{stubs}]]")),
    ] {
        let outcome = expect_turns_of_others(stalling(), vec![message, pull(1)], 1).await;
        assert!(outcome.starts_with(r#"["resolve",1,"#), "{outcome:.200}");
    }
}

#[tokio::test]
async fn others_have_their_turn_while_many_calls_start() {
    const MANY: usize = 10_000;
    for each in [
        r#"["push",["pipeline",1,[1]]]"#,
        r#"["push",["pipeline",0,["count"],[["pipeline",1]]]]"#,
    ] {
        let first = [call("wait", "100")];
        let messages = first
            .into_iter()
            .chain((0..MANY).map(|_| each.to_owned()))
            .chain((0..MANY).map(|i| pull(i + 2)))
            .collect();
        let outcome = expect_turns_of_others(stalling(), messages, MANY + 1).await;
        assert!(outcome.starts_with(r#"["resolve","#), "{outcome:.200}");
    }
}

/// Blocks a handler until the test releases it.
#[derive(Clone, Default)]
struct Blocked(Arc<(Mutex<(bool, bool)>, std::sync::Condvar)>);

impl Blocked {
    /// Occupies the thread until [`release`](Self::release) is called.
    fn block(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.0 = true;
        while !state.1 {
            let patience = Duration::from_secs(60);
            let (next, waited) = changed.wait_timeout(state, patience).unwrap();
            assert!(!waited.timed_out(), "it is never released");
            state = next;
        }
    }

    fn has_begun(&self) -> bool {
        self.0.0.lock().unwrap().0
    }

    fn release(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().1 = true;
        changed.notify_all();
    }
}

/// An object whose `note` occupies its thread, and a map over many elements that calls it.
fn blocking(blocked: &Blocked, live: &LiveObjects) -> (Stub, [String; 3]) {
    let (blocked, token) = (blocked.clone(), live.token());
    let main = Object::new()
        .sync_method("list", |n: usize| Ok(Numbers(n)))
        .sync_method("note", move |n: u64| {
            let _token = &token;
            if n == 0 {
                blocked.block();
            }
            Ok(n)
        })
        .into_stub();
    let messages = [call("list", "20000"), map_to_notes(1), pull(2)];
    (main, messages)
}

/// Yields until `condition` holds, on a clock that stands still.
async fn yield_until(condition: impl Fn() -> bool) {
    for _ in 0..50_000_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never happens");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_evaluates_is_not_taken_for_silent_and_tells_its_peer_so() {
    const SECOND: Duration = Duration::from_secs(1);
    let blocked = Blocked::default();
    let (main, messages) = blocking(&blocked, &LiveObjects::default());
    let line = Line::default();
    let keep_alive = KeepAlive::new()
        .with_interval(20 * SECOND)
        .with_timeout(20 * SECOND);
    let options = SessionOptions::new().with_keep_alive(keep_alive);
    let (session, mut connection) = Session::server(options);
    connection.set_main(main);
    tokio::spawn(connection.drive(Mute(End(line.clone(), String::new()))));
    line.send(messages);
    yield_until(|| blocked.has_begun()).await;
    for _ in 0..120 {
        tokio::time::advance(SECOND).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert!(session.end_reason().is_none(), "{:?}", session.end_reason());
    let pinged = line.has_sent(r#"["push",null]"#);
    blocked.release();
    yield_until(|| line.has_outcome(2)).await;
    assert!(pinged, "the peer hears nothing");
    assert!(session.end_reason().is_none());
}

#[test]
fn a_runtime_that_is_shut_down_leaves_nothing_of_what_it_evaluates() {
    let live = LiveObjects::default();
    let blocked = Blocked::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (main, messages) = blocking(&blocked, &live);
        let (_session, line) = serve(main);
        line.send(messages);
        line.send([map_to_notes(1), call("note", "5")]);
        eventually(|| "the map has not begun", || blocked.has_begun()).await;
    });
    runtime.shutdown_background();
    blocked.release();
    let looks = std::iter::repeat_n((), 60_000);
    let is_gone = looks.into_iter().any(|()| {
        thread::sleep(Duration::from_millis(1));
        live.count() == 0
    });
    assert!(is_gone, "{} are left", live.count());
}

#[test]
fn a_runtime_that_is_shut_down_drops_very_many_objects() {
    let live = LiveObjects::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (kept, made) = (Arc::new(Mutex::new(Vec::new())), live.clone());
        let keep = kept.clone();
        let many = move |n: usize| Ok((0..n).map(|_| made.make()).collect::<Vec<_>>());
        let main = Object::new()
            .sync_method("many", many)
            .sync_method("keep", move |objects: Vec<Stub>| {
                keep.lock().unwrap().extend(objects);
                Ok(())
            })
            .into_stub();
        let (_session, line) = serve(main);
        // A result that the peer holds, and arguments that the application holds.
        line.send([
            call("many", "10000"),
            r#"["push",["pipeline",0,["keep"],[["pipeline",1]]]]"#.to_owned(),
            pull(1),
            pull(2),
        ]);
        line.outcome(1).await;
        line.outcome(2).await;
        assert_eq!(kept.lock().unwrap().len(), 10_000);
        assert_eq!(live.count(), 10_000);
    });
    drop(runtime);
    assert_eq!(live.count(), 0);
}

#[tokio::test]
async fn a_peer_that_is_gone_has_all_that_it_said_done() {
    let log = Log::default();
    let line = Line::default();
    let (_session, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(logging(&log));
    line.send([
        call("list", "20000"),
        map_to_notes(1),
        call("note", "1000000"),
    ]);
    line.close();
    let driver = tokio::spawn(connection.drive(End(line.clone(), String::new())));
    within(driver).await.unwrap();
    let expected: Vec<u64> = (0..20_000).chain([1_000_000]).collect();
    assert_eq!(log.numbers(), expected);
}

/// Counts what an observer is told.
#[derive(Default)]
struct Reports {
    messages: AtomicUsize,
    started: AtomicUsize,
    succeeded: AtomicUsize,
}

impl Observer for Reports {
    fn message(&self, _: &SessionInfo, message: &MessageInfo<'_>) {
        if matches!(message.direction(), Direction::Incoming) {
            self.messages.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn call_started(&self, _: &SessionInfo, _: &CallInfo<'_>) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    fn call_finished(
        &self,
        _: &SessionInfo,
        _: &CallInfo<'_>,
        outcome: CallOutcome<'_>,
        _: Duration,
    ) {
        if matches!(outcome, CallOutcome::Ok) {
            self.succeeded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn work_that_is_done_elsewhere_is_reported_once() {
    let reports = Arc::new(Reports::default());
    let options = SessionOptions::new().with_observer(reports.clone());
    let (_session, line) = serve_with(options, logging(&Log::default()));
    // A long result, one of a task, and a long message.
    line.send([
        call("list", "100000"),
        call("later", "100000"),
        call("count", &format!("[[{}7]]", "7,".repeat(20_000))),
    ]);
    line.send((1..=3).map(pull));
    for id in 1..=3 {
        line.outcome(id).await;
    }
    // A short message that refers to a long result.
    let count = r#"["push",["pipeline",0,["count"],[["pipeline",1]]]]"#;
    line.send([count.to_owned(), pull(4)]);
    assert_eq!(line.outcome(4).await, r#"["resolve",4,100000]"#);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert_eq!(
        (
            count(&reports.messages),
            count(&reports.started),
            count(&reports.succeeded)
        ),
        (8, 4, 4)
    );
}

//! Work that takes long: it is done on other threads, in order, and stops with its session.

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
};

use capnweb_core::{Error, Object, Outgoing, Received, Session, SessionOptions, Stub, Transport};
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

/// A server whose main object is `main`, and its peer.
fn serve(main: Stub) -> (Session, Line) {
    let line = Line::default();
    let (session, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(main);
    tokio::spawn(connection.drive(End(line.clone(), String::new())));
    (session, line)
}

/// Notes the calls, and where they were delivered.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u64, ThreadId)>>>);

impl Log {
    fn note(&self, n: u64) {
        self.0.lock().unwrap().push((n, thread::current().id()));
    }

    fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|(n, _)| *n).collect()
    }

    /// Whether all of them were delivered on other threads than this one.
    fn is_elsewhere(&self, numbers: impl Fn(u64) -> bool) -> bool {
        let here = thread::current().id();
        let calls = self.0.lock().unwrap();
        let mut some = calls.iter().filter(|(n, _)| numbers(*n)).peekable();
        some.peek().is_some() && some.all(|(_, thread)| *thread != here)
    }
}

/// So many numbers, which take no time before they are encoded.
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

//! Peers that send more than is read, keep more than they release, or do not read at all.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use capnweb_core::{
    Driver, Error, Limit, Limits, Object, Outgoing, Payload, Promise, Received, Session,
    SessionOptions, Stub, Transport, join_all, pair,
};

use crate::support::{Gate, ScriptedPeer, calculator, eventually, idle, within};

/// A transport between a session and a test, which decides how many of the session's messages are
/// accepted.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<LineState>>);

#[derive(Default)]
struct LineState {
    to_session: VecDeque<String>,
    from_session: Vec<String>,
    /// The number of messages that are still accepted.
    room: usize,
    waker: Option<Waker>,
}

impl Line {
    fn change<R>(&self, change: impl FnOnce(&mut LineState) -> R) -> R {
        let mut state = self.0.lock().unwrap();
        let result = change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    fn send(&self, message: impl Into<String>) {
        self.change(|state| state.to_session.push_back(message.into()));
    }

    /// Accepts this many more messages.
    fn take(&self, room: usize) {
        self.change(|state| state.room = state.room.saturating_add(room));
    }

    fn said(&self) -> Vec<String> {
        self.change(|state| std::mem::take(&mut state.from_session))
    }

    fn is_read(&self) -> bool {
        self.0.lock().unwrap().to_session.is_empty()
    }
}

struct LineEnd {
    line: Line,
    current: String,
}

impl Transport for LineEnd {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let mut state = self.line.0.lock().unwrap();
        match state.to_session.pop_front() {
            Some(message) => {
                drop(state);
                self.current = message;
                Poll::Ready(Received::Message(&self.current))
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.line.0.lock().unwrap();
        while state.room > 0
            && let Some(message) = outgoing.pop()
        {
            state.room -= 1;
            state
                .from_session
                .push(String::from_utf8(message.to_vec()).unwrap());
        }
        if outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        Poll::Ready(())
    }
}

fn server(limits: Limits, main: Stub) -> (Session, Driver<LineEnd>, Line) {
    let (session, mut connection) = Session::server(SessionOptions::new().with_limits(limits));
    connection.set_main(main);
    let line = Line::default();
    let end = LineEnd {
        line: line.clone(),
        current: String::new(),
    };
    (session, connection.drive(end), line)
}

/// Waits until the session has read everything that was sent, or is over.
async fn read(session: &Session, line: &Line) {
    let read = || line.is_read() || session.end_reason().is_some();
    eventually(|| "the session does not read", read).await;
    idle().await;
}

/// Creates two sessions that are servers of each other.
fn connected(limits: &Limits, main: impl Fn() -> Stub) -> [Session; 2] {
    let (left, right) = pair();
    [left, right].map(|end| {
        let options = SessionOptions::new().with_limits(limits.clone());
        let (session, mut connection) = Session::server(options);
        connection.set_main(main());
        tokio::spawn(connection.drive(end));
        session
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_that_flood_each_other_both_finish() {
    // The soft limits are reached at once. The running and waiting calls stay below the hard
    // limits.
    let limits = Limits::default()
        .with_soft_calls(8)
        .with_soft_unsent_bytes(64 << 10)
        .with_max_held_bytes(64 << 20);
    let sessions = connected(&limits, calculator);
    let text = "x".repeat(1000);
    let floods = sessions.clone().map(|session| {
        let text = text.clone();
        tokio::spawn(async move {
            let api = session.main();
            // Nothing is read before everything was sent.
            let calls: Vec<_> = (0..5000)
                .map(|n| match n % 3 {
                    0 => api.call("echo", (&text,)),
                    1 => api.call("wait", (0,)),
                    // This call waits for another one, and thus for its turn.
                    _ => api.call("echo", (api.call("echo", (&text,)),)),
                })
                .collect();
            for (n, result) in join_all(calls).await.into_iter().enumerate() {
                let result = result.unwrap();
                if n % 3 == 1 {
                    assert_eq!(result.as_f64(), Some(0.0));
                } else {
                    assert_eq!(result.as_str(), Some(text.as_str()));
                }
            }
        })
    });
    for flood in floods {
        tokio::time::timeout(std::time::Duration::from_secs(120), flood)
            .await
            .unwrap()
            .unwrap();
    }
    for session in sessions {
        within(session.drain()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_that_flood_each_other_and_wait_for_room_both_finish() {
    let limits = Limits::default()
        .with_soft_calls(4)
        .with_soft_unsent_bytes(256 << 10)
        .with_max_calls(1 << 16)
        .with_max_held_bytes(256 << 20);
    let sessions = connected(&limits, calculator);
    let text = "x".repeat(100_000);
    let floods = sessions.clone().map(|session| {
        let text = text.clone();
        tokio::spawn(async move {
            let api = session.main();
            for _ in 0..500 {
                api.ready().await.unwrap();
                Promise::detach(api.call("echo", (&text,)));
            }
            assert_eq!(api.call("square", (3,)).fetch::<f64>().await.unwrap(), 9.0);
        })
    });
    for flood in floods {
        tokio::time::timeout(std::time::Duration::from_secs(120), flood)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_never_reads_is_disconnected() {
    let limits = Limits::default()
        .with_soft_unsent_bytes(1 << 20)
        .with_max_held_bytes(4 << 20);
    let (session, driver, line) = server(limits, calculator());
    let driver = tokio::spawn(driver);
    let long = "x".repeat(100_000);
    let mut sent = 0;
    while session.end_reason().is_none() {
        sent += 1;
        assert!(sent < 1000, "a peer can pin any number of bytes");
        line.send(format!(r#"["push",["pipeline",0,["echo"],["{long}"]]]"#));
        line.send(format!(r#"["pull",{sent}]"#));
        // The results are sent to the peer, which does not need them.
        line.send(format!(r#"["release",{sent},1]"#));
        read(&session, &line).await;
    }
    // These are the calls that were answered before the soft limit, and those that wait because of
    // it.
    assert!(sent > 30, "{sent}");
    let error = session.end_reason().unwrap();
    assert!(
        error.is_limit() && error.message().contains("max_held_bytes"),
        "{error}"
    );
    line.take(usize::MAX);
    within(driver).await.unwrap();
    let said = line.said();
    assert!(
        said.last()
            .unwrap()
            .starts_with(r#"["abort",["error","RangeError""#)
    );
}

#[tokio::test]
async fn a_slow_reader_gets_every_answer() {
    let limits = Limits::default().with_soft_unsent_bytes(100_000);
    let (session, driver, line) = server(limits, calculator());
    tokio::spawn(driver);
    let long = "x".repeat(60_000);
    for n in 1..=10 {
        line.send(format!(r#"["push",["pipeline",0,["echo"],["{long}{n}"]]]"#));
        line.send(format!(r#"["pull",{n}]"#));
    }
    read(&session, &line).await;
    assert_eq!(line.said(), [""; 0]);
    // The reader takes and releases one answer after another. Each makes room for a call.
    for n in 1..=10 {
        line.take(1);
        let mut said = Vec::new();
        let answered = || {
            said = line.said();
            !said.is_empty()
        };
        eventually(|| format!("call {n} is not answered"), answered).await;
        assert_eq!(said, [format!(r#"["resolve",{n},"{long}{n}"]"#)]);
        line.send(format!(r#"["release",{n},1]"#));
    }
    read(&session, &line).await;
    assert_eq!(session.stats().exports, 1);
}

#[tokio::test]
async fn parked_calls_run_when_the_transport_drains() {
    // Only the unsent bytes hold calls back. Once they are sent, no message from the peer arrives
    // to wake the session.
    let limits = Limits::default().with_soft_unsent_bytes(100_000);
    let (session, driver, line) = server(limits, calculator());
    tokio::spawn(driver);
    let long = "x".repeat(150_000);
    line.send(format!(r#"["push",["pipeline",0,["echo"],["{long}"]]]"#));
    line.send(r#"["pull",1]"#);
    line.send(r#"["release",1,1]"#);
    line.send(r#"["push",["pipeline",0,["square"],[4]]]"#);
    line.send(r#"["pull",2]"#);
    read(&session, &line).await;
    line.take(usize::MAX);
    let answered = || line.said().contains(&r#"["resolve",2,16]"#.to_owned());
    eventually(|| "the second call is not answered", answered).await;
    drop(session);
}

#[tokio::test]
async fn parked_calls_do_not_count_as_unsent() {
    let gate = Gate::closed();
    let api = {
        let gate = gate.clone();
        Object::new()
            .method("wait", move |_: Payload| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(1)
                }
            })
            .into_stub()
    };
    let limits = Limits::default()
        .with_soft_calls(1)
        .with_soft_unsent_bytes(10_000);
    let (session, driver, line) = server(limits, api);
    tokio::spawn(driver);
    line.take(usize::MAX);
    let long = "x".repeat(6000);
    for n in 1..=4 {
        line.send(format!(r#"["push",["pipeline",0,["wait"],["{long}"]]]"#));
        line.send(format!(r#"["pull",{n}]"#));
    }
    read(&session, &line).await;
    gate.open();
    let mut said = Vec::new();
    let answered = || {
        said.append(&mut line.said());
        said.len() >= 4
    };
    eventually(|| "the calls are not answered", answered).await;
    assert_eq!(said, [1, 2, 3, 4].map(|n| format!(r#"["resolve",{n},1]"#)));
}

#[tokio::test]
async fn messages_that_make_room_are_never_parked() {
    let gate = Gate::closed();
    let api = {
        let gate = gate.clone();
        Object::new()
            .method("ask", move |f: Stub| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    f.invoke(()).fetch::<u32>().await
                }
            })
            .method("echo", async |value: Payload| Ok(value))
            .into_stub()
    };
    let limits = Limits::default()
        .with_soft_calls(1)
        .with_soft_unsent_bytes(1000);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), api);
    peer.send(r#"["push",["pipeline",0,["echo"],["a"]]]"#);
    peer.send(r#"["push",["pipeline",0,["ask"],[["export",-1]]]]"#);
    // From here on, the soft limit is exceeded.
    let long = "x".repeat(2000);
    peer.send(&format!(r#"["push",["pipeline",0,["echo"],["{long}"]]]"#));
    peer.send(r#"["pull",3]"#);
    peer.expect_silence();
    // Old results can still be pulled and released,
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,"a"]"#);
    peer.send(r#"["release",1,1]"#);
    assert_eq!(peer.session.stats().exports, 3);
    // and answers that running calls wait for are accepted.
    gate.open();
    idle().await;
    peer.expect(r#"["push",["pipeline",-1,[],[]]]"#);
    peer.expect(r#"["pull",1]"#);
    peer.send(r#"["resolve",1,5]"#);
    peer.expect(r#"["release",1,1]"#);
    peer.send(r#"["pull",2]"#);
    within(peer.connection.answered()).await;
    let mut said: Vec<_> = peer.said();
    said.sort();
    assert_eq!(
        said,
        [
            r#"["release",-1,1]"#.to_owned(),
            r#"["resolve",2,5]"#.to_owned(),
            format!(r#"["resolve",3,"{long}"]"#),
        ]
    );
}

/// Sends messages of one kind until the session ends, as it must. Returns the reason.
async fn flood(
    limits: Limits,
    main: Stub,
    first: &[&str],
    message: impl Fn(usize) -> String,
) -> Error {
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), main);
    for message in first {
        peer.send(message);
        idle().await;
    }
    for n in 0..20_000 {
        if let Err(error) = peer.connection.receive(&message(n)) {
            assert!(error.is_limit(), "{error}");
            return error;
        }
        // The peer reads, so unsent messages hold nothing.
        peer.connection.take_outgoing();
        if n % 100 == 0 {
            idle().await;
        }
    }
    panic!("the peer may go on for ever");
}

fn waiting() -> Stub {
    Object::new()
        .method("wait", async || {
            std::future::pending::<()>().await;
            Ok(())
        })
        .method("make", |size: usize| async move { Ok("x".repeat(size)) })
        .method("call", |f: Stub| async move { Ok(f.invoke(())) })
        .method("echo", async |value: Payload| Ok(value))
        .sync_method("later", |_: u32| {
            Ok(Promise::<String>::from_future(async {
                tokio::task::yield_now().await;
                Ok("x".repeat(10_000))
            }))
        })
        .into_stub()
}

fn tight() -> Limits {
    Limits::default()
        .with_max_exports(1000)
        .with_soft_calls(500)
        .with_max_calls(1000)
        .with_soft_unsent_bytes(50 << 20)
        .with_max_held_bytes(5 << 20)
}

#[tokio::test]
async fn calls_queued_on_a_promise_are_bounded() {
    // They are released at once, so the table contains no results.
    let released = |n: usize| match n % 2 {
        0 => r#"["push",["pipeline",1,["x"],[]]]"#.to_owned(),
        _ => format!(r#"["release",{},1]"#, n / 2 + 2),
    };
    let first = [r#"["push",["pipeline",0,["wait"],[]]]"#];
    let error = flood(tight(), waiting(), &first, released).await;
    assert!(error.message().contains("max_calls"), "{error}");

    let long = "x".repeat(10_000);
    let released = |n: usize| match n % 2 {
        0 => format!(r#"["push",["pipeline",1,["x"],["{long}"]]]"#),
        _ => format!(r#"["release",{},1]"#, n / 2 + 2),
    };
    let limits = tight().with_soft_calls(10_000).with_max_calls(100_000);
    let error = flood(limits, waiting(), &first, released).await;
    assert!(error.message().contains("max_held_bytes"), "{error}");
}

#[tokio::test]
async fn calls_that_wait_for_arguments_are_bounded() {
    let released = |n: usize| match n % 2 {
        0 => r#"["push",["pipeline",0,["echo"],[["pipeline",1]]]]"#.to_owned(),
        _ => format!(r#"["release",{},1]"#, n / 2 + 2),
    };
    let first = [r#"["push",["pipeline",0,["wait"],[]]]"#];
    let error = flood(tight(), waiting(), &first, released).await;
    assert!(error.message().contains("max_calls"), "{error}");
}

#[tokio::test]
async fn results_count_as_held_however_they_settle() {
    let limits = || tight().with_max_exports(100_000);
    // The call waits from the beginning,
    let message = |_| r#"["push",["pipeline",0,["make"],[10000]]]"#.to_owned();
    let error = flood(limits(), waiting(), &[], message).await;
    assert!(error.message().contains("max_held_bytes"), "{error}");
    // or after its arguments have arrived,
    let first = [
        r#"["push",["pipeline",0,["call"],[["export",-1]]]]"#,
        r#"["push",["pipeline",0,["wait"],[]]]"#,
    ];
    let message = |n: usize| match n {
        0..700 => r#"["push",["pipeline",0,["make"],[["pipeline",1]]]]"#.to_owned(),
        700 => r#"["pull",1]"#.to_owned(),
        701 => r#"["resolve",1,10000]"#.to_owned(),
        _ => r#"["pull",2]"#.to_owned(),
    };
    let message = |n| {
        if n > 1000 {
            r#"["push",1]"#.to_owned()
        } else {
            message(n)
        }
    };
    let error = flood(limits(), waiting(), &first, message).await;
    assert!(error.message().contains("max_held_bytes"), "{error}");
    // or in a task of the application,
    let message = |_| r#"["push",["pipeline",0,["later"],[0]]]"#.to_owned();
    let error = flood(limits(), waiting(), &[], message).await;
    assert!(error.message().contains("max_held_bytes"), "{error}");
    // or at the peer itself,
    let long = "x".repeat(10_000);
    let message = |n: usize| match n % 3 {
        0 => r#"["push",["pipeline",0,["call"],[["export",-1]]]]"#.to_owned(),
        1 => format!(r#"["pull",{}]"#, n / 3 + 1),
        _ => format!(r#"["resolve",{},"{long}"]"#, n / 3 + 1),
    };
    let error = flood(limits(), waiting(), &[], message).await;
    assert!(error.message().contains("max_held_bytes"), "{error}");
    // or as the result of a call on a result.
    let first = [r#"["push",["pipeline",0,["make"],[100000]]]"#];
    let message = |_| r#"["push",["pipeline",1]]"#.to_owned();
    let error = flood(limits(), waiting(), &first, message).await;
    assert!(error.message().contains("max_held_bytes"), "{error}");
}

#[tokio::test]
async fn no_message_makes_exports_or_calls_without_bound() {
    let error = flood(tight(), waiting(), &[], |_| r#"["pull",0]"#.to_owned()).await;
    assert!(error.message().contains("max_exports"), "{error}");
    let message = |_| r#"["resolve",77,["pipeline",0,["wait"],[]]]"#.to_owned();
    let error = flood(tight(), waiting(), &[], message).await;
    assert!(error.message().contains("max_calls"), "{error}");
    let message = |_| r#"["push",["pipeline",0,["echo"],[["pipeline",0,["wait"],[]]]]]"#.to_owned();
    let error = flood(tight(), waiting(), &[], message).await;
    assert!(error.message().contains("max_calls"), "{error}");
    let message = |_| r#"["reject",77,["pipeline",0,["wait"],[]]]"#.to_owned();
    let error = flood(tight(), waiting(), &[], message).await;
    assert!(error.message().contains("max_calls"), "{error}");
    let message = |_| r#"["push",["remap",0,[],[],[["pipeline",0,["wait"],[]]]]]"#.to_owned();
    let error = flood(tight(), waiting(), &[], message).await;
    assert!(error.message().contains("max_"), "{error}");
    let message = |_| r#"["pipe"]"#.to_owned();
    let error = flood(tight(), waiting(), &[], message).await;
    assert!(error.message().contains("max_exports"), "{error}");
}

/// Calls the peer repeatedly, like an application that does not check whether it is read. Returns
/// the number of calls before the session ended.
fn call_until_the_end(peer: &ScriptedPeer, argument: &str) -> usize {
    let main: Stub = peer.session.main();
    let mut calls = 0;
    while peer.session.end_reason().is_none() {
        calls += 1;
        assert!(calls < 10_000, "our calls are held without end");
        Promise::detach(main.call("note", (argument,)));
    }
    calls
}

#[tokio::test]
async fn calls_of_ours_that_the_peer_does_not_read_are_bounded() {
    let limits = Limits::default().with_max_held_bytes(8 << 20);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator());
    let calls = call_until_the_end(&peer, &"x".repeat(100_000));
    assert!((80..90).contains(&calls), "{calls}");
    let error = peer.session.end_reason().unwrap();
    assert_eq!(error.exceeded_limit(), Some(Limit::HeldBytes), "{error}");
    // The messages that nobody would have read are dropped, and the reason is sent.
    let said = peer.said();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("max_held_bytes"), "{said:?}");
}

#[tokio::test]
async fn calls_of_ours_that_are_never_answered_are_bounded() {
    let limits = Limits::default().with_max_held_bytes(100_000);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator());
    let main: Stub = peer.session.main();
    let mut calls = Vec::new();
    while peer.session.end_reason().is_none() {
        assert!(
            calls.len() < 10_000,
            "unanswered calls are held without end"
        );
        calls.push(main.call("note", ()));
        peer.said();
    }
    let error = peer.session.end_reason().unwrap();
    assert_eq!(error.exceeded_limit(), Some(Limit::HeldBytes), "{error}");
}

#[tokio::test]
async fn results_with_many_capabilities_are_bounded() {
    let main = Object::new()
        .sync_method("getMany", |n: usize| {
            let stubs: Vec<Stub> = (0..n).map(|_| Object::new().into_stub()).collect();
            Ok(stubs)
        })
        .into_stub();
    let limits = Limits::default().with_max_held_bytes(16 << 20);
    let message = |_| r#"["push",["pipeline",0,["getMany"],[1000]]]"#.to_owned();
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), main);
    let ended = (1..=200).find_map(|n| {
        let error = peer.connection.receive(&message(n)).err()?;
        Some((n, error))
    });
    let (results, error) = ended.expect("200,000 objects take more than 16 MiB");
    assert!((70..100).contains(&results), "{results}");
    assert_eq!(error.exceeded_limit(), Some(Limit::HeldBytes), "{error}");
}

#[tokio::test]
async fn computed_values_are_measured_like_messages() {
    for (text, fits) in [("x", false), ("€", true)] {
        // The same number of bytes, but a third of the code units.
        let text = text.repeat(1200 / text.len());
        let limits = Limits::default().with_max_message_size(2000);
        let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator());
        for push in [
            &format!(r#"["push",["pipeline",0,["echo"],["{text}"]]]"#),
            r#"["push",["pipeline",0,["echo"],[[[["pipeline",1],["pipeline",1]]]]]]"#,
            r#"["push",["pipeline",0,["echo"],[[[1,2,3]]]]]"#,
            &format!(r#"["push",["remap",3,[],[],["{text}"]]]"#),
        ] {
            peer.send(push);
        }
        for id in [2, 4] {
            peer.send(&format!(r#"["pull",{id}]"#));
            let said = peer.next().unwrap();
            assert_eq!(said.starts_with(r#"["resolve""#), fits, "{id}");
            assert_eq!(said.contains("max_message_size"), !fits, "{id}");
        }
    }
}

#[tokio::test]
async fn a_driver_gives_way_between_expensive_messages() {
    let (session, driver, line) = server(Limits::default(), calculator());
    let mut driver = Box::pin(driver);
    line.take(usize::MAX);
    line.send(format!(
        r#"["push",["pipeline",0,["echo"],["{}"]]]"#,
        "x".repeat(25_000)
    ));
    // Each call assembles 200 KB.
    let twice = [r#"["pipeline",1]"#; 8].join(",");
    for _ in 0..50 {
        line.send(format!(r#"["push",["pipeline",0,["echo"],[[[{twice}]]]]]"#));
    }
    let mut left = vec![line.0.lock().unwrap().to_session.len()];
    within(std::future::poll_fn(|cx| {
        assert!(left.len() < 200, "{left:?}");
        assert!(driver.as_mut().poll(cx).is_pending());
        left.push(line.0.lock().unwrap().to_session.len());
        match left.last() {
            Some(0) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }))
    .await;
    let most = left.windows(2).map(|pair| pair[0] - pair[1]).max();
    assert!(most <= Some(6), "{left:?}");
    assert!(session.end_reason().is_none());
}

//! Reports to observers: sessions, messages, calls, streams and limits.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_core::{
    Answer, Call, CallInfo, Error, Limits, MessageInfo, Object, Observer, Promise, Readable,
    Session, SessionInfo, SessionOptions, Stub, Target, pair,
};
use futures_util::{StreamExt, stream};

use crate::support::{Connected, Log, ScriptedPeer, calculator, connect_with, eventually, idle};

fn observed(log: &Arc<Log>) -> SessionOptions {
    SessionOptions::new().with_observer(log.clone())
}

/// A client that is observed, at a server with this main object.
fn observed_client(log: &Arc<Log>, main: Stub) -> (Session, Stub) {
    let (left, right) = pair();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(main);
    tokio::spawn(server.drive(left));
    let (session, connection) = Session::client(observed(log));
    tokio::spawn(connection.drive(right));
    let api = session.main();
    log.take();
    (session, api)
}

async fn logged(log: &Arc<Log>, line: &str) {
    eventually(
        || format!("{line:?} is missing: {:#?}", log.take()),
        || log.has(line),
    )
    .await;
}

#[tokio::test]
async fn a_session_is_reported_with_its_role_transport_and_end() {
    for (make, opened) in [
        (
            Session::client as fn(SessionOptions) -> _,
            "opened client carrier-pigeon",
        ),
        (Session::server, "opened server carrier-pigeon"),
        (Session::client_batch, "opened client batch"),
        (Session::server_batch, "opened server batch"),
    ] {
        let log = Log::new();
        let (session, connection) = make(observed(&log).with_transport("carrier-pigeon"));
        assert_eq!(log.take(), [opened]);
        session.close(Error::new("enough"));
        session.close(Error::new("and once more"));
        assert_eq!(log.take(), ["ended Some(Here)"], "{opened}");
        drop(connection);
        assert_eq!(log.take(), [""; 0], "a session ends once");
    }
}

#[tokio::test]
async fn messages_are_reported_as_they_are_traced() {
    let log = Log::with_messages();
    let main = Object::new().sync_method("f", || Ok(7)).into_stub();
    let mut peer = ScriptedPeer::with(observed(&log), main);
    log.take();
    peer.send(r#"["push",["pipeline",0,["f"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,7]"#);
    peer.send(r#"["release",1,1]"#);
    assert_eq!(
        log.take(),
        [
            "in push None 32",
            r#"started in Call "f" as f"#,
            r#"finished in Call "f" as f: ok"#,
            "in pull Some(1) 10",
            "out resolve Some(1) 15",
            "in release Some(1) 15",
        ]
    );
}

/// Collects the texts of messages, and what is printed of them.
#[derive(Default)]
struct Texts {
    texts: Mutex<Vec<String>>,
    printed: Mutex<String>,
}

impl Observer for Texts {
    fn message(&self, _: &SessionInfo, message: &MessageInfo<'_>) {
        self.texts.lock().unwrap().push(message.text().to_owned());
        *self.printed.lock().unwrap() += &format!("{message:?}");
    }
}

#[tokio::test]
async fn messages_are_reported_with_their_text_which_debug_omits() {
    let texts = Arc::new(Texts::default());
    let main = Object::new()
        .sync_method("echo", |text: String| Ok(text))
        .into_stub();
    let options = SessionOptions::new().with_observer(texts.clone());
    let mut peer = ScriptedPeer::with(options, main);
    let messages = [
        r#"["push",["pipeline",0,["echo"],["ünïcödé"]]]"#,
        r#"["pull",1]"#,
        r#"["resolve",1,"ünïcödé"]"#,
    ];
    peer.send(messages[0]);
    peer.send(messages[1]);
    peer.expect(messages[2]);
    assert_eq!(*texts.texts.lock().unwrap(), messages);
    let printed = texts.printed.lock().unwrap();
    assert!(printed.contains("resolve") && !printed.contains("ünïcödé"));
}

#[tokio::test]
async fn incoming_calls_are_reported_with_their_outcomes() {
    let log = Log::new();
    let mut peer = ScriptedPeer::with(observed(&log), calculator());
    log.take();
    peer.send(r#"["push",["pipeline",0,["square"],[4]]]"#);
    peer.send(r#"["push",["pipeline",0,["fail"],["no"]]]"#);
    peer.send(r#"["push",["pipeline",0,["nonsense"],[]]]"#);
    assert_eq!(
        log.take(),
        [
            r#"started in Call "square" as square"#,
            r#"finished in Call "square" as square: ok"#,
            r#"started in Call "fail" as fail"#,
            r#"finished in Call "fail" as fail: error: RangeError: no"#,
            r#"started in Call "nonsense" as other"#,
            r#"finished in Call "nonsense" as other: error: TypeError: 'nonsense' is not a function."#,
        ]
    );
}

#[tokio::test]
async fn pipelined_calls_maps_and_reads_are_reported_one_by_one() {
    let log = Log::new();
    let inner = || {
        Object::new()
            .sync_method("twice", |n: u32| Ok(2 * n))
            .getter("size", |_| Ok(3))
            .into_stub()
    };
    let main = Object::new()
        .sync_method("open", move || Ok(inner()))
        .sync_method("list", || Ok([1, 2]))
        .into_stub();
    let Connected { api, .. } = connect_with(observed(&log), main, None);
    let opened = api.call("open", ());
    assert_eq!(opened.call("twice", (4,)).fetch::<u32>().await.unwrap(), 8);
    assert_eq!(opened.get("size").fetch::<u32>().await.unwrap(), 3);
    log.take();
    let twice = api.call("list", ()).map(|n| opened.call("twice", (n,)));
    assert_eq!(twice.fetch::<Vec<u32>>().await.unwrap(), [2, 4]);
    assert_eq!(opened.get("size").fetch::<u32>().await.unwrap(), 3);
    // A method that is read as a property keeps its name.
    let method = opened.get("twice");
    assert_eq!(method.invoke((5,)).fetch::<u32>().await.unwrap(), 10);
    let finished: Vec<_> = log
        .take()
        .into_iter()
        .filter(|line| line.starts_with("finished"))
        .collect();
    assert_eq!(
        finished,
        [
            r#"finished in Call "list" as list: ok"#,
            r#"finished in Call "twice" as twice: ok"#,
            r#"finished in Call "twice" as twice: ok"#,
            r#"finished in Get "size" as size: ok"#,
            r#"finished in Call "twice" as twice: ok"#,
        ]
    );
}

#[tokio::test]
async fn a_handler_that_is_stopped_has_no_known_outcome() {
    let log = Log::new();
    let main = Object::new()
        .method("wait", || async {
            std::future::pending::<()>().await;
            Ok(())
        })
        .into_stub();
    let options = observed(&log).with_grace_period(Duration::ZERO);
    let Connected { api, server, .. } = connect_with(options, main, None);
    let waiting = api.call("wait", ());
    logged(&log, r#"started in Call "wait" as wait"#).await;
    server.close(Error::new("enough"));
    logged(&log, r#"finished in Call "wait" as wait: dropped"#).await;
    drop(waiting);
}

#[tokio::test]
async fn a_handler_that_panics_has_failed() {
    let log = Log::new();
    let main = Object::new()
        .sync_method("boom", || -> capnweb_core::Result<()> {
            panic!("in a test")
        })
        .into_stub();
    let mut peer = ScriptedPeer::with(observed(&log), main);
    log.take();
    peer.send(r#"["push",["pipeline",0,["boom"],[]]]"#);
    let lines = log.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with(r#"finished in Call "boom" as boom: error"#));
}

#[tokio::test]
async fn outgoing_calls_are_reported_with_their_outcomes() {
    let log = Log::new();
    let (session, api) = observed_client(&log, calculator());
    assert_eq!(api.call("square", (4,)).fetch::<u32>().await.unwrap(), 16);
    // Names in the code of the application are not declared by an interface.
    logged(&log, r#"finished out Call "square" as other: ok"#).await;
    assert!(log.has(r#"started out Call "square" as other"#));
    api.call("fail", ("no",)).await.unwrap_err();
    logged(
        &log,
        r#"finished out Call "fail" as other: error: RangeError: no"#,
    )
    .await;
    // Nobody asks for the outcome.
    drop(api.get("nested").call("wait", (0,)));
    logged(&log, r#"finished out Call "nested.wait" as other: dropped"#).await;
    // It can never come.
    let waiting = api.call("wait", (0,));
    session.close(Error::new("enough"));
    logged(&log, r#"finished out Call "wait" as other: error: enough"#).await;
    drop(waiting);
    log.take();
    api.call("square", (4,)).await.unwrap_err();
    assert_eq!(log.take(), [""; 0], "there is nowhere to send it");
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Named {
    fn id(&self) -> capnweb_core::Result<u32>;
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Greeter: Named {
    fn say_hello(&self, name: String) -> capnweb_core::Result<String>;
    #[rpc(get)]
    fn size(&self) -> capnweb_core::Result<u32>;
    #[rpc(catch_all)]
    async fn other(
        &self,
        method: String,
        args: capnweb_core::Payload,
    ) -> capnweb_core::Result<capnweb_core::Payload> {
        let _ = method;
        Ok(args)
    }
}

struct Hello;

impl Named for Hello {
    fn id(&self) -> capnweb_core::Result<u32> {
        Ok(1)
    }
}

impl Greeter for Hello {
    fn say_hello(&self, name: String) -> capnweb_core::Result<String> {
        Ok(format!("Hello, {name}!"))
    }

    fn size(&self) -> capnweb_core::Result<u32> {
        Ok(5)
    }
}

#[tokio::test]
async fn only_names_that_an_interface_declares_become_labels() {
    use capnweb_core::StubType as _;

    let (at_server, at_client) = (Log::new(), Log::new());
    let (left, right) = pair();
    let (_, mut server) = Session::server(observed(&at_server));
    server.set_main(GreeterStub::new(Hello).into_stub());
    tokio::spawn(server.drive(left));
    let (session, connection) = Session::client(observed(&at_client));
    tokio::spawn(connection.drive(right));
    let api = GreeterStub::from_stub(session.main());

    api.say_hello("Ada").await.unwrap();
    api.id().await.unwrap();
    api.size().await.unwrap();
    api.other("made up", ("x",)).await.unwrap();
    for (log, side) in [(&at_server, "in"), (&at_client, "out")] {
        for (kind, method, label) in [
            ("Call", "sayHello", "sayHello"),
            ("Call", "id", "id"),
            ("Get", "size", "size"),
            ("Call", "made up", "other"),
        ] {
            logged(
                log,
                &format!("finished {side} {kind} {method:?} as {label}: ok"),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_target_says_which_names_it_declares() {
    struct Proxy;

    impl Target for Proxy {
        fn call(self: Arc<Self>, _: Call<'_>) -> Answer {
            Answer::ready(1)
        }

        fn declares(&self, name: &str) -> bool {
            name == "known"
        }
    }

    let log = Log::new();
    let mut peer = ScriptedPeer::with(observed(&log), Stub::new(Proxy));
    log.take();
    peer.send(r#"["push",["pipeline",0,["known"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["unknown"],[]]]"#);
    assert_eq!(
        log.take(),
        [
            r#"started in Call "known" as known"#,
            r#"finished in Call "known" as known: ok"#,
            r#"started in Call "unknown" as other"#,
            r#"finished in Call "unknown" as other: ok"#,
        ]
    );
}

#[tokio::test]
async fn limits_are_reported_whether_they_end_the_session_or_fail_a_call() {
    let log = Log::new();
    let limits = Limits::default().with_max_exports(1);
    let main = Object::new().sync_method("f", || Ok(7)).into_stub();
    let mut peer = ScriptedPeer::with(observed(&log).with_limits(limits), main);
    let push = r#"["push",["pipeline",0,["f"],[]]]"#;
    peer.send(push);
    log.take();
    peer.send_fatal(push);
    let lines = log.take();
    assert_eq!(
        lines[lines.len() - 2..],
        ["limit Exports", "ended Some(Limit)"]
    );

    let limits = Limits::default().with_max_outgoing_message_size(100);
    let main = Object::new()
        .sync_method("f", || Ok("x".repeat(200)))
        .into_stub();
    let mut peer = ScriptedPeer::with(observed(&log).with_limits(limits), main);
    peer.send(push);
    log.take();
    peer.send(r#"["pull",1]"#);
    peer.expect_rejected(1, "limit");
    assert_eq!(log.take(), ["limit OutgoingMessageSize"]);
}

#[tokio::test]
async fn streams_are_reported_in_both_directions() {
    let (at_server, at_client) = (Log::new(), Log::new());
    let (left, right) = pair();
    let (_, mut server) = Session::server(observed(&at_server));
    let main = Object::new().method("count", |chunks: Readable<u32>| async move {
        Ok(chunks.count().await)
    });
    server.set_main(main.into_stub());
    tokio::spawn(server.drive(left));
    let (session, connection) = Session::client(observed(&at_client));
    tokio::spawn(connection.drive(right));
    let chunks = Readable::<u32>::from_stream(stream::iter([1, 2]));
    let counted = session.main().call("count", (chunks,));
    assert_eq!(counted.fetch::<u32>().await.unwrap(), 2);
    logged(&at_client, "stream out opened").await;
    logged(&at_client, "stream out ended").await;
    logged(&at_server, "stream in opened").await;
    logged(&at_server, "stream in ended").await;
}

#[tokio::test]
async fn an_observer_that_panics_disturbs_nobody() {
    struct Broken;

    impl Observer for Broken {
        fn call_started(&self, _: &SessionInfo, _: &CallInfo<'_>) {
            panic!("in a test");
        }
    }

    let options = SessionOptions::new().with_observer(Arc::new(Broken));
    let Connected { api, .. } = connect_with(options, calculator(), None);
    assert_eq!(api.call("square", (4,)).fetch::<u32>().await.unwrap(), 16);
}

#[tokio::test]
async fn nothing_is_left_of_calls_that_are_over() {
    let log = Log::new();
    let (session, api) = observed_client(&log, calculator());
    for _ in 0..3 {
        api.call("square", (4,)).await.unwrap();
        Promise::detach(api.call("square", (4,)));
    }
    eventually(
        || format!("{:?}", session.stats()),
        || session.stats().imports == 1,
    )
    .await;
    idle().await;
    let lines = log.take();
    let count = |word| lines.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!((count("started"), count("finished")), (6, 6), "{lines:#?}");
}

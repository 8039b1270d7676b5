//! Interceptors: what they see of calls on either side, and what comes of their verdicts.

use std::sync::{Arc, Mutex};

use capnweb_core::{
    CallInfo, Context, Direction, Error, InterceptedCall, Interceptor, Object, Promise, Result,
    Session, SessionInfo, SessionOptions, Stub, Verdict, pair,
};
use tokio::sync::Semaphore;

use crate::support::{Connected, Log, ScriptedPeer, calculator, connect_with, eventually};

type Before = dyn Fn(&InterceptedCall<'_>) -> Verdict + Send + Sync;
type After = dyn Fn(Result<(), &Error>) -> Option<Error> + Send + Sync;

/// Writes down what it sees, with a name, and decides by functions.
#[derive(Clone)]
struct Watch {
    name: &'static str,
    seen: Arc<Mutex<Vec<String>>>,
    before: Arc<Before>,
    after: Arc<After>,
}

impl Watch {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            seen: Arc::default(),
            before: Arc::new(|_| Verdict::proceed()),
            after: Arc::new(|_| None),
        }
    }

    fn before(
        mut self,
        before: impl Fn(&InterceptedCall<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.before = Arc::new(before);
        self
    }

    fn after(
        mut self,
        after: impl Fn(Result<(), &Error>) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        self.after = Arc::new(after);
        self
    }

    /// Shares the notes of another one.
    fn noting_in(mut self, other: &Self) -> Self {
        self.seen = other.seen.clone();
        self
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn note(&self, what: &str, call: &CallInfo<'_>, more: &str) {
        let (name, side) = (self.name, call.side().as_str());
        let line = format!(
            "{name} {what} {side} {:?} {}{more}",
            call.kind(),
            call.method()
        );
        self.seen.lock().unwrap().push(line);
    }
}

impl Interceptor for Watch {
    fn before(&self, call: &InterceptedCall<'_>) -> Verdict {
        // The array of arguments, which stands in brackets of its own.
        let args = call.args().map(|args| args.as_expression().to_string());
        let args = args.map(|args| args[1..args.len() - 1].to_owned());
        let args = args.unwrap_or_default();
        self.note("before", call.info(), &args);
        (self.before)(call)
    }

    fn after(
        &self,
        _: &SessionInfo,
        call: &CallInfo<'_>,
        outcome: Result<(), &Error>,
    ) -> Option<Error> {
        let more = match outcome {
            Ok(()) => ": ok".to_owned(),
            Err(error) => format!(": {}", error.message()),
        };
        self.note("after", call, &more);
        (self.after)(outcome)
    }
}

fn server(watch: &Watch, main: Stub) -> Connected {
    connect_with(
        SessionOptions::new().with_interceptor(watch.clone()),
        main,
        None,
    )
}

/// A client with this interceptor.
fn client(watch: &Watch, main: Stub) -> Session {
    let (left, right) = pair();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(main);
    tokio::spawn(server.drive(left));
    let (session, connection) =
        Session::client(SessionOptions::new().with_interceptor(watch.clone()));
    tokio::spawn(connection.drive(right));
    session
}

#[tokio::test]
async fn both_sides_see_a_call_with_its_arguments_and_outcome() {
    let incoming = Watch::new("i");
    let Connected { api, .. } = server(&incoming, calculator());
    api.call("add", (1, 2)).await.unwrap();
    api.call("fail", ("no",)).await.unwrap_err();
    api.get("version").await.unwrap();
    assert_eq!(
        incoming.take(),
        [
            "i before in Call add[1,2]",
            "i after in Call add: ok",
            "i before in Call fail[\"no\"]",
            "i after in Call fail: no",
            "i before in Get version",
            "i after in Get version: ok",
        ]
    );

    let outgoing = Watch::new("o");
    let session = client(&outgoing, calculator());
    let api = session.main();
    api.call("add", (1, 2)).await.unwrap();
    api.call("fail", ("no",)).await.unwrap_err();
    api.get("version").await.unwrap();
    assert_eq!(
        outgoing.take(),
        [
            "o before out Call add[1,2]",
            "o after out Call add: ok",
            "o before out Call fail[\"no\"]",
            "o after out Call fail: no",
            "o before out Get version",
            "o after out Get version: ok",
        ]
    );
}

#[tokio::test]
async fn pipelined_calls_maps_and_methods_read_as_properties_are_seen() {
    let watch = Watch::new("i");
    let Connected { api, .. } = server(&watch, calculator());
    let counter = api.call("makeCounter", (5,));
    counter.call("increment", (1,)).await.unwrap();
    let squares = api.call("list", (2,)).map(|n| api.call("square", (n,)));
    assert_eq!(squares.fetch::<Vec<u32>>().await.unwrap(), [0, 1]);
    api.get("square").invoke((3,)).await.unwrap();
    // An argument that is a property of a promise is a read too.
    api.call("echo", (api.get("version"),)).await.unwrap();
    let before: Vec<_> = watch
        .take()
        .into_iter()
        .filter(|line| line.contains("before"))
        .collect();
    assert_eq!(
        before,
        [
            "i before in Call makeCounter[5]",
            "i before in Call increment[1]",
            "i before in Call list[2]",
            "i before in Call square[0]",
            "i before in Call square[1]",
            "i before in Call square[3]",
            "i before in Get version",
            "i before in Call echo[\"1.0\"]",
        ]
    );
}

#[tokio::test]
async fn a_rejected_call_does_not_run_and_is_observed_as_failed() {
    let log = Log::new();
    let watch = Watch::new("i").before(|call| match call.info().method() {
        "square" => Verdict::reject(Error::permission_denied("no squares")),
        _ => Verdict::proceed(),
    });
    let options = SessionOptions::new()
        .with_observer(log.clone())
        .with_interceptor(watch.clone());
    let mut peer = ScriptedPeer::with(options, calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
    peer.send(r#"["push",["pipeline",0,["add"],[["pipeline",1],1]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_rejected(1, "no squares");
    peer.send(r#"["pull",2]"#);
    peer.expect_rejected(2, "no squares");
    // The other call was not made, since its argument failed.
    assert_eq!(watch.take(), ["i before in Call square[3]"]);
    assert!(log.has(r#"started in Call "square" as square"#));
    assert!(log.has(r#"finished in Call "square" as square: error: no squares"#));

    // A read of the method gives no way around it.
    peer.send(r#"["push",["pipeline",0,["square"]]]"#);
    peer.send(r#"["push",["pipeline",3,[],[3]]]"#);
    peer.send(r#"["pull",4]"#);
    peer.expect_rejected(4, "no squares");
}

#[tokio::test]
async fn an_outgoing_call_that_is_rejected_is_not_sent() {
    let watch = Watch::new("o").before(|_| Verdict::reject(Error::new("stay here")));
    let (session, mut connection) =
        Session::client(SessionOptions::new().with_interceptor(watch.clone()));
    let error = session.main().call("f", (1,)).await.unwrap_err();
    assert_eq!(error.message(), "stay here");
    assert!(!error.may_have_run());
    assert!(connection.take_outgoing().is_empty());
}

#[tokio::test]
async fn errors_are_replaced_on_either_side_and_so_are_successes() {
    let hide = |outcome: Result<(), &Error>| outcome.err().map(|_| Error::new("hidden"));
    let incoming = Watch::new("i").after(hide);
    let Connected { api, .. } = server(&incoming, calculator());
    let error = api.call("fail", ("secret",)).await.unwrap_err();
    assert_eq!(error.message(), "hidden");
    assert_eq!(api.call("square", (3,)).fetch::<u32>().await.unwrap(), 9);
    // A handler that takes time.
    let slow = Object::new().method("fail", async || {
        tokio::task::yield_now().await;
        Err::<(), _>(Error::new("secret"))
    });
    let Connected { api, .. } = server(&incoming, slow.into_stub());
    let error = api.call("fail", ()).await.unwrap_err();
    assert_eq!(error.message(), "hidden");

    let outgoing = Watch::new("o").after(hide);
    let session = client(&outgoing, calculator());
    let failed = session.main().call("fail", ("secret",));
    // What is pipelined on it fails at the peer, and is replaced as well.
    let pipelined = failed.call("more", ());
    assert_eq!(failed.await.unwrap_err().message(), "hidden");
    assert_eq!(pipelined.await.unwrap_err().message(), "hidden");

    let refuse = Watch::new("o").after(|_| Some(Error::new("not good enough")));
    let session = client(&refuse, calculator());
    let error = session.main().call("square", (3,)).await.unwrap_err();
    assert_eq!(error.message(), "not good enough");
}

#[tokio::test]
async fn a_call_can_wait_while_calls_on_its_result_wait_with_it() {
    for (outgoing, admit) in [(false, true), (false, false), (true, true), (true, false)] {
        let gate = Arc::new(Semaphore::new(0));
        let at = gate.clone();
        let watch = Watch::new("w").before(move |call| {
            if call.info().method() != "makeCounter" {
                return Verdict::proceed();
            }
            let gate = at.clone();
            Verdict::wait(async move {
                gate.acquire()
                    .await
                    .map_err(|_| Error::new("gone"))?
                    .forget();
                match admit {
                    true => Ok(()),
                    false => Err(Error::permission_denied("not you")),
                }
            })
        });
        let connected;
        let session;
        let api = if outgoing {
            session = client(&watch, calculator());
            session.main()
        } else {
            connected = server(&watch, calculator());
            connected.api.clone()
        };
        let counter = api.call("makeCounter", (5,));
        let value = counter.call("increment", (1,));
        // Others do not wait.
        assert_eq!(api.call("square", (3,)).fetch::<u32>().await.unwrap(), 9);
        gate.add_permits(1);
        let value = value.fetch::<u32>().await;
        match admit {
            true => assert_eq!(value.unwrap(), 6, "{outgoing}"),
            false => assert_eq!(value.unwrap_err().message(), "not you", "{outgoing}"),
        }
    }
}

#[tokio::test]
async fn an_interceptor_is_asked_only_if_those_before_it_let_the_call_pass() {
    let first = Watch::new("1").before(|call| {
        let is_square = call.info().method() == "square";
        Verdict::wait(async move {
            match is_square {
                true => Err(Error::new("refused")),
                false => Ok(()),
            }
        })
    });
    let second = Watch::new("2")
        .noting_in(&first)
        .after(|outcome| outcome.err().map(|_| Error::new("from the second")));
    let options = SessionOptions::new()
        .with_interceptor(first.clone())
        .with_interceptor(second);
    let Connected { api, .. } = connect_with(options, calculator(), None);
    api.call("square", (3,)).await.unwrap_err();
    assert_eq!(first.take(), ["1 before in Call square[3]"]);
    api.call("fail", ("no",)).await.unwrap_err();
    assert_eq!(
        first.take(),
        [
            "1 before in Call fail[\"no\"]",
            "2 before in Call fail[\"no\"]",
            "2 after in Call fail: no",
            "1 after in Call fail: from the second",
        ]
    );
}

#[tokio::test]
async fn a_forwarded_call_is_asked_about_before_it_leaves() {
    // A proxy hands out the main object of another server.
    let behind = connect_with(SessionOptions::new(), calculator(), None);
    let watch = Watch::new("proxy").before(|call| match call.info().method() {
        "square" => Verdict::reject(Error::permission_denied("no squares")),
        "add" => Verdict::wait(async { Ok(()) }),
        _ => Verdict::proceed(),
    });
    let Connected { api, .. } = server(&watch, behind.api.clone());
    let error = api.call("square", (3,)).await.unwrap_err();
    assert_eq!(error.message(), "no squares");
    assert_eq!(api.call("add", (1, 2)).fetch::<u32>().await.unwrap(), 3);
    assert_eq!(
        api.call("list", (1,)).fetch::<Vec<u32>>().await.unwrap(),
        [0]
    );
    assert_eq!(
        watch.take(),
        [
            "proxy before in Call square[3]",
            "proxy before in Call add[1,2]",
            "proxy before in Call list[1]",
        ]
    );
}

#[tokio::test]
async fn a_panic_of_an_interceptor_fails_the_call_alone() {
    let watch = Watch::new("i")
        .before(|call| match call.info().method() {
            "square" => panic!("in a test"),
            _ => Verdict::proceed(),
        })
        .after(|outcome| match outcome {
            Ok(()) => None,
            Err(_) => panic!("in a test"),
        });
    let Connected { api, .. } = server(&watch, calculator());
    api.call("square", (3,)).await.unwrap_err();
    let error = api.call("fail", ("secret",)).await.unwrap_err();
    assert!(!error.message().contains("secret"));
    assert_eq!(api.call("add", (1, 2)).fetch::<u32>().await.unwrap(), 3);
}

#[tokio::test]
async fn a_batch_is_intercepted_on_both_sides() {
    let watch = Watch::new("o");
    let (session, mut client) =
        Session::client_batch(SessionOptions::new().with_interceptor(watch.clone()));
    let sum = session.main().call("add", (1, 2));
    let waiting = tokio::spawn(async move { sum.fetch::<u32>().await });
    client.flush_requested().await;
    let mut request = client.take_outgoing();
    let incoming = Watch::new("i");
    let (_, mut server) =
        Session::server_batch(SessionOptions::new().with_interceptor(incoming.clone()));
    server.set_main(calculator());
    while let Some(message) = request.pop() {
        server
            .receive(std::str::from_utf8(&message).unwrap())
            .unwrap();
    }
    server.end_of_input();
    server.answered().await;
    let mut response = server.take_outgoing();
    while let Some(message) = response.pop() {
        client
            .receive(std::str::from_utf8(&message).unwrap())
            .unwrap();
    }
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
    assert_eq!(
        watch.take(),
        ["o before out Call add[1,2]", "o after out Call add: ok"]
    );
    assert_eq!(
        incoming.take(),
        ["i before in Call add[1,2]", "i after in Call add: ok"]
    );
}

#[tokio::test]
async fn an_interceptor_knows_the_session() {
    let seen = Arc::new(Mutex::new(None));
    let at = seen.clone();
    let watch = Watch::new("i").before(move |call| {
        *at.lock().unwrap() = call.session().session().map(|session| session.id());
        assert_eq!(call.info().side(), Direction::Incoming);
        Verdict::proceed()
    });
    let main = Object::new().method("id", |context: Context| async move {
        Ok(context.session().map(|session| session.id()))
    });
    let Connected { api, .. } = server(&watch, main.into_stub());
    let id = api.call("id", ()).fetch::<Option<u64>>().await.unwrap();
    assert!(id.is_some());
    assert_eq!(*seen.lock().unwrap(), id);
}

#[tokio::test]
async fn nothing_is_left_of_calls_that_waited() {
    let watch = Watch::new("i").before(|_| {
        Verdict::wait(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    });
    let connected = server(&watch, calculator());
    for _ in 0..3 {
        connected.api.call("square", (3,)).await.unwrap();
        Promise::detach(connected.api.call("square", (3,)));
        drop(connected.api.call("square", (3,)));
    }
    connected.settle().await;
    eventually(
        || "not all calls were made".to_owned(),
        || watch.seen.lock().unwrap().len() >= 9,
    )
    .await;
}

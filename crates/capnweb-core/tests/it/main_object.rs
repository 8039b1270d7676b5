//! Main objects in both directions, and the context of calls.

use std::sync::{Arc, Mutex};

use capnweb_core::{
    Answer, Call, Context, Error, Get, Object, Promise, Property, Result, Session, SessionOptions,
    Stats, Stub, Target,
};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Connected, ScriptedPeer, calculator, connect, connect_with, within};

/// Returns a main object that states its name, and asks its caller's main object for its name.
fn somebody(name: &'static str) -> Stub {
    Object::new()
        .method("name", move || async move { Ok(name) })
        .method("whoAsks", async |cx: Context| match cx.peer() {
            Some(peer) => peer.call("name", ()).fetch::<String>().await,
            None => Ok("somebody here".to_owned()),
        })
        .into_stub()
}

fn two(client: Option<Stub>, server: Option<Stub>) -> Connected {
    connect_with(SessionOptions::new(), server, client)
}

async fn ask(stub: &Stub, method: &str) -> Result<String> {
    within(stub.call(method, ()).fetch()).await
}

#[tokio::test]
async fn both_sides_have_a_main_object() {
    let connected = two(Some(somebody("client")), Some(somebody("server")));
    let client = connected.server.main();
    assert_eq!(ask(&connected.api, "name").await.unwrap(), "server");
    assert_eq!(ask(&client, "name").await.unwrap(), "client");
    assert_eq!(ask(&connected.api, "whoAsks").await.unwrap(), "client");
    assert_eq!(ask(&client, "whoAsks").await.unwrap(), "server");
    assert_eq!(
        ask(&somebody("x"), "whoAsks").await.unwrap(),
        "somebody here"
    );
    drop(client);
    connected.settle().await;
}

#[tokio::test]
async fn the_server_may_call_first() {
    let connected = two(Some(calculator()), None);
    let square = connected.server.main().call("square", (5,)).fetch::<f64>();
    assert_eq!(within(square).await.unwrap(), 25.0);
    connected.settle().await;
}

#[tokio::test]
async fn without_a_main_object_calls_are_rejected() {
    for (client, server) in [
        (None, Some(somebody("server"))),
        (Some(somebody("client")), None),
    ] {
        let client_is_mute = client.is_none();
        let connected = two(client, server);
        let (mute, other) = match client_is_mute {
            true => (connected.server.main(), connected.api.clone()),
            false => (connected.api.clone(), connected.server.main()),
        };
        for _ in 0..2 {
            let error = ask(&mute, "name").await.unwrap_err();
            assert_eq!(error.message(), "This connection has no main object.");
        }
        let error = within(mute.get("x")).await.unwrap_err();
        assert_eq!(error.message(), "This connection has no main object.");
        ask(&other, "name").await.unwrap();
        drop((mute, other));
        connected.settle().await;
    }
}

#[tokio::test]
async fn main_always_returns_the_same_object() {
    let connected = connect(calculator());
    let again = connected.client.main();
    assert!(connected.api.is_same(&again));
    assert_eq!(
        connected.client.stats(),
        Stats {
            imports: 1,
            exports: 1
        }
    );
    drop(again);
    // It can be awaited, duplicated, passed and mapped like any other stub.
    let awaited: Stub = within(connected.api.fetch()).await.unwrap();
    assert_eq!(
        within(awaited.call("square", (2,)).fetch::<f64>())
            .await
            .unwrap(),
        4.0
    );
    let back: Stub = within(connected.api.call("echo", (&connected.api,)).fetch())
        .await
        .unwrap();
    assert_eq!(
        within(back.call("square", (2,)).fetch::<f64>())
            .await
            .unwrap(),
        4.0
    );
    let mapped = connected.api.map(|api| api.call("square", (2,)));
    assert_eq!(within(mapped.fetch::<f64>()).await.unwrap(), 4.0);
    drop((awaited, back, mapped));
    connected.settle().await;
}

#[tokio::test]
async fn the_main_object_can_be_pulled_and_released() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["pull",0]"#);
    peer.expect(r#"["resolve",0,["export",-1]]"#);
    peer.send(r#"["release",-1,1]"#);
    for expr in [
        r#"["pipeline",0]"#,
        r#"["pipeline",0,[]]"#,
        r#"["import",0]"#,
    ] {
        peer.send(&format!(r#"["push",{expr}]"#));
    }
    for (id, export) in [(1, -2), (2, -3), (3, -4)] {
        peer.send(&format!(r#"["push",["pipeline",{id},["square"],[3]]]"#));
        peer.send(&format!(r#"["pull",{id}]"#));
        peer.expect(&format!(r#"["resolve",{id},["export",{export}]]"#));
        peer.send(&format!(r#"["release",{id},1]"#));
        peer.send(&format!(r#"["release",{export},1]"#));
        peer.send(&format!(r#"["pull",{}]"#, id + 3));
        peer.expect(&format!(r#"["resolve",{},9]"#, id + 3));
        peer.send(&format!(r#"["release",{},1]"#, id + 3));
    }
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn the_main_object_is_dropped_with_its_session() {
    let (witness, mut dropped) = crate::support::Witness::new();
    let main = Object::new().getter("alive", move |_| {
        let _ = &witness;
        Ok(true)
    });
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["release",0,1]"#);
    peer.send(r#"["push",["pipeline",0,["alive"]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,true]"#);
    assert!(dropped.try_recv().is_err());
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    assert!(dropped.try_recv().is_ok());
}

#[tokio::test]
async fn a_main_object_can_be_replaced_or_come_later() {
    let mut peer = ScriptedPeer::client();
    let promise: Promise<capnweb_core::Value> = Promise::from_future(async {
        tokio::task::yield_now().await;
        Ok(calculator())
    });
    peer.connection.set_main(promise.into());
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_silence();
    crate::support::idle().await;
    peer.expect(r#"["resolve",1,9]"#);
    peer.connection.set_main(somebody("other"));
    peer.send(r#"["push",["pipeline",0,["name"],[]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,"other"]"#);
    for id in [1, 2] {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();
}

#[tokio::test]
async fn a_handler_knows_its_session() {
    let (sender, mut sessions) = unbounded_channel();
    let main = Object::new().method("who", move |cx: Context| {
        let session = cx.session();
        let known = session.is_some();
        sender.send(session).unwrap();
        async move { Ok(known) }
    });
    let main = main.into_stub();
    assert!(!within(main.call("who", ()).fetch::<bool>()).await.unwrap());
    assert!(sessions.recv().await.unwrap().is_none());
    let connected = connect_with(SessionOptions::new(), main, Some(calculator()));
    assert!(
        within(connected.api.call("who", ()).fetch::<bool>())
            .await
            .unwrap()
    );
    let session = sessions.recv().await.unwrap().unwrap();
    assert_eq!(session.stats(), connected.server.stats());
    let square = session.main().call("square", (6,)).fetch::<f64>();
    assert_eq!(within(square).await.unwrap(), 36.0);
    session.close(Error::new("that was all"));
    assert_eq!(
        within(connected.client.closed()).await.message(),
        "that was all"
    );
}

#[tokio::test]
async fn a_handler_of_a_client_that_is_gone_has_no_session() {
    let (sender, mut contexts) = unbounded_channel();
    let main = Object::new().method("who", move |cx: Context| {
        sender.send(cx).unwrap();
        async { Ok(()) }
    });
    let mut peer = ScriptedPeer::client();
    peer.connection.set_main(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["who"],[]]]"#);
    let cx = contexts.recv().await.unwrap();
    assert!(cx.session().is_some() && cx.peer().is_some());
    assert!(!cx.is_canceled());
    let (other, _) = Session::server(SessionOptions::new());
    peer.session = other;
    // A context does not keep the session alive.
    assert!(peer.connection.end_reason().is_some());
    assert!(cx.session().is_none() && cx.peer().is_none());
    assert!(cx.is_canceled());
    within(cx.canceled()).await;
}

/// An object whose handlers and getters pass their contexts to the test.
struct Contexts(Mutex<Vec<(String, Context)>>);

impl Contexts {
    fn note(&self, name: &str, cx: Context) {
        self.0.lock().unwrap().push((name.to_owned(), cx));
    }
}

impl Target for Contexts {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        self.note(call.method(), call.context());
        Answer::ready(1)
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        self.note(get.name(), get.context());
        Property::Value(Answer::ready(2))
    }
}

#[tokio::test]
async fn every_call_of_a_peer_has_a_context() {
    let target = Arc::new(Contexts(Mutex::default()));
    let mut peer = ScriptedPeer::server(Stub::from_arc(target.clone()));
    let messages = [
        r#"["push",["pipeline",0,["direct"],[]]]"#,
        r#"["push",["pipeline",0,["with argument"],[["pipeline",0,["argument"],[]]]]]"#,
        r#"["push",["pipeline",0,["property"]]]"#,
        r#"["push",["pipeline",0,["delayed"],[["promise",-1]]]]"#,
        r#"["resolve",-1,1]"#,
        r#"["push",["remap",0,[],[],[["pipeline",0,["mapped"],[]]]]]"#,
        r#"["push",["pipeline",0]]"#,
        r#"["push",["pipeline",6,["duplicate"],[]]]"#,
    ];
    for message in messages {
        peer.send(message);
    }
    let contexts = std::mem::take(&mut *target.0.lock().unwrap());
    let names: Vec<_> = contexts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "direct",
            "argument",
            "with argument",
            "property",
            "delayed",
            "mapped",
            "duplicate"
        ]
    );
    for (name, cx) in &contexts {
        assert!(cx.session().is_some(), "{name}");
        assert!(!cx.is_canceled(), "{name}");
    }
    // Each is canceled by the release of its push.
    for id in 1..=7 {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    for (name, cx) in &contexts {
        assert!(cx.is_canceled(), "{name}");
    }
    drop(contexts);
    while peer.next().is_some() {}
    peer.expect_empty();
}

#[tokio::test]
async fn a_handler_can_end_its_session() {
    let main = Object::new().method("leave", async |cx: Context| {
        if let Some(session) = cx.session() {
            session.close(Error::named("Goodbye", "I have to go"));
        }
        Ok(())
    });
    let connected = connect(main.into_stub());
    let error = within(connected.api.call("leave", ())).await.unwrap_err();
    assert_eq!((error.name(), error.message()), ("Goodbye", "I have to go"));
    within(connected.server.closed()).await;
}

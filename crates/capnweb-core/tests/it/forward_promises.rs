//! References from one peer as arguments and results with another peer, or with the same one.

use capnweb_core::{Context, Error, Object, Promise, SessionOptions, Stub, Value};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{
    Connected, ScriptedPeer, calculator, connect, connect_with, counter, idle, within,
};

#[tokio::test]
async fn an_awaited_promise_is_sent_by_value() {
    let mut peer = ScriptedPeer::client();
    let main = peer.session.main();
    let user = main.call("user", ());
    peer.expect(r#"["push",["pipeline",0,["user"],[]]]"#);
    let early = main.call("use", (user.get("id"), &user));
    peer.expect(r#"["push",["pipeline",0,["use"],[["pipeline",1,["id"]],["pipeline",1]]]]"#);
    let pull = user.fetch::<Value>();
    peer.expect(r#"["pull",1]"#);
    peer.send(
        r#"["resolve",1,{"id":7,"tags":[["a","b"]],"door":["export",-1],"n":["undefined"]}]"#,
    );
    peer.expect(r#"["release",1,1]"#);
    within(pull).await.unwrap();
    // Its ID is no longer used.
    let uses = main.call("use", (&user, user.get("id"), [user.get("tags").get(1u64)]));
    peer.expect(
        r#"["push",["pipeline",0,["use"],[{"id":7,"tags":[["a","b"]],"door":["import",-1],"n":["undefined"]},7,[["b"]]]]]"#,
    );
    let door = main.call("use", (user.get("door"), user.get("nothing")));
    peer.expect(r#"["push",["pipeline",0,["use"],[["import",-1],["undefined"]]]]"#);
    let opened = user.get("door").call("open", ());
    peer.expect(r#"["push",["pipeline",-1,["open"],[]]]"#);
    let handle = main.call("use", (user.get("door").get("handle"),));
    peer.expect(r#"["push",["pipeline",0,["use"],[["pipeline",-1,["handle"]]]]]"#);
    drop((early, uses, door, opened, handle));
    for id in [2, 3, 4, 5, 6] {
        peer.expect(&format!(r#"["release",{id},1]"#));
    }
    drop(user);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_rejected_promise_rejects_the_calls_that_use_it() {
    let mut peer = ScriptedPeer::client();
    let main = peer.session.main();
    let user = main.call("user", ());
    let pull = user.fetch::<Value>();
    peer.send(r#"["reject",1,["error","RangeError","no"]]"#);
    within(pull).await.unwrap_err();
    while peer.next().is_some() {}
    let uses = main.call("use", (&user,));
    peer.expect(r#"["push",["pipeline",0,["use"],[["promise",-1]]]]"#);
    peer.expect(r#"["reject",-1,["error","RangeError","no"]]"#);
    peer.send(r#"["release",-1,1]"#);
    // The peer does not notice a call on it.
    let error = user
        .call("x", ())
        .fetch::<u32>()
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.to_string(), "RangeError: no");
    peer.expect_silence();
    drop((user, uses));
    peer.expect(r#"["release",2,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn promises_of_another_session_are_forwarded_in_arguments() {
    let (mut a, mut b) = (ScriptedPeer::client(), ScriptedPeer::client());
    let promise = a.session.main().call("slow", ());
    a.expect(r#"["push",["pipeline",0,["slow"],[]]]"#);
    let uses = b.session.main().call("use", (&promise, promise.get("n")));
    b.expect(r#"["push",["pipeline",0,["use"],[["promise",-1],["promise",-2]]]]"#);
    a.expect(r#"["push",["pipeline",1,["n"]]]"#);
    a.expect_unordered([r#"["pull",1]"#, r#"["pull",2]"#]);
    a.send(r#"["resolve",1,{"it":["export",-1]}]"#);
    a.expect(r#"["release",1,1]"#);
    b.expect(r#"["resolve",-1,{"it":["export",-3]}]"#);
    b.send(r#"["push",["pipeline",-3,["x"],[]]]"#);
    a.expect(r#"["push",["pipeline",-1,["x"],[]]]"#);
    // The other one is no longer needed.
    b.send(r#"["release",-2,1]"#);
    a.expect(r#"["release",2,1]"#);
    for id in [-1, -3, 1] {
        b.send(&format!(r#"["release",{id},1]"#));
    }
    a.expect(r#"["release",3,1]"#);
    a.expect_silence();
    drop((promise, uses));
    a.expect(r#"["release",-1,1]"#);
    b.expect(r#"["release",1,1]"#);
    a.expect_empty();
    b.expect_empty();
}

#[tokio::test]
async fn promises_of_another_session_are_forwarded_as_results() {
    let mut a = ScriptedPeer::client();
    let main = a.session.main();
    let (root, inside, property) = (main.clone(), main.clone(), main.clone());
    let deep = main;
    let api = Object::new()
        .sync_method("root", move || Ok(root.call("slow", ())))
        .sync_method("inside", move || Ok([inside.call("slow", ())]))
        .sync_method("property", move || Ok(property.get("x").get("y")))
        .getter("deep", move |_| Ok(deep.get("x")))
        .into_stub();
    let mut b = ScriptedPeer::server(api);

    b.send(r#"["push",["pipeline",0,["root"],[]]]"#);
    a.expect(r#"["push",["pipeline",0,["slow"],[]]]"#);
    b.send(r#"["push",["pipeline",1,["more"],[]]]"#);
    a.expect(r#"["push",["pipeline",1,["more"],[]]]"#);
    a.expect_silence();
    b.send(r#"["pull",1]"#);
    a.expect(r#"["pull",1]"#);
    a.send(r#"["resolve",1,5]"#);
    a.expect(r#"["release",1,1]"#);
    b.expect(r#"["resolve",1,5]"#);

    b.send(r#"["push",["pipeline",0,["inside"],[]]]"#);
    a.expect(r#"["push",["pipeline",0,["slow"],[]]]"#);
    b.send(r#"["pull",3]"#);
    b.expect(r#"["resolve",3,[[["promise",-1]]]]"#);
    a.expect(r#"["pull",3]"#);
    a.send(r#"["reject",3,["error","Error","no"]]"#);
    a.expect(r#"["release",3,1]"#);
    b.expect(r#"["reject",-1,["error","Error","no"]]"#);

    // A property is read once, however many wait for it.
    b.send(r#"["push",["pipeline",0,["property"],[]]]"#);
    b.send(r#"["pull",4]"#);
    a.expect(r#"["push",["pipeline",0,["x","y"]]]"#);
    a.expect(r#"["pull",4]"#);
    b.send(r#"["push",["pipeline",4,["z"]]]"#);
    a.expect(r#"["push",["pipeline",4,["z"]]]"#);
    a.send(r#"["resolve",4,6]"#);
    a.expect(r#"["release",4,1]"#);
    b.expect(r#"["resolve",4,6]"#);

    b.send(r#"["push",["pipeline",0,["deep","z"],[]]]"#);
    a.expect(r#"["push",["pipeline",0,["x"]]]"#);
    a.expect(r#"["push",["pipeline",6,["z"],[]]]"#);
    a.expect(r#"["release",6,1]"#);
    b.send(r#"["push",["pipeline",0,["deep"]]]"#);
    b.send(r#"["pull",7]"#);
    a.expect(r#"["push",["pipeline",0,["x"]]]"#);
    a.expect(r#"["pull",8]"#);
    a.send(r#"["resolve",8,7]"#);
    a.expect(r#"["release",8,1]"#);
    b.expect(r#"["resolve",7,7]"#);
    for id in [1, 2, 3, 4, 5, 6, 7, -1] {
        b.send(&format!(r#"["release",{id},1]"#));
    }
    for id in [2, 5, 7] {
        a.expect(&format!(r#"["release",{id},1]"#));
    }
    a.expect_silence();
    b.expect_silence();
    a.expect_empty();
    b.expect_empty();
}

#[tokio::test]
async fn promises_of_the_same_peer_are_returned_as_results() {
    // This handler returns a result of the peer's own main object.
    let main = Object::new()
        .sync_method("call", |cx: Context| {
            Ok(cx.peer().map(|peer| peer.call("f", ())))
        })
        .sync_method("property", |cx: Context| {
            Ok(cx.peer().map(|peer| peer.get("x")))
        });
    let mut peer = ScriptedPeer::server(main.into_stub());
    for (id, (method, asked)) in (1..).zip([("call", r#"["f"],[]"#), ("property", r#"["x"]"#)]) {
        peer.send(&format!(r#"["push",["pipeline",0,["{method}"],[]]]"#));
        peer.send(&format!(r#"["pull",{id}]"#));
        peer.expect(&format!(r#"["push",["pipeline",0,{asked}]]"#));
        peer.expect(&format!(r#"["pull",{id}]"#));
        peer.expect_silence();
        peer.send(&format!(r#"["resolve",{id},"it"]"#));
        peer.expect(&format!(r#"["release",{id},1]"#));
        peer.expect(&format!(r#"["resolve",{id},"it"]"#));
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn stubs_of_another_session_are_forwarded() {
    let (mut a, mut b) = (ScriptedPeer::client(), ScriptedPeer::client());
    let pull = a.session.main().call("make", ()).fetch::<Stub>();
    a.send(r#"["resolve",1,["export",-1]]"#);
    let stub = within(pull).await.unwrap();
    while a.next().is_some() {}
    Promise::detach(b.session.main().call("use", ([&stub], &stub)));
    b.expect(r#"["push",["pipeline",0,["use"],[[[["export",-1]]],["export",-2]]]]"#);
    b.expect(r#"["release",1,1]"#);
    drop(stub);
    b.send(r#"["push",["pipeline",-1,["x"]]]"#);
    a.expect(r#"["push",["pipeline",-1,["x"]]]"#);
    b.send(r#"["release",1,1]"#);
    a.expect(r#"["release",2,1]"#);
    b.send(r#"["release",-1,1]"#);
    a.expect_silence();
    b.send(r#"["release",-2,1]"#);
    a.expect(r#"["release",-1,1]"#);
    a.expect_empty();
    b.expect_empty();
}

#[tokio::test]
async fn a_forwarded_stub_keeps_its_session() {
    // The client's handles are dropped, but another session still holds an object of it.
    let (sender, mut kept) = unbounded_channel();
    let keeper = Object::new().sync_method("keep", move |stub: Stub| {
        sender.send(stub).unwrap();
        Ok(())
    });
    let keeper = connect(keeper.into_stub());
    let Connected {
        client,
        server,
        api,
    } = connect(calculator());
    within(keeper.api.call("keep", (&api,)).fetch::<()>())
        .await
        .unwrap();
    drop((api, client));
    let stub = kept.recv().await.unwrap();
    assert_eq!(
        within(stub.call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );
    assert!(server.end_reason().is_none());
    drop(stub);
    within(server.closed()).await;
    keeper.settle().await;
}

// ---------------------------------------------------------------- all the way through

/// A chain of sessions from the client to the origin.
struct Chain(Vec<Connected>);

impl Chain {
    fn new(origin: Stub) -> Self {
        let mut chain = vec![connect(origin)];
        for _ in 0..3 {
            let next = connect_with(
                SessionOptions::new(),
                chain[chain.len() - 1].api.clone(),
                None,
            );
            chain.push(next);
        }
        Self(chain)
    }

    fn api(&self) -> &Stub {
        &self.0[self.0.len() - 1].api
    }

    async fn settle(&self) {
        for connected in &self.0 {
            connected.settle().await;
        }
    }
}

#[tokio::test]
async fn calls_pass_through_a_chain_of_sessions() {
    let chain = Chain::new(calculator());
    let api = chain.api();
    assert_eq!(
        within(api.call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );
    let sum = api.call(
        "add",
        (api.call("square", (2,)), api.call("user", ()).get("id")),
    );
    assert_eq!(within(sum.fetch::<f64>()).await.unwrap(), 11.0);
    let squares = api.call("list", (4,)).map(|n| api.call("square", (n,)));
    assert_eq!(
        within(squares.fetch::<Vec<f64>>()).await.unwrap(),
        [0.0, 1.0, 4.0, 9.0]
    );
    let double = Stub::function(|n: f64| async move { Ok(2.0 * n) });
    let doubled = api.call("callFunction", (&double, 21));
    assert_eq!(within(doubled.fetch::<f64>()).await.unwrap(), 42.0);
    let theirs = api.call("makeCounter", (1,));
    assert_eq!(
        within(theirs.call("increment", (2,)).fetch::<f64>())
            .await
            .unwrap(),
        3.0
    );
    let mine = counter(5.0);
    let both: (Stub, Stub) = within(api.call("echo", ((&mine, &theirs),)).fetch())
        .await
        .unwrap();
    assert_eq!(
        within(both.0.call("increment", ()).fetch::<f64>())
            .await
            .unwrap(),
        6.0
    );
    assert_eq!(
        within(both.1.call("increment", ()).fetch::<f64>())
            .await
            .unwrap(),
        4.0
    );
    let error = within(api.call("fail", ("no",)).get("x"))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "RangeError: no");
    assert_eq!(
        within(api.get("version").fetch::<String>()).await.unwrap(),
        "1.0"
    );
    drop((sum, squares, double, doubled, theirs, mine, both));
    chain.settle().await;
}

#[tokio::test]
async fn a_break_passes_through_a_chain_of_sessions() {
    let chain = Chain::new(calculator());
    let api = chain.api();
    let theirs: Stub = within(api.call("makeCounter", ()).fetch()).await.unwrap();
    let waiting = tokio::spawn(api.call("wait", (100_000,)).fetch::<f64>());
    idle().await;
    chain.0[0]
        .server
        .close(Error::range_error("enough").with_prop("code", 7));
    let error = within(waiting).await.unwrap().unwrap_err();
    assert_eq!(
        (error.to_string(), error.prop("code")),
        ("RangeError: enough".to_owned(), Some(7))
    );
    let error = within(theirs.call("increment", ())).await.unwrap_err();
    assert_eq!(error.to_string(), "RangeError: enough");
    // The sessions in between are still alive.
    for connected in &chain.0[1..] {
        assert!(connected.client.end_reason().is_none());
    }
}

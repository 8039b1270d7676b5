//! Lifetimes of references that a peer has received or sent.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use capnweb_core::{Error, Object, Promise, SessionOptions, Stats, Stub};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{
    Gate, ScriptedPeer, Witness, calculator, connect, connect_with, idle, within,
};

/// Returns an object that reports its drop.
fn fragile() -> (Stub, tokio::sync::oneshot::Receiver<()>) {
    let (witness, dropped) = Witness::new();
    let stub = Object::new().getter("alive", move |_| {
        let _ = &witness;
        Ok(true)
    });
    (stub.into_stub(), dropped)
}

#[tokio::test]
async fn exports_are_dropped_when_the_session_ends() {
    let (in_argument, argument_dropped) = fragile();
    let (in_result, result_dropped) = fragile();
    let (in_unpulled, unpulled_dropped) = fragile();
    let (in_main, main_dropped) = fragile();
    let stock = Mutex::new(vec![in_result, in_unpulled]);
    let (waits, started) = unbounded_channel();
    let mut started = started;
    let main = Object::new()
        .sync_method("make", move || {
            let _ = &in_main;
            Ok(stock.lock().unwrap().pop())
        })
        .method("keep", move |stub: Stub| {
            waits.send(()).unwrap();
            async move { Ok(stub.closed().await.to_string()) }
        });
    let connected = connect(main.into_stub());
    let api = connected.api;
    let unpulled = api.call("make", ());
    let result: Stub = within(api.call("make", ()).fetch()).await.unwrap();
    Promise::detach(api.call("keep", (in_argument,)));
    within(started.recv()).await.unwrap();
    assert!(within(result.get("alive").fetch::<bool>()).await.unwrap());
    let mut dropped = [
        argument_dropped,
        result_dropped,
        unpulled_dropped,
        main_dropped,
    ];
    assert!(
        dropped
            .iter_mut()
            .all(|dropped| dropped.try_recv().is_err())
    );
    connected.client.close(Error::new("enough"));
    for dropped in dropped {
        within(dropped).await.unwrap();
    }
    drop((unpulled, result));
}

#[tokio::test]
async fn an_export_is_dropped_when_the_peer_releases_it() {
    let (stub, mut dropped) = fragile();
    let mut peer = ScriptedPeer::server(
        Object::new()
            .sync_method("make", {
                let stub = Mutex::new(Some(stub));
                move || Ok(stub.lock().unwrap().take())
            })
            .into_stub(),
    );
    peer.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,["export",-1]]"#);
    // Both the result and the stub are still in the table, under one ID each.
    peer.send(r#"["push",["pipeline",-1,["alive"]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,true]"#);
    peer.send(r#"["release",2,1]"#);
    assert!(dropped.try_recv().is_err());
    peer.send(r#"["release",-1,1]"#);
    assert!(dropped.try_recv().is_ok());
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_result_that_nobody_pulls_lives_until_it_is_released() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let main = {
        let made = made.clone();
        Object::new().method("make", move || {
            let (stub, dropped) = fragile();
            made.lock().unwrap().push(dropped);
            async move { Ok((stub, 1)) }
        })
    };
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    let mut dropped = made.lock().unwrap().pop().unwrap();
    peer.send(r#"["push",["pipeline",1,[0,"alive"]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,true]"#);
    assert!(dropped.try_recv().is_err());
    peer.send(r#"["release",1,1]"#);
    assert!(dropped.try_recv().is_ok());
    peer.send(r#"["release",2,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn every_export_of_an_object_has_an_id_of_its_own() {
    let (stub, mut dropped) = fragile();
    let main = Object::new().sync_method("make", {
        let stub = Mutex::new(Some(stub));
        move || {
            let stub = stub.lock().unwrap().take().unwrap();
            Ok((stub.clone(), stub))
        }
    });
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,[[["export",-1],["export",-2]]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["release",-1,1]"#);
    assert!(dropped.try_recv().is_err());
    peer.send(r#"["release",-2,1]"#);
    assert!(dropped.try_recv().is_ok());
    peer.expect_empty();
}

/// An object that calls back when it is dropped.
struct LastWords(Stub);

impl capnweb_core::Target for LastWords {
    fn call(self: Arc<Self>, _: capnweb_core::Call<'_>) -> capnweb_core::Answer {
        capnweb_core::Answer::not_found()
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        Promise::detach(self.0.invoke(("bye",)));
    }
}

#[tokio::test]
async fn an_object_may_use_the_session_while_it_is_dropped() {
    let main = Object::new().method("make", |callback: Stub| async move {
        Ok(Stub::new(LastWords(callback)))
    });
    let mut peer = ScriptedPeer::server(main.into_stub());
    for end in [false, true] {
        let (push, made, callback) = if end { (2, -2, -8) } else { (1, -1, -7) };
        peer.send(&format!(
            r#"["push",["pipeline",0,["make"],[["export",{callback}]]]]"#
        ));
        peer.send(&format!(r#"["pull",{push}]"#));
        peer.expect(&format!(r#"["resolve",{push},["export",{made}]]"#));
        peer.send(&format!(r#"["release",{push},1]"#));
        peer.expect_silence();
        if end {
            // Nobody receives this call.
            peer.connection
                .end(Error::disconnected("the cable was cut"));
        } else {
            peer.send(&format!(r#"["release",{made},1]"#));
            peer.expect(&format!(r#"["push",["pipeline",{callback},[],["bye"]]]"#));
            peer.expect(r#"["release",1,1]"#);
            peer.expect(&format!(r#"["release",{callback},1]"#));
            peer.expect_empty();
        }
        peer.expect_silence();
    }
}

#[tokio::test]
async fn stubs_in_arguments_are_released_before_the_answer() {
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new()
            .sync_method("sync", |_stub: Stub| Ok(1))
            .method("quick", |stub: Stub| async move {
                let _stub = stub;
                Ok(1)
            })
            .method("slow", move |stub: Stub| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    drop(stub);
                    Ok(1)
                }
            })
            .method("fails", |_stub: Stub| async move {
                Err::<(), _>(Error::new("no"))
            })
            .method("ignores", async || Ok(1))
            .method("wants a number", async |_: f64| Ok(1))
    };
    let mut peer = ScriptedPeer::server(main.into_stub());
    let mut id = 0;
    let mut call = |peer: &mut ScriptedPeer, method: &str| {
        id += 1;
        peer.send(&format!(
            r#"["push",["pipeline",0,["{method}"],[["export",-{id}]]]]"#
        ));
        peer.send(&format!(r#"["pull",{id}]"#));
        id
    };
    for method in ["sync", "quick", "ignores"] {
        let id = call(&mut peer, method);
        peer.expect(&format!(r#"["release",-{id},1]"#));
        peer.expect(&format!(r#"["resolve",{id},1]"#));
    }
    for method in ["fails", "wants a number", "is not there"] {
        let id = call(&mut peer, method);
        peer.expect(&format!(r#"["release",-{id},1]"#));
        assert!(
            peer.next()
                .unwrap()
                .starts_with(&format!(r#"["reject",{id},"#))
        );
    }
    let id = call(&mut peer, "slow");
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect(&format!(r#"["release",-{id},1]"#));
    peer.expect(&format!(r#"["resolve",{id},1]"#));
    peer.expect_silence();
}

#[tokio::test]
async fn stubs_in_arguments_may_be_kept() {
    let kept = Arc::new(Mutex::new(None));
    let main = {
        let kept = kept.clone();
        Object::new().sync_method("keep", move |stub: Stub| {
            *kept.lock().unwrap() = Some(stub.clone());
            Ok(())
        })
    };
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["keep"],[["export",-1]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,["undefined"]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_silence();
    let stub = kept.lock().unwrap().take();
    assert_eq!(
        peer.session.stats(),
        Stats {
            imports: 2,
            exports: 1
        }
    );
    drop(stub);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn stubs_in_arguments_are_not_released_before_the_result_that_mentions_them() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["echo"],[{"a":["export",-1]}]]]"#);
    peer.expect_silence();
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,{"a":["import",-1]}]"#);
    peer.expect_silence();
    peer.send(r#"["release",1,1]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn stubs_in_waiting_arguments_are_released_after_the_wait() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[["promise",-1],["export",-2]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_silence();
    peer.send(r#"["reject",-1,["error","Error","no"]]"#);
    peer.expect_unordered([
        r#"["reject",1,["error","Error","no"]]"#,
        r#"["release",-1,1]"#,
        r#"["release",-2,1]"#,
    ]);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn callbacks_are_released_after_their_call() {
    let connected = connect_with(SessionOptions::new(), calculator(), Some(calculator()));
    let calls = Arc::new(AtomicU32::new(0));
    let (witness, dropped) = Witness::new();
    let callback = {
        let calls = calls.clone();
        Stub::function(move |n: f64| {
            let _ = &witness;
            calls.fetch_add(1, Ordering::Relaxed);
            async move { Ok(n) }
        })
    };
    let call = connected.api.call("callFunction", (callback, 1));
    assert_eq!(within(call.fetch::<f64>()).await.unwrap(), 1.0);
    within(dropped).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    drop(call);
    connected.settle().await;
}

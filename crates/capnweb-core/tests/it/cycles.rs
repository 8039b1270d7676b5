//! Promises and values that lead back to themselves, which only a hostile peer creates. Nothing may
//! follow such a cycle for ever, and everything in it must be dropped.

use std::time::Duration;

use capnweb_core::{Object, Payload, SessionOptions, Stub};

use crate::{
    long_chains::on_a_small_stack,
    support::{LiveObjects, ScriptedPeer, idle},
};

/// Creates a server whose peer can build cycles.
///
/// `forward(f)` returns the promise of a call of `f`, `property(f)` a property of that promise, and
/// `relay(f)` its value. `watch(f)` also registers for its end. `echo(x)` returns `x`, and
/// `token()` returns an object.
fn knots() -> (LiveObjects, ScriptedPeer) {
    let objects = LiveObjects::default();
    let make = objects.clone();
    let main = Object::new()
        .method("forward", async |f: Stub| Ok(f.invoke(())))
        .method("property", async |f: Stub| Ok(f.invoke(()).get("x")))
        .method("relay", async |f: Stub| {
            f.invoke(()).fetch::<Payload>().await
        })
        .method("watch", async |f: Stub| {
            let result = f.invoke(());
            result.on_broken(|_| {}).forget();
            Ok(result)
        })
        .method("echo", async |value: Payload| Ok(value))
        .sync_method("token", move || Ok(make.make()))
        .into_stub();
    let options = SessionOptions::new().with_grace_period(Duration::ZERO);
    (objects, ScriptedPeer::with(options, main))
}

/// Ends the session, and checks that nothing is left that the peer could refer to.
async fn end(objects: LiveObjects, mut peer: ScriptedPeer) {
    peer.connection.end(capnweb_core::Error::new("over"));
    drop(peer);
    objects.expect_none().await;
}

#[track_caller]
fn assert_rejected(said: &[String], id: i64) {
    let start = format!(r#"["reject",{id},["error","TypeError","Chaining cycle"#);
    assert!(said.iter().any(|said| said.starts_with(&start)), "{said:?}");
}

/// Makes the session call the peer back at export −1, as call 2. Call 1 has created a token.
async fn call_back(peer: &mut ScriptedPeer, method: &str) {
    peer.send(r#"["push",["pipeline",0,["token"],[]]]"#);
    peer.send(&format!(
        r#"["push",["pipeline",0,["{method}"],[["export",-1]]]]"#
    ));
    idle().await;
    assert!(
        peer.said()
            .contains(&r#"["push",["pipeline",-1,[],[]]]"#.to_owned())
    );
}

#[test]
fn a_result_that_is_a_stub_of_itself_is_rejected() {
    on_a_small_stack(async || {
        let (objects, mut peer) = knots();
        call_back(&mut peer, "relay").await;
        peer.send(r#"["resolve",1,["import",2]]"#);
        idle().await;
        peer.send(r#"["pull",2]"#);
        peer.send(r#"["push",["pipeline",2,["x"],[]]]"#);
        peer.send(r#"["pull",3]"#);
        peer.send(r#"["push",["pipeline",0,["echo"],[["pipeline",2]]]]"#);
        peer.send(r#"["pull",4]"#);
        peer.send(r#"["push",["remap",2,[],[],[["pipeline",0,["x"]]]]]"#);
        peer.send(r#"["pull",5]"#);
        idle().await;
        let said = peer.said();
        for id in 2..=5 {
            assert_rejected(&said, id);
        }
        end(objects, peer).await;
    });
}

#[test]
fn a_result_that_contains_a_stub_of_itself_is_dropped() {
    on_a_small_stack(async || {
        let (objects, mut peer) = knots();
        call_back(&mut peer, "relay").await;
        peer.send(r#"["resolve",1,{"self":["import",2],"token":["import",1]}]"#);
        idle().await;
        peer.send(r#"["release",1,1]"#);
        peer.send(r#"["release",2,1]"#);
        peer.send(r#"["push",["pipeline",0,["echo"],[1]]]"#);
        peer.send(r#"["release",3,1]"#);
        peer.expect_empty();
        end(objects, peer).await;
    });
}

#[test]
fn a_result_that_is_a_property_of_itself_is_rejected() {
    on_a_small_stack(async || {
        let (objects, mut peer) = knots();
        peer.send(r#"["push",["pipeline",0,["token"],[]]]"#);
        peer.send(r#"["push",["pipeline",0,["property"],[["export",-1]]]]"#);
        peer.send(r#"["pull",2]"#);
        idle().await;
        assert_eq!(
            peer.said(),
            [
                r#"["push",["pipeline",-1,[],[]]]"#,
                r#"["push",["pipeline",1,["x"]]]"#,
                r#"["release",1,1]"#,
                r#"["release",-1,1]"#,
                r#"["pull",2]"#,
            ]
        );
        // The property of the peer's result is the property itself.
        peer.send(r#"["resolve",2,["pipeline",2]]"#);
        idle().await;
        assert_rejected(&peer.said(), 2);
        end(objects, peer).await;
    });
}

#[test]
fn a_promise_that_waits_for_itself_settles_and_is_dropped() {
    on_a_small_stack(async || {
        for (method, resolution) in [
            ("forward", r#"["pipeline",2]"#),
            ("forward", r#"{"x":["pipeline",2],"token":["import",1]}"#),
            ("forward", r#"{"x":["import",2],"token":["import",1]}"#),
            (
                "forward",
                r#"{"x":["pipeline",2,["x"]],"token":["import",1]}"#,
            ),
            (
                "forward",
                r#"{"x":["pipeline",2,["x"],[]],"token":["import",1]}"#,
            ),
            ("watch", r#"["pipeline",2]"#),
            ("watch", r#"["import",2]"#),
            ("relay", r#"["pipeline",2]"#),
            ("relay", r#"{"x":["pipeline",2],"token":["import",1]}"#),
            (
                "relay",
                r#"{"x":["pipeline",2,["x"]],"token":["import",1]}"#,
            ),
            ("relay", r#"{"x":["pipeline",2,["x"],[["import",1]]]}"#),
            ("property", r#"{"x":["pipeline",2],"token":["import",1]}"#),
            (
                "property",
                r#"{"x":["pipeline",2,["x"]],"token":["import",1]}"#,
            ),
        ] {
            for pull in [false, true] {
                let (objects, mut peer) = knots();
                call_back(&mut peer, method).await;
                if pull {
                    peer.send(r#"["pull",2]"#);
                }
                peer.send(&format!(r#"["resolve",1,{resolution}]"#));
                idle().await;
                peer.send(r#"["push",["pipeline",2,["x"],[["import",1]]]]"#);
                peer.send(r#"["pull",3]"#);
                peer.send(r#"["push",["pipeline",2,["x","x"]]]"#);
                peer.send(r#"["pull",4]"#);
                peer.send(r#"["push",["pipeline",0,["echo"],[["pipeline",2]]]]"#);
                peer.send(r#"["pull",5]"#);
                idle().await;
                let said = peer.said();
                let closes = !resolution.contains(r#"["x"]"#);
                match method {
                    "forward" | "watch" if closes => {
                        for id in if pull { 2..=5 } else { 3..=5 } {
                            assert_rejected(&said, id);
                        }
                    }
                    // The handler waits for itself, and so do the calls on it.
                    "relay" => assert_eq!(said, [r#"["release",1,1]"#]),
                    // The session has asked the peer for a property of the peer's own promise,
                    // which the peer may answer.
                    _ => assert!(said.iter().all(|said| !said.contains("Chaining cycle"))),
                }
                end(objects, peer).await;
            }
        }
    });
}

#[test]
fn an_argument_that_waits_for_its_call_is_dropped() {
    on_a_small_stack(async || {
        let (objects, mut peer) = knots();
        peer.send(r#"["push",["pipeline",0,["token"],[]]]"#);
        peer.send(r#"["push",["pipeline",0,["echo"],[[[["promise",-1],["import",1]]]]]]"#);
        // "My argument is the result of the call that it is an argument of."
        peer.send(r#"["resolve",-1,["pipeline",2]]"#);
        peer.send(r#"["pull",2]"#);
        idle().await;
        assert_eq!(peer.said(), [r#"["release",-1,1]"#]);
        end(objects, peer).await;
    });
}

#[test]
fn calls_whose_arguments_wait_for_one_another_are_dropped() {
    on_a_small_stack(async || {
        let (objects, mut peer) = knots();
        peer.send(r#"["push",["pipeline",0,["token"],[]]]"#);
        peer.send(r#"["push",["pipeline",0,["echo"],[[[["promise",-1],["import",1]]]]]]"#);
        peer.send(r#"["push",["pipeline",0,["echo"],[[[["pipeline",2],["import",1]]]]]]"#);
        peer.send(r#"["push",["pipeline",3,["x"],[["pipeline",2],["import",1]]]]"#);
        peer.send(r#"["resolve",-1,["pipeline",4]]"#);
        peer.send(r#"["pull",4]"#);
        idle().await;
        // None of the calls is ever made, so none is answered.
        assert_eq!(peer.said(), [r#"["release",-1,1]"#]);
        end(objects, peer).await;
    });
}

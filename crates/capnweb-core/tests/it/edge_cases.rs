//! Rare edge cases of dispatch. Each must behave as in the TypeScript library, and leave nothing
//! behind.

use capnweb_core::{Error, Object, Payload, Promise, Stub};
use serde::{Serialize, Serializer, ser::Error as _};

use crate::support::{Gate, ScriptedPeer, calculator, idle, within};

/// Returns the outcome of push 1, which is then released, and the messages before it.
fn outcome(peer: &mut ScriptedPeer, push: &str) -> (Vec<String>, String) {
    peer.send(push);
    peer.send(r#"["pull",1]"#);
    let mut said = peer.said();
    let at = said
        .iter()
        .position(|said| {
            said.starts_with(r#"["resolve",1,"#) || said.starts_with(r#"["reject",1,"#)
        })
        .unwrap_or_else(|| panic!("{push}: no outcome in {said:?}"));
    let outcome = said.remove(at);
    peer.send(r#"["release",1,1]"#);
    said.extend(peer.said());
    (said, outcome)
}

#[tokio::test]
async fn prototype_names_are_not_found() {
    let main = Object::new()
        .property(
            "user",
            serde_json::json!({"name": "Ada", "toString": 1, "toJSON": 2}),
        )
        .method("toJSON", async || Ok(1))
        .property("constructor", 1)
        .into_stub();
    let undefined = r#"["resolve",1,["undefined"]]"#;
    for (path, expected) in [
        (r#"["user","toString"]"#, undefined),
        (r#"["user","__proto__"]"#, undefined),
        (r#"["user","toJSON"]"#, undefined),
        (r#"["constructor"]"#, undefined),
        (r#"["user","name"]"#, r#"["resolve",1,"Ada"]"#),
    ] {
        let mut peer = ScriptedPeer::server(main.clone());
        let (_, said) = outcome(&mut peer, &format!(r#"["push",["pipeline",0,{path}]]"#));
        assert_eq!(said, expected, "{path}");
        peer.expect_empty();
    }
    for path in [
        r#"["toJSON"]"#,
        r#"["user","valueOf"]"#,
        r#"["hasOwnProperty"]"#,
    ] {
        let mut peer = ScriptedPeer::server(main.clone());
        let push = format!(r#"["push",["pipeline",0,{path},[["export",-1]]]]"#);
        let (released, said) = outcome(&mut peer, &push);
        assert!(
            said.starts_with(r#"["reject",1,["error","TypeError","#),
            "{path}: {said}"
        );
        assert_eq!(released, [r#"["release",-1,1]"#], "{path}");
        peer.expect_empty();
    }
}

/// Returns an object whose method `take(x)` reports its argument as soon as it arrives, without
/// waiting for its outcome.
fn taker(gate: &Gate) -> Stub {
    let gate = gate.clone();
    Object::new()
        .method("slow", move || {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(Object::new().property("n", 7).into_stub())
            }
        })
        .property("constant", 5)
        .method("take", async |value: Stub| {
            drop(value);
            Ok("taken")
        })
        .method("ask", async |value: Stub| {
            value.get("n").fetch::<u32>().await
        })
        .into_stub()
}

#[tokio::test]
async fn an_imported_call_is_a_stub_at_once() {
    for (argument, method) in [
        // The result of a call, …
        (r#"["import",0,["slow"],[]]"#, "take"),
        // … a property, …
        (r#"["import",0,["constant"]]"#, "take"),
        // … and an error of the call only affects the stub.
        (r#"["import",0,["missing"],[]]"#, "take"),
    ] {
        let gate = Gate::closed();
        let mut peer = ScriptedPeer::server(taker(&gate));
        let push = format!(r#"["push",["pipeline",0,["{method}"],[{argument}]]]"#);
        let (_, said) = outcome(&mut peer, &push);
        assert_eq!(said, r#"["resolve",1,"taken"]"#, "{argument}");
        gate.open();
        idle().await;
        peer.expect_silence();
        peer.expect_empty();
    }

    // As a promise, the same call is awaited.
    let gate = Gate::closed();
    let mut peer = ScriptedPeer::server(taker(&gate));
    peer.send(r#"["push",["pipeline",0,["take"],[["pipeline",0,["slow"],[]]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect(r#"["resolve",1,"taken"]"#);

    // Calls on the stub arrive once it has settled.
    let gate = Gate::closed();
    let mut peer = ScriptedPeer::server(taker(&gate));
    peer.send(r#"["push",["pipeline",0,["ask"],[["import",0,["slow"],[]]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect(r#"["resolve",1,7]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_chain_of_promises_is_resolved_once() {
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new().method("chain", move || {
            let gate = gate.clone();
            async move {
                let mut promise = Promise::<Payload>::from_future(async move {
                    gate.pass().await;
                    Payload::encode(&7)
                });
                for _ in 0..10 {
                    promise = Promise::from_future(async move { Payload::encode(&promise) });
                }
                Ok(promise)
            }
        })
    };
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["chain"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    idle().await;
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect(r#"["resolve",1,7]"#);
    peer.expect_silence();
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_second_outcome_is_dropped() {
    // Of a call of ours, …
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("x", ());
    let result = call.fetch::<u32>();
    assert_eq!(peer.said().len(), 2);
    peer.send(r#"["resolve",1,5]"#);
    peer.expect(r#"["release",1,1]"#);
    peer.send(r#"["resolve",1,{"a":["export",-1]}]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.send(r#"["reject",1,["error","Error","late",null,{"a":["export",-2]}]]"#);
    assert_eq!(within(result).await.unwrap(), 5);

    // … and of a promise of the peer's.
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["echo"],[["promise",-1]]]]"#);
    peer.send(r#"["resolve",-1,["export",-2]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.send(r#"["resolve",-1,["export",-3]]"#);
    peer.expect(r#"["release",-3,1]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect(r#"["release",-2,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn map_accepts_any_value() {
    let main = || {
        Object::new()
            .method("echo", async |value: Payload| Ok(value))
            .method("square", async |n: f64| Ok(n * n))
            .method("picky", async |n: f64| {
                if n == 2.0 {
                    return Err(Error::range_error("no twos"));
                }
                Ok(n)
            })
            .into_stub()
    };
    let square = r#"[["pipeline",-1,["square"],[["pipeline",0]]]]"#;
    let picky = r#"[["pipeline",-1,["picky"],[["pipeline",0]]]]"#;
    let nested =
        r#"[["remap",0,[],[["import",-1]],[["pipeline",-1,["square"],[["pipeline",0]]]]]]"#;
    for (value, instructions, expected) in [
        ("null", square, "null"),
        (r#"["undefined"]"#, square, r#"["undefined"]"#),
        ("3", square, "9"),
        ("[[]]", square, "[[]]"),
        ("[[null]]", r"[5]", "[[5]]"),
        ("[[[[1,2]],[[3]]]]", nested, "[[[[1,4]],[[9]]]]"),
        ("[[null,[[2]],3]]", nested, "[[null,[[4]],9]]"),
        ("[[1,3]]", picky, "[[1,3]]"),
        ("[[1,2,3]]", picky, "no twos"),
        // A bad instruction fails the map, not the session.
        ("[[1]]", r#"[["pipeline",9,["x"],[]]]"#, "reject"),
        ("[[1]]", "[]", "Invalid empty mapper function."),
        // The instructions are not even parsed.
        ("null", r#"[["pipeline",9,["x"],[]]]"#, "null"),
    ] {
        let mut peer = ScriptedPeer::server(main());
        peer.send(&format!(r#"["push",["pipeline",0,["echo"],[{value}]]]"#));
        peer.send(&format!(
            r#"["push",["remap",1,[],[["import",0]],{instructions}]]"#
        ));
        // As an argument it is awaited, together with all promises in it.
        peer.send(r#"["push",["pipeline",0,["echo"],[["pipeline",2]]]]"#);
        peer.send(r#"["pull",3]"#);
        let outcome = peer.next().unwrap();
        match expected {
            "reject" => assert!(outcome.starts_with(r#"["reject",3,"#), "{outcome}"),
            message if message.contains(' ') => assert!(outcome.contains(message), "{outcome}"),
            value => assert_eq!(outcome, format!(r#"["resolve",3,{value}]"#)),
        }
        for id in 1..=3 {
            peer.send(&format!(r#"["release",{id},1]"#));
        }
        peer.expect_silence();
        peer.expect_empty();
    }
}

/// A value that cannot be serialized.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

fn own() -> Stub {
    Object::new().property("n", 1).into_stub()
}

#[tokio::test]
async fn exports_of_an_unwritable_message_are_withdrawn() {
    // As an argument: nothing is sent.
    let mut peer = ScriptedPeer::client();
    let api = peer.session.main();
    let error = within(api.call("f", (own(), Unwritable)).fetch::<u32>()).await;
    assert!(error.unwrap_err().message().contains("not today"));
    peer.expect_silence();
    peer.expect_empty();
    // The next call has the first ID, so no ID was lost.
    let next = api.call("f", (own(),));
    peer.expect(r#"["push",["pipeline",0,["f"],[["export",-1]]]]"#);
    drop(next);
    peer.expect(r#"["release",1,1]"#);
    peer.send(r#"["release",-1,1]"#);
    peer.expect_empty();

    // As a result: the call is rejected.
    let main = Object::new()
        .method("result", async || Ok((own(), Unwritable)))
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    let push = r#"["push",["pipeline",0,["result"],[["export",-1]]]]"#;
    let (released, said) = outcome(&mut peer, push);
    assert!(said.starts_with(r#"["reject",1,"#), "{said}");
    assert_eq!(released, [r#"["release",-1,1]"#]);
    peer.expect_empty();
}

#[tokio::test]
async fn arguments_are_released_however_a_call_fails() {
    let main = || {
        Object::new()
            .method("wants a number", async |_: f64| Ok(1))
            .method("fails", async |_: Stub| Err::<(), _>(Error::new("no")))
            .method("panics", async |_: Stub| -> Result<(), Error> {
                panic!("on purpose")
            })
            .sync_method("panics at once", |_: Stub| -> Result<(), Error> {
                panic!("on purpose")
            })
            .method("unwritable", async |_: Stub| Ok(Unwritable))
            .property("number", 1)
            .property("null", ())
            .into_stub()
    };
    let stub = r#"["export",-1]"#;
    for call in [
        // The method, the function or the object does not exist.
        r#"["pipeline",0,["missing"],[STUB]]"#,
        r#"["pipeline",0,["missing","deeper"],[STUB]]"#,
        r#"["pipeline",0,["number"],[STUB]]"#,
        r#"["pipeline",0,["number","deeper"],[STUB]]"#,
        r#"["pipeline",0,["null","deeper"],[STUB]]"#,
        r#"["pipeline",0,["toString"],[STUB]]"#,
        r#"["pipeline",0,[],[STUB]]"#,
        // The arguments are wrong.
        r#"["pipeline",0,["wants a number"],[STUB]]"#,
        r#"["pipeline",0,["wants a number"],[{"a":[[STUB]]}]]"#,
        // The handler fails.
        r#"["pipeline",0,["fails"],[STUB]]"#,
        r#"["pipeline",0,["panics"],[STUB]]"#,
        r#"["pipeline",0,["panics at once"],[STUB]]"#,
        r#"["pipeline",0,["unwritable"],[STUB]]"#,
        // Another argument fails.
        r#"["pipeline",0,["fails"],[["pipeline",0,["missing"],[]],STUB]]"#,
        r#"["pipeline",0,["fails"],[["pipeline",0,["missing"],[STUB]]]]"#,
        // A stub is broken.
        r#"["pipeline",0,["fails"],[["import",0,["missing"],[STUB]]]]"#,
        // It is a capture.
        r#"["remap",0,["number"],[STUB],[["pipeline",0,["missing","x"],[]]]]"#,
        r#"["remap",0,["missing","deeper"],[STUB],[1]]"#,
        r#"["remap",0,["null"],[STUB],[1]]"#,
    ] {
        let mut peer = ScriptedPeer::server(main());
        let push = format!(r#"["push",{}]"#, call.replace("STUB", stub));
        let (released, said) = outcome(&mut peer, &push);
        let mapped_null = call.contains(r#"["null"],"#);
        let expected = if mapped_null { "resolve" } else { "reject" };
        assert!(
            said.starts_with(&format!(r#"["{expected}",1,"#)),
            "{call}: {said}"
        );
        assert_eq!(released, [r#"["release",-1,1]"#], "{call}");
        peer.expect_empty();
    }
}

#[tokio::test]
async fn arguments_of_calls_on_a_failed_promise_are_released() {
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new().method("fails", move || {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Err::<(), _>(Error::new("no"))
            }
        })
    };
    // Before the call has failed, and afterwards.
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["fails"],[]]]"#);
    peer.send(r#"["push",["pipeline",1,["x"],[["export",-1]]]]"#);
    peer.send(r#"["push",["remap",1,[],[["export",-2]],[1]]]"#);
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect_unordered([r#"["release",-1,1]"#, r#"["release",-2,1]"#]);
    peer.send(r#"["push",["pipeline",1,["x"],[["export",-3]]]]"#);
    peer.expect(r#"["release",-3,1]"#);
    for id in 1..=4 {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn capabilities_in_thrown_errors_are_dropped() {
    // An error that we throw contains no stubs.
    let main = Object::new().method("fails", async |stub: Stub| {
        let own = Object::new().into_stub();
        Err::<(), _>(
            Error::new("no")
                .with_prop("theirs", stub)
                .with_prop("own", own)
                .with_prop("code", 7),
        )
    });
    let mut peer = ScriptedPeer::server(main.into_stub());
    let push = r#"["push",["pipeline",0,["fails"],[["export",-1]]]]"#;
    let (released, said) = outcome(&mut peer, push);
    assert!(
        said.contains(r#""code":7"#) && !said.contains("export"),
        "{said}"
    );
    assert_eq!(released, [r#"["release",-1,1]"#]);
    peer.expect_empty();

    // Stubs in an error that we receive are released.
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("x", ()).fetch::<u32>();
    assert_eq!(peer.said().len(), 2);
    peer.send(r#"["reject",1,["error","Error","no",null,{"stub":["export",-1],"code":7}]]"#);
    let error = within(call).await.unwrap_err();
    assert_eq!(error.prop::<u32>("code"), Some(7));
    drop(error);
    peer.expect_unordered([r#"["release",-1,1]"#, r#"["release",1,1]"#]);
    peer.expect_empty();
}

//! Peers that violate the protocol: the session ends, the peer receives the reason, and nothing is
//! left.

use capnweb_core::{Error, Limits, Object, Session, SessionOptions, Stats, Stub};

use crate::support::{ScriptedPeer, calculator};

/// Messages that end a session, each with a part of the reason.
const FATAL: &[(&str, &str)] = &[
    ("", ""),
    ("nonsense", ""),
    ("{}", ""),
    ("[]", ""),
    ("[1]", ""),
    (r#"["nonsense"]"#, ""),
    (r#"["push"]"#, ""),
    (r#"["push",["nonsense"]]"#, ""),
    (r#"["push",["pipeline",0,["square"],[4]]"#, ""),
    (r#"["push",["pipeline",0,["square"],4]]"#, ""),
    (r#"["push",["pipeline",0,"square",[4]]]"#, ""),
    (r#"["push",["pipeline",0,[{}],[4]]]"#, ""),
    (r#"["push",["pipeline","0",["square"],[4]]]"#, ""),
    (r#"["push",["pipeline",0.5,["square"],[4]]]"#, ""),
    (
        r#"["push",["pipeline",1,["square"],[4]]]"#,
        "no such entry on exports table: 1",
    ),
    (
        r#"["push",["pipeline",-1,["square"],[4]]]"#,
        "no such entry on exports table: -1",
    ),
    (
        r#"["push",["pipeline",0,["square"],[["pipeline",7]]]]"#,
        "no such entry on exports table: 7",
    ),
    (
        r#"["push",["pipeline",0,["square"],[["export",1]]]]"#,
        "must be negative",
    ),
    (
        r#"["push",["pipeline",0,["square"],[["promise",0]]]]"#,
        "must be negative",
    ),
    (
        r#"["push",["remap",0,[],[["import",9]],[["pipeline",0]]]]"#,
        "no such entry on exports table: 9",
    ),
    (r#"["push",["bigint","12x"]]"#, ""),
    (r#"["push",["date","today"]]"#, ""),
    (r#"["push",["bytes","A"]]"#, ""),
    (r#"["push",["url","not a url"]]"#, ""),
    (r#"["push",["error",1,"x"]]"#, ""),
    (r#"["pull"]"#, ""),
    (r#"["pull","1"]"#, ""),
    (r#"["pull",1]"#, "no such export ID: 1"),
    (r#"["pull",-1]"#, "no such export ID: -1"),
    (r#"["release",1,1]"#, "no such export ID: 1"),
    (r#"["release",1]"#, ""),
    (r#"["release",1,-1]"#, ""),
    (r#"["resolve",1]"#, ""),
    (r#"["resolve","1",2]"#, ""),
    (r#"["reject",1]"#, ""),
];

#[tokio::test]
async fn each_violation_ends_the_session_with_a_reason() {
    for (message, reason) in FATAL {
        let mut peer = ScriptedPeer::server(calculator());
        let error = peer.send_fatal(message);
        assert!(error.message().contains(reason), "{message}: {error}");
        let said = peer.next().unwrap_or_else(|| panic!("{message}: no abort"));
        // The peer and the application receive the same reason.
        let told: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(told[0], "abort", "{message}: {said}");
        assert_eq!(told[1][2], error.message(), "{message}: {said}");
        assert!(!error.message().is_empty(), "{message}");
        peer.expect_silence();
        assert_eq!(
            peer.session.stats(),
            Stats {
                imports: 0,
                exports: 0
            },
            "{message}"
        );
        // Further messages are ignored.
        peer.send_fatal(r#"["push",["pipeline",0,["square"],[4]]]"#);
    }
}

#[tokio::test]
async fn extra_elements_and_late_outcomes_are_tolerated() {
    let mut peer = ScriptedPeer::server(calculator());
    // Extra elements, an outcome that nobody waits for, and a release of nothing.
    peer.send(r#"["push",["pipeline",0,["square"],[4]],"extra"]"#);
    peer.send(r#"["pull",1,"extra"]"#);
    peer.expect(r#"["resolve",1,16]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_silence();
    peer.send(r#"["resolve",77,{"a":1}]"#);
    peer.send(r#"["reject",77,"late"]"#);
    peer.send(r#"["release",1,0]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn capabilities_in_an_unwanted_outcome_are_released() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["resolve",5,{"a":["export",-3],"b":[[["promise",-4]]]}]"#);
    peer.expect(r#"["release",-3,1]"#);
    peer.expect(r#"["release",-4,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_released_id_fails_only_what_needs_it() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[2]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["push",["pipeline",0,["square"],[["pipeline",1]]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(
        r#"["reject",2,["error","Error","no such entry on exports table: 1 (it was released)"]]"#,
    );
    peer.send(r#"["push",["pipeline",1,["x"],[]]]"#);
    peer.send(r#"["pull",3]"#);
    assert!(peer.next().unwrap().starts_with(r#"["reject",3,"#));
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
    peer.send(r#"["pull",4]"#);
    peer.expect(r#"["resolve",4,9]"#);
}

#[tokio::test]
async fn a_release_below_zero_ends_the_session() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[2]]]"#);
    let error = peer.send_fatal(r#"["release",1,2]"#);
    assert_eq!(error.message(), "refcount would go negative: 1 < 2");
    assert!(error.is_protocol());
}

#[tokio::test]
async fn a_push_that_refers_to_itself_ends_the_session() {
    let mut peer = ScriptedPeer::server(calculator());
    let error = peer.send_fatal(r#"["push",["pipeline",1]]"#);
    assert_eq!(error.message(), "no such entry on exports table: 1");
}

#[tokio::test]
async fn promises_that_resolve_to_each_other_are_rejected() {
    // The server calls the client back, and returns that promise to the client as a result.
    let api = Object::new()
        .method("forward", |f: Stub| async move { Ok(f.invoke(())) })
        .into_stub();
    let mut peer = ScriptedPeer::server(api);
    peer.send(r#"["push",["pipeline",0,["forward"],[["export",-1]]]]"#);
    peer.expect(r#"["push",["pipeline",-1,[],[]]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["pull",1]"#);
    // "The result of your call is the result of my call."
    peer.send(r#"["resolve",1,["pipeline",1]]"#);
    let said: Vec<_> = peer.said();
    assert!(
        said.iter()
            .any(|message| message
                .starts_with(r#"["reject",1,["error","TypeError","Chaining cycle"#)),
        "{said:?}",
    );
}

#[tokio::test]
async fn an_abort_is_not_answered() {
    let mut peer = ScriptedPeer::client();
    let pending = peer.session.main().call("x", ()).fetch::<u32>();
    assert_eq!(
        peer.session.stats(),
        Stats {
            imports: 2,
            exports: 1
        }
    );
    let error = peer.send_fatal(r#"["abort",["error","RangeError","enough"]]"#);
    assert_eq!(error.to_string(), "RangeError: enough");
    assert_eq!(pending.await.unwrap_err().to_string(), "RangeError: enough");
    let said: Vec<_> = peer.said();
    assert!(
        said.iter().all(|message| !message.contains("abort")),
        "{said:?}"
    );
    assert_eq!(
        peer.session.stats(),
        Stats {
            imports: 0,
            exports: 0
        }
    );
}

#[tokio::test]
async fn exports_are_bounded() {
    let options = SessionOptions::new().with_limits(Limits::default().with_max_exports(10));
    let mut peer = ScriptedPeer::with(options, calculator());
    for _ in 0..10 {
        peer.send(r#"["push",["pipeline",0,["square"],[2]]]"#);
    }
    let error = peer.send_fatal(r#"["push",["pipeline",0,["square"],[2]]]"#);
    assert!(
        error.is_limit() && error.message().contains("max_exports"),
        "{error}"
    );
}

#[tokio::test]
async fn calls_are_delayed_and_then_bounded() {
    let (gate, _) = tokio::sync::broadcast::channel::<()>(1);
    let api = {
        let gate = gate.clone();
        Object::new()
            .method("wait", move || {
                let mut gate = gate.subscribe();
                async move {
                    let _ = gate.recv().await;
                    Ok(())
                }
            })
            .method("now", async || Ok(1))
            .into_stub()
    };
    let limits = Limits::default().with_soft_calls(2).with_max_calls(4);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), api);
    peer.send(r#"["push",["pipeline",0,["wait"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["wait"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["now"],[]]]"#);
    peer.send(r#"["pull",3]"#);
    // Two calls are running, so the third is not started. But messages that make room are accepted.
    peer.expect_silence();
    peer.send(r#"["release",1,1]"#);
    assert_eq!(gate.receiver_count(), 2);
    gate.send(()).unwrap();
    crate::support::idle().await;
    peer.connection.answered().await;
    peer.expect(r#"["resolve",3,1]"#);

    for _ in 0..5 {
        peer.send(r#"["push",["pipeline",0,["wait"],[]]]"#);
    }
    let error = peer.send_fatal(r#"["push",["pipeline",0,["wait"],[]]]"#);
    assert!(
        error.is_limit() && error.message().contains("max_calls"),
        "{error}"
    );
}

#[tokio::test]
async fn held_bytes_are_bounded() {
    let limits = Limits::default().with_max_held_bytes(100_000);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator());
    let push = format!(
        r#"["push",["pipeline",0,["echo"],["{}"]]]"#,
        "x".repeat(30_000)
    );
    peer.send(&push);
    peer.send(&push);
    let error = (0..2)
        .find_map(|_| peer.connection.receive(&push).err())
        .expect("four results of 30,000 bytes are too much");
    assert!(error.is_limit(), "{error}");
    assert!(error.message().contains("max_held_bytes"), "{error}");
}

#[tokio::test]
async fn substituted_values_are_bounded_like_messages() {
    let limits = Limits::default().with_max_message_size(1 << 16);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator());
    peer.send(r#"["push",["pipeline",0,["echo"],["0123456789"]]]"#);
    for n in 1..30 {
        peer.send(&format!(
            r#"["push",["pipeline",0,["echo"],[[[["pipeline",{n}],["pipeline",{n}]]]]]]"#
        ));
    }
    peer.send(r#"["pull",30]"#);
    let answer = peer.next().unwrap();
    assert!(
        answer.contains("maximum message size"),
        "{}",
        &answer[..200.min(answer.len())]
    );

    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["echo"],[1]]]"#);
    for n in 1..400 {
        peer.send(&format!(
            r#"["push",["pipeline",0,["echo"],[{{"a":["pipeline",{n}]}}]]]"#
        ));
    }
    peer.send(r#"["pull",400]"#);
    let answer = peer.next().unwrap();
    assert!(
        answer.starts_with(r#"["reject",400,"#),
        "{}",
        &answer[..200.min(answer.len())]
    );
}

#[tokio::test]
async fn maps_are_bounded() {
    let limits = Limits::default().with_max_map_instructions(100);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator());
    peer.send(r#"["push",["pipeline",0,["list"],[20]]]"#);
    peer.send(r#"["push",["remap",1,[],[],[["pipeline",0],["pipeline",0]]]]"#);
    // Each of twenty elements maps the whole list again.
    peer.send(r#"["push",["remap",1,[],[["import",1]],[["remap",-1,[],[],[["pipeline",0]]]]]]"#);
    peer.send(r#"["pull",2]"#);
    assert!(peer.next().unwrap().starts_with(r#"["resolve",2,"#));
    peer.send(r#"["pull",3]"#);
    let mut said: Vec<_> = peer.said();
    said.retain(|message| message.contains("max_map_instructions"));
    assert!(!said.is_empty());
    // The session continues.
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
}

#[tokio::test]
async fn a_call_without_a_main_object_is_rejected() {
    let mut peer = ScriptedPeer::client();
    peer.send(r#"["push",["pipeline",0,["x"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["reject",1,["error","Error","This connection has no main object."]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn on_send_error_sees_every_error() {
    let options = SessionOptions::new().on_send_error(|error| {
        Some(Error::named(error.name().to_owned(), "seen").with_stack("the stack"))
    });
    let (_session, mut connection) = Session::server(options);
    connection.set_main(calculator());
    connection
        .receive(r#"["push",["pipeline",0,["fail"],["secret"]]]"#)
        .unwrap();
    connection.receive(r#"["pull",1]"#).unwrap();
    let said = connection.take_outgoing().pop().unwrap();
    assert_eq!(
        said,
        r#"["reject",1,["error","RangeError","seen","the stack"]]"#
    );
}

#[tokio::test]
async fn an_oversized_message_fails_alone() {
    let limits = Limits::default().with_max_outgoing_message_size(1000);
    let api = Object::new()
        .method("long", |n: usize| async move { Ok("ü".repeat(n)) })
        .into_stub();
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), api);
    // The limit counts code units, not bytes.
    for (id, n, kind) in [(1, 800, "resolve"), (2, 1000, "reject")] {
        peer.send(&format!(r#"["push",["pipeline",0,["long"],[{n}]]]"#));
        peer.send(&format!(r#"["pull",{id}]"#));
        let answer = peer.next().unwrap();
        assert!(
            answer.starts_with(&format!(r#"["{kind}",{id},"#)),
            "{answer}"
        );
    }
    let call = peer.session.main().call("x", ("y".repeat(1000),));
    assert!(call.await.unwrap_err().is_limit());
    peer.expect_silence();
}

#[tokio::test]
async fn calls_of_an_ended_session_are_disconnected() {
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("x", ()).fetch::<u32>();
    peer.send_fatal(r#"["abort",["error","RangeError","enough"]]"#);
    assert!(call.await.unwrap_err().is_disconnected());
}

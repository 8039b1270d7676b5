//! Calls, tables, round trips and advice.

use capnweb_inspect::{
    Advice, Body, CallKind, Entry, Event, Follower, HeldKind, Options, Outcome, Side,
};

use crate::script::{Script, only};

#[test]
fn a_call_has_its_answer_and_what_it_depends_on() {
    let script = Script::new()
        .client(r#"["push",["pipeline",0,["authenticate"],["t"]]]"#)
        .call(1, "getName", "", 2)
        .client(r#"["push",["pipeline",0,["greet"],[["pipeline",2],["pipeline",1,["title"]]]]]"#)
        .client(r#"["pull",3]"#)
        .answer(2, r#""Ada""#)
        .server(r#"["reject",3,["error","TypeError","no"]]"#)
        .client(r#"["release",3,1]"#)
        .client(r#"["release",1,1]"#);
    let follower = script.follow();
    let session = only(&follower);
    let calls: Vec<_> = session.calls().collect();
    let labels: Vec<_> = calls.iter().map(|call| call.label()).collect();
    assert_eq!(
        labels,
        [r#"authenticate("t")"#, "getName()", "greet(#2, #1.title)"]
    );
    let parents: Vec<_> = calls.iter().map(|call| call.parent).collect();
    assert_eq!(parents, [None, Some(1), None]);
    assert_eq!(calls[2].depends_on, [2, 1]);
    assert_eq!(calls[0].outcome, Outcome::NotAskedFor);
    assert_eq!(calls[1].outcome, Outcome::Resolved("\"Ada\"".to_owned()));
    assert_eq!(
        calls[2].outcome,
        Outcome::Rejected("TypeError: no".to_owned())
    );
    assert_eq!((calls[1].sent, calls[1].settled), (2.0, Some(6.0)));
    assert_eq!(session.counts(Side::Client).round_trips, 1);
    assert_eq!(session.held().count(), 0);
    assert!(session.faults().is_empty(), "{:?}", session.faults());
}

#[test]
fn what_is_held_has_an_origin() {
    let script = Script::new()
        .call(0, "subscribe", r#"["export",-1]"#, 1)
        .answer(1, r#"{"stop":["export",-1],"later":["promise",-2]}"#)
        .server(r#"["push",["pipeline",-1,[],[7]]]"#)
        .server(r#"["resolve",-2,["export",-3]]"#)
        .client(r#"["release",-2,1]"#);
    let follower = script.follow();
    let session = only(&follower);
    let mut held: Vec<_> = session
        .held()
        .map(|held| (held.holder, held.id, held.kind, held.describe()))
        .collect();
    held.sort_by_key(|(holder, id, ..)| (*holder, *id));
    let subscribe = "call 1, subscribe(stub)";
    assert_eq!(
        held,
        [
            (
                Side::Client,
                -3,
                HeldKind::Stub,
                format!("a stub in the result of {subscribe}")
            ),
            (
                Side::Client,
                -1,
                HeldKind::Stub,
                format!("a stub in the result of {subscribe}")
            ),
            (
                Side::Server,
                -1,
                HeldKind::Stub,
                format!("a stub in the arguments of {subscribe}")
            ),
            (
                Side::Server,
                1,
                HeldKind::Result,
                "the result of call 2, (callback)(7)".to_owned()
            ),
        ]
    );
    let callback = session.call(2).unwrap();
    assert_eq!((callback.caller, callback.parent), (Side::Server, Some(1)));
    assert!(session.faults().is_empty(), "{:?}", session.faults());
}

#[test]
fn awaits_that_pipelining_would_save_are_named() {
    let script = Script::new()
        .call(0, "authenticate", r#""secret""#, 1)
        .answer(1, r#"["export",-1]"#)
        .call(-1, "getFriendIds", "", 2)
        .answer(2, r#"[[40,50]]"#)
        .call(0, "getName", "40", 3)
        .call(0, "getName", "50", 4)
        .answer(3, r#""Ada""#)
        .answer(4, r#""Bob""#)
        .call(0, "greet", r#""Ada""#, 5)
        .answer(5, "1")
        // As if a person had typed this.
        .wait(10_000.0)
        .call(-1, "getId", "", 6)
        .answer(6, "7");
    let follower = script.follow();
    let session = only(&follower);
    let advice: Vec<_> = session.calls().map(|call| call.advice.clone()).collect();
    assert_eq!(
        advice,
        [
            None,
            Some(Advice::Pipeline(1)),
            Some(Advice::Map(2)),
            None,
            Some(Advice::PassPromise(3)),
            None
        ]
    );
    assert_eq!(session.counts(Side::Client).round_trips, 5);
    assert_eq!(session.round_trip_ends(Side::Client).count(), 4);
}

#[test]
fn pipelined_calls_need_no_advice() {
    let script = Script::new()
        .client(r#"["push",["pipeline",0,["authenticate"],["t"]]]"#)
        .client(r#"["push",["pipeline",1,["getFriendIds"],[]]]"#)
        .client(r#"["push",["remap",2,[],[["import",0]],[["pipeline",-1,["getName"],[["pipeline",0]]]]]]"#)
        .client(r#"["pull",3]"#)
        .answer(3, r#"[["Ada","Bob"]]"#)
        .client(r#"["release",1,1]"#)
        .client(r#"["release",2,1]"#);
    let follower = script.follow();
    let session = only(&follower);
    assert!(session.calls().all(|call| call.advice.is_none()));
    let map = session.call(3).unwrap();
    assert_eq!(
        (map.kind, map.parent, map.label()),
        (CallKind::Map, Some(2), "map(…)".to_owned())
    );
    assert_eq!(session.counts(Side::Client).round_trips, 1);
    assert_eq!(session.held().count(), 0);
}

#[test]
fn chunks_of_a_stream_are_one_row_and_no_round_trips() {
    let mut script = Script::new()
        .client(r#"["pipe"]"#)
        .call(0, "upload", r#"["readable",1]"#, 2);
    for chunk in 0..100 {
        script = script
            .client(r#"["stream",["pipeline",1,["write"],["chunk"]]]"#)
            .server(&format!(r#"["resolve",{},["undefined"]]"#, chunk + 3));
    }
    let script = script
        .client(r#"["stream",["pipeline",1,["close"],[]]]"#)
        .server(r#"["resolve",103,["undefined"]]"#)
        .answer(2, "100")
        .client(r#"["release",1,1]"#);
    let follower = script.follow();
    let session = only(&follower);
    let rows: Vec<_> = session
        .calls()
        .map(|call| (call.label(), call.repeated, call.parent))
        .collect();
    assert_eq!(
        rows,
        [
            ("upload(stream)".to_owned(), 0, None),
            (r#"write("chunk")"#.to_owned(), 99, Some(1)),
            ("close()".to_owned(), 0, Some(1)),
        ]
    );
    assert_eq!(session.counts(Side::Client).round_trips, 1);
    assert_eq!(session.held().count(), 0);
    assert!(session.faults().is_empty(), "{:?}", session.faults());
}

#[test]
fn crossing_messages_are_no_faults() {
    let script = Script::new()
        .call(0, "slow", "", 1)
        .client(r#"["release",1,1]"#)
        // The result is already on its way. Its stub is released when it arrives.
        .server(r#"["resolve",1,["export",-1]]"#)
        .client(r#"["release",-1,1]"#)
        .client(r#"["push",null]"#);
    let follower = script.follow();
    let session = only(&follower);
    assert!(session.faults().is_empty(), "{:?}", session.faults());
    assert_eq!(
        session.call(1).unwrap().outcome,
        Outcome::Resolved("stub".to_owned())
    );
    assert_eq!(session.call(2).unwrap().label(), "value null");
}

#[test]
fn faults_are_told() {
    let script = Script::new()
        .client("nonsense")
        .client(r#"["pull",7]"#)
        .client(r#"["release",9,1]"#)
        .server(r#"["resolve",3,1]"#)
        .call(0, "f", "", 1)
        .server(r#"["resolve",1,1]"#)
        .server(r#"["resolve",1,1]"#)
        .client(r#"["release",1,2]"#)
        .client(r#"["push",["pipeline",5,["f"],[]]]"#)
        .server(r#"["abort",["error","Error","enough"]]"#);
    let follower = script.follow();
    let session = only(&follower);
    let faults = session.faults().join("\n");
    for text in [
        "message 1: the client sent what is no message",
        "message 2: the client pulled 7, which is not there",
        "message 3: the client released 9",
        "message 4: the server answered 3",
        "message 8: the server answered 1 twice",
        "message 9: the client released 1 2 times, and holds it 1 times",
        "message 10: the client called 5, which is not there",
    ] {
        assert!(faults.contains(text), "{text} is not in:\n{faults}");
    }
    assert_eq!(session.faults().len(), 7);
    assert_eq!(session.aborted(), Some("the server aborted: Error: enough"));
}

#[test]
fn message_pack_is_followed() {
    let mut packed = Vec::new();
    capnweb_wire_pack(
        r#"["push",["pipeline",0,["f"],[["bytes","AQID"]]]]"#,
        &mut packed,
    );
    let mut follower = Follower::new(Options::default());
    for body in Body::of_binary(&packed) {
        assert!(matches!(body, Body::MessagePack(_)));
        follower.follow(&Entry::new(
            0.0,
            1,
            Event::Message {
                from: Side::Client,
                body,
            },
        ));
    }
    assert_eq!(only(&follower).call(1).unwrap().label(), "f(3 bytes)");
    let text = Body::of_binary(b"[\"pipe\"]\n[\"pull\",1]");
    assert_eq!(
        text,
        [
            Body::BinaryText("[\"pipe\"]".into()),
            Body::BinaryText("[\"pull\",1]".into())
        ]
    );
    assert_eq!(Body::of_binary(&[0xc1]), [Body::Opaque(vec![0xc1])]);
}

fn capnweb_wire_pack(text: &str, out: &mut Vec<u8>) {
    capnweb_wire::message_pack::from_json(text, out).unwrap();
}

#[test]
fn long_sessions_take_bounded_memory() {
    let mut script = Script::new()
        .call(0, "open", "", 1)
        .answer(1, r#"["export",-1]"#);
    for id in 2..1000 {
        script = script.call(0, "ping", "", id).answer(id, "1");
    }
    let follower = script.follow_with(Options::default().max_calls(50).max_held(10));
    let session = only(&follower);
    assert_eq!((session.calls().len(), session.dropped_calls()), (50, 949));
    // The call that a stub came from is still named.
    let leaks = session.leaks();
    assert_eq!(leaks.len(), 1);
    assert!(
        leaks[0].to_string().contains("call 1, open()"),
        "{}",
        leaks[0]
    );
    assert!(session.faults().is_empty());

    // Also if the call is dropped before its answer comes.
    let mut slow = Script::new().call(0, "slow", "", 1);
    for id in 2..100 {
        slow = slow.call(0, "ping", "", id).answer(id, "1");
    }
    let slow = slow.answer(1, r#"["export",-1]"#);
    let follower = slow.follow_with(Options::default().max_calls(10));
    let held: Vec<_> = only(&follower)
        .held()
        .map(capnweb_inspect::Held::describe)
        .collect();
    assert_eq!(held, ["a stub in the result of call 1, slow()"]);

    let mut hoard = Script::new();
    for id in 1..=100 {
        hoard = hoard
            .client(r#"["push",["pipeline",0,["f"],[]]]"#)
            .client(&format!(r#"["pull",{id}]"#));
    }
    let follower = hoard.follow_with(Options::default().max_held(10));
    assert_eq!(only(&follower).held().count(), 10);
    assert_eq!(only(&follower).untracked(), 90);
    assert!(only(&follower).faults().is_empty());
}

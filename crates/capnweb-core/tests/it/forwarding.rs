//! Forwarding between sessions: references from one peer are passed to another.

use capnweb_core::{Error, SessionOptions};

use crate::support::{Relay, ScriptedPeer, calculator};

#[tokio::test]
async fn calls_are_forwarded() {
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["push",["pipeline",0,["add"],[1,{"b":2}]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["add"],[1,{"b":2}]]]"#);
    relay
        .client
        .send(r#"["push",["pipeline",1,["a",0],[true]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",1,["a",0],[true]]]"#);
    relay.client.send(r#"["push",["pipeline",2,["b"]]]"#);
    relay.origin.expect(r#"["push",["pipeline",2,["b"]]]"#);
    relay.client.send(r#"["push",["pipeline",3,[],[]]]"#);
    relay.origin.expect(r#"["push",["pipeline",3,[],[]]]"#);
    // A promise that is not pulled there is not pulled here either.
    relay.expect_silence();
    relay.client.send(r#"["pull",2]"#);
    relay.origin.expect(r#"["pull",2]"#);
    relay.client.send(r#"["pull",2]"#);
    relay.expect_silence();
    relay.origin.send(r#"["resolve",2,{"b":7}]"#);
    relay.origin.expect(r#"["release",2,1]"#);
    relay.client.expect(r#"["resolve",2,{"b":7}]"#);
    // From now on, operations on it are answered here.
    relay.client.send(r#"["push",["pipeline",2,["b"]]]"#);
    relay.client.send(r#"["pull",5]"#);
    relay.client.expect(r#"["resolve",5,7]"#);
    relay.expect_silence();
    relay.client.send(r#"["release",2,1]"#);
    relay.client.send(r#"["release",5,1]"#);
    relay.expect_silence();
    for id in [1, 3, 4] {
        relay.client.send(&format!(r#"["release",{id},1]"#));
        relay.origin.expect(&format!(r#"["release",{id},1]"#));
    }
    relay.expect_empty();
}

#[tokio::test]
async fn content_is_forwarded_unchanged() {
    let mut relay = Relay::new();
    let content = r#"{"b":1e400,"a":"\ud800","n":["undefined"],"d":["date",1.5],"x":[[1.0,-0,"\u0041"]],"e":["error","Odd","m",null,{"code":[[1]]}],"y":["bytes","AQI=","Int8Array"]}"#;
    relay
        .client
        .send(&format!(r#"["push",["pipeline",0,["echo"],[{content}]]]"#));
    let said = relay.origin.next().unwrap();
    assert_eq!(
        said,
        format!(r#"["push",["pipeline",0,["echo"],[{content}]]]"#)
    );
    relay.client.send(r#"["pull",1]"#);
    relay.origin.send(&format!(r#"["resolve",1,{content}]"#));
    assert_eq!(
        relay.client.next().unwrap(),
        format!(r#"["resolve",1,{content}]"#)
    );
}

#[tokio::test]
async fn objects_of_the_origin_reach_the_client() {
    let mut relay = Relay::new();
    relay.pull("make");
    relay
        .origin
        .send(r#"["resolve",1,{"it":["export",-5],"same":["export",-5]}]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay
        .client
        .expect(r#"["resolve",1,{"it":["export",-1],"same":["export",-2]}]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.client.send(r#"["push",["pipeline",-1,["x"],[1]]]"#);
    relay.origin.expect(r#"["push",["pipeline",-5,["x"],[1]]]"#);
    // When it is passed back, it is the origin's own reference again.
    relay
        .client
        .send(r#"["push",["pipeline",0,["take"],[["import",-2],[[["import",-1]]]]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["take"],[["import",-5],[[["import",-5]]]]]]"#);
    relay.client.send(r#"["release",-1,1]"#);
    relay.expect_silence();
    relay.client.send(r#"["release",-2,1]"#);
    relay.origin.expect(r#"["release",-5,2]"#);
    for (theirs, ours) in [(2, 2), (3, 3)] {
        relay.client.send(&format!(r#"["release",{theirs},1]"#));
        relay.origin.expect(&format!(r#"["release",{ours},1]"#));
    }
    relay.expect_empty();
}

#[tokio::test]
async fn objects_of_the_client_reach_the_origin() {
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#);
    relay
        .origin
        .send(r#"["push",["pipeline",-1,[],["event"]]]"#);
    relay
        .client
        .expect(r#"["push",["pipeline",-1,[],["event"]]]"#);
    relay.origin.send(r#"["pull",1]"#);
    relay.client.expect(r#"["pull",1]"#);
    relay.client.send(r#"["resolve",1,["export",-2]]"#);
    relay.client.expect(r#"["release",1,1]"#);
    relay.origin.expect(r#"["resolve",1,["export",-2]]"#);
    relay.origin.send(r#"["release",1,1]"#);
    relay.expect_silence();
    relay.origin.send(r#"["release",-2,1]"#);
    relay.client.expect(r#"["release",-2,1]"#);
    relay.origin.send(r#"["release",-1,1]"#);
    relay.client.expect(r#"["release",-1,1]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn promises_of_the_origin_in_arguments_are_not_waited_for() {
    let mut relay = Relay::new();
    relay.client.send(r#"["push",["pipeline",0,["id"],[]]]"#);
    relay.client.send(
        r#"["push",["pipeline",0,["use"],[["pipeline",1],{"n":["pipeline",1,["n"]]},["pipeline",0,["v"]]]]]"#,
    );
    relay.origin.expect(r#"["push",["pipeline",0,["id"],[]]]"#);
    // The origin performs the reads in it.
    relay.origin.expect(r#"["push",["pipeline",1,["n"]]]"#);
    relay.origin.expect(r#"["push",["pipeline",0,["v"]]]"#);
    relay.origin.expect(
        r#"["push",["pipeline",0,["use"],[["pipeline",1],{"n":["pipeline",2]},["pipeline",3]]]]"#,
    );
    relay.origin.expect(r#"["release",2,1]"#);
    relay.origin.expect(r#"["release",3,1]"#);
    relay.expect_silence();
    relay.client.send(r#"["release",1,1]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.client.send(r#"["release",2,1]"#);
    relay.origin.expect(r#"["release",4,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn promises_of_the_client_resolve_through_the_relay() {
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["push",["pipeline",0,["use"],[["promise",-1],["promise",-2]]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["use"],[["promise",-1],["promise",-2]]]]"#);
    relay.client.expect_silence();
    relay.client.send(r#"["resolve",-1,[[1,["export",-3]]]]"#);
    relay.client.expect(r#"["release",-1,1]"#);
    relay.origin.expect(r#"["resolve",-1,[[1,["export",-3]]]]"#);
    relay
        .client
        .send(r#"["reject",-2,["error","RangeError","no"]]"#);
    relay.client.expect(r#"["release",-2,1]"#);
    relay
        .origin
        .expect(r#"["reject",-2,["error","RangeError","no"]]"#);
    relay.origin.send(r#"["release",-2,1]"#);
    relay.origin.send(r#"["release",-1,1]"#);
    relay.expect_silence();
    relay.origin.send(r#"["release",-3,1]"#);
    relay.client.expect(r#"["release",-3,1]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn maps_are_forwarded() {
    let mut relay = Relay::new();
    relay.client.send(r#"["push",["pipeline",0,["list"],[]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["list"],[]]]"#);
    let instructions = r#"[["pipeline",-1,["get"],[["pipeline",0,["id"]]]],["remap",1,["x"],[["import",-2]],[["pipeline",-1,[],[["pipeline",0]]]]]]"#;
    relay.client.send(&format!(
        r#"["push",["remap",1,["items"],[["import",0],["export",-1]],{instructions}]]"#
    ));
    relay.origin.expect(&format!(
        r#"["push",["remap",1,["items"],[["import",0],["export",-1]],{instructions}]]"#
    ));
    relay.client.send(r#"["pull",2]"#);
    relay.origin.expect(r#"["pull",2]"#);
    relay
        .origin
        .send(r#"["resolve",2,[[["promise",-1],["promise",-2]]]]"#);
    relay.origin.expect(r#"["release",2,1]"#);
    relay
        .client
        .expect(r#"["resolve",2,[[["promise",-1],["promise",-2]]]]"#);
    relay.origin.send(r#"["resolve",-1,"a"]"#);
    relay.client.expect(r#"["resolve",-1,"a"]"#);
    relay.origin.send(r#"["reject",-2,["error","Error","no"]]"#);
    relay
        .client
        .expect(r#"["reject",-2,["error","Error","no"]]"#);
    relay.origin.expect(r#"["release",-1,1]"#);
    relay.origin.expect(r#"["release",-2,1]"#);
    // The captured callback lives as long as the origin keeps it.
    relay.client.expect_silence();
    relay.origin.send(r#"["release",-1,1]"#);
    relay.client.expect(r#"["release",-1,1]"#);
    for id in [1, 2, -1, -2] {
        relay.client.send(&format!(r#"["release",{id},1]"#));
    }
    relay.origin.expect(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn errors_are_forwarded_without_stacks() {
    let mut relay = Relay::new();
    let errors = [
        (
            r#"["error","RangeError","no"]"#,
            r#"["error","RangeError","no"]"#,
        ),
        (
            r#"["error","MyError","no",null,{"code":"E7","cause":["error","TypeError","deep"]}]"#,
            r#"["error","MyError","no",null,{"code":"E7","cause":["error","TypeError","deep"]}]"#,
        ),
        // A stack that was revealed to us is not revealed to others.
        (
            r#"["error","Error","no","at x"]"#,
            r#"["error","Error","no"]"#,
        ),
        (
            r#"["error","Error","no","at x",{"code":7}]"#,
            r#"["error","Error","no",null,{"code":7}]"#,
        ),
        (r#""plain""#, r#""plain""#),
        (r#"["undefined"]"#, r#"["undefined"]"#),
        (r#"{"status":404}"#, r#"{"status":404}"#),
    ];
    for (id, (thrown, expected)) in (1..).zip(errors) {
        relay.client.send(r#"["push",["pipeline",0,["fail"],[]]]"#);
        relay.client.send(&format!(r#"["pull",{id}]"#));
        relay
            .origin
            .expect(r#"["push",["pipeline",0,["fail"],[]]]"#);
        relay.origin.expect(&format!(r#"["pull",{id}]"#));
        relay.origin.send(&format!(r#"["reject",{id},{thrown}]"#));
        relay.origin.expect(&format!(r#"["release",{id},1]"#));
        relay
            .client
            .expect(&format!(r#"["reject",{id},{expected}]"#));
        relay.client.send(&format!(r#"["release",{id},1]"#));
    }
    relay.expect_empty();
}

#[tokio::test]
async fn on_send_error_may_forward_stacks() {
    let options = SessionOptions::new().on_send_error(|error| Some(error.clone()));
    let mut relay = Relay::with(options);
    relay.client.send(r#"["push",["pipeline",0,["fail"],[]]]"#);
    relay.client.send(r#"["pull",1]"#);
    relay
        .origin
        .send(r#"["reject",1,["error","Error","no","at x",{"code":7}]]"#);
    relay
        .client
        .expect(r#"["reject",1,["error","Error","no","at x",{"code":7}]]"#);
}

#[tokio::test]
async fn an_early_release_is_forwarded() {
    let mut relay = Relay::new();
    relay.pull("make");
    relay.client.send(r#"["release",1,1]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    // The origin has already answered.
    relay.origin.send(r#"["resolve",1,["export",-1]]"#);
    relay.origin.expect(r#"["release",-1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn the_end_of_the_origin_breaks_forwarded_stubs() {
    let mut relay = Relay::new();
    relay.client.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    relay.client.send(r#"["pull",1]"#);
    relay.origin.send(r#"["resolve",1,["export",-1]]"#);
    relay.client.expect(r#"["resolve",1,["export",-1]]"#);
    relay.client.send(r#"["push",["pipeline",-1,["wait"],[]]]"#);
    relay.client.send(r#"["pull",2]"#);
    relay
        .client
        .send(r#"["push",["pipeline",-1,["keep"],[["export",-9]]]]"#);
    relay
        .origin
        .send_fatal(r#"["abort",["error","RangeError","enough",null,{"code":7}]]"#);
    // The client's references that the origin held are released.
    relay.client.expect_unordered([
        r#"["reject",2,["error","RangeError","enough",null,{"code":7}]]"#,
        r#"["release",-9,1]"#,
    ]);
    relay.client.expect_silence();
    // The client's session continues, and its further requests fail with the reason.
    for (id, target) in (4..).zip([-1, 0, 3]) {
        relay
            .client
            .send(&format!(r#"["push",["pipeline",{target},["x"],[]]]"#));
        relay.client.send(&format!(r#"["pull",{id}]"#));
        relay.client.expect(&format!(
            r#"["reject",{id},["error","RangeError","enough",null,{{"code":7}}]]"#
        ));
    }
    for id in [1, 2, 3, 4, 5, 6, -1] {
        relay.client.send(&format!(r#"["release",{id},1]"#));
    }
    relay.client.expect_silence();
    relay.client.expect_empty();
}

#[tokio::test]
async fn the_end_of_the_client_releases_forwarded_stubs() {
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["push",["pipeline",0,["make"],[["export",-9]]]]"#);
    relay.client.send(r#"["pull",1]"#);
    relay.client.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    relay.client.send(r#"["pull",2]"#);
    relay.origin.send(r#"["resolve",1,["export",-1]]"#);
    relay.origin.send(r#"["push",["pipeline",-1,["back"],[]]]"#);
    relay.origin.send(r#"["pull",1]"#);
    while relay.origin.next().is_some() {}
    relay
        .client
        .connection
        .end(Error::disconnected("the client went away"));
    relay.origin.expect_unordered([
        r#"["reject",1,["error","Error","the client went away"]]"#,
        r#"["release",-1,1]"#,
        r#"["release",2,1]"#,
    ]);
    relay.origin.send(r#"["release",1,1]"#);
    relay.origin.send(r#"["release",-1,1]"#);
    relay.origin.expect_silence();
    relay.origin.expect_empty();
}

#[tokio::test]
async fn a_result_that_is_the_clients_own_stub_is_forwarded() {
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["push",["pipeline",0,["echo"],[["export",-1]]]]"#);
    relay.client.send(r#"["pull",1]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["echo"],[["export",-1]]]]"#);
    relay.origin.expect(r#"["pull",1]"#);
    relay.origin.send(r#"["resolve",1,["import",-1]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    // At the root, a JavaScript client could not await it.
    relay.client.expect(r#"["resolve",1,["export",-1]]"#);
    relay.client.send(r#"["push",["pipeline",-1,["x"],[3]]]"#);
    relay.client.expect(r#"["push",["pipeline",-1,["x"],[3]]]"#);
    relay.client.send(r#"["pull",2]"#);
    relay.client.expect(r#"["pull",1]"#);
    relay.client.send(r#"["resolve",1,4]"#);
    relay.client.expect(r#"["release",1,1]"#);
    relay.client.expect(r#"["resolve",2,4]"#);

    // Inside a result, it is just the client's own reference.
    relay
        .client
        .send(r#"["push",["pipeline",0,["echo"],[["import",-1]]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["echo"],[["export",-2]]]]"#);
    relay.client.send(r#"["pull",3]"#);
    relay.origin.expect(r#"["pull",2]"#);
    relay.origin.send(r#"["resolve",2,{"it":["import",-2]}]"#);
    relay.origin.expect(r#"["release",2,1]"#);
    relay.client.expect(r#"["resolve",3,{"it":["import",-1]}]"#);

    for id in [1, 2, 3, -1] {
        relay.client.send(&format!(r#"["release",{id},1]"#));
    }
    relay.expect_silence();
    relay.origin.send(r#"["release",-1,1]"#);
    relay.expect_silence();
    relay.origin.send(r#"["release",-2,1]"#);
    relay.client.expect(r#"["release",-1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn a_promise_that_turns_out_to_be_the_clients_own_is_forwarded() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["echo"],[["export",-1]]]]"#);
    peer.send(r#"["push",["remap",1,[],[],[["pipeline",0]]]]"#);
    peer.send(r#"["push",["pipeline",0,["echo"],[{"a":["pipeline",1]}]]]"#);
    for id in [1, 2, 3] {
        peer.send(&format!(r#"["pull",{id}]"#));
    }
    peer.expect(r#"["resolve",1,["export",-1]]"#);
    peer.expect(r#"["resolve",2,["export",-2]]"#);
    peer.expect(r#"["resolve",3,{"a":["import",-1]}]"#);
    for id in [1, 2, 3, -1, -2] {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

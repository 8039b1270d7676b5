//! Between sessions: what one peer gave us is handed to another.

use capnweb_core::{Error, SessionOptions};

use crate::support::{Script, calculator};

/// We are between two peers: the main object of `origin` is what we are to `client`.
struct Between {
    origin: Script,
    client: Script,
}

impl Between {
    fn new() -> Self {
        Self::with(SessionOptions::new())
    }

    fn with(options: SessionOptions) -> Self {
        let origin = Script::client();
        let client = Script::with(options, origin.session.main());
        Self { origin, client }
    }

    #[track_caller]
    fn expect_silence(&mut self) {
        self.origin.expect_silence();
        self.client.expect_silence();
    }

    #[track_caller]
    fn expect_empty(&mut self) {
        self.expect_silence();
        self.origin.expect_empty();
        self.client.expect_empty();
    }
}

#[tokio::test]
async fn calls_are_passed_on() {
    let mut us = Between::new();
    us.client
        .send(r#"["push",["pipeline",0,["add"],[1,{"b":2}]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["add"],[1,{"b":2}]]]"#);
    us.client.send(r#"["push",["pipeline",1,["a",0],[true]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",1,["a",0],[true]]]"#);
    us.client.send(r#"["push",["pipeline",2,["b"]]]"#);
    us.origin.expect(r#"["push",["pipeline",2,["b"]]]"#);
    us.client.send(r#"["push",["pipeline",3,[],[]]]"#);
    us.origin.expect(r#"["push",["pipeline",3,[],[]]]"#);
    // What nobody pulls there nobody pulls here.
    us.expect_silence();
    us.client.send(r#"["pull",2]"#);
    us.origin.expect(r#"["pull",2]"#);
    us.client.send(r#"["pull",2]"#);
    us.expect_silence();
    us.origin.send(r#"["resolve",2,{"b":7}]"#);
    us.origin.expect(r#"["release",2,1]"#);
    us.client.expect(r#"["resolve",2,{"b":7}]"#);
    // From now on what is asked of it is answered here.
    us.client.send(r#"["push",["pipeline",2,["b"]]]"#);
    us.client.send(r#"["pull",5]"#);
    us.client.expect(r#"["resolve",5,7]"#);
    us.expect_silence();
    us.client.send(r#"["release",2,1]"#);
    us.client.send(r#"["release",5,1]"#);
    us.expect_silence();
    for id in [1, 3, 4] {
        us.client.send(&format!(r#"["release",{id},1]"#));
        us.origin.expect(&format!(r#"["release",{id},1]"#));
    }
    us.expect_empty();
}

#[tokio::test]
async fn content_is_passed_on_as_it_came() {
    let mut us = Between::new();
    let content = r#"{"b":1e400,"a":"\ud800","n":["undefined"],"d":["date",1.5],"x":[[1.0,-0,"\u0041"]],"e":["error","Odd","m",null,{"code":[[1]]}],"y":["bytes","AQI=","Int8Array"]}"#;
    us.client
        .send(&format!(r#"["push",["pipeline",0,["echo"],[{content}]]]"#));
    let said = us.origin.next().unwrap();
    assert_eq!(
        said,
        format!(r#"["push",["pipeline",0,["echo"],[{content}]]]"#)
    );
    us.client.send(r#"["pull",1]"#);
    us.origin.send(&format!(r#"["resolve",1,{content}]"#));
    assert_eq!(
        us.client.next().unwrap(),
        format!(r#"["resolve",1,{content}]"#)
    );
}

#[tokio::test]
async fn objects_of_the_origin_reach_the_client() {
    let mut us = Between::new();
    us.client.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin.expect(r#"["push",["pipeline",0,["make"],[]]]"#);
    us.origin.expect(r#"["pull",1]"#);
    us.origin
        .send(r#"["resolve",1,{"it":["export",-5],"same":["export",-5]}]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.client
        .expect(r#"["resolve",1,{"it":["export",-1],"same":["export",-2]}]"#);
    us.client.send(r#"["release",1,1]"#);
    us.client.send(r#"["push",["pipeline",-1,["x"],[1]]]"#);
    us.origin.expect(r#"["push",["pipeline",-5,["x"],[1]]]"#);
    // Handed back, it is the origin's own again.
    us.client
        .send(r#"["push",["pipeline",0,["take"],[["import",-2],[[["import",-1]]]]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["take"],[["import",-5],[[["import",-5]]]]]]"#);
    us.client.send(r#"["release",-1,1]"#);
    us.expect_silence();
    us.client.send(r#"["release",-2,1]"#);
    us.origin.expect(r#"["release",-5,2]"#);
    for (theirs, ours) in [(2, 2), (3, 3)] {
        us.client.send(&format!(r#"["release",{theirs},1]"#));
        us.origin.expect(&format!(r#"["release",{ours},1]"#));
    }
    us.expect_empty();
}

#[tokio::test]
async fn objects_of_the_client_reach_the_origin() {
    let mut us = Between::new();
    us.client
        .send(r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#);
    us.origin.send(r#"["push",["pipeline",-1,[],["event"]]]"#);
    us.client.expect(r#"["push",["pipeline",-1,[],["event"]]]"#);
    us.origin.send(r#"["pull",1]"#);
    us.client.expect(r#"["pull",1]"#);
    us.client.send(r#"["resolve",1,["export",-2]]"#);
    us.client.expect(r#"["release",1,1]"#);
    us.origin.expect(r#"["resolve",1,["export",-2]]"#);
    us.origin.send(r#"["release",1,1]"#);
    us.expect_silence();
    us.origin.send(r#"["release",-2,1]"#);
    us.client.expect(r#"["release",-2,1]"#);
    us.origin.send(r#"["release",-1,1]"#);
    us.client.expect(r#"["release",-1,1]"#);
    us.client.send(r#"["release",1,1]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn promises_of_the_origin_in_arguments_are_not_waited_for() {
    let mut us = Between::new();
    us.client.send(r#"["push",["pipeline",0,["id"],[]]]"#);
    us.client.send(
        r#"["push",["pipeline",0,["use"],[["pipeline",1],{"n":["pipeline",1,["n"]]},["pipeline",0,["v"]]]]]"#,
    );
    us.origin.expect(r#"["push",["pipeline",0,["id"],[]]]"#);
    // The reads in it are the origin's to make.
    us.origin.expect(r#"["push",["pipeline",1,["n"]]]"#);
    us.origin.expect(r#"["push",["pipeline",0,["v"]]]"#);
    us.origin.expect(
        r#"["push",["pipeline",0,["use"],[["pipeline",1],{"n":["pipeline",2]},["pipeline",3]]]]"#,
    );
    us.origin.expect(r#"["release",2,1]"#);
    us.origin.expect(r#"["release",3,1]"#);
    us.expect_silence();
    us.client.send(r#"["release",1,1]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.client.send(r#"["release",2,1]"#);
    us.origin.expect(r#"["release",4,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn promises_of_the_client_are_resolved_through_us() {
    let mut us = Between::new();
    us.client
        .send(r#"["push",["pipeline",0,["use"],[["promise",-1],["promise",-2]]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["use"],[["promise",-1],["promise",-2]]]]"#);
    us.client.expect_silence();
    us.client.send(r#"["resolve",-1,[[1,["export",-3]]]]"#);
    us.client.expect(r#"["release",-1,1]"#);
    us.origin.expect(r#"["resolve",-1,[[1,["export",-3]]]]"#);
    us.client
        .send(r#"["reject",-2,["error","RangeError","no"]]"#);
    us.client.expect(r#"["release",-2,1]"#);
    us.origin
        .expect(r#"["reject",-2,["error","RangeError","no"]]"#);
    us.origin.send(r#"["release",-2,1]"#);
    us.origin.send(r#"["release",-1,1]"#);
    us.expect_silence();
    us.origin.send(r#"["release",-3,1]"#);
    us.client.expect(r#"["release",-3,1]"#);
    us.client.send(r#"["release",1,1]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn maps_are_passed_on() {
    let mut us = Between::new();
    us.client.send(r#"["push",["pipeline",0,["list"],[]]]"#);
    us.origin.expect(r#"["push",["pipeline",0,["list"],[]]]"#);
    let instructions = r#"[["pipeline",-1,["get"],[["pipeline",0,["id"]]]],["remap",1,["x"],[["import",-2]],[["pipeline",-1,[],[["pipeline",0]]]]]]"#;
    us.client.send(&format!(
        r#"["push",["remap",1,["items"],[["import",0],["export",-1]],{instructions}]]"#
    ));
    us.origin.expect(&format!(
        r#"["push",["remap",1,["items"],[["import",0],["export",-1]],{instructions}]]"#
    ));
    us.client.send(r#"["pull",2]"#);
    us.origin.expect(r#"["pull",2]"#);
    us.origin
        .send(r#"["resolve",2,[[["promise",-1],["promise",-2]]]]"#);
    us.origin.expect(r#"["release",2,1]"#);
    us.client
        .expect(r#"["resolve",2,[[["promise",-1],["promise",-2]]]]"#);
    us.origin.send(r#"["resolve",-1,"a"]"#);
    us.client.expect(r#"["resolve",-1,"a"]"#);
    us.origin.send(r#"["reject",-2,["error","Error","no"]]"#);
    us.client.expect(r#"["reject",-2,["error","Error","no"]]"#);
    us.origin.expect(r#"["release",-1,1]"#);
    us.origin.expect(r#"["release",-2,1]"#);
    // The captured callback lives as long as the origin keeps it.
    us.client.expect_silence();
    us.origin.send(r#"["release",-1,1]"#);
    us.client.expect(r#"["release",-1,1]"#);
    for id in [1, 2, -1, -2] {
        us.client.send(&format!(r#"["release",{id},1]"#));
    }
    us.origin.expect(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn errors_pass_through() {
    let mut us = Between::new();
    let errors = [
        (
            r#"["error","RangeError","no"]"#,
            r#"["error","RangeError","no"]"#,
        ),
        (
            r#"["error","MyError","no",null,{"code":"E7","cause":["error","TypeError","deep"]}]"#,
            r#"["error","MyError","no",null,{"code":"E7","cause":["error","TypeError","deep"]}]"#,
        ),
        // A stack is revealed to us, which is no reason to reveal it to others.
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
        us.client.send(r#"["push",["pipeline",0,["fail"],[]]]"#);
        us.client.send(&format!(r#"["pull",{id}]"#));
        us.origin.expect(r#"["push",["pipeline",0,["fail"],[]]]"#);
        us.origin.expect(&format!(r#"["pull",{id}]"#));
        us.origin.send(&format!(r#"["reject",{id},{thrown}]"#));
        us.origin.expect(&format!(r#"["release",{id},1]"#));
        us.client.expect(&format!(r#"["reject",{id},{expected}]"#));
        us.client.send(&format!(r#"["release",{id},1]"#));
    }
    us.expect_empty();
}

#[tokio::test]
async fn a_proxy_may_let_stacks_pass() {
    let options = SessionOptions::new().on_send_error(|error| Some(error.clone()));
    let mut us = Between::with(options);
    us.client.send(r#"["push",["pipeline",0,["fail"],[]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin
        .send(r#"["reject",1,["error","Error","no","at x",{"code":7}]]"#);
    us.client
        .expect(r#"["reject",1,["error","Error","no","at x",{"code":7}]]"#);
}

#[tokio::test]
async fn a_release_that_comes_early_is_passed_on() {
    let mut us = Between::new();
    us.client.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin.expect(r#"["push",["pipeline",0,["make"],[]]]"#);
    us.origin.expect(r#"["pull",1]"#);
    us.client.send(r#"["release",1,1]"#);
    us.origin.expect(r#"["release",1,1]"#);
    // The origin had answered already.
    us.origin.send(r#"["resolve",1,["export",-1]]"#);
    us.origin.expect(r#"["release",-1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn the_end_of_one_session_breaks_what_the_other_has_of_it() {
    let mut us = Between::new();
    us.client.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin.send(r#"["resolve",1,["export",-1]]"#);
    us.client.expect(r#"["resolve",1,["export",-1]]"#);
    us.client.send(r#"["push",["pipeline",-1,["wait"],[]]]"#);
    us.client.send(r#"["pull",2]"#);
    us.client
        .send(r#"["push",["pipeline",-1,["keep"],[["export",-9]]]]"#);
    us.origin
        .send_fatal(r#"["abort",["error","RangeError","enough",null,{"code":7}]]"#);
    // What the origin held of the client's is released.
    let mut said = [us.client.next().unwrap(), us.client.next().unwrap()];
    said.sort_unstable();
    assert_eq!(
        said,
        [
            r#"["reject",2,["error","RangeError","enough",null,{"code":7}]]"#,
            r#"["release",-9,1]"#,
        ]
    );
    us.client.expect_silence();
    // The client's session lives, and what it asks for now fails with the reason.
    for (id, target) in (4..).zip([-1, 0, 3]) {
        us.client
            .send(&format!(r#"["push",["pipeline",{target},["x"],[]]]"#));
        us.client.send(&format!(r#"["pull",{id}]"#));
        us.client.expect(&format!(
            r#"["reject",{id},["error","RangeError","enough",null,{{"code":7}}]]"#
        ));
    }
    for id in [1, 2, 3, 4, 5, 6, -1] {
        us.client.send(&format!(r#"["release",{id},1]"#));
    }
    us.client.expect_silence();
    us.client.expect_empty();
}

#[tokio::test]
async fn what_a_client_held_is_released_when_it_goes() {
    let mut us = Between::new();
    us.client
        .send(r#"["push",["pipeline",0,["make"],[["export",-9]]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.client.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    us.client.send(r#"["pull",2]"#);
    us.origin.send(r#"["resolve",1,["export",-1]]"#);
    us.origin.send(r#"["push",["pipeline",-1,["back"],[]]]"#);
    us.origin.send(r#"["pull",1]"#);
    while us.origin.next().is_some() {}
    us.client
        .connection
        .end(Error::disconnected("the client went away"));
    let mut said: Vec<_> = std::iter::from_fn(|| us.origin.next()).collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            r#"["reject",1,["error","Error","the client went away"]]"#,
            r#"["release",-1,1]"#,
            r#"["release",2,1]"#,
        ]
    );
    us.origin.send(r#"["release",1,1]"#);
    us.origin.send(r#"["release",-1,1]"#);
    us.origin.expect_silence();
    us.origin.expect_empty();
}

#[tokio::test]
async fn a_result_that_is_the_clients_own_stub_is_forwarded() {
    let mut us = Between::new();
    us.client
        .send(r#"["push",["pipeline",0,["echo"],[["export",-1]]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["echo"],[["export",-1]]]]"#);
    us.origin.expect(r#"["pull",1]"#);
    us.origin.send(r#"["resolve",1,["import",-1]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    // At the root a JavaScript client could not await it.
    us.client.expect(r#"["resolve",1,["export",-1]]"#);
    us.client.send(r#"["push",["pipeline",-1,["x"],[3]]]"#);
    us.client.expect(r#"["push",["pipeline",-1,["x"],[3]]]"#);
    us.client.send(r#"["pull",2]"#);
    us.client.expect(r#"["pull",1]"#);
    us.client.send(r#"["resolve",1,4]"#);
    us.client.expect(r#"["release",1,1]"#);
    us.client.expect(r#"["resolve",2,4]"#);

    // Inside a result it is simply the client's.
    us.client
        .send(r#"["push",["pipeline",0,["echo"],[["import",-1]]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["echo"],[["export",-2]]]]"#);
    us.client.send(r#"["pull",3]"#);
    us.origin.expect(r#"["pull",2]"#);
    us.origin.send(r#"["resolve",2,{"it":["import",-2]}]"#);
    us.origin.expect(r#"["release",2,1]"#);
    us.client.expect(r#"["resolve",3,{"it":["import",-1]}]"#);

    for id in [1, 2, 3, -1] {
        us.client.send(&format!(r#"["release",{id},1]"#));
    }
    us.expect_silence();
    us.origin.send(r#"["release",-1,1]"#);
    us.expect_silence();
    us.origin.send(r#"["release",-2,1]"#);
    us.client.expect(r#"["release",-1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn a_promise_that_turns_out_to_be_the_clients_own_is_forwarded() {
    let mut peer = Script::server(calculator());
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

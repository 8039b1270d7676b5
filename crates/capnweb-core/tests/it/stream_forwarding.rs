//! Streams from one peer to another, through us.

use capnweb_core::{Error, Limits, SessionOptions};

use crate::support::{Script, idle};

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

    /// The client has given the origin a stream: pipe 1 of both sessions, call 2 of both.
    fn with_stream() -> Self {
        let mut us = Self::new();
        us.client.send(r#"["pipe"]"#);
        us.client
            .send(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
        us.client.send(r#"["release",2,1]"#);
        us.origin.expect(r#"["pipe"]"#);
        us.origin
            .expect(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
        us.origin.expect(r#"["release",2,1]"#);
        us
    }

    #[track_caller]
    fn expect_empty(&mut self) {
        self.origin.expect_silence();
        self.client.expect_silence();
        self.origin.expect_empty();
        self.client.expect_empty();
    }
}

#[tokio::test]
async fn chunks_pass_as_they_came() {
    let mut us = Between::with_stream();
    us.client
        .send(r#"["stream",["pipeline",1,["write"],[{"b":1,"a":"x\ud800","n":1e400}]]]"#);
    idle().await;
    assert_eq!(
        us.origin.next().unwrap(),
        r#"["stream",["pipeline",1,["write"],[{"b":1,"a":"x\ud800","n":1e400}]]]"#
    );
    us.client.expect(r#"["resolve",3,["undefined"]]"#);
    us.client.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    idle().await;
    us.origin
        .expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    // The end has arrived when it has arrived over there.
    us.client.expect_silence();
    us.origin.send(r#"["resolve",3,["undefined"]]"#);
    us.client.expect_silence();
    us.origin.send(r#"["resolve",4,["undefined"]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    idle().await;
    us.client.expect(r#"["resolve",4,["undefined"]]"#);
    us.client.send(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn the_readers_pace_reaches_the_writer() {
    let mut us = Between::with_stream();
    let write = format!(
        r#"["stream",["pipeline",1,["write"],["{}"]]]"#,
        "x".repeat(100_000)
    );
    for _ in 0..5 {
        us.client.send(&write);
    }
    idle().await;
    // The origin's window takes three, and then waits for the origin.
    for id in 3..6 {
        us.client
            .expect(&format!(r#"["resolve",{id},["undefined"]]"#));
        assert!(
            us.origin
                .next()
                .unwrap()
                .starts_with(r#"["stream",["pipeline",1,["write"],"#)
        );
    }
    us.client.expect_silence();
    us.origin.expect_silence();
    us.origin.send(r#"["resolve",3,["undefined"]]"#);
    idle().await;
    us.client.expect(r#"["resolve",6,["undefined"]]"#);
    assert!(us.origin.next().is_some());
    us.client.expect_silence();
    us.origin.expect_silence();
    // Other calls are not held up.
    us.client.send(r#"["push",["pipeline",0,["x"],[]]]"#);
    us.origin.expect(r#"["push",["pipeline",0,["x"],[]]]"#);
}

#[tokio::test]
async fn capabilities_in_chunks_are_passed_on_and_released() {
    let mut us = Between::with_stream();
    us.client
        .send(r#"["stream",["pipeline",1,["write"],[{"a":["export",-1],"b":["promise",-2]}]]]"#);
    idle().await;
    us.origin
        .expect(r#"["stream",["pipeline",1,["write"],[{"a":["export",-1],"b":["promise",-2]}]]]"#);
    us.client.expect(r#"["resolve",3,["undefined"]]"#);
    us.origin.send(r#"["push",["pipeline",-1,["f"],[1]]]"#);
    us.client.expect(r#"["push",["pipeline",-1,["f"],[1]]]"#);
    us.client.send(r#"["resolve",-2,7]"#);
    us.client.expect(r#"["release",-2,1]"#);
    us.origin.expect(r#"["resolve",-2,7]"#);
    us.origin.send(r#"["release",1,1]"#);
    us.client.expect(r#"["release",1,1]"#);
    us.origin.send(r#"["release",-1,1]"#);
    us.origin.send(r#"["release",-2,1]"#);
    us.client.expect(r#"["release",-1,1]"#);
    us.client.send(r#"["release",1,1]"#);
    idle().await;
    // Released unclosed: broken off over there too.
    let abort = us.origin.next().unwrap();
    assert!(
        abort.starts_with(r#"["stream",["pipeline",1,["abort"],[["error","#),
        "{abort}"
    );
    us.origin.send(r#"["resolve",3,["undefined"]]"#);
    us.origin.send(r#"["resolve",4,["undefined"]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn a_stream_in_a_chunk_is_passed_on() {
    let mut us = Between::with_stream();
    us.client.send(r#"["pipe"]"#);
    us.client
        .send(r#"["stream",["pipeline",1,["write"],[["readable",3]]]]"#);
    us.client
        .send(r#"["stream",["pipeline",3,["write"],["inner"]]]"#);
    idle().await;
    us.origin.expect(r#"["pipe"]"#);
    us.origin
        .expect(r#"["stream",["pipeline",1,["write"],[["readable",3]]]]"#);
    us.origin
        .expect(r#"["stream",["pipeline",3,["write"],["inner"]]]"#);
    for id in [4, 5] {
        us.client
            .expect(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
}

#[tokio::test]
async fn a_reader_that_stops_is_known_to_the_writer() {
    let mut us = Between::with_stream();
    us.client.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    idle().await;
    us.origin
        .expect(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    us.client.expect(r#"["resolve",3,["undefined"]]"#);
    us.origin
        .send(r#"["reject",3,["error","RangeError","seen enough",null,{"code":7}]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    idle().await;
    us.client.send(r#"["stream",["pipeline",1,["write"],[2]]]"#);
    us.client
        .expect(r#"["reject",4,["error","RangeError","seen enough",null,{"code":7}]]"#);
    us.client.send(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn an_abort_is_passed_on_with_its_reason() {
    let mut us = Between::with_stream();
    us.client
        .send(r#"["stream",["pipeline",1,["abort"],[["error","RangeError","gave up"]]]]"#);
    us.client.expect(r#"["resolve",3,["undefined"]]"#);
    us.client.send(r#"["release",1,1]"#);
    idle().await;
    us.origin
        .expect(r#"["stream",["pipeline",1,["abort"],[["error","RangeError","gave up"]]]]"#);
    us.origin.send(r#"["resolve",3,["undefined"]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn a_session_that_ends_ends_the_stream_of_the_other() {
    let mut us = Between::with_stream();
    us.client
        .connection
        .end(Error::disconnected("the client is gone"));
    idle().await;
    us.origin
        .expect(r#"["stream",["pipeline",1,["abort"],[["error","Error","the client is gone"]]]]"#);
    us.origin.send(r#"["resolve",3,["undefined"]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.origin.expect_empty();

    let mut us = Between::with_stream();
    us.client.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    idle().await;
    us.client.expect(r#"["resolve",3,["undefined"]]"#);
    us.origin
        .connection
        .end(Error::disconnected("the origin is gone"));
    idle().await;
    us.client.send(r#"["stream",["pipeline",1,["write"],[2]]]"#);
    us.client
        .expect(r#"["reject",4,["error","Error","the origin is gone"]]"#);
    us.client.send(r#"["release",1,1]"#);
    us.client.expect_empty();
}

#[tokio::test]
async fn a_result_passes_the_other_way() {
    let mut us = Between::new();
    us.client.send(r#"["push",["pipeline",0,["get"],[]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin.expect(r#"["push",["pipeline",0,["get"],[]]]"#);
    us.origin.expect(r#"["pull",1]"#);
    us.origin.send(r#"["pipe"]"#);
    us.origin.send(r#"["resolve",1,{"stream":["readable",1]}]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.client.expect(r#"["pipe"]"#);
    us.client
        .expect(r#"["resolve",1,{"stream":["readable",1]}]"#);
    us.client.send(r#"["release",1,1]"#);
    us.origin
        .send(r#"["stream",["pipeline",1,["write"],["x"]]]"#);
    us.origin.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    idle().await;
    us.client
        .expect(r#"["stream",["pipeline",1,["write"],["x"]]]"#);
    us.client
        .expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    us.origin.expect(r#"["resolve",2,["undefined"]]"#);
    us.client.send(r#"["resolve",2,["undefined"]]"#);
    us.client.send(r#"["resolve",3,["undefined"]]"#);
    us.client.expect(r#"["release",1,1]"#);
    idle().await;
    us.origin.expect(r#"["resolve",3,["undefined"]]"#);
    us.origin.send(r#"["release",1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn a_writable_is_passed_on() {
    let mut us = Between::new();
    us.client
        .send(r#"["push",["pipeline",0,["writeTo"],[["writable",-7]]]]"#);
    us.client.send(r#"["release",1,1]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["writeTo"],[["writable",-1]]]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.origin
        .send(r#"["stream",["pipeline",-1,["write"],["x"]]]"#);
    idle().await;
    us.client
        .expect(r#"["stream",["pipeline",-7,["write"],["x"]]]"#);
    us.origin.expect(r#"["resolve",1,["undefined"]]"#);
    us.client
        .send(r#"["reject",1,["error","RangeError","no more room"]]"#);
    us.client.expect(r#"["release",-7,1]"#);
    idle().await;
    us.origin.send(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    us.origin
        .expect(r#"["reject",2,["error","RangeError","no more room"]]"#);
    us.origin.send(r#"["release",-1,1]"#);
    us.expect_empty();
}

#[tokio::test]
async fn writes_to_a_stub_that_is_passed_on_are_calls() {
    // Whatever the stub is over there.
    let mut us = Between::new();
    us.client
        .send(r#"["stream",["pipeline",0,["write"],["x"]]]"#);
    us.origin
        .expect(r#"["push",["pipeline",0,["write"],["x"]]]"#);
    us.origin.expect(r#"["pull",1]"#);
    us.client.expect_silence();
    us.origin.send(r#"["resolve",1,5]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.client.expect(r#"["resolve",1,5]"#);
    us.expect_empty();
}

#[tokio::test]
async fn a_chunk_that_is_too_long_for_the_other_side_fails_the_stream() {
    let limits = Limits::default().with_max_outgoing_message_size(1000);
    let mut us = Between::with(SessionOptions::new().limits(limits));
    us.client.send(r#"["push",["pipeline",0,["get"],[]]]"#);
    us.client.send(r#"["pull",1]"#);
    us.origin.expect(r#"["push",["pipeline",0,["get"],[]]]"#);
    us.origin.expect(r#"["pull",1]"#);
    us.origin.send(r#"["pipe"]"#);
    us.origin.send(r#"["resolve",1,["readable",1]]"#);
    us.origin.expect(r#"["release",1,1]"#);
    us.client.expect(r#"["pipe"]"#);
    us.client.expect(r#"["resolve",1,["readable",1]]"#);
    us.client.send(r#"["release",1,1]"#);
    us.origin.send(&format!(
        r#"["stream",["pipeline",1,["write"],["{}"]]]"#,
        "x".repeat(2000)
    ));
    idle().await;
    us.origin.expect(r#"["resolve",2,["undefined"]]"#);
    let abort = us.client.next().unwrap();
    assert!(
        abort.starts_with(r#"["stream",["pipeline",1,["abort"],[["error","#),
        "{abort}"
    );
    us.client.send(r#"["resolve",2,["undefined"]]"#);
    us.client.expect(r#"["release",1,1]"#);
    us.origin.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    let refusal = us.origin.next().unwrap();
    assert!(refusal.starts_with(r#"["reject",3,"#), "{refusal}");
    assert!(refusal.contains("max_outgoing_message_size"), "{refusal}");
    us.origin.send(r#"["release",1,1]"#);
    us.expect_empty();
}

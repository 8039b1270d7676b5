//! Streams from one peer to another, through a relay.

use capnweb_core::{Error, Limits, SessionOptions, Stats};

use crate::support::{Relay, ScriptedPeer, connect, idle};

#[tokio::test]
async fn chunks_are_forwarded_unchanged() {
    let mut relay = Relay::with_stream();
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[{"b":1,"a":"x\ud800","n":1e400}]]]"#);
    idle().await;
    assert_eq!(
        relay.origin.next().unwrap(),
        r#"["stream",["pipeline",1,["write"],[{"b":1,"a":"x\ud800","n":1e400}]]]"#
    );
    relay
        .client
        .send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    idle().await;
    relay
        .origin
        .expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    // A chunk or the end has arrived once it has arrived at the origin.
    relay.client.expect_silence();
    relay.origin.send(r#"["resolve",3,["undefined"]]"#);
    relay.client.expect(r#"["resolve",3,["undefined"]]"#);
    relay.client.expect_silence();
    relay.origin.send(r#"["resolve",4,["undefined"]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    idle().await;
    relay.client.expect(r#"["resolve",4,["undefined"]]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn the_readers_pace_limits_the_writer() {
    let mut relay = Relay::with_stream();
    let write = format!(
        r#"["stream",["pipeline",1,["write"],["{}"]]]"#,
        "x".repeat(100_000)
    );
    for _ in 0..5 {
        relay.client.send(&write);
    }
    idle().await;
    // The origin's window takes three chunks, and then waits for the origin.
    for _ in 3..6 {
        assert!(
            relay
                .origin
                .next()
                .unwrap()
                .starts_with(r#"["stream",["pipeline",1,["write"],"#)
        );
    }
    relay.client.expect_silence();
    relay.origin.expect_silence();
    // The client's window waits too, since its writes are answered as the origin answers.
    relay.origin.send(r#"["resolve",3,["undefined"]]"#);
    idle().await;
    relay.client.expect(r#"["resolve",3,["undefined"]]"#);
    assert!(relay.origin.next().is_some());
    relay.client.expect_silence();
    relay.origin.expect_silence();
    // Other calls are not delayed.
    relay.client.send(r#"["push",["pipeline",0,["x"],[]]]"#);
    relay.origin.expect(r#"["push",["pipeline",0,["x"],[]]]"#);
}

#[tokio::test]
async fn capabilities_in_chunks_are_forwarded_and_released() {
    let mut relay = Relay::with_stream();
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[{"a":["export",-1],"b":["promise",-2]}]]]"#);
    idle().await;
    relay
        .origin
        .expect(r#"["stream",["pipeline",1,["write"],[{"a":["export",-1],"b":["promise",-2]}]]]"#);
    relay.origin.send(r#"["push",["pipeline",-1,["f"],[1]]]"#);
    relay.client.expect(r#"["push",["pipeline",-1,["f"],[1]]]"#);
    relay.client.send(r#"["resolve",-2,7]"#);
    relay.client.expect(r#"["release",-2,1]"#);
    relay.origin.expect(r#"["resolve",-2,7]"#);
    relay.origin.send(r#"["release",1,1]"#);
    relay.client.expect(r#"["release",1,1]"#);
    relay.origin.send(r#"["release",-1,1]"#);
    relay.origin.send(r#"["release",-2,1]"#);
    relay.client.expect(r#"["release",-1,1]"#);
    relay.client.send(r#"["release",1,1]"#);
    idle().await;
    // It was released without closing, so it is released at the origin too.
    relay.origin.expect(r#"["release",1,1]"#);
    // The outcome of the chunk is still reported.
    relay.client.expect_silence();
    relay.origin.send(r#"["resolve",3,["undefined"]]"#);
    relay.client.expect(r#"["resolve",3,["undefined"]]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn a_stream_in_a_chunk_is_forwarded() {
    let mut relay = Relay::with_stream();
    relay.client.send(r#"["pipe"]"#);
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[["readable",3]]]]"#);
    relay
        .client
        .send(r#"["stream",["pipeline",3,["write"],["inner"]]]"#);
    idle().await;
    relay.origin.expect(r#"["pipe"]"#);
    relay
        .origin
        .expect(r#"["stream",["pipeline",1,["write"],[["readable",3]]]]"#);
    relay
        .origin
        .expect(r#"["stream",["pipeline",3,["write"],["inner"]]]"#);
    relay.client.expect_silence();
    // Both sides use the same IDs here. Each chunk is answered separately.
    for id in [5, 4] {
        let answer = format!(r#"["resolve",{id},["undefined"]]"#);
        relay.origin.send(&answer);
        relay.client.expect(&answer);
    }
}

#[tokio::test]
async fn a_reader_that_stops_rejects_what_it_was_sent_and_the_next_write() {
    let mut relay = Relay::with_stream();
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    idle().await;
    relay
        .origin
        .expect(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    relay.client.expect_silence();
    relay
        .origin
        .send(r#"["reject",3,["error","RangeError","seen enough",null,{"code":7}]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay
        .client
        .expect(r#"["reject",3,["error","RangeError","seen enough",null,{"code":7}]]"#);
    idle().await;
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[2]]]"#);
    relay
        .client
        .expect(r#"["reject",4,["error","RangeError","seen enough",null,{"code":7}]]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn an_abort_is_forwarded_with_its_reason() {
    let mut relay = Relay::with_stream();
    relay
        .client
        .send(r#"["stream",["pipeline",1,["abort"],[["error","RangeError","gave up"]]]]"#);
    relay.client.expect(r#"["resolve",3,["undefined"]]"#);
    relay.client.send(r#"["release",1,1]"#);
    idle().await;
    relay
        .origin
        .expect(r#"["stream",["pipeline",1,["abort"],[["error","RangeError","gave up"]]]]"#);
    relay.origin.send(r#"["resolve",3,["undefined"]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn the_end_of_one_session_ends_the_stream_of_the_other() {
    let mut relay = Relay::with_stream();
    relay
        .client
        .connection
        .end(Error::disconnected("the client is gone"));
    idle().await;
    relay
        .origin
        .expect(r#"["stream",["pipeline",1,["abort"],[["error","Error","the client is gone"]]]]"#);
    relay.origin.send(r#"["resolve",3,["undefined"]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.origin.expect_empty();

    let mut relay = Relay::with_stream();
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    idle().await;
    relay.client.expect_silence();
    relay
        .origin
        .connection
        .end(Error::disconnected("the origin is gone"));
    relay
        .client
        .expect(r#"["reject",3,["error","Error","the origin is gone"]]"#);
    idle().await;
    relay
        .client
        .send(r#"["stream",["pipeline",1,["write"],[2]]]"#);
    relay
        .client
        .expect(r#"["reject",4,["error","Error","the origin is gone"]]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.client.expect_empty();
}

#[tokio::test]
async fn a_stream_in_a_result_is_forwarded() {
    let mut relay = Relay::new();
    relay.pull("get");
    relay.origin.send(r#"["pipe"]"#);
    relay
        .origin
        .send(r#"["resolve",1,{"stream":["readable",1]}]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.client.expect(r#"["pipe"]"#);
    relay
        .client
        .expect(r#"["resolve",1,{"stream":["readable",1]}]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay
        .origin
        .send(r#"["stream",["pipeline",1,["write"],["x"]]]"#);
    relay
        .origin
        .send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    idle().await;
    relay
        .client
        .expect(r#"["stream",["pipeline",1,["write"],["x"]]]"#);
    relay
        .client
        .expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    relay.origin.expect_silence();
    relay.client.send(r#"["resolve",2,["undefined"]]"#);
    relay.origin.expect(r#"["resolve",2,["undefined"]]"#);
    relay.client.send(r#"["resolve",3,["undefined"]]"#);
    relay.client.expect(r#"["release",1,1]"#);
    idle().await;
    relay.origin.expect(r#"["resolve",3,["undefined"]]"#);
    relay.origin.send(r#"["release",1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn a_writable_is_forwarded() {
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["push",["pipeline",0,["writeTo"],[["writable",-7]]]]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["writeTo"],[["writable",-1]]]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay
        .origin
        .send(r#"["stream",["pipeline",-1,["write"],["x"]]]"#);
    idle().await;
    relay
        .client
        .expect(r#"["stream",["pipeline",-7,["write"],["x"]]]"#);
    relay.origin.expect_silence();
    relay
        .client
        .send(r#"["reject",1,["error","RangeError","no more room"]]"#);
    relay
        .origin
        .expect(r#"["reject",1,["error","RangeError","no more room"]]"#);
    relay.client.expect(r#"["release",-7,1]"#);
    idle().await;
    relay
        .origin
        .send(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    relay
        .origin
        .expect(r#"["reject",2,["error","RangeError","no more room"]]"#);
    relay.origin.send(r#"["release",-1,1]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn writes_to_a_forwarded_stub_are_calls() {
    // This is the same whatever the stub at the origin is.
    let mut relay = Relay::new();
    relay
        .client
        .send(r#"["stream",["pipeline",0,["write"],["x"]]]"#);
    relay
        .origin
        .expect(r#"["push",["pipeline",0,["write"],["x"]]]"#);
    relay.origin.expect(r#"["pull",1]"#);
    relay.client.expect_silence();
    relay.origin.send(r#"["resolve",1,5]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.client.expect(r#"["resolve",1,5]"#);
    relay.expect_empty();
}

#[tokio::test]
async fn a_chunk_that_is_too_long_to_forward_fails_the_stream() {
    let limits = Limits::default().with_max_outgoing_message_size(1000);
    let mut relay = Relay::with(SessionOptions::new().with_limits(limits));
    relay.pull("get");
    relay.origin.send(r#"["pipe"]"#);
    relay.origin.send(r#"["resolve",1,["readable",1]]"#);
    relay.origin.expect(r#"["release",1,1]"#);
    relay.client.expect(r#"["pipe"]"#);
    relay.client.expect(r#"["resolve",1,["readable",1]]"#);
    relay.client.send(r#"["release",1,1]"#);
    relay.origin.send(&format!(
        r#"["stream",["pipeline",1,["write"],["{}"]]]"#,
        "x".repeat(2000)
    ));
    idle().await;
    let refusal = relay.origin.next().unwrap();
    assert!(refusal.starts_with(r#"["reject",2,"#), "{refusal}");
    assert!(refusal.contains("max_outgoing_message_size"), "{refusal}");
    let abort = relay.client.next().unwrap();
    assert!(
        abort.starts_with(r#"["stream",["pipeline",1,["abort"],[["error","#),
        "{abort}"
    );
    relay.client.send(r#"["resolve",2,["undefined"]]"#);
    relay.client.expect(r#"["release",1,1]"#);
    relay
        .origin
        .send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    let refusal = relay.origin.next().unwrap();
    assert!(refusal.starts_with(r#"["reject",3,"#), "{refusal}");
    assert!(refusal.contains("max_outgoing_message_size"), "{refusal}");
    relay.origin.send(r#"["release",1,1]"#);
    relay.expect_empty();
}

/// The statistics of an ended session.
const NOTHING: Stats = Stats {
    imports: 0,
    exports: 0,
};

#[tokio::test]
async fn a_session_that_ends_settles_the_answers_it_is_owed() {
    // The client ends while the origin owes the answer. The origin may answer later, or never.
    for answers in [true, false] {
        let mut relay = Relay::with_stream();
        relay
            .client
            .send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
        // A call waits for the answer.
        relay
            .client
            .send(r#"["push",["pipeline",3,["f"],[["export",-1]]]]"#);
        idle().await;
        relay
            .origin
            .expect(r#"["stream",["pipeline",1,["write"],[1]]]"#);
        relay
            .client
            .connection
            .end(Error::disconnected("the client is gone"));
        assert_eq!(relay.client.session.stats(), NOTHING);
        idle().await;
        relay.origin.expect(
            r#"["stream",["pipeline",1,["abort"],[["error","Error","the client is gone"]]]]"#,
        );
        if answers {
            relay.origin.send(r#"["resolve",3,["undefined"]]"#);
            relay.origin.send(r#"["resolve",4,["undefined"]]"#);
            relay.origin.expect(r#"["release",1,1]"#);
            relay.origin.expect_empty();
        } else {
            relay
                .origin
                .connection
                .end(Error::disconnected("the origin is gone"));
            assert_eq!(relay.origin.session.stats(), NOTHING);
        }
        relay.client.expect_silence();
    }
}

#[tokio::test]
async fn chunks_for_a_batch_are_acknowledged_at_once() {
    let mut client = ScriptedPeer::batch_client();
    let mut writer = ScriptedPeer::with(SessionOptions::new(), client.session.main());
    writer.send(r#"["pipe"]"#);
    writer.send(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
    writer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    idle().await;
    client.expect(r#"["pipe"]"#);
    client.expect(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
    client.expect(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    writer.expect(r#"["resolve",3,["undefined"]]"#);
}

#[tokio::test]
async fn a_batch_that_is_given_up_rejects_the_next_chunk_for_it() {
    let mut origin = ScriptedPeer::client();
    let mut batch = ScriptedPeer::batch_server(SessionOptions::new(), origin.session.main());
    batch.send(r#"["push",["pipeline",0,["get"],[]]]"#);
    batch.send(r#"["pull",1]"#);
    origin.expect(r#"["push",["pipeline",0,["get"],[]]]"#);
    origin.expect(r#"["pull",1]"#);
    origin.send(r#"["pipe"]"#);
    origin.send(r#"["resolve",1,["readable",1]]"#);
    origin.expect(r#"["release",1,1]"#);
    origin.send(r#"["stream",["pipeline",1,["write"],["taken"]]]"#);
    idle().await;
    // A batch receives no answers while it is written, so this cannot wait.
    origin.expect(r#"["resolve",2,["undefined"]]"#);
    batch
        .connection
        .end(Error::disconnected("the client gave up"));
    idle().await;
    origin.expect_silence();
    origin.send(r#"["stream",["pipeline",1,["write"],["too late"]]]"#);
    origin.expect_rejected(3, "the client gave up");
    origin.send(r#"["release",1,1]"#);
    origin.expect_empty();
}

#[tokio::test]
async fn a_reader_that_goes_tells_every_writer_before_it() {
    // Two relays in a row, and three chunks in flight.
    let mut origin = ScriptedPeer::client();
    let far = connect(origin.session.main());
    let mut client = ScriptedPeer::with(SessionOptions::new(), far.client.main());
    client.send(r#"["push",["pipeline",0,["get"],[]]]"#);
    client.send(r#"["pull",1]"#);
    idle().await;
    origin.expect(r#"["push",["pipeline",0,["get"],[]]]"#);
    origin.expect(r#"["pull",1]"#);
    origin.send(r#"["pipe"]"#);
    origin.send(r#"["resolve",1,["readable",1]]"#);
    origin.expect(r#"["release",1,1]"#);
    for n in 0..3 {
        origin.send(&format!(r#"["stream",["pipeline",1,["write"],[{n}]]]"#));
    }
    idle().await;
    client.expect(r#"["pipe"]"#);
    client.expect(r#"["resolve",1,["readable",1]]"#);
    for n in 0..3 {
        client.expect(&format!(r#"["stream",["pipeline",1,["write"],[{n}]]]"#));
    }
    origin.expect_silence();
    client.send(r#"["resolve",2,["undefined"]]"#);
    idle().await;
    origin.expect(r#"["resolve",2,["undefined"]]"#);
    // The reader takes no more chunks.
    for id in [3, 4] {
        client.send(&format!(
            r#"["reject",{id},["error","RangeError","enough"]]"#
        ));
    }
    idle().await;
    for id in [3, 4] {
        origin.expect_rejected(id, "enough");
    }
    client.expect(r#"["release",1,1]"#);
    client.send(r#"["release",1,1]"#);
    origin.send(r#"["release",1,1]"#);
    idle().await;
    client.expect_empty();
    origin.expect_empty();
}

//! Streams that a scripted peer writes, correctly or not.

use capnweb_core::{
    Error, Limits, Object, Payload, SessionOptions, Stats, Stub, Value, Writable, pipe,
};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{
    ScriptedPeer, Witness, idle,
    stream_scenes::{keeper, kept, next, written_to},
    within,
};

#[tokio::test]
async fn a_write_is_answered_when_its_chunk_is_taken() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],["a"]]]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[{"b":[[1]]}]]]"#);
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.expect_silence();
    assert_eq!(next(&mut stream).unwrap().unwrap(), "a".into());
    peer.expect(r#"["resolve",3,["undefined"]]"#);
    peer.expect_silence();
    assert!(peer.session.stream_bytes() > 0);
    assert_eq!(next(&mut stream).unwrap().unwrap()["b"][0], 1.0.into());
    peer.expect(r#"["resolve",4,["undefined"]]"#);
    peer.expect(r#"["resolve",5,["undefined"]]"#);
    assert_eq!(peer.session.stream_bytes(), 0);
    peer.send(r#"["release",1,1]"#);
    assert!(next(&mut stream).is_none());
    assert!(next(&mut stream).is_none());
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_reader_that_waits_is_woken() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    let reading = tokio::spawn(async move { (stream.next().await.unwrap().unwrap(), stream) });
    idle().await;
    peer.send(r#"["stream",["pipeline",1,["write"],[7]]]"#);
    let (chunk, mut stream) = within(reading).await.unwrap();
    assert_eq!(chunk, 7.0.into());
    peer.expect(r#"["resolve",3,["undefined"]]"#);
    let reading = tokio::spawn(async move { stream.next().await });
    idle().await;
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    assert!(within(reading).await.unwrap().is_none());
    peer.expect(r#"["resolve",4,["undefined"]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn chunks_may_arrive_before_their_stream() {
    let (main, mut streams) = keeper();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["keep"],[["readable",1]]]]"#);
    peer.send(r#"["release",4,1]"#);
    peer.expect_silence();
    let chunks: Vec<Value> = within(streams.try_recv().unwrap().try_collect())
        .await
        .unwrap();
    assert_eq!(chunks, [1.0.into()]);
    peer.expect(r#"["resolve",2,["undefined"]]"#);
    peer.expect(r#"["resolve",3,["undefined"]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn an_abort_discards_unread_chunks() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["stream",["pipeline",1,["abort"],[["error","RangeError","gave up"]]]]"#);
    peer.expect_rejected(3, "gave up");
    peer.expect(r#"["resolve",4,["undefined"]]"#);
    let error = next(&mut stream).unwrap().unwrap_err();
    assert!(error.is_range_error() && error.message() == "gave up");
    assert!(next(&mut stream).is_none());
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn an_abort_reason_may_be_any_value_or_missing() {
    for (reason, message) in [
        (r#""words""#, "words"),
        ("", "undefined"),
        (r#"["export",-1]"#, ""),
    ] {
        let (mut peer, mut stream) = kept(SessionOptions::new());
        peer.send(&format!(
            r#"["stream",["pipeline",1,["abort"],[{reason}]]]"#
        ));
        if reason.contains("export") {
            peer.expect(r#"["release",-1,1]"#);
        }
        peer.expect(r#"["resolve",3,["undefined"]]"#);
        let error = next(&mut stream).unwrap().unwrap_err();
        assert!(error.message().contains(message), "{error}");
        peer.send(r#"["release",1,1]"#);
        peer.expect_empty();
    }
}

#[tokio::test]
async fn releasing_an_unclosed_pipe_aborts_its_stream() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_rejected(3, "dropped before it was closed");
    let error = next(&mut stream).unwrap().unwrap_err();
    assert!(error.is_canceled(), "{error}");
    peer.expect_empty();
    // An ID that existed once does not end the session.
    peer.send(r#"["stream",["pipeline",1,["write"],[2]]]"#);
    peer.expect_rejected(4, "no such entry on exports table: 1");
    peer.expect_empty();
}

#[tokio::test]
async fn a_reader_that_stops_rejects_every_write_with_its_reason() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    assert_eq!(next(&mut stream).unwrap().unwrap(), 1.0.into());
    peer.expect(r#"["resolve",3,["undefined"]]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[["export",-1]]]]"#);
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    stream.cancel(Error::range_error("seen enough"));
    peer.expect_rejected(4, "seen enough");
    peer.expect_rejected(5, "seen enough");
    peer.expect(r#"["release",-1,1]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[["export",-2]]]]"#);
    peer.expect(r#"["release",-2,1]"#);
    peer.expect_rejected(6, "seen enough");
    peer.send(r#"["release",1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_canceled() {
    let (main, _) = keeper();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["drop"],[["readable",1]]]]"#);
    peer.send(r#"["release",2,1]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.expect_rejected(3, "dropped before it was read to its end");
    // A pipe whose readable end is not sent in a message.
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["stream",["pipeline",4,["write"],[1]]]"#);
    peer.expect_silence();
    peer.send(r#"["release",4,1]"#);
    peer.expect_rejected(5, "dropped before it was read to its end");
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn unknown_operations_on_a_pipe_are_rejected() {
    let (mut peer, stream) = kept(SessionOptions::new());
    for (id, (request, message)) in [
        (r#"["pipeline",1,["close"]]"#, "no properties"),
        (
            r#"["pipeline",1,["getWriter"],[]]"#,
            "Unknown WritableStream method: getWriter",
        ),
        (r#"["pipeline",1,["a","write"],[1]]"#, "only the methods"),
        (r#"["pipeline",1,[],[1]]"#, "only the methods"),
        (r#"["remap",1,[],[],[["pipeline",0]]]"#, "mapped"),
        (r#"["pipeline",1]"#, ""),
    ]
    .into_iter()
    .enumerate()
    {
        peer.send(&format!(r#"["stream",{request}]"#));
        let said = peer.next().unwrap_or_default();
        if message.is_empty() {
            // The stub itself is not an error.
            assert!(said.starts_with(r#"["resolve",8,"#), "{said}");
            peer.send(r#"["release",-1,1]"#);
        } else {
            assert!(
                said.starts_with(&format!(r#"["reject",{},"#, id + 3)),
                "{said}"
            );
            assert!(said.contains(message), "{said}");
        }
    }
    peer.send(r#"["pull",1]"#);
    peer.expect_rejected(1, "Tried to resolve a non-promise stub.");
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.expect(r#"["resolve",9,["undefined"]]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.expect_rejected(10, "Cannot write to a closing WritableStream");
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.expect_rejected(11, "Cannot close a closed WritableStream");
    peer.send(r#"["stream",["pipeline",1,["abort"],["late"]]]"#);
    peer.expect(r#"["resolve",12,["undefined"]]"#);
    peer.send(r#"["release",1,1]"#);
    drop(stream);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn wrong_ids_in_stream_messages_end_the_session() {
    let lies = [
        (
            r#"["push",["pipeline",0,["drop"],[["readable",1]]]]"#,
            "Export 1 is not a pipe",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["readable",2]]]]"#,
            "Export 2 is not a pipe",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["readable",3]]]]"#,
            "Export 3 is not a pipe",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["readable",-1]]]]"#,
            "Export -1 is not a pipe",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["readable",0]]]]"#,
            "Export 0 is not a pipe",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["readable",99]]]]"#,
            "Export 99 is not a pipe",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["readable",4],["readable",4]]]]"#,
            "already consumed",
        ),
        (r#"["resolve",5,["readable",1]]"#, "Export 1 is not a pipe"),
        (
            r#"["push",["pipeline",0,["drop"],[["writable",1]]]]"#,
            "must be negative",
        ),
        (
            r#"["push",["pipeline",0,["drop"],[["writable",0]]]]"#,
            "must be negative",
        ),
        (
            r#"["stream",["pipeline",99,["write"],[1]]]"#,
            "no such entry on exports table: 99",
        ),
        (r#"["release",1,2]"#, "refcount would go negative"),
        (r#"["release",99,1]"#, "no such export ID: 99"),
        (r#"["stream"]"#, ""),
    ];
    for (lie, reason) in lies {
        // The IDs are 1 for a pipe that was taken, 2 for the call that took it, 3 for a counter (−1
        // when pulled), and 4 for a pipe.
        let (mut peer, mut stream) = kept(SessionOptions::new());
        peer.send(r#"["push",["pipeline",0,["makeCounter"],[]]]"#);
        peer.send(r#"["pull",3]"#);
        peer.expect(r#"["resolve",3,["export",-1]]"#);
        peer.send(r#"["pipe"]"#);
        peer.send(r#"["stream",["pipeline",4,["write"],[1]]]"#);
        let error = peer.send_fatal(lie);
        assert!(error.message().contains(reason), "{lie}: {error}");
        let said: Vec<_> = peer.said();
        let (abort, before) = said.split_last().unwrap();
        assert!(abort.starts_with(r#"["abort",["#), "{lie}: {abort}");
        // A pipe that was taken by a failed call is canceled.
        assert!(
            before
                .iter()
                .all(|said| said.starts_with(r#"["reject",5,"#)),
            "{lie}"
        );
        let stats = Stats {
            imports: 0,
            exports: 0,
        };
        assert_eq!(peer.session.stats(), stats, "{lie}");
        assert_eq!(peer.session.stream_bytes(), 0, "{lie}");
        // The reader receives the reason.
        let broken = next(&mut stream).unwrap().unwrap_err();
        assert_eq!(broken.message(), error.message());
    }
}

#[tokio::test]
async fn releasing_or_pulling_the_id_of_a_write_has_no_effect() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["pull",3]"#);
    peer.send(r#"["release",3,1]"#);
    assert_eq!(next(&mut stream).unwrap().unwrap(), 1.0.into());
    peer.expect_silence();
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.expect(r#"["resolve",4,["undefined"]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_stream_message_may_hold_any_call() {
    let (main, _) = keeper();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["stream",["pipeline",0,["square"],[3]]]"#);
    peer.expect(r#"["resolve",1,9]"#);
    peer.send(r#"["stream",["pipeline",0,["nothing"],[3]]]"#);
    peer.expect_rejected(2, "is not a function");
    peer.send(r#"["stream",5]"#);
    peer.expect(r#"["resolve",3,5]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn the_end_of_the_session_breaks_an_open_stream() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[2]]]"#);
    assert_eq!(next(&mut stream).unwrap().unwrap(), 1.0.into());
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    let error = next(&mut stream).unwrap().unwrap_err();
    assert!(
        error.is_disconnected() && error.message() == "the cable was cut",
        "{error}"
    );
    assert!(next(&mut stream).is_none());
    assert_eq!(peer.session.stream_bytes(), 0);
}

#[tokio::test]
async fn a_closed_stream_can_be_read_after_the_session() {
    let (mut peer, mut stream) = kept(SessionOptions::new());
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.connection.end(Error::disconnected("done"));
    assert_eq!(next(&mut stream).unwrap().unwrap(), 1.0.into());
    assert!(next(&mut stream).is_none());
}

#[tokio::test]
async fn capabilities_in_a_stream_are_dropped_with_the_session() {
    // A pipe contains a promise of a value that contains the pipe's end: a cycle.
    let (witness, dropped) = Witness::new();
    let witness = std::sync::Arc::new(std::sync::Mutex::new(Some(witness)));
    let main = Object::new()
        .sync_method("echo", |value: Payload| Ok(value))
        .sync_method("witness", move || {
            let witness = witness.lock().unwrap().take();
            Ok(Stub::function(move || {
                let _held = &witness;
                async { Ok(()) }
            }))
        })
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["witness"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["echo"],[{"stream":["readable",1]}]]]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[[[["pipeline",3],["pipeline",2]]]]]]"#);
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    for id in [1, 2, 3] {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_silence();
    peer.connection.end(Error::disconnected("gone"));
    drop(peer);
    within(dropped).await.unwrap();
}

#[tokio::test]
async fn unread_bytes_are_limited() {
    let limits = Limits::default().with_max_stream_bytes(100_000);
    let (mut peer, mut stream) = kept(SessionOptions::new().with_limits(limits));
    let write = format!(
        r#"["stream",["pipeline",1,["write"],["{}"]]]"#,
        "x".repeat(30_000)
    );
    // Chunks that were read do not count.
    for _ in 0..10 {
        peer.send(&write);
        next(&mut stream).unwrap().unwrap();
    }
    for _ in 0..4 {
        peer.send(&write);
    }
    let error = peer.send_fatal(&write);
    assert!(
        error.is_limit() && error.message().contains("max_stream_bytes"),
        "{error}"
    );
    let error = next(&mut stream).unwrap().unwrap_err();
    assert!(error.message().contains("max_stream_bytes"), "{error}");
    assert_eq!(peer.session.stream_bytes(), 0);
}

#[tokio::test]
async fn writes_do_not_count_as_exports() {
    let limits = Limits::default().with_max_exports(10);
    let (mut peer, mut stream) = kept(SessionOptions::new().with_limits(limits));
    for _ in 0..1000 {
        peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    }
    for id in 3..1003 {
        next(&mut stream).unwrap().unwrap();
        peer.expect(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
    // Pipes do count.
    for _ in 0..10 {
        peer.send(r#"["pipe"]"#);
    }
    assert!(
        peer.send_fatal(r#"["pipe"]"#)
            .message()
            .contains("max_exports")
    );
}

#[tokio::test]
async fn writes_are_taken_while_calls_are_parked() {
    let limits = Limits::default().with_soft_calls(0);
    let (main, mut streams) = keeper();
    let mut peer = ScriptedPeer::with(SessionOptions::new(), main.clone());
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["keep"],[["readable",1]]]]"#);
    let mut stream = streams.try_recv().unwrap();
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    assert_eq!(next(&mut stream).unwrap().unwrap(), 1.0.into());
    // The same if no call is allowed.
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), main);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["keep"],[["readable",1]]]]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.send(r#"["stream",["pipeline",1,["abort"],["no"]]]"#);
    peer.expect(r#"["reject",3,"no"]"#);
    peer.expect(r#"["resolve",4,["undefined"]]"#);
    assert!(streams.try_recv().is_err());
}

// ---------------------------------------------------------------- writables of ours

#[tokio::test]
async fn a_local_writable_answers_when_its_chunk_is_taken() {
    let (to, mut chunks) = pipe::<Value>();
    let mut peer = written_to(to);
    peer.send(r#"["stream",["pipeline",-1,["write"],[1]]]"#);
    peer.send(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    idle().await;
    peer.expect_silence();
    assert_eq!(next(&mut chunks).unwrap().unwrap(), 1.0.into());
    peer.expect(r#"["resolve",1,["undefined"]]"#);
    peer.expect(r#"["resolve",2,["undefined"]]"#);
    peer.send(r#"["release",-1,1]"#);
    assert!(next(&mut chunks).is_none());
    peer.expect_empty();
}

#[tokio::test]
async fn a_local_sink_receives_chunks_in_order() {
    let (sender, mut received) = unbounded_channel();
    let sink = futures_util::sink::unfold(sender, |sender, n: f64| async move {
        // The sink is not ready at once.
        tokio::task::yield_now().await;
        sender.send(n).map_err(|_| Error::new("nobody listens"))?;
        Ok::<_, Error>(sender)
    });
    let mut peer = written_to(Writable::from_sink(sink));
    for n in 0..10 {
        peer.send(&format!(r#"["stream",["pipeline",-1,["write"],[{n}]]]"#));
    }
    peer.send(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    idle().await;
    for n in 0..10 {
        assert_eq!(within(received.recv()).await, Some(f64::from(n)));
    }
    // The sink is closed and then dropped.
    assert_eq!(within(received.recv()).await, None);
    idle().await;
    for id in 1..=11 {
        peer.expect(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
    peer.send(r#"["release",-1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_failed_sink_rejects_later_writes_and_the_close() {
    let sink = futures_util::sink::unfold((), |(), n: f64| async move {
        match n {
            0.0 => Ok(()),
            _ => Err(Error::range_error("no more room")),
        }
    });
    let mut peer = written_to(Writable::from_sink(sink));
    for message in [
        r#"["write"],[0]"#,
        r#"["write"],[1]"#,
        r#"["write"],["x"]"#,
        r#"["close"],[]"#,
    ] {
        peer.send(&format!(r#"["stream",["pipeline",-1,{message}]]"#));
    }
    idle().await;
    peer.expect(r#"["resolve",1,["undefined"]]"#);
    // The second chunk was passed to the sink, which failed afterwards.
    peer.expect(r#"["resolve",2,["undefined"]]"#);
    peer.expect_rejected(3, "no more room");
    peer.expect_rejected(4, "no more room");
    peer.send(r#"["release",-1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_chunk_of_the_wrong_type_is_a_type_error() {
    let sink = futures_util::sink::drain::<f64>();
    let sink = futures_util::SinkExt::sink_map_err(sink, |never| -> Error { match never {} });
    let mut peer = written_to(Writable::from_sink(sink));
    peer.send(r#"["stream",["pipeline",-1,["write"],["text"]]]"#);
    peer.send(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    idle().await;
    peer.expect(r#"["resolve",1,["undefined"]]"#);
    peer.expect_rejected(2, "expected f64");
    peer.send(r#"["release",-1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn releasing_an_unclosed_local_writable_aborts_it() {
    let (to, mut chunks) = pipe::<Value>();
    let mut peer = written_to(to);
    peer.send(r#"["release",-1,1]"#);
    assert!(next(&mut chunks).unwrap().unwrap_err().is_canceled());
    peer.expect_empty();
    // A sink is dropped.
    let (witness, dropped) = Witness::new();
    let sink =
        futures_util::sink::unfold(
            witness,
            |witness, _: f64| async move { Ok::<_, Error>(witness) },
        );
    let mut peer = written_to(Writable::from_sink(sink));
    peer.send(r#"["stream",["pipeline",-1,["write"],[1]]]"#);
    peer.send(r#"["release",-1,1]"#);
    within(dropped).await.unwrap();
    peer.expect_empty();
}

#[tokio::test]
async fn the_end_of_the_session_aborts_a_local_writable() {
    let (to, mut chunks) = pipe::<Value>();
    let mut peer = written_to(to);
    peer.send(r#"["stream",["pipeline",-1,["write"],[1]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    let error = next(&mut chunks).unwrap().unwrap_err();
    assert_eq!(error.message(), "the cable was cut");
}

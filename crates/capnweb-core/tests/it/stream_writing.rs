//! Streams that are written to a scripted peer, which behaves correctly or not.

use capnweb_core::{
    ByteStream, Bytes, Error, Object, Promise, Readable, Session, SessionOptions, Value, Writable,
    pipe,
};
use futures_util::{FutureExt, SinkExt, StreamExt, stream};

use crate::support::{
    ScriptedPeer, counter, idle,
    stream_scenes::{by_hand, given, taken, taker},
    within,
};

#[tokio::test]
async fn chunks_are_sent_at_once_and_their_ids_are_not_released() {
    let (sender, stream, dropped) = by_hand();
    let mut peer = given(stream);
    idle().await;
    peer.expect_silence();
    sender.send(Ok("a".into())).unwrap();
    idle().await;
    peer.expect(r#"["stream",["pipeline",1,["write"],["a"]]]"#);
    sender.send(Ok(vec![Value::from(1)].into())).unwrap();
    sender.send(Ok(Value::Null)).unwrap();
    drop(sender);
    idle().await;
    // The second chunk is sent without an answer to the first.
    peer.expect(r#"["stream",["pipeline",1,["write"],[[[1]]]]]"#);
    peer.expect(r#"["stream",["pipeline",1,["write"],[null]]]"#);
    peer.expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    for id in [4, 3, 5] {
        peer.send(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
    idle().await;
    // The pipe is released once `close` is answered.
    peer.expect_silence();
    peer.send(r#"["resolve",6,["undefined"]]"#);
    peer.expect(r#"["release",1,1]"#);
    within(dropped).await.unwrap();
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_failed_write_ends_the_stream_and_releases_the_pipe_at_once() {
    let (sender, stream, dropped) = by_hand();
    let mut peer = given(stream);
    sender.send(Ok("a".into())).unwrap();
    sender.send(Ok("b".into())).unwrap();
    idle().await;
    peer.expect(r#"["stream",["pipeline",1,["write"],["a"]]]"#);
    peer.expect(r#"["stream",["pipeline",1,["write"],["b"]]]"#);
    peer.send(r#"["reject",3,["error","RangeError","seen enough"]]"#);
    peer.expect(r#"["release",1,1]"#);
    within(dropped).await.unwrap();
    // The other write fails too, or succeeds.
    peer.send(r#"["resolve",4,["undefined"]]"#);
    idle().await;
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn an_error_of_the_source_becomes_the_abort_reason() {
    let (sender, stream, dropped) = by_hand();
    let mut peer = given(stream);
    sender
        .send(Err(Error::range_error("out of chunks").with_prop("code", 7)))
        .unwrap();
    within(dropped).await.unwrap();
    peer.expect(
        r#"["stream",["pipeline",1,["abort"],[["error","RangeError","out of chunks",null,{"code":7}]]]]"#,
    );
    peer.expect_silence();
    peer.send(r#"["reject",3,"whatever"]"#);
    peer.expect(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_chunk_that_cannot_be_sent_aborts_the_stream() {
    let chunk = "x".repeat(40 << 20);
    let stream = Readable::from_stream(stream::iter([chunk])).cast();
    let mut peer = given(stream);
    idle().await;
    let abort = peer.next().unwrap();
    assert!(
        abort.starts_with(r#"["stream",["pipeline",1,["abort"],[["error","#),
        "{abort}"
    );
    assert!(abort.contains("max_outgoing_message_size"), "{abort}");
    peer.expect_silence();
    peer.send(r#"["resolve",3,["undefined"]]"#);
    peer.expect(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn a_silent_peer_is_sent_no_more_than_the_window() {
    let chunk = "x".repeat(10_000);
    let chunks = std::iter::repeat_n(chunk, 100);
    let mut peer = given(Readable::from_stream(stream::iter(chunks)).cast());
    idle().await;
    let mut sent = 0;
    while let Some(message) = peer.next() {
        assert!(message.starts_with(r#"["stream",["pipeline",1,["write"],["xxx"#));
        sent += 1;
    }
    // 256 KiB, and the write that fills it.
    assert_eq!(sent, 27);
    for id in 3..13 {
        peer.send(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
    idle().await;
    let more = peer.said().len();
    assert!(more >= 10, "{more}");
    peer.connection.end(Error::disconnected("gone"));
}

#[tokio::test]
async fn utf_16_code_units_fill_the_window() {
    // Characters of three bytes, but one code unit.
    let chunks = std::iter::repeat_n("€".repeat(10_000), 100);
    let mut peer = given(Readable::from_stream(stream::iter(chunks)).cast());
    idle().await;
    assert_eq!(peer.said().len(), 27);
    peer.connection.end(Error::disconnected("gone"));
}

#[tokio::test]
async fn the_end_of_the_session_drops_the_source() {
    // Before anything is written, while the source is silent, and while the window is full.
    for n in [0, 1, 1000] {
        let (sender, stream, dropped) = by_hand();
        let mut peer = given(stream);
        for _ in 0..n {
            sender.send(Ok("x".repeat(1000).into())).unwrap();
        }
        idle().await;
        peer.connection
            .end(Error::disconnected("the cable was cut"));
        within(dropped).await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_session_lives_while_it_writes() {
    let (sender, stream, dropped) = by_hand();
    let ScriptedPeer {
        session,
        mut connection,
        ..
    } = given(stream);
    drop(session);
    idle().await;
    assert!(connection.end_reason().is_none());
    sender.send(Ok("a".into())).unwrap();
    drop(sender);
    within(dropped).await.unwrap();
    idle().await;
    connection
        .receive(r#"["resolve",3,["undefined"]]"#)
        .unwrap();
    connection
        .receive(r#"["resolve",4,["undefined"]]"#)
        .unwrap_err();
    assert!(connection.end_reason().is_some());
}

#[tokio::test]
async fn a_pipe_that_is_resolved_or_rejected_ends_the_session() {
    for message in [r#"["resolve",1,5]"#, r#"["reject",1,"no"]"#] {
        let (sender, stream, dropped) = by_hand();
        let mut peer = given(stream);
        idle().await;
        assert!(peer.send_fatal(message).is_protocol());
        within(dropped).await.unwrap();
        drop(sender);
    }
}

#[tokio::test]
async fn nonsensical_answers_to_writes_are_ignored() {
    let (sender, stream, dropped) = by_hand();
    let mut peer = given(stream);
    sender.send(Ok("a".into())).unwrap();
    idle().await;
    peer.expect(r#"["stream",["pipeline",1,["write"],["a"]]]"#);
    // Answers with capabilities, which are released; repeated answers; and answers to nothing.
    peer.send(r#"["resolve",3,[[["export",-1],["promise",-2]]]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect(r#"["release",-2,1]"#);
    peer.send(r#"["reject",3,"twice"]"#);
    peer.send(r#"["resolve",77,1]"#);
    drop(sender);
    within(dropped).await.unwrap();
    peer.expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.send(r#"["resolve",4,["export",-3]]"#);
    idle().await;
    peer.expect_unordered([r#"["release",-3,1]"#, r#"["release",1,1]"#]);
    peer.expect_empty();
}

#[tokio::test]
async fn capabilities_in_chunks_are_exported() {
    let (sender, stream, _) = by_hand();
    let mut peer = given(stream);
    sender.send(Ok(counter(1.0).into())).unwrap();
    let (inner, inner_stream, _) = by_hand();
    drop(inner);
    let chunk = capnweb_core::Payload::encode(&inner_stream).unwrap();
    sender.send(Ok(Value::Stream(chunk))).unwrap();
    drop((sender, inner_stream));
    idle().await;
    peer.expect(r#"["stream",["pipeline",1,["write"],[["export",-1]]]]"#);
    peer.expect(r#"["pipe"]"#);
    peer.expect(r#"["stream",["pipeline",1,["write"],[["readable",4]]]]"#);
    peer.expect_unordered([
        r#"["stream",["pipeline",1,["close"],[]]]"#,
        r#"["stream",["pipeline",4,["close"],[]]]"#,
    ]);
    for id in [3, 5, 6, 7] {
        peer.send(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
    peer.send(r#"["release",-1,1]"#);
    idle().await;
    peer.expect_empty();
}

#[tokio::test]
async fn a_result_may_be_a_stream() {
    let main = Object::new()
        .sync_method("count", |n: u32| {
            Ok(Readable::from_stream(stream::iter(0..n)))
        })
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["count"],[2]]]"#);
    // Nothing is sent before it is pulled.
    idle().await;
    peer.expect_silence();
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["pipe"]"#);
    peer.expect(r#"["resolve",1,["readable",1]]"#);
    peer.send(r#"["release",1,1]"#);
    idle().await;
    peer.expect(r#"["stream",["pipeline",1,["write"],[0]]]"#);
    peer.expect(r#"["stream",["pipeline",1,["write"],[1]]]"#);
    peer.expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    for id in 2..=4 {
        peer.send(&format!(r#"["resolve",{id},["undefined"]]"#));
    }
    idle().await;
    peer.expect(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn streams_sent_outside_a_runtime_use_the_drivers_runtime() {
    let main = Object::new()
        .method("count", |bytes: ByteStream| async move {
            let bytes = Readable::<Bytes>::from(bytes);
            Ok(bytes
                .fold(
                    0,
                    |sum, chunk| async move { sum + chunk.map_or(0, |c| c.len()) },
                )
                .await)
        })
        .into_stub();
    let peers = crate::support::connect(main);
    within(
        peers
            .api
            .call("count", (ByteStream::from_reader(&b""[..]),))
            .fetch::<u32>(),
    )
    .await
    .unwrap();
    let api = peers.api.clone();
    let count = std::thread::spawn(move || {
        let bytes = std::io::Cursor::new(vec![0; 1_000_000]);
        api.call("count", (ByteStream::from_reader(bytes),))
            .fetch::<usize>()
    });
    let count = count.join().unwrap();
    assert_eq!(within(count).await.unwrap(), 1_000_000);
    peers.settle().await;
}

#[test]
fn ready_chunks_are_sent_without_any_runtime() {
    let (session, mut connection) = Session::client(SessionOptions::new());
    let main = session.main();
    let chunks = Readable::from_stream(stream::iter(["a", "b"]));
    Promise::detach(main.call("take", (chunks,)));
    let never = Readable::<u8>::from_stream(stream::pending::<u8>());
    Promise::detach(main.call("take", (never,)));
    let mut outgoing = connection.take_outgoing();
    let said: Vec<_> = std::iter::from_fn(|| outgoing.pop()).collect();
    assert!(said.contains(&Bytes::from_static(
        br#"["stream",["pipeline",1,["close"],[]]]"#
    )));
    let last = said
        .iter()
        .rev()
        .find(|said| said.starts_with(b"[\"stream\""))
        .unwrap();
    let last = std::str::from_utf8(last).unwrap();
    assert!(
        last.contains(r#"["abort"],"#) && last.contains("runtime"),
        "{last}"
    );
}

// ---------------------------------------------------------------- writables of the peer's

#[tokio::test]
async fn a_remote_writable_is_a_sink() {
    let (mut peer, mut to) = taken();
    within(to.send("a".into())).await.unwrap();
    peer.expect(r#"["stream",["pipeline",-1,["write"],["a"]]]"#);
    // Only `close` waits for answers.
    within(to.send("b".into())).await.unwrap();
    peer.expect(r#"["stream",["pipeline",-1,["write"],["b"]]]"#);
    assert!(to.close().now_or_never().is_none());
    peer.expect(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    peer.send(r#"["resolve",1,["undefined"]]"#);
    peer.send(r#"["resolve",2,["undefined"]]"#);
    assert!(to.close().now_or_never().is_none());
    peer.expect_silence();
    peer.send(r#"["resolve",3,["undefined"]]"#);
    peer.expect(r#"["release",-1,1]"#);
    within(to.close()).await.unwrap();
    assert!(
        within(to.send("c".into()))
            .await
            .unwrap_err()
            .is_type_error()
    );
    peer.expect_silence();
    drop(to);
    peer.expect_empty();
}

#[tokio::test]
async fn close_fails_after_a_failed_write() {
    let (mut peer, mut to) = taken();
    within(to.send("a".into())).await.unwrap();
    peer.expect(r#"["stream",["pipeline",-1,["write"],["a"]]]"#);
    assert!(to.close().now_or_never().is_none());
    peer.expect(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    peer.send(r#"["reject",1,["error","RangeError","no more room"]]"#);
    peer.send(r#"["reject",2,["error","TypeError","it is broken"]]"#);
    peer.expect(r#"["release",-1,1]"#);
    assert_eq!(
        within(to.close()).await.unwrap_err().message(),
        "no more room"
    );
    peer.expect_empty();
}

#[tokio::test]
async fn a_full_window_makes_the_sink_wait() {
    let (mut peer, mut to) = taken();
    let chunk = Value::from("x".repeat(300_000));
    within(to.feed(chunk.clone())).await.unwrap();
    assert!(peer.next().is_some());
    let waiting = tokio::spawn(async move { to.feed(chunk).await.map(|()| to) });
    idle().await;
    assert!(!waiting.is_finished());
    peer.expect_silence();
    peer.send(r#"["resolve",1,["undefined"]]"#);
    let to = within(waiting).await.unwrap().unwrap();
    assert!(peer.next().is_some());
    // The end of the session is an error, also for waiting writers.
    let waiting = tokio::spawn(async move {
        let mut to = to;
        to.close().await
    });
    idle().await;
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    assert_eq!(
        within(waiting).await.unwrap().unwrap_err().message(),
        "the cable was cut"
    );
}

#[tokio::test]
async fn a_dropped_remote_writable_is_released() {
    // A writable that was not used.
    let (mut peer, to) = taken();
    drop(to);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_empty();
    // A writable that was used and not closed: dropping it aborts the stream.
    let (mut peer, mut to) = taken();
    within(to.send("a".into())).await.unwrap();
    drop(to);
    peer.expect(r#"["stream",["pipeline",-1,["write"],["a"]]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.send(r#"["reject",1,"whatever"]"#);
    peer.expect_empty();
    // A writable that is aborted with a reason.
    let (mut peer, to) = taken();
    to.abort(Error::range_error("gave up"));
    peer.expect(r#"["stream",["pipeline",-1,["abort"],[["error","RangeError","gave up"]]]]"#);
    peer.expect_silence();
    peer.send(r#"["resolve",1,["undefined"]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_empty();
    // A writable that was never taken.
    let (main, _) = taker();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["drop"],[["writable",-1],["writable",-1]]]]"#);
    peer.expect(r#"["release",-1,2]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn an_echoed_writable_is_exported_again() {
    let main = Object::new()
        .sync_method("echo", |to: Writable<Value>| Ok(to))
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["echo"],[["writable",-1]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,["writable",-1]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["stream",["pipeline",-1,["write"],[{"a":"\ud800"}]]]"#);
    peer.send(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    idle().await;
    // It was forwarded, so both are answered when the other end answers.
    assert_eq!(
        peer.next().unwrap(),
        r#"["stream",["pipeline",-1,["write"],[{"a":"\ud800"}]]]"#
    );
    peer.expect(r#"["stream",["pipeline",-1,["close"],[]]]"#);
    peer.expect_silence();
    peer.send(r#"["resolve",1,["undefined"]]"#);
    peer.expect(r#"["resolve",2,["undefined"]]"#);
    peer.send(r#"["resolve",2,["undefined"]]"#);
    idle().await;
    peer.expect_unordered([r#"["release",-1,1]"#, r#"["resolve",3,["undefined"]]"#]);
    peer.send(r#"["release",-1,1]"#);
    peer.expect_empty();
}

// ---------------------------------------------------------------- within this process

#[tokio::test]
async fn a_pipe_makes_the_writer_wait_for_the_reader() {
    let (mut to, mut from) = pipe::<u32>();
    let mut written = 0;
    while to.feed(written).now_or_never().is_some() {
        written += 1;
    }
    assert!((2..100).contains(&written), "{written}");
    assert_eq!(from.next().now_or_never().unwrap().unwrap().unwrap(), 0);
    to.feed(written).now_or_never().unwrap().unwrap();
    assert!(to.close().now_or_never().is_none());
    for n in 1..=written {
        assert_eq!(within(from.next()).await.unwrap().unwrap(), n);
    }
    to.close().now_or_never().unwrap().unwrap();
    assert!(within(from.next()).await.is_none());
}

#[tokio::test]
async fn each_end_of_a_pipe_notices_the_other() {
    let (to, mut from) = pipe::<u32>();
    drop(to);
    assert!(
        within(from.next())
            .await
            .unwrap()
            .unwrap_err()
            .is_canceled()
    );
    let (to, mut from) = pipe::<u32>();
    to.abort(Error::range_error("gave up"));
    assert_eq!(
        within(from.next()).await.unwrap().unwrap_err().message(),
        "gave up"
    );
    let (mut to, from) = pipe::<u32>();
    drop(from);
    assert!(within(to.send(1)).await.unwrap_err().is_canceled());
    let (mut to, from) = pipe::<u32>();
    let waiting = tokio::spawn(async move {
        while to.send(1).await.is_ok() {}
        to.close().await
    });
    idle().await;
    from.cancel(Error::range_error("seen enough"));
    assert_eq!(
        within(waiting).await.unwrap().unwrap_err().message(),
        "seen enough"
    );
}

#[tokio::test]
async fn a_local_call_passes_streams_as_they_are() {
    let api = crate::streams::streams();
    let numbers = Readable::from_stream(stream::iter(0..10u32));
    assert_eq!(
        within(api.call("sum", (numbers,)).fetch::<u32>())
            .await
            .unwrap(),
        45
    );
    let (to, numbers) = pipe::<u32>();
    let written = api.call("writeTo", (to, 20)).fetch::<()>();
    let (written, count) = within(async { tokio::join!(written, numbers.count()) }).await;
    written.unwrap();
    assert_eq!(count, 20);
    // Locally, a stream can also be passed only once: all streams of a call are taken, or none.
    let mut numbers = Readable::from_stream(stream::iter(0..10u32));
    let twice = api.call("echo", (&numbers, &numbers)).fetch::<Value>();
    assert!(within(twice).await.unwrap_err().is_type_error());
    assert_eq!(within(numbers.next()).await.unwrap().unwrap(), 0);
    let sum = api.call("sum", (&numbers,)).fetch::<u32>();
    assert!(
        within(numbers.next())
            .await
            .unwrap()
            .unwrap_err()
            .is_type_error()
    );
    assert_eq!(within(sum).await.unwrap(), 45);
    let again = api.call("sum", (&numbers,)).fetch::<u32>();
    assert!(within(again).await.unwrap_err().is_type_error());
    // Awaiting the same promise twice returns the same stream.
    let promise = api.call("count", (3,));
    let mut first: Readable<u32> = within(promise.fetch()).await.unwrap();
    let mut second: Readable<u32> = within(promise.fetch()).await.unwrap();
    assert_eq!(within(first.next()).await.unwrap().unwrap(), 0);
    assert_eq!(within(second.next()).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn values_that_are_no_streams_are_type_errors() {
    let api = crate::streams::streams();
    for wrong in [Value::from(1), Value::from(counter(0.0))] {
        let error = within(api.call("sum", (wrong,)).fetch::<u32>())
            .await
            .unwrap_err();
        assert!(error.is_type_error(), "{error}");
    }
    let (to, from) = pipe::<u32>();
    let error = within(api.call("sum", (to,)).fetch::<u32>())
        .await
        .unwrap_err();
    assert!(
        error
            .message()
            .contains("expected a readable stream, got a writable stream"),
        "{error}"
    );
    let error = within(api.call("writeTo", (from, 1)).fetch::<()>())
        .await
        .unwrap_err();
    assert!(
        error
            .message()
            .contains("expected a writable stream, got a readable stream"),
        "{error}"
    );
    // Outside a message, streams cannot be serialized.
    assert!(serde_json::to_string(&Readable::from_stream(stream::iter([1]))).is_err());
}

//! Peers that fall silent, and peers that only seem to, in virtual time.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use capnweb_core::{
    Encoding, EndCause, Error, FramesTransport, KeepAlive, Limits, LinesTransport, Object,
    Outgoing, Received, Result, Session, SessionOptions, Stats, StreamSink, Stub, Transport, pair,
};
use futures_util::{sink, stream};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    time::{Instant, advance, sleep, timeout},
};

use crate::support::{LiveObjects, ScriptedPeer, calculator, idle_on_paused_clock};

const SECOND: Duration = Duration::from_secs(1);

/// Much longer than any of the times below.
const LONG: Duration = Duration::from_secs(3600);

/// The default interval and timeout.
const INTERVAL: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum delay that the watcher adds.
const LATE: Duration = Duration::from_secs(7);

fn client_over(io: DuplexStream, options: SessionOptions) -> Session {
    let (session, connection) = Session::client(options);
    tokio::spawn(connection.drive(LinesTransport::new(io, &Limits::default())));
    session
}

fn server_over(io: DuplexStream, options: SessionOptions, main: Stub) -> Session {
    let (session, mut connection) = Session::server(options);
    connection.set_main(main);
    tokio::spawn(connection.drive(LinesTransport::new(io, &Limits::default())));
    session
}

/// Returns a client whose server is the test.
fn client(buffer: usize) -> (Session, BufReader<DuplexStream>) {
    let (here, there) = duplex(buffer);
    (
        client_over(here, SessionOptions::new()),
        BufReader::new(there),
    )
}

async fn line(io: &mut BufReader<DuplexStream>) -> String {
    let mut line = String::new();
    let read = timeout(LONG, io.read_line(&mut line)).await;
    read.expect("a line comes").unwrap();
    line.trim_end().to_owned()
}

#[track_caller]
fn assert_within(lasted: Duration, least: Duration) {
    let range = least..=least + LATE;
    assert!(range.contains(&lasted), "{lasted:?}, expected {range:?}");
}

/// Waits for the end of a session whose peer is silent, and returns the reason.
async fn silence(session: &Session) -> Error {
    let reason = session.main().call("x", ()).fetch::<()>();
    let reason = timeout(LONG, reason).await.expect("the session ends");
    let reason = reason.unwrap_err();
    assert!(reason.is_disconnected());
    let ended = session.end_reason().unwrap();
    assert_eq!(ended.session_end().unwrap().cause(), EndCause::Silence);
    assert_eq!(reason.message(), ended.message());
    reason
}

#[track_caller]
fn assert_alive(session: &Session) {
    assert_eq!(session.end_reason().map(|reason| reason.to_string()), None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_asked_after_the_interval_and_left_after_the_timeout() {
    let (session, mut peer) = client(4096);
    let start = Instant::now();
    let call = session.main().call("slow", ()).fetch::<u32>();
    let pending = tokio::spawn(call);
    assert_eq!(
        line(&mut peer).await,
        r#"["push",["pipeline",0,["slow"],[]]]"#
    );
    assert_eq!(line(&mut peer).await, r#"["pull",1]"#);
    assert_eq!(line(&mut peer).await, r#"["push",null]"#);
    assert_within(start.elapsed(), INTERVAL);
    assert_eq!(line(&mut peer).await, r#"["pull",2]"#);
    let pinged = Instant::now();
    let error = pending.await.unwrap().unwrap_err();
    assert_within(pinged.elapsed(), TIMEOUT);
    assert!(error.is_disconnected());
    let end = error.session_end().unwrap();
    assert_eq!((end.cause(), end.is_normal()), (EndCause::Silence, false));
    assert_eq!(
        error.message(),
        "the peer has sent nothing for 40s, not even an answer to a ping"
    );
    // The peer is notified, in case it still reads.
    let abort = line(&mut peer).await;
    assert!(abort.starts_with(r#"["abort",["error","Error","the peer has sent nothing"#));
}

#[tokio::test(start_paused = true)]
async fn a_server_lets_go_of_what_a_frozen_client_holds() {
    let (here, mut there) = duplex(4096);
    let objects = LiveObjects::default();
    let main = {
        let objects = objects.clone();
        Object::new().method("make", move || {
            let object = objects.make();
            async move { Ok(object) }
        })
    };
    let server = server_over(here, SessionOptions::new(), main.into_stub());
    let call = br#"["push",["pipeline",0,["make"],[]]]"#;
    there.write_all(call).await.unwrap();
    there.write_all(b"\n[\"pull\",1]\n").await.unwrap();
    idle_on_paused_clock().await;
    assert_eq!((objects.count(), server.stats().exports), (1, 3));
    let start = Instant::now();
    while objects.count() > 0 {
        assert!(start.elapsed() < LONG, "the object is never dropped");
        sleep(SECOND / 10).await;
    }
    assert_within(start.elapsed(), INTERVAL + TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_times_can_be_set() {
    let (here, there) = duplex(4096);
    let keep_alive = KeepAlive::new()
        .with_interval(4 * SECOND)
        .with_timeout(2 * SECOND);
    let session = client_over(here, SessionOptions::new().with_keep_alive(keep_alive));
    let start = Instant::now();
    silence(&session).await;
    let lasted = start.elapsed();
    assert!((6 * SECOND..7 * SECOND).contains(&lasted), "{lasted:?}");
    drop(there);
}

#[tokio::test(start_paused = true)]
async fn pings_can_be_switched_off() {
    let (here, mut there) = duplex(4096);
    let session = client_over(here, SessionOptions::new().without_keep_alive());
    sleep(LONG).await;
    assert_alive(&session);
    drop(session);
    let mut sent = String::new();
    there.read_to_string(&mut sent).await.unwrap();
    assert_eq!(sent, "");
}

#[tokio::test(start_paused = true)]
async fn an_answer_keeps_the_session() {
    let (session, mut peer) = client(4096);
    let mut asked = Instant::now();
    for id in 1..=50 {
        assert_eq!(line(&mut peer).await, r#"["push",null]"#);
        assert_within(asked.elapsed(), INTERVAL);
        asked = Instant::now();
        assert_eq!(line(&mut peer).await, format!(r#"["pull",{id}]"#));
        // This is just in time.
        sleep(TIMEOUT - SECOND / 10).await;
        asked += TIMEOUT - SECOND / 10;
        let answer = format!("[\"resolve\",{id},null]\n");
        peer.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(line(&mut peer).await, format!(r#"["release",{id},1]"#));
    }
    assert_alive(&session);
}

#[tokio::test(start_paused = true)]
async fn any_byte_is_a_sign_of_life() {
    let (session, mut peer) = client(4096);
    let call = tokio::spawn(session.main().call("x", ()).fetch::<String>());
    let answer = format!("[\"resolve\",1,\"{}\"]\n", "y".repeat(100));
    for byte in answer.bytes() {
        sleep(INTERVAL - SECOND).await;
        peer.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(call.await.unwrap().unwrap().len(), 100);
    // No ping was sent.
    drop(session);
    let mut sent = String::new();
    peer.read_to_string(&mut sent).await.unwrap();
    assert!(!sent.contains("null"), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_does_not_go_on_ends_the_session() {
    let (session, mut peer) = client(4096);
    sleep(10 * SECOND).await;
    peer.write_all(br#"["push",["pipe"#).await.unwrap();
    let start = Instant::now();
    let reason = silence(&session).await;
    assert_within(start.elapsed(), INTERVAL + TIMEOUT);
    assert_eq!(
        reason.message(),
        "a message from the peer has stalled for 40s"
    );
}

#[tokio::test(start_paused = true)]
async fn white_space_is_no_half_line() {
    let (session, mut peer) = client(4096);
    peer.write_all(b"\r").await.unwrap();
    for _ in 0..10 {
        sleep(INTERVAL - SECOND).await;
        peer.write_all(b" ").await.unwrap();
    }
    assert_alive(&session);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_of_a_byte_stream_ends_the_session() {
    let (here, mut there) = duplex(4096);
    let (session, connection) = Session::client(SessionOptions::new());
    let transport = FramesTransport::new(here, Encoding::Json, &Limits::default());
    tokio::spawn(connection.drive(transport));
    there.write_all(&[0, 0]).await.unwrap();
    let start = Instant::now();
    let reason = silence(&session).await;
    assert_within(start.elapsed(), INTERVAL + TIMEOUT);
    assert_eq!(
        reason.message(),
        "a message from the peer has stalled for 40s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_left() {
    let (session, peer) = client(64);
    let _call = session.main().call("note", ("x".repeat(1000),));
    let start = Instant::now();
    let reason = silence(&session).await;
    assert_within(start.elapsed(), INTERVAL + TIMEOUT);
    assert_eq!(
        reason.message(),
        "the peer has neither sent nor taken anything for 40s"
    );
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_alive() {
    let (here, mut there) = duplex(64);
    let session = client_over(here, SessionOptions::new());
    let _call = session.main().call("note", ("x".repeat(1000),));
    for _ in 0..20 {
        sleep(INTERVAL + TIMEOUT - SECOND).await;
        let mut some = [0; 32];
        there.read_exact(&mut some).await.unwrap();
    }
    assert_alive(&session);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_is_alive_though_it_does_not_read() {
    let (here, mut there) = duplex(64);
    let session = client_over(here, SessionOptions::new());
    let _call = session.main().call("note", ("x".repeat(1000),));
    for _ in 0..20 {
        sleep(INTERVAL).await;
        there.write_all(b"[\"release\",0,1]\n").await.unwrap();
    }
    assert_alive(&session);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_take_as_long_as_it_likes() -> Result<()> {
    let (left, right) = duplex(4096);
    let slow = async || {
        sleep(LONG).await;
        Ok(7)
    };
    let main = Object::new().method("slow", slow).into_stub();
    let server = server_over(left, SessionOptions::new(), main);
    let session = client_over(right, SessionOptions::new());
    assert_eq!(session.main().call("slow", ()).fetch::<u32>().await?, 7);
    idle_on_paused_clock().await;
    let mains = Stats {
        imports: 1,
        exports: 1,
    };
    assert_eq!((session.stats(), server.stats()), (mains, mains));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_no_session() -> Result<()> {
    let (left, right) = duplex(4096);
    let server = server_over(left, SessionOptions::new(), calculator());
    let session = client_over(right, SessionOptions::new());
    assert_eq!(
        session.main().call("square", (2,)).fetch::<f64>().await?,
        4.0
    );
    for _ in 0..10 {
        // The clock jumps as for a process that was suspended.
        advance(LONG).await;
        idle_on_paused_clock().await;
    }
    assert_alive(&session);
    assert_alive(&server);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_nothing_that_the_application_sees() {
    let (session, mut peer) = client(4096);
    assert_eq!(line(&mut peer).await, r#"["push",null]"#);
    assert_eq!(line(&mut peer).await, r#"["pull",1]"#);
    // The ping is not answered yet.
    let mains = Stats {
        imports: 1,
        exports: 1,
    };
    assert_eq!(session.stats(), mains);
    timeout(SECOND, session.drain()).await.unwrap().unwrap();
    // Calls continue in order.
    let call = tokio::spawn(session.main().call("x", ()).fetch::<u32>());
    assert_eq!(line(&mut peer).await, r#"["push",["pipeline",0,["x"],[]]]"#);
    assert_eq!(line(&mut peer).await, r#"["pull",2]"#);
    assert_eq!(session.stats().imports, 2);
    peer.write_all(b"[\"resolve\",2,7]\n[\"resolve\",1,null]\n")
        .await
        .unwrap();
    assert_eq!(call.await.unwrap().unwrap(), 7);
    assert_eq!(line(&mut peer).await, r#"["release",2,1]"#);
    assert_eq!(line(&mut peer).await, r#"["release",1,1]"#);
    assert_eq!(session.stats(), mains);
}

#[tokio::test(start_paused = true)]
async fn a_ping_keeps_no_session_alive() {
    let (session, mut peer) = client(4096);
    assert_eq!(line(&mut peer).await, r#"["push",null]"#);
    assert_eq!(line(&mut peer).await, r#"["pull",1]"#);
    drop(session);
    assert_eq!(line(&mut peer).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_reject_a_ping() {
    let (session, mut peer) = client(4096);
    for id in 1..=3 {
        assert_eq!(line(&mut peer).await, r#"["push",null]"#);
        line(&mut peer).await;
        let answer = format!("[\"reject\",{id},[\"error\",\"Error\",\"no\"]]\n");
        peer.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(line(&mut peer).await, format!(r#"["release",{id},1]"#));
    }
    assert_alive(&session);
}

#[test]
fn a_ping_is_answered_while_calls_wait_for_room() {
    let options = SessionOptions::new().with_limits(Limits::default().with_soft_calls(1));
    let main = Object::new().method("never", std::future::pending::<Result<()>>);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let _in_runtime = runtime.enter();
    let mut peer = ScriptedPeer::with(options, main.into_stub());
    for _ in 0..3 {
        peer.send(r#"["push",["pipeline",0,["never"],[]]]"#);
    }
    peer.send(r#"["push",null]"#);
    peer.send(r#"["pull",4]"#);
    peer.expect(r#"["resolve",4,null]"#);
}

#[tokio::test(start_paused = true)]
async fn messages_of_any_transport_are_signs_of_life() {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel::<String>();
    let incoming = stream::unfold(receive, async |mut receive| {
        let message = receive.recv().await?;
        Some((Ok::<_, Error>(message), receive))
    });
    let transport = StreamSink::new(Box::pin(incoming), sink::drain());
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(transport));
    for _ in 0..10 {
        sleep(INTERVAL + TIMEOUT - SECOND).await;
        send.send(r#"["release",0,1]"#.to_owned()).unwrap();
    }
    assert_alive(&session);
    let start = Instant::now();
    silence(&session).await;
    assert_within(start.elapsed(), INTERVAL + TIMEOUT);
}

/// A transport that neither sends nor receives, and counts its polls.
#[derive(Clone, Default)]
struct Stuck(Arc<AtomicUsize>);

impl Transport for Stuck {
    fn poll_receive<'a>(&'a mut self, _: &mut Context<'_>) -> Poll<Received<'a>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }

    fn poll_send(&mut self, _: &mut Context<'_>, _: &mut Outgoing) -> Poll<Result<()>> {
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_ping_to_be_sent() {
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(Stuck::default()));
    sleep(INTERVAL + LATE).await;
    // The transport has the ping, but does not accept it.
    timeout(SECOND, session.drain()).await.unwrap().unwrap();
    let _call = session.main().call("x", ());
    assert!(timeout(SECOND, session.drain()).await.is_err());
    silence(&session).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_spins_while_the_clock_stands() {
    let stuck = Stuck::default();
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(stuck.clone()));
    idle_on_paused_clock().await;
    let before = stuck.0.load(Ordering::Relaxed);
    // The clock does not advance by itself while a thread works for the runtime.
    let real_time = || std::thread::sleep(Duration::from_millis(200));
    tokio::task::spawn_blocking(real_time).await.unwrap();
    assert_eq!(stuck.0.load(Ordering::Relaxed), before);
    assert_alive(&session);
    // There is one poll for the ping, and some for the end.
    silence(&session).await;
    let polls = stuck.0.load(Ordering::Relaxed) - before;
    assert!(polls <= 6, "{polls} polls");
}

#[test]
fn a_driver_outside_of_a_runtime_has_no_clock() {
    let (session, connection) = Session::client(SessionOptions::new());
    let mut driver = pin!(connection.drive(Stuck::default()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(driver.as_mut().poll(&mut cx).is_pending());
    assert_alive(&session);
}

#[tokio::test(start_paused = true)]
async fn a_peer_in_this_process_is_not_asked() {
    let (left, mut right) = pair();
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(left));
    sleep(LONG).await;
    assert_alive(&session);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(right.poll_receive(&mut cx).is_pending());
}

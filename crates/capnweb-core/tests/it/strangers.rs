//! Strangers: peers that build reference cycles by any means that the protocol allows.
//!
//! In most of these conversations, export 1 is an object of the application. When the session is
//! over, no message of the peer may keep that object alive.

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_core::{Error, Object, Payload, SessionOptions, Stub, Value, Writable};
use futures_util::SinkExt;

use crate::support::{LiveObjects, ScriptedPeer, idle, idle_on_paused_clock};

/// The application. It can serve several sessions, and shares the values that `put(x)` stores among
/// them.
#[derive(Clone, Default)]
pub(crate) struct Application {
    pub(crate) objects: LiveObjects,
    stored: Arc<Mutex<Vec<Payload>>>,
}

impl Application {
    /// Returns the main object of one session.
    pub(crate) fn main(&self) -> Stub {
        let (made, put, got) = (self.objects.clone(), self.clone(), self.clone());
        let (token, callbacks) = (self.objects.token(), Mutex::new(Vec::new()));
        Object::new()
            .sync_method("echo", |value: Payload| Ok(value))
            .sync_method("makeCounter", move || Ok(made.make()))
            .sync_method("fail", |value: Value| {
                Err::<(), _>(Error::new("no").with_prop("value", value))
            })
            .method("call", |f: Stub| async move { Ok(f.invoke(())) })
            .method("await", |f: Stub| async move {
                f.invoke(()).fetch::<Payload>().await
            })
            .method("writeTo", |mut to: Writable<Value>| async move {
                to.send(Value::from(1)).await
            })
            .sync_method("put", move |value: Payload| {
                put.stored.lock().unwrap().push(value);
                Ok(())
            })
            .sync_method("take", move || Ok(got.stored.lock().unwrap().pop()))
            // Only the object of this connection holds it.
            .sync_method("subscribe", move |callback: Stub| {
                let _token = &token;
                callbacks.lock().unwrap().push(callback);
                Ok(())
            })
            .into_stub()
    }

    /// Drops the values that `put` has stored.
    pub(crate) fn forget(&self) {
        let stored = std::mem::take(&mut *self.stored.lock().unwrap());
        drop(stored);
    }

    /// Creates a peer with a session of its own.
    pub(crate) fn peer(&self) -> ScriptedPeer {
        ScriptedPeer::with(options(), self.main())
    }
}

fn options() -> SessionOptions {
    SessionOptions::new().with_grace_period(Duration::ZERO)
}

/// Disconnects the peers, and checks that no object of the application is left.
async fn leave<const N: usize>(application: Application, peers: [ScriptedPeer; N]) {
    for mut peer in peers {
        peer.connection
            .end(Error::disconnected("the peer went away"));
        drop(peer);
    }
    application.forget();
    application.objects.expect_none().await;
}

/// Sends these messages, all of which the session accepts, and disconnects.
async fn say(messages: &[&str]) {
    let application = Application::default();
    let mut peer = application.peer();
    for message in messages {
        peer.send(message);
        idle().await;
    }
    leave(application, [peer]).await;
}

/// Sends these messages, the last of which ends the session.
async fn say_at_last(messages: &[&str]) {
    let application = Application::default();
    let mut peer = application.peer();
    let (last, messages) = messages.split_last().unwrap();
    for message in messages {
        peer.send(message);
        idle().await;
    }
    assert!(peer.send_fatal(last).is_protocol());
    leave(application, [peer]).await;
}

const MAKE: &str = r#"["push",["pipeline",0,["makeCounter"],[]]]"#;

#[tokio::test]
async fn an_object_is_dropped_with_an_honest_session() {
    say(&[
        MAKE,
        r#"["push",["pipeline",0,["echo"],[["promise",-1]]]]"#,
        r#"["resolve",-1,{"c":["import",1]}]"#,
        r#"["pull",2]"#,
    ])
    .await;
}

// ---------------------------------------------------------------- writables

#[tokio::test]
async fn a_promise_that_holds_its_own_writable_is_dropped() {
    say(&[
        MAKE,
        r#"["push",["pipeline",0,["nope"],[["promise",-1]]]]"#,
        r#"["resolve",-1,{"w":["writable",-1],"c":["import",1]}]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_promise_of_an_error_that_holds_its_writable_is_dropped() {
    say(&[
        MAKE,
        r#"["push",["pipeline",0,["nope"],[["promise",-1]]]]"#,
        r#"["resolve",-1,["error","Error","no",null,{"w":["writable",-1],"c":["import",1]}]]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_rejection_that_holds_the_writable_of_its_promise_is_dropped() {
    say(&[
        MAKE,
        r#"["push",["pipeline",0,["nope"],[["promise",-1]]]]"#,
        r#"["reject",-1,["error","Error","no",null,{"w":["writable",-1],"c":["import",1]}]]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_writable_that_is_resolved_to_a_value_that_holds_it_is_dropped() {
    say_at_last(&[
        MAKE,
        r#"["push",["pipeline",0,["writeTo"],[["writable",-1]]]]"#,
        r#"["resolve",-1,{"w":["writable",-1],"c":["import",1]}]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_main_object_is_dropped_though_a_writable_was_resolved_to_it() {
    for batch in [false, true] {
        let application = Application::default();
        let mut peer = match batch {
            true => ScriptedPeer::batch_server(options(), application.main()),
            false => application.peer(),
        };
        peer.send(r#"["pull",0]"#);
        peer.send(r#"["reject",0,["promise",-4]]"#);
        let error = peer.send_fatal(r#"["resolve",-1,{"a":["pipeline",0],"b":["writable",-1]}]"#);
        assert!(error.is_protocol());
        idle().await;
        leave(application, [peer]).await;
    }
}

// ---------------------------------------------------------------- stubs that are resolved

#[tokio::test]
async fn a_stub_that_is_resolved_to_a_result_that_holds_it_is_dropped() {
    say_at_last(&[
        MAKE,
        r#"["push",["pipeline",0,["echo"],[{"a":["export",-1],"b":["promise",-2]}]]]"#,
        r#"["resolve",-2,0]"#,
        r#"["resolve",-1,{"q":["pipeline",2],"c":["import",1]}]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_stub_that_is_resolved_to_an_error_that_holds_it_is_dropped() {
    say_at_last(&[
        MAKE,
        r#"["push",["pipeline",0,["echo"],[["error","Error","m",null,{"a":["export",-1],"b":["promise",-2]}]]]]"#,
        r#"["resolve",-2,0]"#,
        r#"["resolve",-1,{"q":["pipeline",2],"c":["import",1]}]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_stub_that_is_resolved_to_a_map_that_captured_it_is_dropped() {
    say_at_last(&[
        MAKE,
        r#"["push",["pipeline",0,["echo"],[{"a":["promise",-2]}]]]"#,
        r#"["push",["remap",2,["a"],[["export",-1]],[{"s":["import",-1],"x":["pipeline",0]}]]]"#,
        r#"["resolve",-2,0]"#,
        r#"["resolve",-1,{"q":["pipeline",3],"c":["import",1]}]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_stub_that_is_resolved_to_a_rejection_that_holds_it_is_dropped() {
    say_at_last(&[
        MAKE,
        r#"["push",["pipeline",0,["fail"],[{"a":["export",-1],"c":["import",1]}]]]"#,
        r#"["resolve",-1,["pipeline",2]]"#,
    ])
    .await;
}

#[tokio::test]
async fn a_stub_that_is_resolved_to_a_map_in_arguments_that_captured_it_is_dropped() {
    say_at_last(&[
        MAKE,
        r#"["push",["pipeline",0,["echo"],[{"m":["remap",1,[],[["export",-1]],[{"s":["import",-1]}]]}]]]"#,
        r#"["resolve",-1,{"q":["pipeline",2],"c":["import",1]}]"#,
    ])
    .await;
}

#[tokio::test]
async fn stubs_of_two_sessions_that_are_resolved_to_each_other_are_dropped() {
    let application = Application::default();
    let (mut a, mut b) = (application.peer(), application.peer());
    a.send(MAKE);
    a.send(r#"["push",["pipeline",0,["put"],[["export",-1]]]]"#);
    b.send(r#"["push",["pipeline",0,["take"],[]]]"#);
    b.send(r#"["push",["pipeline",0,["put"],[["export",-1]]]]"#);
    a.send(r#"["push",["pipeline",0,["take"],[]]]"#);
    idle().await;
    let error = a.send_fatal(r#"["resolve",-1,{"q":["pipeline",3],"c":["import",1]}]"#);
    assert!(error.is_protocol());
    // The end of session A has dropped the stub that B's peer gave to it.
    b.send(r#"["resolve",-1,{"q":["pipeline",1]}]"#);
    idle().await;
    leave(application, [a, b]).await;
}

#[tokio::test]
async fn an_object_is_dropped_though_its_callback_was_resolved_to_it() {
    say_at_last(&[
        r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#,
        r#"["resolve",-1,["import",0]]"#,
    ])
    .await;
}

#[tokio::test]
async fn an_object_is_dropped_though_its_callback_was_resolved_to_an_error_that_holds_it() {
    say_at_last(&[
        r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#,
        r#"["resolve",-1,["error","Error","m",null,{"main":["import",0]}]]"#,
    ])
    .await;
}

// ---------------------------------------------------------------- values that are too large to walk

#[tokio::test]
async fn a_circle_behind_a_value_of_many_stubs_is_dropped() {
    let stubs = |first: u32, count: u32| {
        let stubs: Vec<_> = (first..first + count)
            .map(|id| format!(r#"["export",-{id}]"#))
            .collect();
        stubs.join(",")
    };
    let far = format!(
        r#"["resolve",-5,{{"l":[[{}]],"p":["promise",-6]}}]"#,
        stubs(100_000, 19_000)
    );
    let more = format!(r#"["resolve",-2,{{"l":[[{}]]}}]"#, stubs(200_000, 1500));
    say(&[
        MAKE,
        r#"["push",["pipeline",0,["echo"],[{"a":["promise",-1],"b":["promise",-2]}]]]"#,
        r#"["resolve",-1,{"s":["import",2],"z":["promise",-5],"c":["import",1]}]"#,
        &far,
        &more,
    ])
    .await;
}

// ---------------------------------------------------------------- what remains

#[tokio::test]
async fn circles_of_promises_through_two_sessions_are_dropped() {
    let application = Application::default();
    let (mut a, mut b) = (application.peer(), application.peer());
    for peer in [&mut a, &mut b] {
        peer.send(MAKE);
        peer.send(r#"["push",["pipeline",0,["echo"],[["promise",-1]]]]"#);
    }
    // Each receives the other's unfinished call as a stub.
    a.send(r#"["push",["pipeline",0,["put"],[["import",2]]]]"#);
    b.send(r#"["push",["pipeline",0,["take"],[]]]"#);
    b.send(r#"["push",["pipeline",0,["put"],[["import",2]]]]"#);
    a.send(r#"["push",["pipeline",0,["take"],[]]]"#);
    idle().await;
    a.send(r#"["resolve",-1,{"q":["import",4],"c":["import",1]}]"#);
    b.send(r#"["resolve",-1,{"q":["import",3],"c":["import",1]}]"#);
    idle().await;
    leave(application, [a, b]).await;
}

#[tokio::test]
async fn calls_on_the_answer_to_a_write_that_hold_the_stream_are_dropped() {
    for end in ["write", "close"] {
        let end = format!(r#"["push",["pipeline",2,["{end}"],["x"]]]"#);
        say(&[
            MAKE,
            r#"["pipe"]"#,
            r#"["stream",["pipeline",2,["write"],["first"]]]"#,
            &end,
            r#"["push",["pipeline",4,["f"],[["readable",2],["import",1]]]]"#,
        ])
        .await;
    }
}

#[tokio::test]
async fn calls_on_the_answer_to_a_forwarded_write_are_dropped() {
    for second_first in [false, true] {
        let application = Application::default();
        let (mut a, mut b) = (application.peer(), application.peer());
        a.send(MAKE);
        a.send(r#"["pipe"]"#);
        a.send(r#"["push",["pipeline",0,["put"],[["readable",2]]]]"#);
        b.send(r#"["push",["pipeline",0,["take"],[]]]"#);
        b.send(r#"["pull",1]"#);
        idle().await;
        // The chunk holds the object, and so does a call on the answer, which B owes.
        a.send(r#"["stream",["pipeline",2,["write"],[["import",1]]]]"#);
        a.send(r#"["push",["pipeline",4,["f"],[["import",1],["import",4]]]]"#);
        idle().await;
        let said = b.said();
        assert!(said.iter().any(|said| said.contains("write")), "{said:?}");
        let peers = if second_first { [b, a] } else { [a, b] };
        leave(application, peers).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_value_keeps_its_data_and_what_does_not_come_from_the_session() {
    let application = Application::default();
    let (mut a, mut b) = (application.peer(), application.peer());
    // A stub of session B reaches the application through session A, in a value with an object of
    // the application and a stub of A.
    b.send(r#"["push",["pipeline",0,["put"],[["export",-1]]]]"#);
    a.send(MAKE);
    a.send(r#"["push",["pipeline",0,["take"],[]]]"#);
    a.send(
        r#"["push",["pipeline",0,["put"],[{"n":[[1,2]],"b":["pipeline",2],"own":["import",1],"a":["export",-1]}]]]"#,
    );
    idle_on_paused_clock().await;
    a.connection.end(Error::disconnected("the peer went away"));
    drop(a);
    // Wait for longer than the grace period.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let kept = application.stored.lock().unwrap().pop().unwrap();
    assert_eq!(
        kept.pick("n").unwrap().decode::<Vec<u32>>().unwrap(),
        [1, 2]
    );
    let stub = |key: &str| kept.pick(key).unwrap().decode::<Stub>().unwrap();
    let own = stub("own")
        .call("no such method", ())
        .fetch::<Value>()
        .await;
    assert!(own.unwrap_err().is_type_error());
    let of_a = stub("a").invoke(()).fetch::<Value>().await;
    assert!(of_a.unwrap_err().is_disconnected());
    // Session B is alive, and so is its stub.
    let of_b = stub("b").invoke(());
    b.said();
    drop(of_b.fetch::<Value>().into_future());
    assert!(
        b.said()
            .iter()
            .any(|said| said.contains("-1") || said.contains("pull"))
    );
    drop((kept, b));
    application.forget();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(application.objects.count(), 0);
}

//! Announcements of a session's end.

use std::time::Duration;

use capnweb_core::{Error, Object, Payload, Value};
use futures_util::FutureExt;

use crate::support::{Gate, ScriptedPeer, connect, within};

#[test]
fn an_announcement_is_a_call_that_is_released() {
    let mut peer = ScriptedPeer::server(Object::new().into_stub());
    peer.session.announce_drain(Duration::from_millis(1500));
    peer.expect(r#"["push",["pipeline",0,["$draining"],[1500]]]"#);
    peer.expect(r#"["release",1,1]"#);
    peer.expect_empty();
    // The next call has the next ID, and answers to the announcement are ignored.
    peer.send(r#"["resolve",1,["undefined"]]"#);
    let _call = peer.session.main().call("a", ()).fetch::<Value>();
    peer.expect(r#"["push",["pipeline",0,["a"],[]]]"#);
    peer.expect(r#"["pull",2]"#);
}

#[test]
fn the_peer_learns_of_it_and_its_main_object_does_not() {
    let main = Object::new()
        .method("$draining", async |_: Payload| Ok("a call"))
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    let draining = peer.session.draining();
    let mut draining = Box::pin(draining);
    assert!(draining.as_mut().now_or_never().is_none());
    assert_eq!(peer.session.time_to_drain(), None);
    peer.send(r#"["push",["pipeline",0,["$draining"],[60000]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
    let left = draining.now_or_never().unwrap().unwrap();
    assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60));
    // The last announcement counts. If its result is requested, it is answered.
    peer.send(r#"["push",["pipeline",0,["$draining"],[0]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,["undefined"]]"#);
    assert_eq!(peer.session.time_to_drain(), Some(Duration::ZERO));
    // It is not an announcement without a time, or on another object.
    peer.send(r#"["push",["pipeline",0,["$draining"],["soon"]]]"#);
    peer.send(r#"["pull",3]"#);
    peer.expect(r#"["resolve",3,"a call"]"#);
}

#[test]
fn an_end_without_an_announcement_tells_that_there_was_none() {
    let mut peer = ScriptedPeer::client();
    let draining = peer.session.draining();
    peer.connection.end(Error::disconnected("gone"));
    assert_eq!(draining.now_or_never(), Some(None));
}

#[tokio::test]
async fn calls_go_on_in_both_directions_while_a_session_drains() {
    let session = connect(crate::support::calculator());
    let draining = session.client.draining();
    session.server.announce_drain(Duration::from_secs(5));
    assert!(within(draining).await.is_some());
    let sum = session.api.call("add", (1, 2)).fetch::<f64>();
    assert_eq!(within(sum).await.unwrap(), 3.0);
    session.settle().await;
}

#[test]
fn a_batch_announces_nothing() {
    let mut peer = ScriptedPeer::batch_client();
    peer.session.announce_drain(Duration::ZERO);
    peer.expect_silence();
}

#[tokio::test]
async fn refused_calls_do_not_run_and_what_runs_is_answered() {
    let slow = Gate::closed();
    let main = Object::new()
        .method("slow", {
            let slow = slow.clone();
            move || {
                let slow = slow.clone();
                async move {
                    slow.pass().await;
                    Ok("done")
                }
            }
        })
        .method("never", async || -> Result<(), Error> {
            panic!("this has run")
        })
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.session
        .refuse_calls(Error::unavailable("about to stop"));
    // The first reason counts.
    peer.session.refuse_calls(Error::new("again"));
    peer.send(r#"["pull",1]"#);
    // A call, a call on the result of one that runs, a read, and a map.
    for push in [
        r#"["pipeline",0,["never"],[]]"#,
        r#"["pipeline",1,["never"],[]]"#,
        r#"["pipeline",0,["never"]]"#,
        r#"["remap",1,[],[],[["pipeline",0,["never"],[]]]]"#,
    ] {
        peer.send(&format!(r#"["push",{push}]"#));
    }
    for id in 2..=5 {
        peer.send(&format!(r#"["pull",{id}]"#));
        peer.expect_rejected(id, "about to stop");
    }
    // A ping is answered.
    peer.send(r#"["push",null]"#);
    peer.send(r#"["pull",6]"#);
    peer.expect(r#"["resolve",6,null]"#);
    slow.open();
    let answered = async {
        loop {
            match peer.next() {
                Some(answer) => break answer,
                None => tokio::task::yield_now().await,
            }
        }
    };
    assert_eq!(within(answered).await, r#"["resolve",1,"done"]"#);
}

//! Blobs are collected before they are delivered.

use std::sync::{Arc, Mutex};

use capnweb_core::{Limits, Object, Payload, SessionOptions, Stub, fetch::Blob};
use serde::{Deserialize, Serialize};

use crate::support::{ScriptedPeer, connect, idle, within};

/// The arguments of all calls, in order.
type Seen = Arc<Mutex<Vec<String>>>;

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    blob: Blob,
}

fn api() -> (Stub, Seen) {
    let seen = Seen::default();
    let note = |seen: &Seen| {
        let seen = seen.clone();
        move |text: String| {
            seen.lock().unwrap().push(text.clone());
            Ok(text)
        }
    };
    let (one, two, named, plain) = (note(&seen), note(&seen), note(&seen), note(&seen));
    let api = Object::new()
        .sync_method("one", move |blob: Blob| one(blob.text().into_owned()))
        .sync_method("two", move |a: Blob, b: Blob| {
            two(format!("{}+{}", a.text(), b.text()))
        })
        .sync_method("named", move |it: Named| {
            named(format!("{}={}", it.name, it.blob.text()))
        })
        .sync_method("plain", move |text: String| plain(text))
        .sync_method("make", |text: String| Ok(Blob::new("a/b", text)))
        .sync_method("echo", |payload: Payload| Ok(payload))
        .into_stub();
    (api, seen)
}

fn limited(limit: usize) -> (ScriptedPeer, Seen) {
    let (api, seen) = api();
    let limits = Limits::default().with_max_blob_bytes(limit);
    let options = SessionOptions::new().with_limits(limits);
    (ScriptedPeer::with(options, api), seen)
}

fn write(pipe: u32, content: &str) -> String {
    format!(r#"["stream",["pipeline",{pipe},["write"],[["bytes","{content}"]]]]"#)
}

fn close(pipe: u32) -> String {
    format!(r#"["stream",["pipeline",{pipe},["close"],[]]]"#)
}

async fn said(peer: &mut ScriptedPeer) -> Vec<String> {
    idle().await;
    peer.said()
}

/// Returns the outcome that the session has sent for `id`.
fn outcome(said: &[String], id: u32) -> &str {
    let (resolve, reject) = (
        format!(r#"["resolve",{id},"#),
        format!(r#"["reject",{id},"#),
    );
    let found = said
        .iter()
        .find(|said| said.starts_with(&resolve) || said.starts_with(&reject));
    found.unwrap_or_else(|| panic!("no outcome of {id} in {said:?}"))
}

fn release(peer: &mut ScriptedPeer, ids: &[u32]) {
    for id in ids {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();
}

#[tokio::test]
async fn a_call_with_a_blob_waits_and_may_be_overtaken() {
    let (mut peer, seen) = limited(100);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["one"],[["blob","a/b",["readable",1]]]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.send(&write(1, "aGk"));
    idle().await;
    assert!(seen.lock().unwrap().is_empty());
    peer.send(r#"["push",["pipeline",0,["plain"],["later"]]]"#);
    assert_eq!(*seen.lock().unwrap(), ["later"]);
    peer.send(&close(1));
    let said = said(&mut peer).await;
    assert_eq!(*seen.lock().unwrap(), ["later", "hi"]);
    assert_eq!(outcome(&said, 2), r#"["resolve",2,"hi"]"#);
    release(&mut peer, &[1, 2, 4]);
}

#[tokio::test]
async fn a_call_may_carry_several_blobs() {
    let (mut peer, seen) = limited(2);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["pipe"]"#);
    peer.send(
        r#"["push",["pipeline",0,["two"],[["blob","",["readable",1]],["blob","",["readable",2]]]]]"#,
    );
    // The second blob is complete first, and each may be as large as the limit.
    peer.send(&write(2, "aGk"));
    peer.send(&close(2));
    idle().await;
    assert!(seen.lock().unwrap().is_empty());
    peer.send(&write(1, "aA"));
    peer.send(&write(1, "aQ"));
    peer.send(&close(1));
    said(&mut peer).await;
    assert_eq!(*seen.lock().unwrap(), ["hi+hi"]);
    release(&mut peer, &[1, 2, 3]);

    let (mut peer, seen) = limited(2);
    peer.send(r#"["pipe"]"#);
    peer.send(
        r#"["push",["pipeline",0,["named"],[{"name":"x","blob":["blob","",["readable",1]]}]]]"#,
    );
    peer.send(&close(1));
    said(&mut peer).await;
    assert_eq!(*seen.lock().unwrap(), ["x="]);
    release(&mut peer, &[1, 2]);
}

#[tokio::test]
async fn an_oversized_blob_rejects_its_call() {
    let (mut peer, seen) = limited(3);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["one"],[["blob","",["readable",1]]]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.send(&write(1, "aGk"));
    peer.send(&write(1, "aGk"));
    let first = said(&mut peer).await;
    assert!(
        outcome(&first, 2).contains("more than 3 bytes (limit max_blob_bytes)"),
        "{first:?}"
    );
    // The rest is rejected, but the session continues.
    peer.send(&write(1, "aGk"));
    let rest = said(&mut peer).await;
    assert!(outcome(&rest, 5).starts_with(r#"["reject",5,"#), "{rest:?}");
    assert!(seen.lock().unwrap().is_empty());
    peer.send(r#"["push",["pipeline",0,["plain"],["alive"]]]"#);
    assert_eq!(*seen.lock().unwrap(), ["alive"]);
    release(&mut peer, &[1, 2, 6]);
}

#[tokio::test]
async fn an_aborted_blob_rejects_its_call() {
    let abort = r#"["stream",["pipeline",1,["abort"],[["error","RangeError","no more"]]]]"#;
    for (last, expected) in [
        (abort, "no more"),
        (r#"["release",1,1]"#, "before it was closed"),
        (
            r#"["stream",["pipeline",1,["write"],["text"]]]"#,
            "TypeError",
        ),
    ] {
        let (mut peer, seen) = limited(100);
        peer.send(r#"["pipe"]"#);
        peer.send(r#"["push",["pipeline",0,["one"],[["blob","",["readable",1]]]]]"#);
        peer.send(r#"["pull",2]"#);
        peer.send(&write(1, "aGk"));
        idle().await;
        peer.send(last);
        let said = said(&mut peer).await;
        assert!(outcome(&said, 2).starts_with(r#"["reject",2,"#), "{said:?}");
        assert!(outcome(&said, 2).contains(expected), "{said:?}");
        assert!(seen.lock().unwrap().is_empty());
        let ids: &[u32] = if last.contains("release") {
            &[2]
        } else {
            &[1, 2]
        };
        release(&mut peer, ids);
    }
}

#[tokio::test]
async fn an_unfinished_blob_is_dropped_with_its_session() {
    let (mut peer, seen) = limited(100);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["one"],[["blob","",["readable",1]]]]]"#);
    peer.send(&write(1, "aGk"));
    idle().await;
    peer.send_fatal(r#"["abort",["error","Error","gone"]]"#);
    idle().await;
    assert!(seen.lock().unwrap().is_empty());
    let stats = peer.session.stats();
    assert_eq!((stats.imports, stats.exports), (0, 0));
}

#[tokio::test]
async fn collected_blob_bytes_count_as_held() {
    let (api, _) = api();
    let limits = Limits::default().with_max_held_bytes(2000);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_limits(limits), api);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["one"],[["blob","",["readable",1]]]]]"#);
    peer.send(&write(1, &"A".repeat(4000)));
    idle().await;
    let error = within(peer.connection.ended()).await;
    assert!(error.to_string().contains("max_held_bytes"), "{error}");
}

#[tokio::test]
async fn a_result_may_carry_a_blob() {
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("make", ("x",)).fetch::<Blob>();
    peer.expect(r#"["push",["pipeline",0,["make"],["x"]]]"#);
    peer.expect(r#"["pull",1]"#);
    let call = tokio::spawn(call);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["resolve",1,["blob","a/b",["readable",1]]]"#);
    peer.send(&write(1, "aGk"));
    idle().await;
    assert!(!call.is_finished());
    peer.send(&close(1));
    let blob = within(call).await.unwrap().unwrap();
    assert_eq!(blob, Blob::new("a/b", "hi"));
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn blobs_cross_between_sessions_and_locally() {
    let (api, seen) = api();
    let connected = connect(api.clone());
    for api in [&connected.api, &api] {
        let long = "x".repeat(200_000);
        let blob = api
            .call("echo", (Blob::new("a/b", long.clone()),))
            .fetch::<Blob>();
        assert_eq!(within(blob).await.unwrap(), Blob::new("a/b", long));
        // The blob goes from one call into the next.
        let made = api.call("make", ("made",));
        within(api.call("one", (made,)).fetch::<String>())
            .await
            .unwrap();
    }
    connected.settle().await;
    assert_eq!(*seen.lock().unwrap(), ["made", "made"]);
}

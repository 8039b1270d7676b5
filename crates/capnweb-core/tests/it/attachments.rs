//! Attachments from a peer: a message with them means the same as its text with the bytes inserted.

use std::sync::{Arc, Mutex};

use capnweb_core::{Attachment, Bytes, Container, Object, Payload, Stub};

use crate::support::{ScriptedPeer, connect, eventually, within};

const PLACE: &str = r#"["bytes",""]"#;

/// Returns an attachment for each position in the text where bytes could be missing.
fn attachments(text: &str) -> Vec<Attachment> {
    let place = |(number, (at, _)): (usize, (usize, &str))| Attachment {
        span: capnweb_wire::Span {
            start: u32::try_from(at).unwrap(),
            end: u32::try_from(at + PLACE.len()).unwrap(),
        },
        bytes: vec![u8::try_from(number + 1).unwrap(); 1500].into(),
        container: Container::Uint8Array,
    };
    text.match_indices(PLACE).enumerate().map(place).collect()
}

fn inlined(text: &str) -> String {
    let mut whole = Vec::new();
    Attachment::inline(text.as_bytes(), &attachments(text), &mut whole);
    String::from_utf8(whole).unwrap()
}

fn send(script: &mut ScriptedPeer, text: &str) {
    (script.connection)
        .receive_attached(text, &attachments(text))
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

fn service() -> Stub {
    Object::new()
        .sync_method("echo", |value: Payload| Ok(value))
        .sync_method("bytes", |value: Payload| Ok(value))
        .sync_method("two", |a: Payload, b: Payload| Ok((a, b)))
        .sync_method("swap", |a: Payload, b: Payload| Ok((b, a)))
        .into_stub()
}

#[test]
fn elements_after_an_expression_are_no_part_of_it() {
    let mut script = ScriptedPeer::server(service());
    send(&mut script, r#"["push",5,["bytes",""]]"#);
    send(&mut script, r#"["pull",1,["bytes",""]]"#);
    script.expect(r#"["resolve",1,5]"#);
    send(
        &mut script,
        r#"["push",["pipeline",0,["echo"],[[[1]]]],["bytes",""]]"#,
    );
    send(&mut script, r#"["pull",2]"#);
    script.expect(r#"["resolve",2,[[1]]]"#);
    send(
        &mut script,
        r#"["stream",["pipeline",0,["echo"],[7]],["bytes",""]]"#,
    );
    script.expect(r#"["resolve",3,7]"#);
}

#[tokio::test]
async fn elements_after_an_outcome_are_no_part_of_it() {
    let mut script = ScriptedPeer::client();
    let main = script.session.main();
    let (value, failure) = (main.call("a", ()), main.call("b", ()));
    send(&mut script, r#"["resolve",1,5,["bytes",""]]"#);
    send(
        &mut script,
        r#"["reject",2,["error","Error","m"],["bytes",""],{"a":["bytes",""]}]"#,
    );
    assert_eq!(within(value.fetch::<u32>()).await.unwrap(), 5);
    let error = within(failure.fetch::<u32>()).await.unwrap_err();
    assert_eq!(error.message(), "m");
}

#[tokio::test]
async fn forwarded_messages_equal_the_originals() {
    let shared = connect(service());
    let mut script = ScriptedPeer::server(shared.api.clone());
    for (id, (args, expected)) in [
        (r#"[1]],["bytes",""]]"#, "1"),
        (r#"[[[["bytes",""]]]]],["bytes",""]]"#, ""),
        (r#"["bytes",["bytes",""]]],["bytes",""]]"#, r#""bytes""#),
        (r#"["bytes",""]]]"#, r#""bytes""#),
    ]
    .into_iter()
    .enumerate()
    {
        send(
            &mut script,
            &format!(r#"["push",["pipeline",0,["echo"],{args}"#),
        );
        send(&mut script, &format!(r#"["pull",{}]"#, id + 1));
        within(script.connection.answered()).await;
        let said = script.next().unwrap();
        let mut whole = format!(r#"["resolve",{},{expected}]"#, id + 1);
        if expected.is_empty() {
            whole = inlined(&format!(r#"["resolve",{},[[["bytes",""]]]]"#, id + 1));
        }
        assert_eq!(said, whole);
    }
    assert!(shared.client.stats().imports > 0);
    let alive = shared.api.call("echo", (1,)).fetch::<u32>();
    assert_eq!(within(alive).await.unwrap(), 1);
}

/// Messages with bytes as values, in positions where none are allowed, and in ignored positions.
const ODD: [&str; 20] = [
    r#"["push",["bytes",""]]"#,
    r#"["push",[["bytes",""]]]"#,
    r#"["push",[[["bytes",""],[["bytes",""]]]],["bytes",""]]"#,
    r#"["push",["pipeline",0,["bytes",""],[["bytes",""]]]]"#,
    r#"["push",["pipeline",0,["bytes"],[["bytes",""]]]]"#,
    r#"["push",["pipeline",0,["two"],["bytes",""]]]"#,
    r#"["push",["pipeline",0,["two"],["remap",["bytes",""]]]]"#,
    r#"["push",["pipeline",0,["two"],[{"a":["bytes",""]},["bytes",""]]],["bytes",""]]"#,
    r#"["push",["remap",0,["bytes",""],[["import",0]],[["bytes",""]]]]"#,
    r#"["push",["remap",0,[],[["import",0]],[["pipeline",-1,["echo"],[["bytes",""]]]]],["bytes",""]]"#,
    r#"["push",["date",0,["bytes",""]]]"#,
    r#"["push",{"a":["bigint","1",["bytes",""]],"b":["bytes",""]}]"#,
    r#"["push",["nan",["bytes",""]]]"#,
    r#"["push",["error","Error","m",["bytes",""],{"stack":["bytes",""],"a":["bytes",""]},["bytes",""]]]"#,
    r#"["push",{"a":["bytes",""],"a":["bytes",""]}]"#,
    r#"["push",["request","a:b",{"body":["bytes",""],"method":"PUT","cf":["bytes",""]}]]"#,
    r#"["push",["response",["bytes",""],{"headers":[["bytes","x"]],"cf":{"a":["bytes",""]}}]]"#,
    r#"["push",["headers",[["bytes",""]]]]"#,
    r#"["push",["error","Error","m",null,{"a":["bytes",""]}]]"#,
    r#"["push",["export",-1,["bytes",""]]]"#,
];

/// Returns a session's answers to a message and to a pull of its outcome.
fn said(take: impl FnOnce(&mut ScriptedPeer)) -> Vec<String> {
    let mut script = ScriptedPeer::server(service());
    take(&mut script);
    script.send(r#"["pull",1]"#);
    std::iter::from_fn(|| script.next()).collect()
}

#[test]
fn a_message_with_attachments_equals_its_text() {
    for text in ODD {
        let expected = said(|script| script.send(&inlined(text)));
        assert_eq!(said(|script| send(script, text)), expected, "{text}");
    }
}

/// Packs the text as MessagePack, with bytes wherever some could be.
#[cfg(feature = "message-pack")]
fn pack(value: &serde_json::Value, number: &mut u8, out: &mut Vec<u8>) {
    use serde_json::Value as Json;
    let len = |len: usize| u8::try_from(len).unwrap();
    match value {
        Json::Null => out.push(0xc0),
        Json::Bool(value) => out.push(0xc2 + u8::from(*value)),
        Json::Number(number) => {
            out.push(0xd3);
            out.extend_from_slice(&number.as_i64().unwrap().to_be_bytes());
        }
        Json::String(text) => {
            out.extend_from_slice(&[0xd9, len(text.len())]);
            out.extend_from_slice(text.as_bytes());
        }
        Json::Array(items) => {
            out.push(0x90 + len(items.len()));
            let is_bytes = *value == serde_json::json!(["bytes", ""]);
            for item in items {
                if is_bytes && item == "" {
                    *number += 1;
                    out.extend_from_slice(&[0xc5, 5, 220]);
                    out.extend_from_slice(&[*number; 1500]);
                } else {
                    pack(item, number, out);
                }
            }
        }
        Json::Object(members) => {
            out.push(0x80 + len(members.len()));
            for (key, value) in members {
                pack(&Json::String(key.clone()), number, out);
                pack(value, number, out);
            }
        }
    }
}

#[cfg(feature = "message-pack")]
#[test]
fn a_packed_message_equals_its_text() {
    let limits = capnweb_core::Limits::default();
    let odder = [
        r#"["push",["bytes",["bytes",""]]]"#,
        r#"["push",["date",0,["bytes","","DataView",["bytes",""]]]]"#,
        r#"["push",5,["bytes","",["bytes",""]]]"#,
    ];
    for text in ODD.iter().chain(&odder) {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        // The bytes are inserted in the order in which they are packed.
        let text = json.to_string();
        let mut packed = Vec::new();
        pack(&json, &mut 0, &mut packed);
        let (mut message, mut attachments) = (String::new(), Vec::new());
        capnweb_core::Encoding::MessagePack
            .decode_attached(&packed, &limits, &mut message, &mut attachments)
            .unwrap();
        let expected = said_or_refused(|script| script.connection.receive(&inlined(&text)));
        let found =
            said_or_refused(|script| script.connection.receive_attached(&message, &attachments));
        assert_eq!(found, expected, "{text}");
    }
}

#[cfg(feature = "message-pack")]
fn said_or_refused(
    take: impl FnOnce(&mut ScriptedPeer) -> capnweb_core::Result<()>,
) -> Result<Vec<String>, String> {
    let mut script = ScriptedPeer::server(service());
    take(&mut script).map_err(|error| error.to_string())?;
    script.send(r#"["pull",1]"#);
    Ok(std::iter::from_fn(|| script.next()).collect())
}

/// The owner of memory. It uses a session when the memory is freed.
struct Owner {
    bytes: Vec<u8>,
    stub: Stub,
    dropped: Arc<Mutex<u32>>,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // This one is dropped at once, which locks the session.
        drop(self.stub.call("x", ()));
        *self.dropped.lock().unwrap() += 1;
    }
}

fn owned(stub: &Stub, dropped: &Arc<Mutex<u32>>) -> Bytes {
    Bytes::from_owner(Owner {
        bytes: vec![7; 2000],
        stub: stub.clone(),
        dropped: dropped.clone(),
    })
}

/// Receives a message that consists of `before`, the bytes and `after`.
fn receive_owned(script: &mut ScriptedPeer, before: &str, after: &str, bytes: Bytes) {
    let message = format!("{before}{PLACE}{after}");
    let attachment = Attachment {
        bytes,
        ..attachments(&message).remove(0)
    };
    (script.connection)
        .receive_attached(&message, &[attachment])
        .unwrap();
}

#[test]
fn the_owner_of_bytes_may_use_the_session_when_the_peer_lets_go() {
    let dropped = Arc::new(Mutex::new(0));
    let mut script = ScriptedPeer::server(service());
    let main = script.session.main();
    let receive = |script: &mut ScriptedPeer, before: &str, after: &str| {
        receive_owned(script, before, after, owned(&main, &dropped));
    };
    let check = |expected: u32| assert_eq!(*dropped.lock().unwrap(), expected);
    // A result, whether pulled or not, and an argument that became one.
    receive(&mut script, r#"["push","#, "]");
    script.send(r#"["pull",1]"#);
    while script.next().is_some() {}
    check(0);
    script.send(r#"["release",1,1]"#);
    check(1);
    receive(&mut script, r#"["push",[["#, "]]]");
    script.send(r#"["release",2,1]"#);
    check(2);
    receive(&mut script, r#"["push",["pipeline",0,["echo"],["#, "]]]");
    script.send(r#"["release",3,1]"#);
    check(3);
    // This one is answered without a pull, and released with the answer.
    receive(&mut script, r#"["stream",["pipeline",0,["echo"],["#, "]]]");
    while script.next().is_some() {}
    check(4);
    // The bytes come after the expression.
    receive(&mut script, r#"["push",5,"#, "]");
    check(5);
    // A stream that nobody reads, and one that is aborted twice.
    script.send(r#"["pipe"]"#);
    receive(&mut script, r#"["stream",["pipeline",6,["write"],["#, "]]]");
    receive(&mut script, r#"["stream",["pipeline",6,["abort"],["#, "]]]");
    receive(&mut script, r#"["stream",["pipeline",6,["abort"],["#, "]]]");
    script.send(r#"["release",6,1]"#);
    check(8);
    // The session ends.
    receive(&mut script, r#"["push","#, "]");
    script.connection.end(capnweb_core::Error::new("over"));
    check(9);
}

#[test]
fn the_owner_of_bytes_may_use_the_session_when_an_outcome_goes() {
    let dropped = Arc::new(Mutex::new(0));
    let mut script = ScriptedPeer::client();
    let main = script.session.main();
    let check = |expected: u32| assert_eq!(*dropped.lock().unwrap(), expected);
    let held = main.call("a", ());
    let bytes = owned(&main, &dropped);
    receive_owned(&mut script, r#"["resolve",1,"#, "]", bytes);
    check(0);
    drop(held);
    check(1);
    // Nobody needs this one.
    let bytes = owned(&main, &dropped);
    receive_owned(&mut script, r#"["resolve",1,"#, "]", bytes);
    check(2);
    let failed = main.call("b", ());
    let bytes = owned(&main, &dropped);
    let before = r#"["reject",4,["error","Error","m",null,{"a":"#;
    receive_owned(&mut script, before, "}]]", bytes);
    drop(failed);
    check(3);
}

#[tokio::test]
async fn the_owner_of_bytes_may_use_the_session_that_sends_them() {
    let dropped = Arc::new(Mutex::new(0));
    let shared = connect(service());
    let mut script = ScriptedPeer::server(shared.api.clone());
    let bytes = owned(&shared.api, &dropped);
    let before = r#"["push",["pipeline",0,["echo"],["#;
    receive_owned(&mut script, before, "]]]", bytes);
    script.send(r#"["pull",1]"#);
    within(script.connection.answered()).await;
    script.send(r#"["release",1,1]"#);
    while script.next().is_some() {}
    let gone = || *dropped.lock().unwrap() > 0;
    eventually(|| "the bytes are not dropped", gone).await;
}

/// The result is an array that looks like a special form.
#[cfg(feature = "message-pack")]
#[tokio::test]
async fn calls_with_long_bytes_are_forwarded_among_others() {
    use capnweb_core::{Encoding, FramesTransport, Limits, Session, SessionOptions};

    use crate::support::idle;

    let limits = Limits::default();
    let (left, right) = tokio::io::duplex(1 << 16);
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(service());
    let (shared, client) = Session::client(SessionOptions::new());
    let encoding = Encoding::MessagePack;
    tokio::spawn(server.drive(FramesTransport::new(left, encoding, &limits)));
    tokio::spawn(client.drive(FramesTransport::new(right, encoding, &limits)));
    let mut script = ScriptedPeer::server(shared.main());
    script.send(r#"["push",["pipeline",0,["a"],["two"]]]"#);
    idle().await;
    send(
        &mut script,
        r#"["stream",["pipeline",0,["swap"],[["bytes",""],"bytes",116]]]"#,
    );
    idle().await;
    script.send(r#"["stream",["pipeline",0,["two"],["bytes"]]]"#);
    let mut said = Vec::new();
    let answered = || {
        said.extend(script.said());
        said.len() == 2
    };
    eventually(|| "the calls are not answered", answered).await;
    assert!(
        said[0].starts_with(r#"["resolve",2,[["bytes",["bytes",""#),
        "{said:?}"
    );
    assert_eq!(said[1], r#"["resolve",3,[["bytes",["undefined"]]]]"#);
    assert_eq!(shared.end_reason().map(|reason| reason.to_string()), None);
}

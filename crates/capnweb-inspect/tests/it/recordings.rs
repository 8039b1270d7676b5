//! Reading and writing recordings.

use capnweb_inspect::{
    Body, Entry, Event, Header, ReadError, Reader, Recording, Side, TransportKind, Writer,
};
use proptest::prelude::*;

fn written(entries: &[Entry]) -> String {
    let mut writer = Writer::new(Vec::new(), &Header::default()).unwrap();
    entries
        .iter()
        .for_each(|entry| writer.write(entry).unwrap());
    String::from_utf8(writer.into_inner()).unwrap()
}

fn body() -> impl Strategy<Value = Body> {
    let message = prop_oneof![
        any::<String>(),
        any::<String>().prop_map(|text| format!("[{text:?}]")),
        Just(r#"["push", ["pipeline",0,["\ud83d"],[1e400,1.0]] ]"#.to_owned()),
        Just("[\"pull\",\n1]".to_owned()),
        Just(" [\"pipe\"]".to_owned()),
    ];
    prop_oneof![
        message.clone().prop_map(Body::Text),
        message.clone().prop_map(Body::BinaryText),
        message.prop_map(Body::MessagePack),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Body::Opaque),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(bodies in prop::collection::vec((any::<bool>(), body(), 0..1_000_000_u32), 0..10)) {
        let mut entries = vec![Entry::new(0.0, 7, Event::Open { transport: TransportKind::WebSocket, path: "/a?b".into() })];
        entries.extend(bodies.into_iter().map(|(is_client, body, micros)| {
            let from = if is_client { Side::Client } else { Side::Server };
            Entry::new(f64::from(micros) / 1000.0, 7, Event::Message { from, body })
        }));
        entries.push(Entry::new(1.5, 7, Event::Close { reason: "1000".into() }));
        let text = written(&entries);
        prop_assert_eq!(text.lines().count(), entries.len() + 1);
        let read = Recording::read(text.as_bytes()).unwrap();
        prop_assert_eq!(read.entries, entries);
    }
}

#[test]
fn messages_stand_in_lines_as_they_are() {
    let body = Body::Text(r#"["push", ["pipeline",0,["f"],[1.0]]]"#.to_owned());
    let text = written(&[Entry::new(
        1.23456,
        1,
        Event::Message {
            from: Side::Client,
            body,
        },
    )]);
    assert_eq!(
        text,
        "{\"capnweb\":\"recording\",\"version\":1}\n\
         {\"t\":1.235,\"session\":1,\"dir\":\"c2s\",\"msg\":[\"push\", [\"pipeline\",0,[\"f\"],[1.0]]]}\n"
    );
}

#[test]
fn a_line_that_was_cut_off_is_left_out() {
    let text = "{\"capnweb\":\"recording\",\"version\":1}\n{\"t\":0,\"session\":1,\"close\":{}}\n{\"t\":0,\"ses";
    let mut reader = Reader::new(text.as_bytes()).unwrap();
    assert_eq!(reader.by_ref().count(), 1);
    assert!(reader.is_cut());
}

#[test]
fn members_of_later_times_are_ignored() {
    let text = "{\"capnweb\":\"recording\",\"version\":1,\"new\":1}\n\n{\"t\":0,\"session\":1,\"new\":2,\"open\":{\"transport\":\"quic\",\"x\":1}}\n";
    let read = Recording::read(text.as_bytes()).unwrap();
    assert_eq!(
        read.entries[0].event,
        Event::Open {
            transport: TransportKind::Other,
            path: String::new()
        }
    );
}

#[test]
fn what_is_no_recording_is_refused() {
    let refused = |text: &str| Recording::read(text.as_bytes()).unwrap_err().to_string();
    for text in [
        "",
        "{}",
        "[\"push\",1]\n",
        "{\"capnweb\":\"x\",\"version\":1}\n",
    ] {
        assert!(refused(text).starts_with("this is no recording"), "{text}");
    }
    assert!(matches!(
        Recording::read(&b"\xff\xfe"[..]),
        Err(ReadError::NotARecording)
    ));
    assert_eq!(
        refused("{\"capnweb\":\"recording\",\"version\":9}\n"),
        "this recording is of version 9 of the format, and this program reads up to 1"
    );
    let header = "{\"capnweb\":\"recording\",\"version\":1}\n";
    for (line, why) in [
        (
            "{\"t\":0,\"session\":1}\n",
            "line 2: it has not one of `dir`, `open` and `close`",
        ),
        (
            "{\"t\":0,\"session\":1,\"dir\":\"c2s\"}\n",
            "line 2: it has not one of `msg`, `raw` and `base64`",
        ),
        (
            "{\"t\":0,\"session\":1,\"dir\":\"c2s\",\"base64\":\"!\"}\n",
            "line 2: `base64`: ",
        ),
        ("{\"t\":0\n", "line 2: EOF"),
    ] {
        let message = refused(&format!("{header}{line}"));
        assert!(message.starts_with(why), "{message}");
    }
}

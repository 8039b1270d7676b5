//! Byte strings that are kept out of the text of payloads and messages. They are plain data however
//! they are passed.

use capnweb_core::{
    Binary, ByteStream, Bytes, Container, Error, FramesTransport, Limits, LinesTransport, Object,
    Payload, Readable, Session, SessionOptions, Stub, TypedArray, Value,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, duplex};

use crate::{
    frame_transport::encodings,
    support::{ScriptedPeer, connect, within},
};

/// Returns bytes that vary with the position and the seed.
fn bytes(len: usize, seed: usize) -> Bytes {
    (0..len)
        .map(|at| u8::try_from((at * 31 + seed) % 251).unwrap())
        .collect()
}

/// Lengths around the one from which byte strings are kept out of the text.
const LENGTHS: [usize; 6] = [0, 1, 1023, 1024, 1025, 100_000];

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Picture {
    name: String,
    data: Bytes,
    thumbnail: Option<Bytes>,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    samples: TypedArray<f32>,
    tail: u32,
}

fn picture(len: usize) -> Picture {
    Picture {
        name: "a \"picture\"".to_owned(),
        data: bytes(len, 1),
        thumbnail: (len > 1).then(|| bytes(len, 2)),
        raw: bytes(len, 3).to_vec(),
        samples: (0..u16::try_from(len / 4).unwrap())
            .map(f32::from)
            .collect(),
        tail: 7,
    }
}

fn service() -> Stub {
    Object::new()
        .method("echo", async |value: Payload| Ok(value))
        .sync_method("bytes", |bytes: Bytes| Ok(bytes))
        .sync_method("value", |value: Value| Ok(value))
        .sync_method("picture", |picture: Picture| Ok(picture))
        .sync_method("len", |bytes: Bytes| Ok(bytes.len()))
        .sync_method("make", |len: usize| Ok(picture(len)))
        .sync_method("album", |len: usize| {
            Ok(vec![picture(len), picture(len + 4)])
        })
        .sync_method("fail", |bytes: Bytes| {
            let error = Error::new("with bytes").with_prop("data", &bytes);
            Err::<(), _>(error.with_prop("plain", 1))
        })
        .sync_method("error", |bytes: Bytes| {
            Ok(Error::new("kept").with_prop("data", &bytes))
        })
        .method("call", |f: Stub, bytes: Bytes| async move {
            f.invoke((&bytes, bytes.len())).fetch::<Bytes>().await
        })
        .method("read", async |mut stream: ByteStream| {
            let mut all = Vec::new();
            stream
                .read_to_end(&mut all)
                .await
                .map_err(|error| Error::new(error.to_string()))?;
            Ok(Bytes::from(all))
        })
        .method("chunks", |lengths: Vec<usize>| async move {
            Ok(Readable::<Bytes>::from_stream(
                stream::iter(lengths).map(|len| bytes(len, len)),
            ))
        })
        .into_stub()
}

/// Returns the service by every path.
fn ways() -> Vec<(String, Stub)> {
    let mut ways = vec![
        ("local".to_owned(), service()),
        ("pair".to_owned(), connect(service()).api),
        // A proxy between two sessions.
        ("proxy".to_owned(), connect(connect(service()).api).api),
    ];
    let limits = Limits::default();
    let session = || {
        let (_, mut server) = Session::server(SessionOptions::new());
        server.set_main(service());
        let (session, client) = Session::client(SessionOptions::new());
        (server, client, session.main())
    };
    let (left, right) = duplex(10_000);
    let (server, client, api) = session();
    tokio::spawn(server.drive(LinesTransport::new(left, &limits)));
    tokio::spawn(client.drive(LinesTransport::new(right, &limits)));
    ways.push(("proxy of lines".to_owned(), connect(api.clone()).api));
    ways.push(("lines".to_owned(), api));
    for encoding in encodings() {
        let (left, right) = duplex(10_000);
        let (server, client, api) = session();
        tokio::spawn(server.drive(FramesTransport::new(left, encoding, &limits)));
        tokio::spawn(client.drive(FramesTransport::new(right, encoding, &limits)));
        ways.push((format!("frames in {encoding:?}"), api));
    }
    ways
}

#[tokio::test]
async fn long_bytes_are_echoed_unchanged() {
    for (way, api) in ways() {
        for len in LENGTHS {
            let sent = bytes(len, 5);
            for method in ["bytes", "echo", "value"] {
                let back: Bytes = within(api.call(method, (&sent,)).fetch()).await.unwrap();
                assert!(back == sent, "{way} {method} {len}");
            }
            let sent = picture(len);
            for method in ["picture", "echo", "value"] {
                let back: Picture = within(api.call(method, (&sent,)).fetch()).await.unwrap();
                assert!(back == sent, "{way} {method} {len}");
            }
            let made: Picture = within(api.call("make", (len,)).fetch()).await.unwrap();
            assert!(made == sent, "{way} {len}");
        }
    }
}

#[tokio::test]
async fn long_bytes_keep_their_container_type() {
    let containers = [
        Container::ArrayBuffer,
        Container::DataView,
        Container::Int8Array,
        Container::Uint8ClampedArray,
        Container::Float64Array,
    ];
    for (way, api) in ways() {
        for container in containers {
            let sent = Value::from(Binary::new(container, bytes(4096, 1)).unwrap());
            for method in ["value", "echo"] {
                let back: Value = within(api.call(method, (&sent,)).fetch()).await.unwrap();
                assert!(back == sent, "{way} {method} {container:?}");
            }
        }
        let floats = TypedArray((0..1000).map(f64::from).collect());
        let back: TypedArray<f64> = within(api.call("echo", (&floats,)).fetch()).await.unwrap();
        assert!(back == floats, "{way}");
        // Bytes can be read as a list of numbers, but not as another typed array.
        let list: Vec<f64> = within(api.call("echo", (&floats,)).fetch()).await.unwrap();
        assert!(list == floats.0, "{way}");
        let other = within(api.call("echo", (&floats,)).fetch::<TypedArray<f32>>()).await;
        let message = other.unwrap_err().to_string();
        assert!(
            message.contains("expected Float32Array, got Float64Array"),
            "{message}"
        );
        let none = within(api.call("echo", (&floats,)).fetch::<String>()).await;
        let message = none.unwrap_err().to_string();
        assert!(message.contains("bytes"), "{message}");
    }
}

#[tokio::test]
async fn properties_of_values_with_long_bytes_can_be_pipelined() {
    for (way, api) in ways() {
        let made = api.call("make", (5000,));
        let data = made.get("data");
        // They are substituted as an argument, and picked when they are read.
        let len = api.call("len", (&data,)).fetch::<usize>();
        let none = made.get("data").get("length").fetch::<Option<usize>>();
        let tail = made.get("tail").fetch::<u32>();
        let back: Bytes = within(data.fetch()).await.unwrap();
        assert!(back == picture(5000).data, "{way}");
        assert_eq!(within(len).await.unwrap(), 5000, "{way}");
        assert_eq!(within(none).await.unwrap(), None, "{way}");
        assert_eq!(within(tail).await.unwrap(), 7, "{way}");
        let through = made.get("data").get("a").get("b").fetch::<Value>();
        let error = within(through).await.unwrap_err();
        assert!(
            error
                .message()
                .starts_with("Cannot read properties of undefined"),
            "{error}"
        );
        let called = made.get("data").call("slice", ()).fetch::<Value>();
        assert!(
            within(called)
                .await
                .unwrap_err()
                .message()
                .contains("is not a function")
        );
    }
}

#[tokio::test]
async fn maps_take_and_return_long_bytes() {
    for (way, api) in ways() {
        let album = api.call("album", (2000,));
        let constant = bytes(3000, 9);
        let mapped = album.map(|picture| {
            (
                picture.get("data"),
                api.call("len", (picture.get("data"),)),
                constant.clone(),
            )
        });
        let mapped: Vec<(Bytes, usize, Bytes)> = within(mapped.fetch()).await.unwrap();
        for ((data, len, copy), expected) in mapped.iter().zip([2000, 2004]) {
            assert!(*data == picture(expected).data && *len == expected, "{way}");
            assert!(*copy == constant, "{way}");
        }
        // They are not an array, so the function is applied once.
        let data = api.call("make", (2000,)).get("data");
        let once: usize = within(data.map(|data| api.call("len", (data,))).fetch())
            .await
            .unwrap();
        assert_eq!(once, 2000, "{way}");
    }
}

#[tokio::test]
async fn error_properties_may_hold_long_bytes() {
    for (way, api) in ways() {
        let sent = bytes(3000, 4);
        let error = within(api.call("fail", (&sent,)).fetch::<()>())
            .await
            .unwrap_err();
        assert!(error.prop::<Bytes>("data").unwrap() == sent, "{way}");
        assert_eq!(error.prop::<u32>("plain").unwrap(), 1, "{way}");
        let kept: Error = within(api.call("error", (&sent,)).fetch()).await.unwrap();
        assert!(kept.prop::<Bytes>("data").unwrap() == sent, "{way}");
    }
}

#[tokio::test]
async fn callbacks_and_streams_carry_long_bytes() {
    for (way, api) in ways() {
        let sent = bytes(5000, 6);
        let reverse = Stub::function(async |bytes: Bytes, len: usize| {
            assert_eq!(bytes.len(), len);
            Ok(bytes.iter().rev().copied().collect::<Bytes>())
        });
        let back = api.call("call", (reverse, &sent)).fetch::<Bytes>();
        let back = within(back).await.unwrap();
        assert!(back.iter().eq(sent.iter().rev()), "{way}");

        let long = bytes(300_000, 7);
        let reader = ByteStream::from_reader(std::io::Cursor::new(long.clone()));
        let read = within(api.call("read", (reader,)).fetch::<Bytes>()).await;
        assert!(read.unwrap() == long, "{way}");

        let lengths: Vec<usize> = LENGTHS.iter().copied().cycle().take(40).collect();
        let chunks = api.call("chunks", (&lengths,)).fetch::<Readable<Bytes>>();
        let chunks = within(chunks).await.unwrap().try_collect::<Vec<_>>();
        let chunks = within(chunks).await.unwrap();
        let expected: Vec<_> = lengths.iter().map(|len| bytes(*len, *len)).collect();
        assert!(chunks == expected, "{way}");
    }
}

#[test]
fn json_encodes_long_bytes_as_base64() {
    for len in LENGTHS {
        let mut script = ScriptedPeer::server(service());
        script.send(&format!(r#"["push",["pipeline",0,["make"],[{len}]]]"#));
        script.send(r#"["pull",1]"#);
        let said = script.next().unwrap();
        let text = format!("{:?}", picture(len).name);
        assert!(
            said.starts_with(&format!(
                r#"["resolve",1,{{"name":{text},"data":["bytes",""#
            )),
            "{said}"
        );
        let json: serde_json::Value = serde_json::from_str(&said).unwrap();
        let digits = json[2]["data"][1].as_str().unwrap();
        assert_eq!(digits.len(), (len * 4).div_ceil(3), "{len}");
        assert_eq!(json[2]["samples"][2], "Float32Array");
        // The sent message can be received again.
        let args = &json[2];
        script.send(&format!(r#"["push",["pipeline",0,["picture"],[{args}]]]"#));
        script.send(r#"["pull",2]"#);
        let back: serde_json::Value = serde_json::from_str(&script.next().unwrap()).unwrap();
        assert_eq!(&back[2], args);
    }
}

#[test]
fn attached_bytes_count_as_message_text() {
    let limits = Limits::default().with_max_outgoing_message_size(20_000);
    let mut script = ScriptedPeer::with(SessionOptions::new().with_limits(limits), service());
    // Four digits for three bytes, in four byte strings, three of which are long.
    for (len, fits) in [(1000, true), (3600, true), (3900, false)] {
        let mut ask = |id: u32| {
            script.send(&format!(r#"["push",["pipeline",0,["make"],[{len}]]]"#));
            script.send(&format!(r#"["pull",{id}]"#));
            script.next().unwrap()
        };
        let said = ask(match len {
            1000 => 1,
            3600 => 2,
            _ => 3,
        });
        assert_eq!(
            said.starts_with(r#"["resolve""#),
            fits,
            "{len}: {} bytes",
            said.len()
        );
        assert!(fits != said.contains("max_outgoing_message_size"), "{len}");
    }
}

#[cfg(feature = "message-pack")]
#[test]
fn raw_bytes_are_held_to_the_same_limits() {
    let limits = Limits::default().with_max_message_size(10_000);
    let decode = |len: usize| {
        let mut packed = Vec::new();
        let mut text = b"[\"resolve\",1,".to_vec();
        let attached =
            capnweb_core::Attachment::write(&mut text, bytes(len, 1), Container::Uint8Array)
                .unwrap();
        text.push(b']');
        let encoding = capnweb_core::Encoding::MessagePack;
        encoding
            .encode_attached(&text, &[attached], &mut packed)
            .unwrap();
        assert!(packed.len() < len + 40);
        let (mut text, mut attachments) = (String::new(), Vec::new());
        let result = encoding.decode_attached(&packed, &limits, &mut text, &mut attachments);
        result.map(|()| (text, attachments))
    };
    let (text, attachments) = decode(7400).unwrap();
    assert_eq!(text, r#"["resolve",1,["bytes",""]]"#);
    assert_eq!(attachments[0].span.of(&text), r#"["bytes",""]"#);
    assert!(attachments[0].bytes == bytes(7400, 1));
    let error = decode(7600).unwrap_err();
    assert!(
        error.is_limit() && error.message().contains("max_message_size"),
        "{error}"
    );
}

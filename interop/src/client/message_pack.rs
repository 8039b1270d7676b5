//! Sessions with MessagePack messages, which contain raw bytes.

use capnweb::{
    Bytes, Encoding, Session, Stub, Value, fetch::Blob, stream::Readable, typed::TypedArray,
};
use futures_util::stream;

use super::{
    check::{Checks, Failure, Outcome, Over, ensure, ensure_eq, ensure_err},
    connect,
    peer::{Peer, eventually},
};

async fn connect(peer: &Peer) -> Result<Session, Failure> {
    let url = format!("{}/message-pack", peer.address.ws().trim_end_matches('/'));
    Ok(connect::encoded(&url, Encoding::MessagePack).await?)
}

/// Checks that only the main objects are left in our table.
async fn ensure_empty(session: &Session) -> Outcome {
    let empty = async || {
        let stats = session.stats();
        Ok((stats.imports, stats.exports) == (1, 1))
    };
    ensure!(eventually(empty).await?, session.stats());
    Ok(())
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add("message pack: values", Over::WS, |peer| async move {
        let session = connect(&peer).await?;
        let api = session.main();
        let values: Vec<Value> = vec![
            Value::Null,
            Value::Undefined,
            true.into(),
            (-1_i64).into(),
            (1_i64 << 40).into(),
            0.1.into(),
            f64::INFINITY.into(),
            u64::MAX.into(),
            "ünïcödé 🦀".into(),
            "x".repeat(70_000).into(),
            Bytes::from(vec![200; 100_000]).into(),
            TypedArray(vec![1.5_f32]).into(),
        ];
        let decode: Stub = api.get("probe").get("decode").into();
        let echoed = api.call("echo", (&values,)).fetch::<Vec<Value>>();
        let decoded = decode.invoke((&values,)).fetch::<Vec<Value>>();
        let (echoed, decoded) = tokio::try_join!(echoed, decoded)?;
        ensure_eq!(echoed, values);
        ensure_eq!(decoded, values);
        // These strings look like bytes.
        let args = api
            .call("echoArgs", ("bytes", "AQID"))
            .fetch::<(String, String)>();
        ensure_eq!(args.await?, ("bytes".to_owned(), "AQID".to_owned()));
        drop((api, decode));
        ensure_empty(&session).await
    });

    checks.add(
        "message pack: calls, maps and errors",
        Over::WS,
        |peer| async move {
            let session = connect(&peer).await?;
            let api = session.main();
            let square = api.call("square", (api.call("square", (3,)),));
            ensure_eq!(square.fetch::<u32>().await?, 81);
            let doubled = Stub::function(|i: u32| async move { Ok(i * 2) });
            let called = api.call("callFunction", (doubled, 21)).get("result");
            ensure_eq!(called.fetch::<u32>().await?, 42);
            let squares = api.call("list", (4,)).map(|i| api.call("square", (i,)));
            ensure_eq!(squares.fetch::<Vec<u32>>().await?, [0, 1, 4, 9]);
            let error = ensure_err!(api.call("fail", ("no",)).await);
            ensure_eq!((error.name(), error.message()), ("RangeError", "no"));
            drop((api, square, called, squares));
            ensure_empty(&session).await
        },
    );

    checks.add(
        "message pack: streams and blobs",
        Over::WS,
        |peer| async move {
            let session = connect(&peer).await?;
            let api = session.main();
            let chunks = (0..100).map(|_| Bytes::from(vec![7; 10_000]));
            let stream = Readable::from_stream(stream::iter(chunks));
            let counted = api.call("countBytes", (stream,)).fetch::<u32>();
            ensure_eq!(counted.await?, 1_000_000);
            let blob = api.call("echoBlob", (Blob::new("a/b", "hello"),));
            let blob = blob.fetch::<Blob>().await?;
            ensure_eq!(blob.media_type(), "a/b");
            ensure_eq!(blob.text(), "hello");
            drop(api);
            ensure_empty(&session).await
        },
    );
}

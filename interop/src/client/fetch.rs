//! Blobs, headers, requests and responses.

use capnweb::{
    Bytes, Error,
    fetch::{Blob, Body, Headers, Request, Response},
    stream::Readable,
};
use futures_util::stream;

use super::{
    check::{Checks, Outcome, Over, ensure_eq, ensure_err},
    peer::Peer,
};

/// The longest body that is read.
const LIMIT: usize = 16 << 20;

/// The result of `readRequest`.
type Seen = (String, String, Option<String>, String);

fn request(method: &str, header: Option<&str>, body: impl Into<Body>) -> Result<Request, Error> {
    let mut request = http::Request::builder()
        .method(method)
        .uri("https://example.com/a%20b?c=d");
    if let Some(value) = header {
        request = request.header("x-a", value);
    }
    let request = request.body(body.into());
    request
        .map(Request)
        .map_err(|error| Error::new(error.to_string()))
}

fn seen(method: &str, header: Option<&str>, body: &str) -> Seen {
    (
        "https://example.com/a%20b?c=d".to_owned(),
        method.to_owned(),
        header.map(str::to_owned),
        body.to_owned(),
    )
}

fn streamed(chunks: usize) -> Readable<Bytes> {
    Readable::from_stream(stream::iter(
        (0..chunks).map(|_| Bytes::from(vec![b'x'; 10_000])),
    ))
}

pub(super) fn checks(checks: &mut Checks) {
    // A batch's answer contains the whole stream.
    for (place, over, why) in [
        ("", Over::WS, None),
        (
            " in a batch",
            Over::BATCH,
            Some("the reference cuts streams in an answer off"),
        ),
    ] {
        let name = format!("fetch: a blob goes there and back{place}");
        let check = checks.add(name, over, |peer| async move { blobs(&peer).await });
        if let Some(why) = why {
            check.not_node(why);
        }
        let name = format!("fetch: a response is read{place}");
        let check = checks.add(name, over, |peer| async move { responses(&peer).await });
        if let Some(why) = why {
            check.not_node(why);
        }
    }

    checks.add(
        "fetch: headers come back as they went",
        Over::BOTH,
        |peer| async move {
            let mut headers = http::HeaderMap::new();
            for (name, value) in [("x-a", "b"), ("set-cookie", "c=d"), ("set-cookie", "e=f")] {
                headers.append(name, http::HeaderValue::from_static(value));
            }
            if let Ok(latin) = http::HeaderValue::from_bytes(b"\xe9") {
                headers.append("x-latin", latin);
            }
            let headers = Headers(headers);
            let back = peer
                .api()
                .call("echo", (&headers,))
                .fetch::<Headers>()
                .await?;
            ensure_eq!(back, headers);
            Ok(())
        },
    );

    checks.add("fetch: a request is read", Over::BOTH, |peer| async move {
        let api = peer.api();
        let read = |request| api.call("readRequest", (request,)).fetch::<Seen>();
        let bare = read(request("GET", None, ())?);
        let header = read(request("GET", Some("b"), ())?);
        let body = read(request("POST", Some("b"), "hé")?);
        let other = read(request("DELETE", None, ())?);
        let (bare, header, body, other) = tokio::try_join!(bare, header, body, other)?;
        ensure_eq!(bare, seen("GET", None, ""));
        ensure_eq!(header, seen("GET", Some("b"), ""));
        ensure_eq!(body, seen("POST", Some("b"), "hé"));
        ensure_eq!(other, seen("DELETE", None, ""));
        Ok(())
    });

    checks.add(
        "fetch: a request's body streams",
        Over::BOTH,
        |peer| async move {
            let request = request("PUT", None, streamed(100))?;
            let read = peer.api().call("readRequest", (request,)).fetch::<Seen>();
            let (_, method, _, body) = read.await?;
            ensure_eq!(method, "PUT");
            ensure_eq!(body.len(), 1_000_000);
            Ok(())
        },
    );

    checks.add(
        "fetch: a long body that is there streams too",
        Over::WS,
        |peer| async move {
            let request = request("PUT", None, vec![b'x'; 300_000])?;
            let read = peer.api().call("readRequest", (request,)).fetch::<Seen>();
            ensure_eq!(read.await?.3.len(), 300_000);
            Ok(())
        },
    );

    checks.add(
        "fetch: a body that fails fails its reader",
        Over::WS,
        |peer| async move {
            let failing = Readable::from_stream(stream::iter([
                Ok(Bytes::from_static(b"a")),
                Err(Error::range_error("no more")),
            ]));
            let request = request("PUT", None, failing)?;
            let read = peer.api().call("readRequest", (request,)).fetch::<Seen>();
            ensure_err!(read.await);
            let four = peer.api().call("square", (2,)).fetch::<u32>().await?;
            ensure_eq!(four, 4);
            Ok(())
        },
    );

    checks.add(
        "fetch: what JavaScript could not make is not sent",
        Over::WS,
        |peer| async move {
            let request = request("GET", None, "a body")?;
            let read = peer.api().call("readRequest", (request,)).fetch::<Seen>();
            ensure_err!(read.await);
            let four = peer.api().call("square", (2,)).fetch::<u32>().await?;
            ensure_eq!(four, 4);
            Ok(())
        },
    );

    checks.add(
        "fetch: a blob that nobody reads does no harm",
        Over::WS,
        |peer| async move {
            let blob = Blob::new("a/b", vec![b'x'; 300_000]);
            drop(peer.api().call("echoBlob", (blob,)).fetch::<Blob>().await?);
            let four = peer.api().call("square", (2,)).fetch::<u32>().await?;
            ensure_eq!(four, 4);
            Ok(())
        },
    );
}

async fn blobs(peer: &Peer) -> Outcome {
    let api = peer.api();
    let echo = |kind: &str, content: String| {
        api.call("echoBlob", (Blob::new(kind, content),))
            .fetch::<Blob>()
    };
    let (short, empty) = (
        echo("text/plain", "hello".to_owned()),
        echo("", String::new()),
    );
    let long = echo("application/x-y", "x".repeat(300_000));
    let (short, empty, long) = tokio::try_join!(short, empty, long)?;
    ensure_eq!(short.media_type(), "text/plain");
    ensure_eq!(empty.media_type(), "");
    ensure_eq!(long.media_type(), "application/x-y");
    ensure_eq!(short.text(), "hello");
    ensure_eq!(empty.into_bytes(), Bytes::new());
    ensure_eq!(long.bytes().len(), 300_000);
    Ok(())
}

async fn responses(peer: &Peer) -> Outcome {
    let api = peer.api();
    let make = |text: String| api.call("makeResponse", (text,)).fetch::<Response>();
    let (short, long) = (make("hello".to_owned()), make("hé".repeat(100_000)));
    let (short, long) = tokio::try_join!(short, long)?;
    for response in [&short, &long] {
        ensure_eq!(response.status(), 201);
        ensure_eq!(response.headers()["x-a"], "b");
    }
    ensure_eq!(short.body().text(LIMIT).await?, "hello");
    ensure_eq!(long.body().text(LIMIT).await?.len(), 300_000);
    Ok(())
}

//! Headers, requests, responses and blobs.

use bytes::Bytes;
use capnweb_core::{
    Error, Object, Payload, Readable, Result, Stub, Url, Value,
    fetch::{Blob, Body, Headers, Request, Response, StatusText},
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::support::{ScriptedPeer, connect, idle, within};

const MANY: usize = 1 << 20;

fn text<T: Serialize>(value: &T) -> String {
    Payload::encode(value).unwrap().as_expression().to_owned()
}

fn refusal<T: Serialize>(value: &T) -> String {
    Payload::encode(value).unwrap_err().message().to_owned()
}

/// Returns a method's argument, as decoded from its wire format.
async fn read<T: DeserializeOwned + Send + 'static>(argument: &str) -> Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let main = Object::new().sync_method("take", move |payload: Payload| {
        let sender = sender.lock().unwrap().take().unwrap();
        Ok(sender.send(payload.decode::<T>()).is_ok())
    });
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(&format!(r#"["push",["pipeline",0,["take"],[{argument}]]]"#));
    within(receiver).await.unwrap()
}

fn post(body: impl Into<Body>) -> Request {
    let request = http::Request::post("https://example.com/");
    Request(request.body(body.into()).unwrap())
}

fn answer(body: impl Into<Body>) -> Response {
    Response(http::Response::new(body.into()))
}

#[tokio::test]
async fn fetch_types_are_written_in_the_reference_form() {
    let mut headers = HeaderMap::new();
    assert_eq!(text(&Headers(headers.clone())), r#"["headers",[]]"#);
    headers.append("x-a", "b".parse().unwrap());
    headers.append("set-cookie", "c=d".parse().unwrap());
    headers.append("set-cookie", "e=f".parse().unwrap());
    headers.append("x-latin", http::HeaderValue::from_bytes(b"\xe9").unwrap());
    assert_eq!(
        text(&Headers(headers)),
        r#"["headers",[["x-a","b"],["set-cookie","c=d"],["set-cookie","e=f"],["x-latin","é"]]]"#
    );

    let get = http::Request::get("https://example.com/a?b")
        .body(())
        .unwrap();
    assert_eq!(
        text(&Request(get.map(Body::from))),
        r#"["request","https://example.com/a?b",{}]"#
    );
    let mut request = post("hi");
    request.headers_mut().insert("x-a", "b".parse().unwrap());
    assert_eq!(
        text(&request),
        r#"["request","https://example.com/",{"method":"POST","headers":[["x-a","b"]],"body":["bytes","aGk"],"duplex":"half"}]"#
    );
    // An empty body is sent as no body.
    assert_eq!(
        text(&post("")),
        r#"["request","https://example.com/",{"method":"POST"}]"#
    );

    assert_eq!(text(&answer(())), r#"["response",null,{}]"#);
    let mut response = answer("hi");
    *response.status_mut() = StatusCode::CREATED;
    response
        .extensions_mut()
        .insert(StatusText("Made".to_owned()));
    response.headers_mut().insert("x-a", "b".parse().unwrap());
    assert_eq!(
        text(&response),
        r#"["response",["bytes","aGk"],{"status":201,"statusText":"Made","headers":[["x-a","b"]]}]"#
    );
    // If JavaScript does not allow a body, the response is sent without one.
    *response.status_mut() = StatusCode::NO_CONTENT;
    assert!(text(&response).starts_with(r#"["response",null,{"status":204"#));
}

#[tokio::test]
async fn requests_that_javascript_cannot_make_are_refused() {
    let request = |method: &str, url: &str, body: &'static str| {
        let request = http::Request::builder().method(method).uri(url);
        Request(request.body(Body::from(body)).unwrap())
    };
    for (request, why) in [
        (request("GET", "/path", ""), "must be absolute: /path"),
        (request("GET", "https://a/", "x"), "GET cannot have a body"),
        (
            request("HEAD", "https://a/", "x"),
            "HEAD cannot have a body",
        ),
        (request("TRACE", "https://a/", ""), "TRACE cannot be sent"),
        (
            request("CONNECT", "https://a/", ""),
            "CONNECT cannot be sent",
        ),
        (request("GET", "https://u:p@a/", ""), "cannot have a user"),
    ] {
        let refusal = refusal(&request);
        assert!(refusal.contains(why), "{refusal}");
    }
    for status in [100, 199, 600, 999] {
        let mut response = answer(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let refusal = refusal(&response);
        assert!(
            refusal.contains("JavaScript only allows 200 to 599"),
            "{refusal}"
        );
    }
    let base: Url = "https://example.com".parse().unwrap();
    let relative = request("GET", "/path?x", "").against(&base).unwrap();
    assert_eq!(relative.uri(), "https://example.com/path?x");
    let absolute = request("GET", "http://a/", "").against(&base).unwrap();
    assert_eq!(absolute.uri(), "http://a/");
}

#[tokio::test]
async fn fetch_types_are_read_from_the_reference_form() {
    let headers: Headers = read(r#"["headers",[["X-A"," b "],["x-a","c"],["y","é"]]]"#)
        .await
        .unwrap();
    let values: Vec<_> = headers.get_all("x-a").iter().collect();
    assert_eq!(values, ["b", "c"]);
    assert_eq!(headers["y"].as_bytes(), b"\xe9");

    let request: Request = read(
        r#"["request","https://example.com/a?b#c",{"method":"PUT","headers":[["x-a","b"]],"body":"hé","duplex":"half","redirect":"manual","cf":{"x":[[1],[2]]}}]"#,
    )
    .await
    .unwrap();
    assert_eq!(request.method(), Method::PUT);
    assert_eq!(request.uri(), "https://example.com/a?b");
    assert_eq!(request.headers()["x-a"], "b");
    assert_eq!(request.body().text(MANY).await.unwrap(), "hé");

    let request: Request = read(r#"["request","https://a/",{}]"#).await.unwrap();
    assert!(request.method() == Method::GET && request.0.body().is_empty());

    for (body, expected) in [
        ("null", ""),
        (r#""hi""#, "hi"),
        (r#"["bytes","aGk"]"#, "hi"),
    ] {
        let text = format!(r#"["response",{body},{{"status":201,"statusText":"Made"}}]"#);
        let response: Response = read(&text).await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let status_text = StatusText("Made".to_owned());
        assert_eq!(response.extensions().get(), Some(&status_text));
        assert_eq!(response.body().text(MANY).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn malformed_fetch_forms_are_refused_with_a_reason() {
    async fn error<T: DeserializeOwned + Send + 'static>(argument: &str) -> String {
        read::<T>(argument)
            .await
            .err()
            .unwrap()
            .message()
            .to_owned()
    }
    assert_eq!(error::<Request>("5").await, "expected request, got 5");
    let response = r#"["response",null,{}]"#;
    assert_eq!(
        error::<Request>(response).await,
        "expected request, got response"
    );
    let request = r#"["request","about:blank",{}]"#;
    let why = error::<Request>(request).await;
    assert!(why.contains("about:blank is not an HTTP URL"), "{why}");
    let headers = r#"["headers",[["a","\u0001"]]]"#;
    let why = error::<Headers>(headers).await;
    assert!(why.contains("the header a cannot have the value"), "{why}");
    assert_eq!(
        error::<Blob>(r#"["date",1]"#).await,
        "expected blob, got date"
    );
}

/// Returns an object with a method for each of the types, and one that returns its argument.
fn api() -> Stub {
    Object::new()
        .method("echo", async |value: Payload| Ok(value))
        .method("echoBlob", async |blob: Blob| Ok(blob))
        .method("read", async |blob: Blob| {
            Ok((blob.media_type().to_owned(), blob.text().into_owned()))
        })
        .method("fetch", |request: Request| async move {
            let (parts, body) = request.into_inner().into_parts();
            let length = body.bytes(1 << 24).await?.len();
            let mut response = http::Response::new(Body::from(length.to_string()));
            *response.headers_mut() = parts.headers;
            Ok(Response(response))
        })
        // The body of the request is returned while it still arrives.
        .method("mirror", |request: Request| async move {
            Ok(Response(http::Response::new(request.body())))
        })
        .into_stub()
}

#[tokio::test]
async fn request_and_response_bodies_are_streamed() {
    let connected = connect(api());
    let api = &connected.api;
    let chunks = |n: usize| {
        Readable::from_stream(stream::iter(
            (0..n).map(|_| Bytes::from(vec![b'x'; 10_000])),
        ))
    };
    let mut request = post(chunks(1000));
    request.headers_mut().insert("x-a", "b".parse().unwrap());
    let response = api.call("fetch", (request,)).fetch::<Response>();
    let response = within(response).await.unwrap();
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(response.body().text(MANY).await.unwrap(), "10000000");

    // A long body is always a stream.
    let long = post(vec![b'x'; 300_000]);
    let response = api.call("mirror", (long,)).fetch::<Response>();
    let mut body = within(response).await.unwrap().body().into_stream();
    let mut lengths = Vec::new();
    while let Some(chunk) = within(body.next()).await {
        lengths.push(chunk.unwrap().len());
    }
    assert_eq!(lengths.iter().sum::<usize>(), 300_000);
    assert!(lengths.len() > 1, "{lengths:?}");
    connected.settle().await;
}

#[tokio::test]
async fn an_oversized_body_is_not_read_to_its_end() {
    let connected = connect(api());
    let endless = Readable::from_stream(stream::repeat(Bytes::from_static(&[0; 1000])));
    let response = connected.api.call("mirror", (post(endless),));
    let response: Response = within(response.fetch()).await.unwrap();
    let error = within(response.body().bytes(5_500)).await.unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert_eq!(error.message(), "the body has more than 5500 bytes");
    connected.settle().await;
    assert!(Body::from("123").bytes(2).await.unwrap_err().is_limit());
    assert_eq!(Body::from("123").bytes(3).await.unwrap(), "123");
}

#[tokio::test]
async fn an_aborted_body_is_an_error() {
    let connected = connect(api());
    let failing = Readable::from_stream(stream::iter([
        Ok(Bytes::from_static(b"a")),
        Err(Error::range_error("no more")),
    ]));
    let response = connected.api.call("mirror", (post(failing),));
    let response: Response = within(response.fetch()).await.unwrap();
    let error = within(response.body().bytes(MANY)).await.unwrap_err();
    assert_eq!((error.name(), error.message()), ("RangeError", "no more"));

    // Chunks of bodies are bytes.
    let strings = Readable::from_stream(stream::iter(["text"])).cast::<Bytes>();
    let response = connected.api.call("mirror", (post(strings),));
    let response: Response = within(response.fetch()).await.unwrap();
    let error = within(response.body().bytes(MANY)).await.unwrap_err();
    assert!(error.is_type_error(), "{error}");
    connected.settle().await;
}

#[tokio::test]
async fn a_streamed_body_is_sent_once_and_bytes_any_number_of_times() {
    let request = post(Readable::from_stream(stream::iter([Bytes::from_static(
        b"x",
    )])));
    let connected = connect(api());
    let first = connected
        .api
        .call("mirror", (&request,))
        .fetch::<Response>();
    let second = connected
        .api
        .call("mirror", (&request,))
        .fetch::<Response>();
    assert_eq!(
        within(first)
            .await
            .unwrap()
            .body()
            .text(MANY)
            .await
            .unwrap(),
        "x"
    );
    let error = within(second).await.unwrap_err();
    assert!(error.message().contains("given away"), "{error}");

    let blob = Blob::new("text/plain", "again");
    for _ in 0..2 {
        let read = connected
            .api
            .call("read", (&blob,))
            .fetch::<(String, String)>();
        let expected = ("text/plain".to_owned(), "again".to_owned());
        assert_eq!(within(read).await.unwrap(), expected);
    }
    connected.settle().await;
}

#[tokio::test]
async fn a_blob_is_written_in_the_reference_form() {
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("take", (Blob::new("a/b", "hi"),));
    peer.expect(r#"["pipe"]"#);
    peer.expect(r#"["push",["pipeline",0,["take"],[["blob","a/b",["readable",1]]]]]"#);
    idle().await;
    peer.expect(r#"["stream",["pipeline",1,["write"],[["bytes","aGk"]]]]"#);
    peer.expect(r#"["stream",["pipeline",1,["close"],[]]]"#);
    peer.send(r#"["resolve",3,["undefined"]]"#);
    peer.send(r#"["resolve",4,["undefined"]]"#);
    idle().await;
    peer.expect(r#"["release",1,1]"#);
    drop(call);
    peer.expect(r#"["release",2,1]"#);
    peer.expect_empty();

    let mut peer = ScriptedPeer::server(api());
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["read"],[["blob","a/b",["readable",1]]]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.send(r#"["stream",["pipeline",1,["write"],[["bytes","aGk"]]]]"#);
    peer.send(r#"["stream",["pipeline",1,["close"],[]]]"#);
    idle().await;
    let said: Vec<_> = peer.said();
    assert!(
        said.contains(&r#"["resolve",2,[["a/b","hi"]]]"#.to_owned()),
        "{said:?}"
    );
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["release",2,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn blobs_are_passed_on_and_dropped() {
    let connected = connect(api());
    for method in ["echo", "echoBlob"] {
        let blob = connected
            .api
            .call(method, (Blob::new("a/b", vec![7; 200_000]),));
        let blob: Blob = within(blob.fetch()).await.unwrap();
        assert_eq!(blob.media_type(), "a/b");
        assert_eq!(*blob.bytes(), vec![7; 200_000]);
        // This one is not needed, and is never read.
        let blob = connected
            .api
            .call(method, (Blob::new("", vec![7; 200_000]),));
        drop(within(blob.fetch::<Blob>()).await.unwrap());
        let empty = connected.api.call(method, (Blob::new("", ""),));
        let empty: Blob = within(empty.fetch()).await.unwrap();
        assert_eq!(empty.bytes(), "");
    }
    connected.settle().await;
}

#[tokio::test]
async fn fetch_types_may_be_nested_in_values() {
    #[derive(Serialize, Deserialize)]
    struct Inner {
        blob: Blob,
        request: Request,
        headers: Headers,
    }
    #[derive(Serialize, Deserialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        list: Vec<Response>,
    }
    let connected = connect(api());
    let body = Readable::from_stream(stream::iter([Bytes::from_static(b"streamed")]));
    let outer = Outer {
        inner: Inner {
            blob: Blob::new("a/b", "blob"),
            request: post("request"),
            headers: Headers([(http::header::AGE, 7.into())].into_iter().collect()),
        },
        list: vec![answer("first"), answer(body)],
    };
    let outer = connected.api.call("echo", (outer,)).fetch::<Outer>();
    let Outer { inner, list } = within(outer).await.unwrap();
    assert_eq!(inner.blob.text(), "blob");
    assert_eq!(
        within(inner.request.body().text(MANY)).await.unwrap(),
        "request"
    );
    assert_eq!(inner.headers[http::header::AGE], "7");
    let mut bodies = Vec::new();
    for response in list {
        bodies.push(within(response.body().text(MANY)).await.unwrap());
    }
    assert_eq!(bodies, ["first", "streamed"]);
    // The same, decoded as a `Value`.
    let value: Value = within(connected.api.call("echo", (post("x"),)))
        .await
        .unwrap();
    assert_eq!(value["method"], Value::from("POST"));
    connected.settle().await;
}

#[tokio::test]
async fn bodies_of_the_http_body_crate_are_sent() {
    let data = http_body_util::StreamBody::new(stream::iter([
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from_static(b"ab"))),
        Ok(http_body::Frame::data(Bytes::new())),
        Ok(http_body::Frame::trailers(HeaderMap::new())),
        Ok(http_body::Frame::data(Bytes::from_static(b"c"))),
    ]));
    let request = http::Request::post("https://a/").body(data).unwrap();
    let connected = connect(api());
    let response = connected.api.call("mirror", (Request::from(request),));
    let response: Response = within(response.fetch()).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_inner().into_body());
    assert_eq!(within(body).await.unwrap().to_bytes(), "abc");
    connected.settle().await;
    let empty = http::Response::new(http_body_util::Empty::<Bytes>::new());
    assert_eq!(text(&Response::from(empty)), r#"["response",null,{}]"#);
}

//! Batches over real sockets.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod abandoning;
mod failures;
mod long_work;
mod tls;

use std::{
    future::IntoFuture,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::post,
};
use capnweb_core::{
    Error, Limits, Object, Promise, Result, Session, SessionOptions, Stub, join_all,
};
use capnweb_test_support::soon;
use capnweb_transport_http::{Batch, answer, batch, client_builder, respond};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

fn api() -> Stub {
    let user = || {
        Object::new()
            .method("getUserId", async || Ok(7))
            .method("title", async || Ok("Countess"))
            .into_stub()
    };
    Object::new()
        .method("authenticate", move |_: String| {
            let user = user();
            async move { Ok(user) }
        })
        .method("getUserProfile", |id: u32| async move {
            Ok([("name", format!("user {id}"))])
        })
        .method("square", |n: f64| async move { Ok(n * n) })
        .method("fail", async || Err::<(), _>(Error::range_error("no")))
        .method("callBack", |f: Stub| async move {
            f.invoke((1,)).fetch::<u32>().await
        })
        .method("notify", |f: Stub| async move {
            drop(f.invoke(("hello",)));
            Ok(true)
        })
        .into_stub()
}

/// Starts a server for batches. Returns its URL and the number of requests so far.
async fn serve(options: SessionOptions) -> (String, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let handler = move |body: Body| async move {
        count.fetch_add(1, Ordering::Relaxed);
        let (_session, mut connection) = Session::server_batch(options);
        connection.set_main(api());
        answer(body, connection).await
    };
    let url = serve_router(Router::new().route("/", post(handler))).await;
    (url, requests)
}

async fn serve_router(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{addr}/")
}

/// Posts bytes unchanged, and returns the response's status and body.
async fn post_raw(url: &str, body: impl AsRef<[u8]>) -> (u16, String) {
    let addr = url.trim_start_matches("http://").trim_end_matches('/');
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.as_ref().len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_ref()).await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

#[tokio::test]
async fn three_dependent_calls_are_one_request() {
    let (url, requests) = serve(SessionOptions::new()).await;
    let api: Stub = batch(url);
    let user = api.call("authenticate", ("token",));
    let profile = api.call("getUserProfile", (user.call("getUserId", ()),));
    let (title, profile) = tokio::join!(
        user.call("title", ()).fetch::<String>(),
        profile.fetch::<Vec<(String, String)>>(),
    );
    assert_eq!(title.unwrap(), "Countess");
    assert_eq!(profile.unwrap(), [("name".to_owned(), "user 7".to_owned())]);
    assert_eq!(requests.load(Ordering::Relaxed), 1);

    // The batch has already been used.
    let error = api.call("square", (2,)).await.unwrap_err();
    let message = error.message();
    assert!(
        message.starts_with("Batch RPC request ended.") && message.contains("join!"),
        "{message}"
    );
    assert!(error.is_disconnected());
}

#[tokio::test]
async fn calls_that_are_joined_in_functions_travel_together() {
    async fn square(api: &Stub, n: f64) -> Result<f64> {
        api.call("square", (n,)).fetch().await
    }
    let (url, requests) = serve(SessionOptions::new()).await;
    let api: Stub = batch(url);
    let (a, b, c) = tokio::join!(square(&api, 2.0), square(&api, 3.0), async {
        api.call("fail", ()).await.unwrap_err().to_string()
    });
    assert_eq!(
        (a.unwrap(), b.unwrap(), c.as_str()),
        (4.0, 9.0, "RangeError: no")
    );
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn calls_that_are_made_later_travel_together_when_joined() {
    let (url, requests) = serve(SessionOptions::new()).await;
    let api: Stub = batch(url);
    let later = |n: u32| {
        let api = api.clone();
        Promise::<u32>::from_future(async move {
            tokio::task::yield_now().await;
            Ok(api.call("square", (n,)).cast::<u32>())
        })
    };
    let squares: Result<Vec<_>> = join_all((0..50).map(later)).await.into_iter().collect();
    assert_eq!(squares.unwrap(), (0..50).map(|n| n * n).collect::<Vec<_>>());
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_batch_can_be_sent_by_hand() {
    let (url, requests) = serve(SessionOptions::new()).await;
    let session = Batch::new(url).session();
    let square = session.main().call("square", (5,)).fetch::<f64>();
    session.send_batch();
    let end = session.closed().await;
    assert!(
        end.message().starts_with("Batch RPC request ended."),
        "{end}"
    );
    assert_eq!(square.await.unwrap(), 25.0);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_batch_that_is_sent_by_hand_goes_out_though_nothing_of_it_is_held() {
    let (url, requests) = serve(SessionOptions::new()).await;
    let session = Batch::new(url).session();
    Promise::<f64>::detach(session.main().call("square", (5,)).cast());
    session.send_batch();
    let closed = session.closed();
    drop(session);
    assert!(soon(closed).await.is_normal_end());
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_batch_of_nothing_sends_nothing() {
    let (url, requests) = serve(SessionOptions::new()).await;
    let session = Batch::new(url.clone()).session();
    session.send_batch();
    session.closed().await;
    drop(batch::<Stub>(url));
    assert_eq!(requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn callbacks_that_are_waited_for_fail_at_once() {
    let (url, _) = serve(SessionOptions::new()).await;
    let callback = Stub::function(|n: u32| async move { Ok(n) });
    let api: Stub = batch(url.clone());
    let error = api.call("callBack", (callback,)).await.unwrap_err();
    assert!(error.message().contains("WebSocket"), "{error}");

    // A callback whose result is not awaited runs when the answer arrives.
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let callback = Stub::function(move |word: String| {
        let heard = heard.clone();
        async move {
            heard
                .send(word)
                .map_err(|error| Error::new(error.to_string()))
        }
    });
    let api: Stub = batch(url);
    assert!(
        api.call("notify", (callback,))
            .fetch::<bool>()
            .await
            .unwrap()
    );
    assert_eq!(hear.recv().await.as_deref(), Some("hello"));
}

#[tokio::test]
async fn a_body_is_answered_line_by_line() {
    let (url, _) = serve(SessionOptions::new()).await;
    assert_eq!(post_raw(&url, "").await, (200, String::new()));
    let (status, body) = post_raw(
        &url,
        "\r\n[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\r\n\n[\"pull\",1]\n",
    )
    .await;
    assert_eq!((status, body.as_str()), (200, r#"["resolve",1,9]"#));

    // Messages before an invalid line are answered, and the error in the line is reported.
    let (status, body) = post_raw(
        &url,
        "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]\nrubbish",
    )
    .await;
    assert_eq!(status, 200);
    let lines: Vec<_> = body.split('\n').collect();
    assert_eq!(lines[0], r#"["resolve",1,9]"#);
    assert!(
        lines[1].starts_with(r#"["abort",["error","#) && lines.len() == 2,
        "{body}"
    );

    let (status, body) = post_raw(&url, vec![b'[', 0xff]).await;
    assert_eq!((status, body.as_str()), (400, "The request is not UTF-8."));
}

#[tokio::test]
async fn requests_are_bounded() {
    let limits = Limits::default().with_max_message_size(100);
    let (url, _) = serve(SessionOptions::new().with_limits(limits)).await;
    let (status, body) = post_raw(&url, "x".repeat(301)).await;
    assert_eq!(status, 413);
    assert!(body.contains("max_message_size"), "{body}");
}

#[tokio::test]
async fn responses_are_bounded() {
    let url = serve_router(Router::new().route("/", post(async || "[".repeat(2000)))).await;
    let limits = Limits::default().with_max_held_bytes(1000);
    let api: Stub = Batch::new(url)
        .options(SessionOptions::new().with_limits(limits))
        .start();
    let error = api.call("square", (1,)).await.unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert!(error.message().contains("max_held_bytes"), "{error}");
}

#[tokio::test]
async fn refusals_and_rubbish_have_clear_errors() {
    let router = Router::new()
        .route("/refuse", post(async || StatusCode::UNAUTHORIZED))
        .route("/page", post(async || "<!doctype html>"))
        .route("/bytes", post(async || vec![0xff, 0xfe].into_response()))
        .route("/json", post(async || "[\"resolve\",1"))
        .route("/nothing", post(async || ""));
    let url = serve_router(router).await;
    for (path, expected) in [
        ("refuse", "RPC request failed: 401 Unauthorized"),
        ("missing", "RPC request failed: 404 Not Found"),
        ("page", "holds no Cap'n Web messages"),
        ("bytes", "is not UTF-8"),
        ("nothing", "Batch RPC request ended."),
    ] {
        let api: Stub = batch(format!("{url}{path}"));
        let error = api.call("x", ()).await.unwrap_err();
        assert!(error.message().contains(expected), "{path}: {error}");
    }
    let api: Stub = batch(format!("{url}json"));
    assert!(api.call("x", ()).await.unwrap_err().is_protocol());
}

#[tokio::test]
async fn a_url_without_a_scheme_is_a_mistake() {
    for url in [
        "127.0.0.1:8080/api",
        "localhost:8080/api",
        "ftp://127.0.0.1/",
    ] {
        let api: Stub = batch(url);
        let error = api.call("x", ()).await.unwrap_err();
        assert_eq!(
            error.message(),
            format!(
                "RPC request failed: the URL has to begin with `http://` or `https://` ({url})"
            )
        );
    }
    let api: Stub = batch("http://127.0.0.1:port/");
    let error = api.call("x", ()).await.unwrap_err();
    assert!(error.message().contains("invalid port"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_gone_breaks_the_batch() {
    // A port that was free a moment ago, so nothing listens there.
    let addr: SocketAddr = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let api: Stub = batch(format!("http://{addr}/"));
    let error = api.call("x", ()).await.unwrap_err();
    assert!(
        error.is_disconnected() && error.message().contains(&addr.to_string()),
        "{error}"
    );

    // This server disconnects in the middle of its answer.
    let api: Stub = batch(serve_part("[\"res").await);
    let error = api.call("x", ()).await.unwrap_err();
    assert!(error.is_disconnected(), "{error}");
}

/// Starts a server that sends this answer to one request, and disconnects before the announced end.
async fn serve_part(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = socket.read(&mut request).await.unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{answer}");
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    format!("http://{addr}/")
}

#[tokio::test]
async fn answers_before_the_server_hung_up_count() {
    let api: Stub = batch(serve_part("[\"resolve\",1,9]\n[\"res").await);
    let (first, second) = tokio::join!(
        api.call("square", (3,)).fetch::<f64>(),
        api.call("square", (4,)).fetch::<f64>(),
    );
    assert_eq!(first.unwrap(), 9.0);
    let error = second.unwrap_err();
    assert!(error.is_disconnected(), "{error}");
}

/// More calls than the server processes in one turn.
const MANY: usize = 2000;

#[tokio::test]
async fn a_long_batch_is_answered_in_parts_that_fit_together() {
    let (url, _) = serve(SessionOptions::new()).await;
    for end in [
        "",
        "\n",
        "\nrubbish",
        "\n[\"push\",[\"pipeline\",0,[\"fail\"],[]]]",
    ] {
        let calls = (1..=MANY)
            .map(|id| format!("[\"push\",[\"pipeline\",0,[\"square\"],[{id}]]]\n[\"pull\",{id}]"));
        let request = calls.collect::<Vec<_>>().join("\n") + end;
        let client = client_builder().build().unwrap();
        let response = client.post(&url).body(request.clone()).send().await;
        let answer = response.unwrap().text().await.unwrap();
        for (at, line) in answer.split('\n').take(MANY).enumerate() {
            let id = at + 1;
            assert_eq!(line, format!("[\"resolve\",{id},{}]", id * id));
        }
        let lines = MANY + usize::from(end.ends_with("rubbish"));
        assert_eq!(answer.split('\n').count(), lines);

        let (_session, mut connection) = Session::server_batch(SessionOptions::new());
        connection.set_main(api());
        assert_eq!(respond(&request, connection).await, answer);
    }
}

#[tokio::test]
async fn the_first_answers_of_a_long_batch_do_not_wait_for_the_last() {
    let go = Arc::new(Notify::new());
    let gone = go.clone();
    let handler = move |body: Body| async move {
        let (_session, mut connection) = Session::server_batch(SessionOptions::new());
        let wait = move || {
            let gone = gone.clone();
            async move { gone.notified().await }
        };
        let api = Object::new()
            .method("square", |n: usize| async move { Ok(n * n) })
            .method("wait", move || {
                let waited = wait();
                async move {
                    waited.await;
                    Ok(true)
                }
            });
        connection.set_main(api.into_stub());
        answer(body, connection).await
    };
    let url = serve_router(Router::new().route("/", post(handler))).await;
    let api: Stub = batch(url);
    let first = api.call("square", (3,)).fetch::<usize>();
    let others: Vec<_> = (0..MANY)
        .map(|n| api.call("square", (n,)).fetch::<usize>())
        .collect();
    let last = api.call("wait", ()).fetch::<bool>();
    let answered = async {
        assert_eq!(first.await.unwrap(), 9);
        go.notify_one();
        assert!(last.await.unwrap());
    };
    tokio::time::timeout(Duration::from_secs(30), answered)
        .await
        .unwrap();
    for (n, other) in others.into_iter().enumerate() {
        assert_eq!(other.await.unwrap(), n * n);
    }
}

#[tokio::test]
async fn urls_and_headers_that_are_none_are_mistakes() {
    let api: Stub = batch("not a url");
    assert!(
        api.call("x", ())
            .await
            .unwrap_err()
            .message()
            .contains("not a url")
    );
    let api: Stub = Batch::new("http://127.0.0.1/")
        .header("no header", "x")
        .start();
    assert!(
        api.call("x", ())
            .await
            .unwrap_err()
            .message()
            .contains("no header")
    );
}

#[tokio::test]
async fn a_batch_can_time_out() {
    let router = Router::new().route("/", post(std::future::pending::<String>));
    let url = serve_router(router).await;
    let api: Stub = Batch::new(url).timeout(Duration::from_millis(50)).start();
    let error = api.call("x", ()).await.unwrap_err();
    assert!(error.message().contains("took too long"), "{error}");
}

#[tokio::test]
async fn headers_of_ones_own_take_the_place_of_others() {
    let router = Router::new().route(
        "/",
        post(async |headers: HeaderMap, body: Body| {
            let all = |name| -> Vec<String> {
                let values = headers.get_all(name).iter();
                values
                    .map(|value| value.to_str().unwrap().to_owned())
                    .collect()
            };
            let seen = (all("host"), all("content-type"), all("x-trace"));
            let (_session, mut connection) = Session::server_batch(SessionOptions::new());
            connection.set_main(Object::new().property("seen", seen).into_stub());
            answer(body, connection).await
        }),
    );
    let url = serve_router(router).await;
    let api: Stub = Batch::new(url)
        .header("Host", "api.example")
        .header("content-type", "application/json")
        .header("x-trace", "a")
        .header("x-trace", "b")
        .start();
    let seen: [Vec<String>; 3] = api.get("seen").fetch().await.unwrap();
    assert_eq!(seen[0], ["api.example"]);
    assert_eq!(seen[1], ["application/json"]);
    assert_eq!(seen[2], ["a", "b"]);
}

#[tokio::test]
async fn headers_reach_the_server() {
    let router = Router::new().route(
        "/",
        post(async |headers: HeaderMap, body: Body| {
            let header = |name| headers[name].to_str().unwrap().to_owned();
            let seen = (header("authorization"), header("content-type"));
            let (_session, mut connection) = Session::server_batch(SessionOptions::new());
            connection.set_main(Object::new().property("seen", seen).into_stub());
            answer(body, connection).await
        }),
    );
    let url = serve_router(router).await;
    let api: Stub = Batch::new(url)
        .header("authorization", "Bearer 1234")
        .start();
    let (authorization, content_type): (String, String) = api.get("seen").fetch().await.unwrap();
    assert_eq!(authorization, "Bearer 1234");
    // Any other type would make browsers ask for permission.
    assert_eq!(content_type, "text/plain;charset=UTF-8");
}

#[tokio::test]
async fn web_socket_addresses_serve_as_well() {
    let (url, requests) = serve(SessionOptions::new()).await;
    let api: Stub = batch(url.replace("http://", "ws://"));
    assert_eq!(api.call("square", (3,)).fetch::<f64>().await.unwrap(), 9.0);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_http_client_of_ones_own_is_used() {
    let router = Router::new().route(
        "/",
        post(async |headers: HeaderMap| {
            (
                StatusCode::FORBIDDEN,
                headers["user-agent"].to_str().unwrap().to_owned(),
            )
        }),
    );
    let url = serve_router(router).await;
    let client = client_builder().user_agent("example/1.0").build().unwrap();
    let api: Stub = Batch::new(url).client(client).start();
    let error = api.call("x", ()).await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("RPC request failed: 403 Forbidden: example/1.0"),
        "{error}"
    );
}

#[test]
fn a_batch_without_a_runtime_has_an_error() {
    let api: Stub = batch("http://127.0.0.1:9/");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime
        .block_on(api.call("x", ()).into_future())
        .unwrap_err();
    assert!(error.message().contains("no Tokio runtime"), "{error}");
}

#[test]
fn a_runtime_that_is_shut_down_breaks_the_batch() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entered = runtime.enter();
    let api: Stub = batch("http://127.0.0.1:9/");
    let call = api.call("x", ()).fetch::<()>();
    drop(entered);
    drop(runtime);
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    assert!(elsewhere.block_on(call).unwrap_err().is_disconnected());
}

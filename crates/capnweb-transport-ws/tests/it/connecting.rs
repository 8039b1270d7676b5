//! Failures to connect.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use capnweb_core::{Error, Stub};
use capnweb_transport_ws::{Connect, connect};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{serve_router, soon};

async fn refused(url: &str) -> String {
    let error = soon(connect::<Stub>(url)).await.unwrap_err();
    checked(&error, url)
}

/// Returns the cause of an error for which another attempt may succeed.
fn checked(error: &Error, url: &str) -> String {
    assert!(error.is_disconnected(), "{error}");
    cause(error, url)
}

/// Returns the cause of an error that the caller must correct.
fn mistaken(error: &Error, url: &str) -> String {
    assert!(error.is_type_error() && !error.is_disconnected(), "{error}");
    cause(error, url)
}

/// Returns the cause in an error, which follows the URL.
fn cause(error: &Error, url: &str) -> String {
    let prefix = format!("WebSocket connection failed: {url}: ");
    match error.message().strip_prefix(&prefix) {
        Some(cause) => cause.to_owned(),
        None => panic!("{error} does not begin with {prefix}"),
    }
}

#[tokio::test]
async fn an_address_at_which_nobody_listens_refuses() {
    // A port that was free a moment ago, so nothing listens there.
    let addr = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let cause = refused(&format!("ws://{addr}/api")).await;
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test]
async fn a_servers_refusal_is_told() {
    let router = Router::new()
        .route(
            "/secret",
            get(async || (StatusCode::UNAUTHORIZED, "no such token")),
        )
        .route(
            "/long",
            get(async || (StatusCode::BAD_REQUEST, "no ".repeat(100))),
        )
        .route(
            "/moved",
            get(async || axum::response::Redirect::permanent("/there")),
        )
        .route("/page", get(async || "hello"));
    let url = serve_router(router).await;
    let cause = refused(&format!("{url}secret")).await;
    assert_eq!(cause, "the server answered 401 Unauthorized: no such token");
    let cause = refused(&format!("{url}long")).await;
    assert!(cause.ends_with('…') && cause.len() < 150, "{cause}");
    let cause = refused(&format!("{url}moved")).await;
    assert!(cause.contains("308") && cause.contains("/there"), "{cause}");
    let cause = refused(&format!("{url}missing")).await;
    assert_eq!(cause, "the server answered 404 Not Found");
    let cause = refused(&format!("{url}page")).await;
    assert!(cause.starts_with("the server answered 200 OK"), "{cause}");
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let connecting = Connect::new(&url)
        .timeout(Duration::from_millis(50))
        .connect::<Stub>();
    let error = soon(connecting).await.unwrap_err();
    assert_eq!(checked(&error, &url), "no answer within 50ms");
}

#[tokio::test]
async fn a_refusal_in_chunks_is_told() {
    let url = answers_with(
        "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n\
         7;x=y\r\nno such\r\n5\r\n page\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(
        refused(&format!("ws://{url}/")).await,
        "the server answered 404 Not Found: no such page"
    );
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_without_tls_is_told_from_others() {
    let url = answers_with("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    let cause = refused(&format!("wss://{url}/")).await;
    assert!(
        cause.starts_with("TLS failed: ") && cause.contains("begins with `ws://`"),
        "{cause}"
    );
}

/// Starts a server that answers every request with `answer`, and returns its address.
async fn answers_with(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_server_that_hangs_up_has_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    assert!(!refused(&url).await.is_empty());
}

#[tokio::test]
async fn urls_that_are_none_are_mistakes() {
    for url in [
        "127.0.0.1:8090/api",
        "localhost:8090/api",
        "not a url",
        "ftp://127.0.0.1/",
    ] {
        let error = connect::<Stub>(url).await.unwrap_err();
        assert_eq!(
            mistaken(&error, url),
            "the URL has to begin with `ws://` or `wss://`"
        );
    }
    let url = "ws://127.0.0.1:port/";
    let error = connect::<Stub>(url).await.unwrap_err();
    assert!(mistaken(&error, url).contains("invalid port"));
    let url = "ws://ada:secret@127.0.0.1/";
    let error = connect::<Stub>(url).await.unwrap_err();
    assert!(mistaken(&error, url).contains("authorization"));
}

#[tokio::test]
async fn headers_that_are_none_are_mistakes() {
    let url = "ws://127.0.0.1:9/";
    let error = Connect::new(url)
        .header("no header", "x")
        .session()
        .await
        .unwrap_err();
    assert!(mistaken(&error, url).contains("no header"));
    let error = Connect::new(url)
        .header("x", "line\nline")
        .session()
        .await
        .unwrap_err();
    assert!(mistaken(&error, url).contains("the header x"));
    for name in ["line\nline", "a, b", "a b", ""] {
        let connect = Connect::new(url).protocol(name);
        let error = connect.session().await.unwrap_err();
        assert!(mistaken(&error, url).contains("subprotocol"), "{error}");
    }
}

#[test]
fn a_client_without_a_runtime_has_an_error() {
    let url = "ws://127.0.0.1:9/";
    let mut connecting = pin!(connect::<Stub>(url));
    match connecting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Err(error)) => assert!(checked(&error, url).contains("no Tokio runtime")),
        other => panic!("expected an error, got {other:?}"),
    }
}

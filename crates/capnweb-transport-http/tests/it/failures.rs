//! Failed requests, and the kinds of their errors.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use capnweb_core::{ConnectFailure, Stub};
use capnweb_test_support::{HttpProxy, soon};
use capnweb_transport_http::{Batch, batch};
use tokio::net::TcpListener;

use crate::{serve, serve_part, serve_router};

async fn failure(batch: Batch) -> (ConnectFailure, String) {
    let api: Stub = batch.start();
    let error = soon(api.call("square", (3,))).await.unwrap_err();
    let failure = error.connect_failure().cloned();
    let is_mistake = failure == Some(ConnectFailure::InvalidRequest);
    assert_eq!(error.is_type_error(), is_mistake, "{error}");
    // Every failure ends the session.
    assert!(error.is_disconnected(), "{error}");
    (failure.unwrap(), error.message().to_owned())
}

/// Returns an address where nothing listens.
async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_status_has_its_code_and_retry_after() {
    let router = Router::new()
        .route("/401", post(async || StatusCode::UNAUTHORIZED))
        .route("/403", post(async || (StatusCode::FORBIDDEN, "not you")))
        .route(
            "/503",
            post(async || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")])),
        )
        .route(
            "/429",
            post(async || {
                let date = "Fri, 31 Dec 1999 23:59:59 GMT";
                (StatusCode::TOO_MANY_REQUESTS, [("retry-after", date)])
            }),
        );
    let url = serve_router(router).await;
    for (code, retry_after) in [
        (401, None),
        (403, None),
        (404, None),
        (503, Some(Duration::from_secs(7))),
        (429, Some(Duration::ZERO)),
    ] {
        let (failure, message) = failure(Batch::new(format!("{url}{code}"))).await;
        assert_eq!(
            failure,
            ConnectFailure::status(code, retry_after),
            "{message}"
        );
        assert!(message.contains(&code.to_string()), "{message}");
    }
}

#[tokio::test]
async fn each_failure_has_its_kind() {
    let url = format!("http://{}/", free_address().await);
    let (kind, message) = failure(Batch::new(url)).await;
    assert_eq!(kind, ConnectFailure::Refused, "{message}");

    let (kind, message) = failure(Batch::new("http://no-such-host.invalid/")).await;
    assert_eq!(kind, ConnectFailure::Dns, "{message}");

    let pages = Router::new().route("/", post(async || "<!doctype html>"));
    let (kind, message) = failure(Batch::new(serve_router(pages).await)).await;
    assert_eq!(kind, ConnectFailure::NotCapnWeb, "{message}");

    let silent = Router::new().route("/", post(std::future::pending::<String>));
    let url = serve_router(silent).await;
    let (kind, message) = failure(Batch::new(url).timeout(Duration::from_millis(50))).await;
    assert_eq!(kind, ConnectFailure::Timeout, "{message}");

    let (kind, message) = failure(Batch::new(serve_part("[\"res").await)).await;
    assert_eq!(kind, ConnectFailure::Disconnected, "{message}");

    // The server does not use TLS, although the URL requires it.
    let (url, _) = serve(Default::default()).await;
    let (kind, message) = failure(Batch::new(url.replace("http:", "https:"))).await;
    assert_eq!(kind, ConnectFailure::Tls, "{message}");

    for url in [
        "localhost:8080",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:port/",
    ] {
        let (kind, message) = failure(Batch::new(url)).await;
        assert_eq!(kind, ConnectFailure::InvalidRequest, "{message}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_are_refused() {
    for name in ["Content-Length", "transfer-encoding", "connection"] {
        let batch = Batch::new("http://127.0.0.1:9/").header(name, "x");
        let (kind, message) = failure(batch).await;
        assert_eq!(kind, ConnectFailure::InvalidRequest, "{message}");
        assert!(message.contains(&name.to_lowercase()), "{message}");
    }
}

#[tokio::test]
async fn a_batch_goes_through_a_proxy() {
    let (url, _) = serve(Default::default()).await;
    let proxy = HttpProxy::start_for("Basic eDp5").await;
    let address = proxy.address();
    let api: Stub = Batch::new(&url)
        .proxy(format!("http://x:y@{address}"))
        .start();
    let square = api.call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);
    assert_eq!(proxy.requests(), [format!("POST {url} HTTP/1.1")]);

    let (kind, message) = failure(Batch::new(&url).proxy(format!("http://{address}"))).await;
    assert_eq!(kind, ConnectFailure::proxy(Some(407)), "{message}");
    let (kind, message) = failure(Batch::new(&url).proxy("proxy:3128")).await;
    assert_eq!(kind, ConnectFailure::InvalidRequest, "{message}");

    // `https:` needs a tunnel, which the proxy refuses.
    let batch = Batch::new(url.replace("http:", "https:"));
    let (kind, message) = failure(batch.proxy(format!("http://{address}"))).await;
    assert_eq!(kind, ConnectFailure::proxy(None), "{message}");

    let api: Stub = Batch::new(&url).no_proxy().start();
    soon(api.call("square", (3,))).await.unwrap();
    assert_eq!(proxy.requests().len(), 3);
}

#[tokio::test]
async fn a_batch_without_a_proxy_asks_none() {
    let api: Stub = batch(serve(Default::default()).await.0);
    let square = api.call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);
}

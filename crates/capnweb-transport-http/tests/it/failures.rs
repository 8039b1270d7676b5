//! Failed requests, and the kinds of their errors.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use capnweb_core::{ConnectFailure, Stub};
use capnweb_test_support::{HttpProxy, soon};
use capnweb_transport_http::{Batch, batch};
use tokio::{io::AsyncReadExt, net::TcpListener};

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

/// Starts a server that reads a byte from each connection, and closes it. Returns its address.
async fn ending() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_batch_has_not_run_if_the_connection_was_not_made() {
    let nobody = free_address().await;
    let (plain, _) = serve(Default::default()).await;
    // Not one server has seen a request of these.
    let unsent = [
        Batch::new(format!("http://{nobody}/")),
        Batch::new("http://no-such-host.invalid/"),
        // No TLS where there has to be, and an end within its handshake.
        Batch::new(plain.replace("http:", "https:")),
        Batch::new(format!("https://{}/", ending().await)),
        Batch::new(&plain).proxy(format!("http://{nobody}")),
    ];
    let redirecting = async |status: StatusCode| {
        let elsewhere = format!("http://{nobody}/elsewhere");
        let answer = move || async move { (status, [("location", elsewhere)]) };
        Batch::new(serve_router(Router::new().route("/", post(answer))).await)
    };
    let sent = [
        Batch::new(format!("http://{}/", ending().await)),
        // It may have run it, and shows what came of it elsewhere.
        redirecting(StatusCode::SEE_OTHER).await,
        redirecting(StatusCode::FOUND).await,
    ];
    let unsent = unsent.into_iter().chain([
        redirecting(StatusCode::TEMPORARY_REDIRECT).await,
        redirecting(StatusCode::PERMANENT_REDIRECT).await,
    ]);
    let unsent = unsent.map(|batch| (batch, false));
    for (batch, may_have_run) in unsent.chain(sent.map(|batch| (batch, true))) {
        let name = format!("{batch:?}");
        let api: Stub = batch.start();
        let call = api.call("square", (3,));
        let on_it = call.call("x", ());
        for promise in [call, on_it] {
            let error = soon(promise).await.unwrap_err();
            assert!(error.connect_failure().is_some(), "{name}: {error}");
            assert_eq!(error.may_have_run(), may_have_run, "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_batch_follows_redirections_that_keep_it() {
    let (there, _) = serve(Default::default()).await;
    for (status, is_followed) in [
        (StatusCode::TEMPORARY_REDIRECT, true),
        (StatusCode::PERMANENT_REDIRECT, true),
        (StatusCode::MOVED_PERMANENTLY, false),
        (StatusCode::SEE_OTHER, false),
    ] {
        let to = there.clone();
        let answer = move || async move { (status, [("location", to)]) };
        let router = Router::new().route("/", post(answer));
        let api: Stub = batch(serve_router(router).await);
        let squared = soon(api.call("square", (3,)).fetch::<f64>()).await;
        match squared {
            Ok(squared) => assert!(is_followed && squared == 9.0, "{status}"),
            Err(error) => {
                assert!(!is_followed, "{status}: {error}");
                let failure = ConnectFailure::status(status.as_u16(), None);
                assert_eq!(error.connect_failure(), Some(&failure));
            }
        }
    }
    // In a circle.
    let circle = Router::new().route(
        "/",
        post(async || (StatusCode::TEMPORARY_REDIRECT, [("location", "/")])),
    );
    let (kind, message) = failure(Batch::new(serve_router(circle).await)).await;
    assert_eq!(kind, ConnectFailure::status(307, None), "{message}");
}

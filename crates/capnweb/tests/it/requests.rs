//! Responses to all kinds of requests.

use axum::{Router, http::StatusCode};
use capnweb::{
    axum::{Rpc, rpc},
    http::reqwest::Method,
};

use crate::support::{Server, api};

const PUSH_AND_PULL: &str = "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";

#[tokio::test]
async fn a_post_is_a_batch() {
    let server = Server::of(rpc(api)).await;
    let (status, headers, body) = server.request(Method::POST, &[], PUSH_AND_PULL).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::OK, r#"["resolve",1,9]"#)
    );
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert!(!headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let server = Server::of(Rpc::new(api).allow_origin("*").route()).await;
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ] {
        let (status, headers, body) = server.request(method.clone(), &[], "").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(headers["allow"], "GET, POST");
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert!(body.contains("POST") || method == Method::HEAD, "{body}");
    }
}

#[tokio::test]
async fn a_web_socket_needs_a_proper_request() {
    let server = Server::of(rpc(api)).await;
    let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
    let (status, headers, _) = server.request(Method::GET, &headers, "").await;
    assert_eq!(status, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(headers["sec-websocket-version"], "13");
}

#[tokio::test]
async fn pages_may_read_answers_if_told_so() {
    let server = Server::of(Rpc::new(api).allow_origin("https://example.com").route()).await;
    let (_, headers, _) = server.request(Method::POST, &[], PUSH_AND_PULL).await;
    assert_eq!(
        headers["access-control-allow-origin"],
        "https://example.com"
    );
}

#[tokio::test]
async fn browsers_may_ask_which_headers_they_may_send() {
    let ask = [
        ("origin", "https://example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let rpc = Rpc::new(api).allow_origin("*");
    let strict = Server::of(rpc.clone().route()).await;
    let (status, ..) = strict.request(Method::OPTIONS, &ask, "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);

    let lenient = Server::of(rpc.allow_headers(["authorization", "x-trace"]).route()).await;
    let (status, headers, _) = lenient.request(Method::OPTIONS, &ask, "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(headers["access-control-allow-methods"], "POST");
    assert_eq!(
        headers["access-control-allow-headers"],
        "authorization, x-trace"
    );
    // Other OPTIONS requests are still refused.
    let (status, ..) = lenient.request(Method::OPTIONS, &[], "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_route_can_be_the_fallback_of_a_router() {
    let server = Server::start(Router::new().fallback_service(rpc(api))).await;
    for url in [server.http(), format!("{}some/where?x=1", server.http())] {
        let api: capnweb::Stub = capnweb::http::batch(url);
        assert_eq!(api.call("square", (3,)).fetch::<f64>().await.unwrap(), 9.0);
    }
}

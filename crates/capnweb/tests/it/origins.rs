//! Pages that may connect, and pages that may not.

use axum::http::StatusCode;
use capnweb::{
    axum::{Origins, Rpc},
    http::reqwest::Method,
};

use crate::support::{Server, api};

const PUSH_AND_PULL: &str = "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";

#[tokio::test]
async fn pages_of_other_origins_can_be_refused() {
    let allowed = ["https://example.com", "https://example.org"];
    let server = Server::of(Rpc::new(api).only_from_origins(allowed).route()).await;
    for (origin, expected) in [
        (None, StatusCode::OK),
        (Some("https://example.org"), StatusCode::OK),
        (
            Some("https://example.com.evil.example"),
            StatusCode::FORBIDDEN,
        ),
        (Some("null"), StatusCode::FORBIDDEN),
    ] {
        let headers: Vec<_> = origin
            .map(|origin| ("origin", origin))
            .into_iter()
            .collect();
        let (status, ..) = server.request(Method::POST, &headers, PUSH_AND_PULL).await;
        assert_eq!(status, expected, "{origin:?}");

        let mut connect = capnweb::ws::Connect::new(server.ws());
        if let Some(origin) = origin {
            connect = connect.header("origin", origin);
        }
        match connect.session().await {
            Ok(_) => assert_eq!(expected, StatusCode::OK, "{origin:?}"),
            Err(error) => assert!(
                error.message().contains("403 Forbidden"),
                "{origin:?}: {error}"
            ),
        }
    }
}

/// Returns the status of a batch with these `Origin` headers.
async fn status(server: &Server, origins: &[&str]) -> StatusCode {
    let headers: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
    server
        .request(Method::POST, &headers, PUSH_AND_PULL)
        .await
        .0
}

#[tokio::test]
async fn origins_may_be_spelled_in_any_way() {
    for allowed in [
        "https://a.example/",
        "https://A.EXAMPLE",
        "https://a.example:443",
    ] {
        let server = Server::of(Rpc::new(api).only_from_origins([allowed]).route()).await;
        let answered = status(&server, &["https://a.example"]).await;
        assert_eq!(answered, StatusCode::OK, "{allowed}");
        let answered = status(&server, &["https://b.example"]).await;
        assert_eq!(answered, StatusCode::FORBIDDEN, "{allowed}");
    }
}

#[tokio::test]
async fn origins_may_be_all_subdomains() {
    let origins = Origins::new(["https://*.example.com"]).unwrap();
    let server = Server::of(Rpc::new(api).only_from(origins).route()).await;
    for (origin, expected) in [
        ("https://app.example.com", StatusCode::OK),
        ("https://a.b.example.com", StatusCode::OK),
        ("https://example.com", StatusCode::FORBIDDEN),
        (
            "https://app.example.com.evil.example",
            StatusCode::FORBIDDEN,
        ),
    ] {
        assert_eq!(status(&server, &[origin]).await, expected, "{origin}");
    }
}

#[tokio::test]
async fn each_of_several_origins_has_to_be_allowed() {
    let allowed = ["https://a.example", "https://b.example"];
    let server = Server::of(Rpc::new(api).only_from_origins(allowed).route()).await;
    for (origins, expected) in [
        (["https://a.example", "https://b.example"], StatusCode::OK),
        (
            ["https://a.example", "https://evil.example"],
            StatusCode::FORBIDDEN,
        ),
        (
            ["https://evil.example", "https://a.example"],
            StatusCode::FORBIDDEN,
        ),
    ] {
        assert_eq!(status(&server, &origins).await, expected, "{origins:?}");
    }
}

#[test]
#[should_panic(expected = "\"a.example\" can be the origin of no page")]
fn an_origin_that_can_never_match_is_a_mistake() {
    let _ = Rpc::<_, (), _>::new(api).only_from_origins(["a.example"]);
}

#[test]
#[should_panic(expected = "it has no path")]
fn an_origin_to_be_allowed_that_can_never_match_is_a_mistake() {
    let _ = Rpc::<_, (), _>::new(api).allow_origin("https://a.example/app");
}

#[tokio::test]
async fn an_origin_to_be_allowed_is_sent_as_browsers_write_it() {
    let server = Server::of(Rpc::new(api).allow_origin("https://A.example:443/").route()).await;
    let (_, headers, _) = server.request(Method::POST, &[], PUSH_AND_PULL).await;
    assert_eq!(headers["access-control-allow-origin"], "https://a.example");
}

//! The route behind common layers.

use std::{io::Read, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
};
use capnweb::{Object, Stub, axum::rpc, http::reqwest::Method};
use tower::limit::ConcurrencyLimitLayer;
use tower_http::{
    compression::CompressionLayer, cors::CorsLayer, limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer, trace::TraceLayer,
};

use crate::support::{Server, api, soon};

/// The size limit for the body of a batch.
const MAX_BODY: usize = 64 * 1024;

const PAGE: &str = "https://example.com";

fn stack(router: Router) -> Router {
    router
        .layer(ConcurrencyLimitLayer::new(100))
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            Duration::from_secs(30),
        ))
        .layer(CompressionLayer::new())
        .layer(
            CorsLayer::new()
                .allow_origin(HeaderValue::from_static(PAGE))
                .allow_methods([Method::POST])
                .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
                .allow_credentials(true),
        )
        .layer(TraceLayer::new_for_http())
}

async fn layered(main: fn() -> Stub) -> Server {
    Server::start(stack(Router::new().route("/", rpc(main)))).await
}

#[tokio::test]
async fn both_transports_pass_through_a_stack_of_layers() {
    let server = layered(api).await;
    for api in server.both().await {
        assert_eq!(
            soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
            9.0
        );
    }
}

#[tokio::test]
async fn a_web_socket_outlives_the_timeout_of_its_request() {
    let layers =
        TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_millis(50));
    let server = Server::start(Router::new().route("/", rpc(api)).layer(layers)).await;
    let web_socket = server.connect().await;
    let begun = tokio::time::Instant::now();
    // Keep calling for longer than the time limit of a request.
    while begun.elapsed() < Duration::from_millis(200) {
        let four = soon(web_socket.call("square", (2,)).fetch::<f64>()).await;
        assert_eq!(four.unwrap(), 4.0);
    }
}

#[tokio::test]
async fn a_batch_that_is_too_long_is_refused_and_a_message_on_a_web_socket_is_not() {
    let echo = || {
        Object::new()
            .method("echo", async |text: String| Ok(text))
            .into_stub()
    };
    let server = layered(echo).await;
    let long = "x".repeat(2 * MAX_BODY);
    let [batch, web_socket] = server.both().await;
    let refused = soon(batch.call("echo", (&long,)).fetch::<String>()).await;
    assert!(refused.unwrap_err().to_string().contains("413"));
    let echoed = soon(web_socket.call("echo", (&long,)).fetch::<String>()).await;
    assert_eq!(echoed.unwrap().len(), long.len());
}

#[tokio::test]
async fn a_page_may_send_batches_with_its_cookies() {
    let server = layered(api).await;
    let preflight = [
        ("origin", PAGE),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let (status, headers, _) = server.request(Method::OPTIONS, &preflight, "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-origin"], PAGE);
    assert_eq!(headers["access-control-allow-credentials"], "true");
    let body = "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";
    let (_, headers, text) = server
        .request(Method::POST, &[("origin", PAGE)], body)
        .await;
    assert_eq!(headers["access-control-allow-origin"], PAGE);
    assert_eq!(text, r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn the_answer_to_a_batch_is_compressed_for_clients_that_ask() {
    let long = || {
        Object::new()
            .property("text", "x".repeat(10_000))
            .into_stub()
    };
    let server = layered(long).await;
    let body = "[\"push\",[\"pipeline\",0,[\"text\"]]]\n[\"pull\",1]";
    let request = capnweb::http::client_builder()
        .build()
        .unwrap()
        .post(server.http());
    let request = request.header(header::ACCEPT_ENCODING, "gzip").body(body);
    let response = soon(request.send()).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    let compressed = soon(response.bytes()).await.unwrap();
    assert!(compressed.len() < 1_000, "{} bytes", compressed.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&compressed[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.starts_with(r#"["resolve",1,"xxx"#), "{}", &text[..40]);
}

//! Routes for the description of an interface.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use capnweb::{
    Result, SessionOptions,
    axum::Rpc,
    describe::{self, Description},
    typescript,
};
use tower_service::Service as _;

use crate::support::Server;

#[capnweb::interface]
trait Greeter {
    /// Greets.
    async fn greet(&self, name: String, times: Option<u8>) -> Result<String>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, name: String, _times: Option<u8>) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }
}

async fn ask(app: &Router, method: Method, path: &str) -> (Response<()>, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = app.clone().call(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (Response::from_parts(head, ()), text)
}

#[tokio::test]
async fn declarations_description_and_schemas_are_served_with_their_types() {
    let description = Description::of::<GreeterStub>();
    let app = Router::new().nest("/about", capnweb::axum::describe(description.clone()));
    for (path, content_type, expected) in [
        (
            "/about/api.d.ts",
            "application/typescript; charset=utf-8",
            typescript::of::<GreeterStub>().to_string(),
        ),
        (
            "/about/description.json",
            "application/json",
            description.to_json(),
        ),
        (
            "/about/schema.json",
            "application/schema+json",
            capnweb::json_schema::of::<GreeterStub>().to_string(),
        ),
    ] {
        let (head, text) = ask(&app, Method::GET, path).await;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(head.headers()[header::CONTENT_TYPE], content_type);
        assert_eq!(text, expected, "{path}");
        let (head, text) = ask(&app, Method::HEAD, path).await;
        assert_eq!((head.status(), text.as_str()), (StatusCode::OK, ""));
        let (head, _) = ask(&app, Method::POST, path).await;
        assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    let (head, _) = ask(&app, Method::GET, "/about/other.json").await;
    assert_eq!(head.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn interfaces_can_be_read_over_both_transports_if_the_route_says_so() {
    let open = Rpc::new(|| GreeterStub::new(Polite))
        .options(SessionOptions::new().with_introspection(true));
    let server = Server::of(open.route()).await;
    for main in server.both().await {
        let found: Description = main.get(describe::PROPERTY).fetch().await.unwrap();
        assert_eq!(found, Description::of::<GreeterStub>());
    }
    let server = Server::of(capnweb::axum::rpc(|| GreeterStub::new(Polite))).await;
    for main in server.both().await {
        let found: capnweb::Value = main.get(describe::PROPERTY).fetch().await.unwrap();
        assert_eq!(found, capnweb::Value::Undefined);
    }
}

//! Requests and responses between axum, reqwest and sessions.

use axum::{Router, extract::Request as AxumRequest, response::IntoResponse, routing::any};
use capnweb::{
    Error, Object, OrInternal, Result, Stub, Url,
    fetch::{Blob, Request, Response},
    http::{client_builder, reqwest},
    typed::TypedArray,
};
use tokio::net::TcpListener;

use crate::support::{Server, soon};

/// Serves a router, and returns its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// Returns an object that fetches URLs for its callers.
fn fetcher() -> Stub {
    let client = client_builder().build().unwrap();
    Object::new()
        .method("fetch", move |request: Request| {
            let client = client.clone();
            async move {
                let request = request.into_inner().map(reqwest::Body::wrap);
                let request = reqwest::Request::try_from(request).or_internal()?;
                let response = client.execute(request).await.or_internal()?;
                let response: axum::http::Response<reqwest::Body> = response.into();
                Ok(Response::from(response))
            }
        })
        .into_stub()
}

/// A site that echoes its request.
async fn site(request: AxumRequest) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    let text = format!("{} {} {body}", parts.method, parts.uri);
    (axum::http::StatusCode::ACCEPTED, [("x-a", "b")], text)
}

#[tokio::test]
async fn a_request_goes_all_the_way_and_the_response_back() {
    let origin = serve(Router::new().fallback(site)).await;
    let api = Server::of(capnweb::axum::rpc(fetcher))
        .await
        .connect()
        .await;
    // A gateway, which fetches incoming HTTP requests through the object.
    let base: Url = origin.parse().unwrap();
    let gateway = serve(
        Router::new().fallback(any(async move |request: AxumRequest| {
            let request = Request::from(request).against(&base)?;
            let response = api.call("fetch", (request,)).fetch::<Response>().await?;
            std::result::Result::<_, Refused>::Ok(response.into_inner())
        })),
    )
    .await;
    let client = client_builder().build().unwrap();
    for (method, body) in [("POST", "x".repeat(200_000)), ("GET", String::new())] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = client.request(method.clone(), format!("{gateway}/a?b"));
        let response = soon(request.body(body.clone()).send()).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["x-a"]),
            (202.try_into().unwrap(), &"b".parse().unwrap())
        );
        assert_eq!(
            soon(response.text()).await.unwrap(),
            format!("{method} /a?b {body}")
        );
    }
}

/// The error of a call, as a response of axum.
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        (axum::http::StatusCode::BAD_GATEWAY, self.0.to_string()).into_response()
    }
}

#[capnweb::interface]
trait Site {
    async fn fetch(&self, request: Request) -> Result<Response>;
    async fn size(&self, blob: Blob) -> Result<usize>;
    async fn sum(&self, numbers: TypedArray<f32>) -> Result<f32>;
}

struct Counter;

impl Site for Counter {
    async fn fetch(&self, request: Request) -> Result<Response> {
        let length = request.body().bytes(1000).await?.len();
        Ok(axum::http::Response::new(length.to_string()).into())
    }

    async fn size(&self, blob: Blob) -> Result<usize> {
        Ok(blob.bytes().len())
    }

    async fn sum(&self, numbers: TypedArray<f32>) -> Result<f32> {
        Ok(numbers.iter().sum())
    }
}

#[tokio::test]
async fn interfaces_take_requests_and_responses() {
    let route = capnweb::axum::rpc(|| SiteStub::new(Counter));
    let server = Server::of(route).await;
    let site: SiteStub = soon(capnweb::ws::connect(server.ws())).await.unwrap();
    let request = axum::http::Request::post("https://a/").body("12345".to_owned());
    let response = soon(site.fetch(Request::from(request.unwrap())))
        .await
        .unwrap();
    assert_eq!(response.body().text(100).await.unwrap(), "5");
    assert_eq!(soon(site.size(Blob::new("a/b", "123"))).await.unwrap(), 3);
    let numbers = TypedArray(vec![1.5, 2.0]);
    assert_eq!(soon(site.sum(&numbers)).await.unwrap(), 3.5);
    assert_eq!(soon(site.sum(numbers.into_inner())).await.unwrap(), 3.5);
}

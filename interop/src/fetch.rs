//! The main object's requests and responses. `node/fetch.mjs` implements them in JavaScript.

use capnweb::{
    OrInternal, Result,
    fetch::{Body, Request, Response},
};

/// The longest body that is read.
const LIMIT: usize = 16 << 20;

/// The visible parts of a request: URL, method, the header `x-a`, and the body as text.
pub(crate) type Seen = (String, String, Option<String>, String);

/// Returns a response with status 201, the header `x-a: b`, and this text.
pub(crate) fn make_response(text: String) -> Result<Response> {
    let response = http::Response::builder()
        .status(201)
        .header("x-a", "b")
        .body(Body::from(text));
    Ok(Response(response.or_internal()?))
}

pub(crate) async fn read_request(request: Request) -> Result<Seen> {
    let header = request.headers().get("x-a");
    let header = header.and_then(|value| value.to_str().ok().map(str::to_owned));
    let (url, method) = (request.uri().to_string(), request.method().to_string());
    Ok((url, method, header, request.body().text(LIMIT).await?))
}

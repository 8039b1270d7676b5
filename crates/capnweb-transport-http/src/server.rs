//! Answering a batch with axum.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use capnweb_core::Connection;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::respond::Answers;

/// Answers a batch: reads a request's body and makes the response.
///
/// A body that is longer than a single message may be, by the session's
/// [`Limits`](capnweb_core::Limits), is refused with 413, one that is not UTF-8 with 400. The rest is
/// as [`respond`](crate::respond) says, except that of a long batch the client gets the first answers while the last
/// calls are still being done.
///
/// ```
/// use axum::{Router, body::Body, response::Response, routing::post};
/// use capnweb_core::{Object, Session, SessionOptions};
/// use capnweb_transport_http::answer;
///
/// async fn api(body: Body) -> Response {
///     let (_session, mut connection) = Session::server_batch(SessionOptions::default());
///     connection.set_main(Object::new().property("version", "1.0").into_stub());
///     answer(body, connection).await
/// }
/// let app: Router = Router::new().route("/api", post(api));
/// ```
pub async fn answer(body: Body, connection: Connection) -> Response {
    let request = match read(body, connection.options().limits_ref().max_message_bytes()).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(request) = String::from_utf8(request.into()) else {
        return (StatusCode::BAD_REQUEST, "The request is not UTF-8.").into_response();
    };
    let mut answers = Answers::new(connection);
    let mut at = 0;
    let first = answers.next(&request, &mut at).await;
    let body = if answers.is_over() {
        Body::from(first)
    } else {
        in_parts(first, answers, request, at)
    };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// A body that is sent as it comes about.
fn in_parts(first: Bytes, answers: Answers, request: String, at: usize) -> Body {
    let parts = Parts {
        answers,
        request,
        at,
        part: Bytes::new(),
    };
    let rest = stream::unfold(parts, async |mut parts| Some((parts.next().await?, parts)));
    let parts = stream::once(async { first }).chain(rest);
    Body::from_stream(parts.map(Ok::<_, Infallible>))
}

/// What of a body has not been sent.
struct Parts {
    answers: Answers,
    request: String,
    /// How far the request is done.
    at: usize,
    /// It comes next. The newline between what was before and this has been sent.
    part: Bytes,
}

impl Parts {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.part.is_empty() {
            return Some(std::mem::take(&mut self.part));
        }
        if !self.answers.is_over() {
            self.part = self.answers.next(&self.request, &mut self.at).await;
        }
        (!self.part.is_empty()).then_some(Bytes::from_static(b"\n"))
    }
}

async fn read(body: Body, max: usize) -> Result<Bytes, (StatusCode, String)> {
    match Limited::new(body, max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The request is over the limit of {max} bytes (Limits::max_message_size)."),
        )),
        Err(error) => Err((
            StatusCode::BAD_REQUEST,
            format!("The request could not be read to its end: {error}"),
        )),
    }
}

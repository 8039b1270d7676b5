//! Answering a batch with axum.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use capnweb_core::Connection;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{body::without_mark, respond::Answers};

/// The time that a request's body may pause, unless [`answer_within`] says otherwise.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers a batch: reads a request's body and makes the response.
///
/// A body that pauses for 30 seconds is refused with 408; [`answer_within`] sets another time. A
/// body that is longer than a single message may be, by the session's
/// [`Limits`](capnweb_core::Limits), is refused with 413, one that is not UTF-8 with 400. The rest
/// is as [`respond`](crate::respond) says, except that the first answers of a long batch are sent
/// while its last calls are still being made.
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
    answer_within(BODY_TIMEOUT, body, connection).await
}

/// Answers a batch like [`answer`], with a time of one's own that the request's body may pause.
pub async fn answer_within(timeout: Duration, body: Body, connection: Connection) -> Response {
    let max = connection.options().limits_ref().max_message_bytes();
    let request = match read(body, max, timeout).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(request) = String::from_utf8(request.into()) else {
        return (StatusCode::BAD_REQUEST, "The request is not UTF-8.").into_response();
    };
    let mut answers = Answers::new(connection);
    let mut at = request.len() - without_mark(&request).len();
    let first = answers.next(&request, &mut at).await;
    let body = if answers.is_over() {
        Body::from(first)
    } else {
        in_parts(first, answers, request, at)
    };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// Returns a body that is sent part by part.
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

/// The parts of a body that have not been sent.
struct Parts {
    answers: Answers,
    request: String,
    /// The length of the request that has been taken in.
    at: usize,
    /// The part that comes next. The newline before it has been sent.
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

/// Reads a body whole. Returns the refusal if that fails, if it is longer than `max`, or if it
/// pauses for `timeout`.
async fn read(body: Body, max: usize, timeout: Duration) -> Result<Bytes, Refusal> {
    let mut body = Limited::new(body, max);
    // Most bodies are one frame, which is not copied.
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = next_frame(&mut body, max, timeout).await? {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

type Refusal = (StatusCode, String);

async fn next_frame(
    body: &mut Limited<Body>,
    max: usize,
    timeout: Duration,
) -> Result<Option<Frame<Bytes>>, Refusal> {
    match tokio::time::timeout(timeout, body.frame()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(error))) if error.is::<LengthLimitError>() => Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The request is over the limit of {max} bytes (Limits::max_message_size)."),
        )),
        Ok(Some(Err(error))) => Err((
            StatusCode::BAD_REQUEST,
            format!("The request could not be read to its end: {error}"),
        )),
        Err(_) => Err((
            StatusCode::REQUEST_TIMEOUT,
            format!("Nothing more came of the request within {timeout:?}."),
        )),
    }
}

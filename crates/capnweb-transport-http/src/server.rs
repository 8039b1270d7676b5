//! Answering a batch with axum.

use std::{
    convert::Infallible,
    fmt,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use capnweb_core::{ByteCharge, Connection};
use capnweb_net::{RETRY_AFTER, ServerFull, ServerLimits};
use futures_util::stream;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::Instant;

use crate::{body::without_mark, respond::Answers};

/// The time that a request's body may pause, unless [`answer_within`] says otherwise.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers a batch: reads a request's body and makes the response.
///
/// A body of which less than 16 KiB come in 30 seconds is refused with 408; [`answer_within`] sets
/// another time. A body that is longer than a single message may be, by the session's
/// [`Limits`](capnweb_core::Limits), is refused with 413, one that is not UTF-8 with 400. The rest
/// is as [`respond`](crate::respond) says, except that the first answers of a long batch are sent
/// while its last calls are still being made.
///
/// ```
/// use axum::{Router, body::Body, response::Response, routing::post};
/// use capnweb::{Object, Session, SessionOptions};
/// use capnweb::http::answer;
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
    answer_with(timeout, ServerLimits::shared(), body, connection).await
}

/// Answers a batch like [`answer_within`], with bounds of one's own for all clients together.
///
/// They bound the bytes of requests that have not come whole, and of answers that clients do not
/// read. The number of sessions is not looked at.
pub async fn answer_with(
    timeout: Duration,
    limits: &ServerLimits,
    body: Body,
    connection: Connection,
) -> Response {
    if limits.unread().is_exhausted() {
        return full(ServerFull::UnreadBytes);
    }
    let max = connection.options().limits_ref().max_message_bytes();
    // It is held until the batch has been taken in.
    let mut unfinished = limits.unfinished().charge();
    let request = match read(body, max, timeout, &mut unfinished).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let Ok(request) = String::from_utf8(request.into()) else {
        return (StatusCode::BAD_REQUEST, "The request is not UTF-8.").into_response();
    };
    let mut answers = Answers::new(connection);
    let mut at = request.len() - without_mark(&request).len();
    let first = answers.next(&request, &mut at).await;
    let mut unread = limits.unread().charge();
    if !unread.set(first.len()) {
        return too_much_unread();
    }
    let body = if answers.is_over() {
        drop((request, unfinished));
        Body::new(Unread {
            rest: first,
            _charge: unread,
        })
    } else {
        in_parts(first, answers, request, at, (unfinished, unread))
    };
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

/// Refuses a batch before any of it was done.
fn full(limit: ServerFull) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())],
        limit.to_string(),
    )
        .into_response()
}

/// Drops the answers to a batch whose calls have been made, so that the client had better not send
/// it again.
fn too_much_unread() -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("The calls were made, but {}.", ServerFull::UnreadBytes),
    )
        .into_response()
}

/// Returns a body that is sent part by part.
fn in_parts(
    first: Bytes,
    answers: Answers,
    request: String,
    at: usize,
    (unfinished, unread): (ByteCharge, ByteCharge),
) -> Body {
    let parts = Parts {
        answers,
        request,
        at,
        part: first,
        newline: false,
        _unfinished: unfinished,
        unread,
    };
    Body::from_stream(stream::try_unfold(parts, async |mut parts| {
        Ok::<_, TooMuch>(parts.next().await?.map(|piece| (piece, parts)))
    }))
}

/// Too many bytes of answers are unread.
#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ServerFull::UnreadBytes.fmt(f)
    }
}

impl std::error::Error for TooMuch {}

/// The length of the pieces of which a long answer is sent. The server takes the next one when it
/// has sent the last.
const PIECE: usize = 64 * 1024;

/// A body that is counted while it is unread.
struct Unread {
    rest: Bytes,
    _charge: ByteCharge,
}

impl http_body::Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let len = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(len);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len().try_into().unwrap_or(u64::MAX))
    }
}

/// The parts of a body that have not been sent.
struct Parts {
    answers: Answers,
    request: String,
    /// The length of the request that has been taken in.
    at: usize,
    /// The part that is being sent.
    part: Bytes,
    /// Whether a newline has been sent after the part before.
    newline: bool,
    _unfinished: ByteCharge,
    unread: ByteCharge,
}

impl Parts {
    /// Returns the next piece.
    async fn next(&mut self) -> Result<Option<Bytes>, TooMuch> {
        if self.part.is_empty() && !self.newline {
            if !self.answers.is_over() {
                self.part = self.answers.next(&self.request, &mut self.at).await;
            }
            if self.part.is_empty() {
                return Ok(None);
            }
            if !self.unread.set(self.part.len()) {
                return Err(TooMuch);
            }
            self.newline = true;
            return Ok(Some(Bytes::from_static(b"\n")));
        }
        self.newline = false;
        let len = self.part.len().min(PIECE);
        Ok(Some(self.part.split_to(len)))
    }
}

/// The number of bytes that count as progress of a request.
const PROGRESS: usize = 16 * 1024;

/// Reads a body whole. Returns the refusal if that fails, if it is longer than `max`, if there is no
/// room for it, or if less than 16 KiB of it come within `timeout`.
async fn read(
    body: Body,
    max: usize,
    timeout: Duration,
    charge: &mut ByteCharge,
) -> Result<Bytes, Response> {
    let mut body = Limited::new(body, max);
    // Most bodies are one frame, which is not copied.
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut progress = 0;
    let mut late = pin!(tokio::time::sleep(timeout));
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = &mut late => return Err(too_slow(timeout)),
        };
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|error| unreadable(&*error, max))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        progress += data.len();
        if progress >= PROGRESS {
            progress = 0;
            late.as_mut().reset(Instant::now() + timeout);
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
        if !charge.set(first.len() + joined.capacity()) {
            return Err(full(ServerFull::UnfinishedBytes));
        }
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

fn too_slow(timeout: Duration) -> Response {
    let text =
        format!("The request was not complete, and next to nothing came within {timeout:?}.");
    (StatusCode::REQUEST_TIMEOUT, text).into_response()
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static), max: usize) -> Response {
    if error.is::<LengthLimitError>() {
        let text =
            format!("The request is over the limit of {max} bytes (Limits::max_message_size).");
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    }
    let text = format!("The request could not be read to its end: {error}");
    (StatusCode::BAD_REQUEST, text).into_response()
}

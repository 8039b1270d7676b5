//! Answering a batch in axum.

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
use bytes::Bytes;
use capnweb_core::{ByteCharge, Connection, LongBytes};
use capnweb_net::{RETRY_AFTER, ServerFull, ServerLimits};
use futures_util::stream;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::Instant;

use crate::{body::BYTE_ORDER_MARK, respond::Answers};

/// The default time limit for pauses of a request's body: see [`answer_within`].
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers a batch: reads a request's body and returns the response.
///
/// A body is refused with 408 if less than 16 KiB of it arrive within 30 seconds; [`answer_within`]
/// sets another time limit. A body that exceeds the session's [limit](capnweb_core::Limits) for a
/// single message is refused with 413, and one that is not UTF-8 with 400. Otherwise this works
/// like [`respond`](crate::respond), except that the first answers of a long batch are sent while
/// its last calls are still being made.
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

/// Answers a batch like [`answer`], with a custom time limit for pauses of the request's body.
pub async fn answer_within(timeout: Duration, body: Body, connection: Connection) -> Response {
    answer_with(timeout, ServerLimits::shared(), body, connection).await
}

/// Answers a batch like [`answer_within`], with custom bounds for all clients together.
///
/// The bounds apply to the bytes of incomplete requests, and of answers that clients have not read.
/// The number of sessions is not checked.
pub async fn answer_with(
    timeout: Duration,
    limits: &ServerLimits,
    body: Body,
    connection: Connection,
) -> Response {
    if limits.unread().is_exhausted() {
        return full(ServerFull::UnreadBytes);
    }
    let max = connection.options().limits().max_message_bytes();
    // Held until the whole batch has been received.
    let mut unfinished = limits.unfinished().charge();
    let request = match read(body, max, timeout, &mut unfinished).await {
        Ok(request) => request,
        Err(refusal) => return refusal,
    };
    let mut answers = Answers::new(connection);
    let mut mark = [0; 4];
    let mark = BYTE_ORDER_MARK.encode_utf8(&mut mark).as_bytes();
    let mut at = if request.starts_with(mark) {
        mark.len()
    } else {
        0
    };
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

/// Joins the parts of a request. Returns `None` if it is not UTF-8.
async fn join(first: Bytes, more: LongBytes) -> Option<Bytes> {
    /// The length from which this takes long, in bytes.
    const LONG: usize = 1 << 20;
    let len = first.len() + more.len();
    let join = move || {
        let whole = match more.is_empty() {
            true => first,
            false => {
                let mut whole = Vec::with_capacity(len);
                let parts = std::iter::once(first).chain(more.into_parts());
                parts.for_each(|part| whole.extend_from_slice(&part));
                whole.into()
            }
        };
        str::from_utf8(&whole).is_ok().then_some(whole)
    };
    if len < LONG {
        join()
    } else {
        // It fails only if the runtime is shut down.
        tokio::task::spawn_blocking(join).await.ok().flatten()
    }
}

/// Returns the refusal of a batch before any of it is processed.
fn full(limit: ServerFull) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())],
        limit.to_string(),
    )
        .into_response()
}

/// Returns the response that drops the answers to a batch. Its calls have been made, so the client
/// should not send it again.
fn too_much_unread() -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("The calls were made, but {}.", ServerFull::UnreadBytes),
    )
        .into_response()
}

/// Returns a body that is sent in parts.
fn in_parts(
    first: Bytes,
    answers: Answers,
    request: Bytes,
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

/// The error for too many bytes of unread answers.
#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ServerFull::UnreadBytes.fmt(f)
    }
}

impl std::error::Error for TooMuch {}

/// The size of the pieces in which a long answer is sent. The server takes a piece when it has sent
/// the previous one.
const PIECE: usize = 64 * 1024;

/// A body that is counted until it is read.
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

/// The remaining parts of a body.
struct Parts {
    answers: Answers,
    request: Bytes,
    /// The number of bytes of the request that have been processed.
    at: usize,
    /// The part that is being sent.
    part: Bytes,
    /// True once the newline after the previous part has been sent.
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

/// Reads a whole body, which is a text. Returns the refusal if reading fails, if the body is longer
/// than `max` or not UTF-8, if there is no room for it, or if less than 16 KiB of it arrive within
/// `timeout`.
async fn read(
    body: Body,
    max: usize,
    timeout: Duration,
    charge: &mut ByteCharge,
) -> Result<Bytes, Response> {
    let mut body = Limited::new(body, max);
    // Most bodies are a single frame, which is not copied.
    let mut first = Bytes::new();
    let mut more = LongBytes::default();
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
        if first.is_empty() && more.is_empty() {
            first = data;
        } else {
            more.push(&std::mem::take(&mut first));
            more.push(&data);
        }
        if !charge.set(first.len() + more.capacity()) {
            return Err(full(ServerFull::UnfinishedBytes));
        }
    }
    let not_utf8 = || (StatusCode::BAD_REQUEST, "The request is not UTF-8.").into_response();
    join(first, more).await.ok_or_else(not_utf8)
}

fn too_slow(timeout: Duration) -> Response {
    let text =
        format!("The request was incomplete, and almost nothing arrived within {timeout:?}.");
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

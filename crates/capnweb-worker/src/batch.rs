//! Answers to batches.

use capnweb_core::{Connection, EndCause, Error, Session, SessionEnd, runtime::Scope};
use capnweb_transport_web::until_trap;
use worker::{Headers, Request, Response, Result};

use crate::{rpc::respond, wait_until::WaitUntil};

/// The byte order mark, which some programs write at the start of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a request's body and returns the response.
pub(crate) async fn answer(
    request: Request,
    headers: Headers,
    context: &impl WaitUntil,
    session: Session,
    connection: Connection,
) -> Result<Response> {
    let answered = until_trap(exchange(request, headers.clone(), connection)).await;
    // Calls whose results nobody awaits may continue for the session's grace period.
    context.wait_until(Scope::current().run(session.idle()));
    // Without this answer, the client would wait for the call that has trapped.
    answered.unwrap_or_else(|| respond(500, headers, "The program has panicked."))
}

async fn exchange(
    mut request: Request,
    headers: Headers,
    mut connection: Connection,
) -> Result<Response> {
    let max = connection.options().limits().max_message_bytes();
    let announced = request.headers().get("content-length")?;
    let is_too_long = |len: usize| len > max;
    if announced
        .and_then(|length| length.parse().ok())
        .is_some_and(is_too_long)
    {
        return too_long(headers, max);
    }
    let body = request.bytes().await?;
    if is_too_long(body.len()) {
        return too_long(headers, max);
    }
    let Ok(body) = String::from_utf8(body) else {
        return respond(400, headers, "The request is not UTF-8.");
    };
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body);
    for message in body.lines().map(str::trim_ascii) {
        // A message that violates the protocol ends the batch. The answer reports the violation.
        if !message.is_empty() && connection.receive(message).is_err() {
            break;
        }
    }
    connection.end_of_input();
    connection.answered().await;
    let mut messages = connection.take_outgoing();
    let lines = messages.take_lines();
    // The TypeScript library would read an empty last line as a message.
    let answer = lines.strip_suffix(b"\n").unwrap_or(&lines);
    let answer = String::from_utf8_lossy(answer);
    let response = respond(200, headers, &answer);
    connection.end(
        Error::disconnected("the batch has been answered")
            .with_session_end(SessionEnd::new(EndCause::Here).normal()),
    );
    response
}

fn too_long(headers: Headers, max: usize) -> Result<Response> {
    respond(
        413,
        headers,
        &format!("The request is over the limit of {max} bytes."),
    )
}

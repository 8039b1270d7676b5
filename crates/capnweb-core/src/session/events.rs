//! Events for `tracing`: messages in and out, limits and ends.
//!
//! All are at level `TRACE` but the end of a session, which is at `DEBUG`. Their target is
//! `capnweb`. They are emitted outside the session's lock, since a subscriber is foreign code, and
//! cost one check of a static where nobody listens.

use crate::{Attachment, graph::error::Error, outgoing::Outgoing};

/// The kind of a message and the ID in it, as far as its head tells.
#[derive(Debug, PartialEq, Eq)]
struct Head<'a> {
    kind: &'a str,
    /// For a push, a stream or a pipe none: it is implied by the message's place.
    id: Option<i64>,
}

impl<'a> Head<'a> {
    fn of(message: &'a [u8]) -> Self {
        let text = std::str::from_utf8(message.get(..64).unwrap_or(message));
        // A cut may have split a character, far behind the head.
        let text = match text {
            Ok(text) => text,
            Err(error) => message
                .get(..error.valid_up_to())
                .and_then(|valid| std::str::from_utf8(valid).ok())
                .unwrap_or_default(),
        };
        let mut parts = text.trim_start_matches(['[', ' ']).splitn(3, [',', ']']);
        let kind = parts.next().unwrap_or_default().trim().trim_matches('"');
        let id = parts.next().and_then(|id| id.trim().parse().ok());
        Self { kind, id }
    }
}

/// Traces a message that has arrived.
#[inline]
pub(super) fn received(session: u64, message: &str, attachments: &[Attachment]) {
    if tracing::enabled!(target: "capnweb", tracing::Level::TRACE) {
        trace_received(session, message, attachments);
    }
}

#[cold]
fn trace_received(session: u64, message: &str, attachments: &[Attachment]) {
    let Head { kind, id } = Head::of(message.as_bytes());
    let len = message.len() + attachments.iter().map(Attachment::text_len).sum::<usize>();
    tracing::trace!(target: "capnweb", session, kind, id, len, "received");
}

/// Traces the messages that a transport is about to send.
#[inline]
pub(super) fn sending(session: u64, messages: &Outgoing) {
    if tracing::enabled!(target: "capnweb", tracing::Level::TRACE) {
        trace_sending(session, messages);
    }
}

#[cold]
fn trace_sending(session: u64, messages: &Outgoing) {
    for (message, len) in messages.iter() {
        let Head { kind, id } = Head::of(message);
        tracing::trace!(target: "capnweb", session, kind, id, len, "sending");
    }
}

/// Tells of the end of a session, and of the limit that was exceeded if that is the reason.
pub(super) fn ended(session: u64, reason: &Error) {
    if let Some(limit) = reason.exceeded_limit() {
        tracing::trace!(target: "capnweb", session, ?limit, "a limit was exceeded");
    }
    tracing::debug!(target: "capnweb", session, %reason, "the session has ended");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_kind_and_id() {
        for (message, kind, id) in [
            (r#"["pull",7]"#, "pull", Some(7)),
            (r#" [ "release" , -3 , 1 ]"#, "release", Some(-3)),
            (r#"["resolve",1,{"a":[["b"]]}]"#, "resolve", Some(1)),
            (r#"["push",["pipeline",0,["f"],[]]]"#, "push", None),
            (r#"["pipe"]"#, "pipe", None),
            ("", "", None),
            ("x", "x", None),
        ] {
            assert_eq!(Head::of(message.as_bytes()), Head { kind, id }, "{message}");
        }
        let cut = format!(r#"["abort","{}"]"#, "ü".repeat(60));
        assert_eq!(Head::of(cut.as_bytes()).kind, "abort");
    }
}

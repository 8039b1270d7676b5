//! Events for `tracing`: messages in both directions, limits and ends.
//!
//! All have the level `TRACE`, except for the end of a session, which has `DEBUG`. Their target is
//! `capnweb`. They are emitted outside the session's lock, since a subscriber is foreign code.
//! Without a listener, an event costs one check of a static variable.

use std::sync::Arc;

use crate::{
    Attachment,
    graph::{
        error::Error,
        hooks::SessionHooks,
        observe::{Direction, MessageInfo},
    },
    outgoing::Outgoing,
};

type Hooks<'a> = Option<&'a Arc<SessionHooks>>;

/// The kind of a message and its ID, as far as they can be read from its start.
#[derive(Debug, PartialEq, Eq)]
struct Head<'a> {
    kind: &'a str,
    /// `None` for a push, a stream or a pipe, whose ID follows from its order.
    id: Option<i64>,
}

impl<'a> Head<'a> {
    fn of(message: &'a [u8]) -> Self {
        let text = std::str::from_utf8(message.get(..64).unwrap_or(message));
        // The text may have been cut within a character, but far behind the start.
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

/// Traces a received message, and tells the observer.
#[inline]
pub(super) fn received(session: u64, message: &str, attachments: &[Attachment], hooks: Hooks<'_>) {
    if tracing::enabled!(target: "capnweb", tracing::Level::TRACE) || hooks.is_some() {
        trace_received(session, message, attachments, hooks);
    }
}

#[cold]
fn trace_received(session: u64, message: &str, attachments: &[Attachment], hooks: Hooks<'_>) {
    let attached: usize = attachments.iter().map(Attachment::text_len).sum();
    let (Head { kind, id }, len) = (Head::of(message.as_bytes()), message.len() + attached);
    tracing::trace!(target: "capnweb", session, kind, id, len, "received");
    if let Some(hooks) = hooks {
        hooks.message(&MessageInfo {
            direction: Direction::Incoming,
            kind,
            id,
            len,
            text: message.as_bytes(),
        });
    }
}

/// Traces the messages that a transport is about to send, and tells the observer.
#[inline]
pub(super) fn sending(session: u64, messages: &Outgoing, hooks: Hooks<'_>) {
    if tracing::enabled!(target: "capnweb", tracing::Level::TRACE) || hooks.is_some() {
        trace_sending(session, messages, hooks);
    }
}

#[cold]
fn trace_sending(session: u64, messages: &Outgoing, hooks: Hooks<'_>) {
    for (message, attached) in messages.iter() {
        let (Head { kind, id }, len) = (Head::of(message), message.len() + attached);
        tracing::trace!(target: "capnweb", session, kind, id, len, "sending");
        if let Some(hooks) = hooks {
            hooks.message(&MessageInfo {
                direction: Direction::Outgoing,
                kind,
                id,
                len,
                text: message,
            });
        }
    }
}

/// Traces the end of a session, and the exceeded limit if that is the reason. Tells the observer.
pub(super) fn ended(session: u64, reason: &Error, hooks: Hooks<'_>) {
    if let Some(limit) = reason.exceeded_limit() {
        tracing::trace!(target: "capnweb", session, ?limit, "a limit was exceeded");
    }
    tracing::debug!(target: "capnweb", session, %reason, "the session has ended");
    if let Some(hooks) = hooks {
        hooks.ended(reason);
    }
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

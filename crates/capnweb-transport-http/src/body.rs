//! The body of a batch: one message per line.

use bytes::Bytes;
use capnweb_core::Outgoing;

/// The byte order mark, which some programs write at the start of a text. It is not part of the
/// first message.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Returns the body without a byte order mark.
pub(crate) fn without_mark(body: &str) -> &str {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// Iterates over the messages of a body.
#[cfg(any(feature = "client", test))]
pub(crate) fn messages(body: &str) -> impl Iterator<Item = &str> {
    body.lines().filter_map(message)
}

/// Returns the message in a line, without the `\r` of CRLF, or `None` if the line is blank.
pub(crate) fn message(line: &str) -> Option<&str> {
    let message = line.trim_ascii();
    (!message.is_empty()).then_some(message)
}

/// Joins messages into a body. There is no newline at the end, since the TypeScript library would
/// treat the empty string behind it as another message, and fail.
pub(crate) fn join(mut messages: Outgoing) -> Bytes {
    let mut body = messages.take_lines();
    body.truncate(body.len().saturating_sub(1));
    body
}

#[cfg(test)]
mod tests {
    use capnweb_core::{Session, SessionOptions};

    use super::*;

    #[test]
    fn a_body_is_read_line_by_line() {
        let body = "[1]\n[2]\r\n\n\r\n  \n[3]\n";
        assert_eq!(messages(body).collect::<Vec<_>>(), ["[1]", "[2]", "[3]"]);
        assert_eq!(messages("").count(), 0);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_body() {
        assert_eq!(without_mark("\u{feff}[1]"), "[1]");
        assert_eq!(without_mark("[\"\u{feff}\"]"), "[\"\u{feff}\"]");
        assert_eq!(without_mark("\u{feff}"), "");
    }

    #[test]
    fn a_body_ends_without_a_newline() {
        let (session, mut connection) = Session::client_batch(SessionOptions::new());
        assert_eq!(join(connection.take_outgoing()), "");
        let (a, b) = (session.main().call("a", ()), session.main().call("b", ()));
        assert_eq!(
            join(connection.take_outgoing()),
            "[\"push\",[\"pipeline\",0,[\"a\"],[]]]\n[\"push\",[\"pipeline\",0,[\"b\"],[]]]"
        );
        drop((a, b));
    }
}

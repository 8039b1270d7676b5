//! Encoding of error expressions.

use capnweb_wire::encode;

use super::{Cap, Draft, Payload};
use crate::graph::error::Error;

/// Returns the error to send instead of another: see `SessionOptions::on_send_error`.
pub(crate) type Redact<'a> = &'a dyn Fn(&Error) -> Error;

/// Encodes an error that was thrown, as text only. It omits stubs, and the stack trace unless it is
/// revealed on purpose.
pub(crate) fn encode_error(redact: Redact<'_>, error: &Error) -> Payload {
    encode_thrown(redact, error, MAX_CAUSES)
}

/// The maximum length of a chain of causes.
const MAX_CAUSES: usize = 32;

fn encode_thrown(redact: Redact<'_>, error: &Error, depth: usize) -> Payload {
    let error = redact(error);
    if let Some(thrown) = error.thrown_value()
        && thrown.is_plain()
    {
        return thrown.without_caps();
    }
    let props = error
        .props()
        .and_then(|props| plain_props(redact, props, depth));
    write_error(&error, props.as_ref())
}

/// Encodes an error that is a value. Its properties are encoded like any other values.
pub(crate) fn encode_error_value(redact: Redact<'_>, error: &Error) -> Payload {
    let error = redact(error);
    write_error(&error, error.props())
}

fn write_error(error: &Error, props: Option<&Payload>) -> Payload {
    let head = encode::Error {
        name: error.name(),
        message: error.message(),
        stack: error.stack(),
    };
    let mut draft = Draft::default();
    let Some(props) = props else {
        head.write(&mut draft.text);
        return draft.take_payload();
    };
    // The properties may contain capabilities, so splice them in at their position.
    head.write_with(&mut draft.text, |_| {});
    let end = draft.text.pop();
    debug_assert_eq!(end, Some(b']'), "the properties are the last part");
    // This fails only beyond 4 GiB, where a missing property is the least of the problems.
    let _ = draft.push_view(props.view());
    draft.text.push(b']');
    draft.take_payload()
}

/// Returns the properties as an object expression, with errors encoded and stubs omitted.
fn plain_props(redact: Redact<'_>, props: &Payload, depth: usize) -> Option<Payload> {
    let depth = depth.checked_sub(1)?;
    let view = props.view();
    if view.caps.is_empty() {
        return Some(props.clone());
    }
    let mut out = String::new();
    let mut copied = 0;
    for (span, cap) in view.spans.iter().zip(view.caps) {
        out.push_str(view.text.get(copied..span.start as usize)?);
        copied = span.end as usize;
        match cap {
            Cap::Error(error) => {
                out.push_str(encode_thrown(redact, error, depth).view().text);
            }
            Cap::Bytes(..) => {
                out.push_str(Payload::from_cap(cap.clone()).without_caps().view().text);
            }
            Cap::Stub(_) | Cap::Promise(_) | Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) => {
                out.push_str(encode::UNDEFINED);
            }
        }
    }
    out.push_str(view.text.get(copied..)?);
    Some(Payload::from_text(&out))
}

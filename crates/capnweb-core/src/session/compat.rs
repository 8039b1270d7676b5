//! Messages for peers that know less.
//!
//! Content is written before it is known where it goes, and passed on as it came. So what such a peer would not
//! understand is replaced at the very end, when the messages go out.

use capnweb_wire::{Expr, Limits, Message, RawJson, Reference};
use memchr::memmem;

use crate::outgoing::Outgoing;

/// The same messages without what the TypeScript library has learned in version 0.11: URLs are strings, and bytes
/// have no container.
pub(crate) fn adapt(mut messages: Outgoing) -> Outgoing {
    let mut adapted = Outgoing::default();
    while let Some(message) = messages.pop() {
        let new = may_be_new(&message).then(|| rewrite(&message)).flatten();
        adapted.message(|out| match new {
            Some(message) => message.write(out),
            None => out.extend_from_slice(&message),
        });
    }
    adapted
}

/// Whether the message may hold what is to be replaced.
fn may_be_new(message: &[u8]) -> bool {
    [&b"\"url\""[..], b"\"bytes\""]
        .iter()
        .any(|name| memmem::find(message, name).is_some())
}

/// What we send is within limits already.
const LIMITS: Limits = Limits {
    max_message_size: usize::MAX,
    max_depth: usize::MAX,
    max_bigint_digits: usize::MAX,
};

fn rewrite(message: &[u8]) -> Option<Message> {
    let text = std::str::from_utf8(message).ok()?;
    let mut message = Message::parse(text, &LIMITS).ok()?;
    match &mut message {
        Message::Push(expr)
        | Message::Stream(expr)
        | Message::Resolve(_, expr)
        | Message::Reject(_, expr)
        | Message::Abort(expr) => simplify(expr),
        _ => {}
    }
    Some(message)
}

fn simplify(expr: &mut Expr) {
    match expr {
        Expr::Url(href) => *expr = Expr::String(std::mem::take(href)),
        Expr::Bytes(_, container) => *container = None,
        Expr::Array(items) => items.iter_mut().for_each(simplify),
        Expr::Object(members) => members.iter_mut().for_each(|(_, value)| simplify(value)),
        Expr::Error(error) => error
            .props
            .iter_mut()
            .for_each(|(_, value)| simplify(value)),
        Expr::Request(request) => request.body.iter_mut().for_each(simplify),
        Expr::Response(response) => simplify(&mut response.body),
        Expr::Import(Reference { args, .. }) | Expr::Pipeline(Reference { args, .. }) => {
            args.iter_mut().flatten().for_each(simplify);
        }
        Expr::Remap(remap) => remap.instructions.iter_mut().for_each(simplify_instruction),
        _ => {}
    }
}

fn simplify_instruction(instruction: &mut RawJson) {
    if let Ok(mut expr) = instruction.parse(&LIMITS) {
        simplify(&mut expr);
        *instruction = RawJson::from(&expr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(text: &str) -> String {
        let mut messages = Outgoing::default();
        messages.message(|out| out.extend_from_slice(text.as_bytes()));
        let mut messages = adapt(messages);
        let message = messages.pop().unwrap();
        assert!(messages.is_empty());
        String::from_utf8(message.to_vec()).unwrap()
    }

    #[test]
    fn what_is_new_is_replaced_wherever_it_stands() {
        for (new, old) in [
            (r#"["url","a:b"]"#, r#""a:b""#),
            (r#"["bytes","AQ"]"#, r#"["bytes","AQ"]"#),
            (r#"["bytes","AQ","Int8Array"]"#, r#"["bytes","AQ"]"#),
        ] {
            for around in [
                r#"["push",NEW]"#,
                r#"["stream",["pipeline",1,["write"],[NEW]]]"#,
                r#"["resolve",1,NEW]"#,
                r#"["reject",1,["error","Error","m",null,{"at":NEW}]]"#,
                r#"["abort",NEW]"#,
                r#"["push",["pipeline",1,["bytes","url"],[NEW,[[NEW,{"a":NEW}]]]]]"#,
                r#"["push",["remap",1,[],[],[["pipeline",0,["f"],[NEW]],[[NEW]]]]]"#,
                r#"["resolve",1,["response",["readable",1],{"headers":[["url","bytes"]]}]]"#,
            ] {
                let text = around.replace("NEW", new);
                assert_eq!(adapted(&text), around.replace("NEW", old));
            }
        }
        let request = r#"["resolve",1,["request","a:b",{"body":["bytes","AQ","Int8Array"]}]]"#;
        assert!(adapted(request).contains(r#"["bytes","AQ"]"#));
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        for text in [
            r#"["pull",1]"#,
            r#"["push",["pipeline",0,["url"],["bytes","url","bytes"]]]"#,
            r#"["resolve",1,{"url":"bytes","bytes":[["url"]]}]"#,
        ] {
            assert_eq!(adapted(text), text);
        }
    }
}

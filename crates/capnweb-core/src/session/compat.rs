//! Messages for peers with older versions.
//!
//! Content is encoded before its destination is known, and forwarded unchanged. So forms that an
//! older peer does not understand are replaced at the very end, when the messages are sent.

use capnweb_wire::{Date, Expr, Limits, Message, RawJson, Reference};

use crate::outgoing::Outgoing;

/// A version of the TypeScript library, the npm package `capnweb`, or of an equivalent library.
///
/// [`SessionOptions::with_peer_version`](crate::SessionOptions::with_peer_version) describes its effect on a
/// session. Versions before 0.5 support neither streams nor the types of the Fetch API, and have no
/// substitutes for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PeerVersion {
    /// 0.5, the first version with streams.
    V0_5,
    /// 0.6.
    V0_6,
    /// 0.7.
    V0_7,
    /// 0.8, the first version with blobs and invalid dates.
    V0_8,
    /// 0.10.
    V0_10,
    /// 0.11, the first version with URLs and typed arrays.
    V0_11,
    /// 0.12.
    #[default]
    V0_12,
}

impl PeerVersion {
    /// Returns whether peers of this version understand all forms.
    pub(super) fn knows_all(self) -> bool {
        self >= Self::V0_11
    }

    /// Returns the names of the forms that may have to be replaced.
    fn replaced(self) -> &'static [&'static [u8]] {
        match self {
            _ if self.knows_all() => &[],
            _ if self >= Self::V0_8 => &[b"\"url\"", b"\"bytes\""],
            _ => &[b"\"url\"", b"\"bytes\"", b"\"blob\"", b"\"date\""],
        }
    }
}

/// Returns the messages with all forms replaced that peers of this version do not understand.
pub(super) fn adapt(mut messages: Outgoing, version: PeerVersion) -> Outgoing {
    let mut adapted = Outgoing::default();
    while let Some(message) = messages.pop() {
        let new = may_be_new(&message, version)
            .then(|| rewrite(&message, version))
            .flatten();
        adapted.message(|out| match new {
            Some(message) => message.write(out),
            None => out.extend_from_slice(&message),
        });
    }
    adapted
}

/// Returns whether the message may contain a form to replace.
fn may_be_new(message: &[u8], version: PeerVersion) -> bool {
    let mut names = version.replaced().iter();
    names.any(|name| contains(message, name))
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn contains(message: &[u8], name: &[u8]) -> bool {
    memchr::memmem::find(message, name).is_some()
}

/// Searches without vector instructions, whose code would be five kilobytes of a module.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn contains(message: &[u8], name: &[u8]) -> bool {
    message.windows(name.len()).any(|part| part == name)
}

/// Our own messages are already within the limits.
const LIMITS: Limits = Limits {
    max_message_size: usize::MAX,
    max_depth: usize::MAX,
    max_bigint_digits: usize::MAX,
};

fn rewrite(message: &[u8], version: PeerVersion) -> Option<Message> {
    let text = std::str::from_utf8(message).ok()?;
    let mut message = Message::parse(text, &LIMITS).ok()?;
    match &mut message {
        Message::Push(expr)
        | Message::Stream(expr)
        | Message::Resolve(_, expr)
        | Message::Reject(_, expr)
        | Message::Abort(expr) => simplify(expr, version),
        _ => {}
    }
    Some(message)
}

fn simplify(expr: &mut Expr, version: PeerVersion) {
    let simplify = |expr: &mut Expr| simplify(expr, version);
    match expr {
        Expr::Url(href) => *expr = Expr::String(std::mem::take(href)),
        Expr::Bytes(_, container) => *container = None,
        Expr::Blob(_, id) if version < PeerVersion::V0_8 => *expr = Expr::Readable(*id),
        Expr::Date(Date::INVALID) if version < PeerVersion::V0_8 => *expr = Expr::Null,
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
        Expr::Remap(remap) => {
            let instructions = remap.instructions.iter_mut();
            instructions.for_each(|instruction| simplify_instruction(instruction, version));
        }
        _ => {}
    }
}

fn simplify_instruction(instruction: &mut RawJson, version: PeerVersion) {
    if let Ok(mut expr) = instruction.parse(&LIMITS) {
        simplify(&mut expr, version);
        *instruction = RawJson::from(&expr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(text: &str, version: PeerVersion) -> String {
        let mut messages = Outgoing::default();
        messages.message(|out| out.extend_from_slice(text.as_bytes()));
        let mut messages = adapt(messages, version);
        let message = messages.pop().unwrap();
        assert!(messages.is_empty());
        String::from_utf8(message.to_vec()).unwrap()
    }

    #[test]
    fn what_is_new_is_replaced_wherever_it_stands() {
        use PeerVersion::{V0_7, V0_10};

        for (version, new, old) in [
            (V0_10, r#"["url","a:b"]"#, r#""a:b""#),
            (V0_10, r#"["bytes","AQ"]"#, r#"["bytes","AQ"]"#),
            (V0_10, r#"["bytes","AQ","Int8Array"]"#, r#"["bytes","AQ"]"#),
            (V0_7, r#"["url","a:b"]"#, r#""a:b""#),
            (
                V0_7,
                r#"["blob","a/b",["readable",2]]"#,
                r#"["readable",2]"#,
            ),
            (V0_7, r#"["date",null]"#, "null"),
            (V0_7, r#"["date",7]"#, r#"["date",7]"#),
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
                assert_eq!(adapted(&text, version), around.replace("NEW", old));
            }
        }
        let request = r#"["resolve",1,["request","a:b",{"body":["bytes","AQ","Int8Array"]}]]"#;
        assert!(adapted(request, V0_10).contains(r#"["bytes","AQ"]"#));
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        for text in [
            r#"["pull",1]"#,
            r#"["push",["pipeline",0,["url"],["bytes","url","bytes"]]]"#,
            r#"["resolve",1,{"url":"bytes","bytes":[["url"]]}]"#,
            r#"["resolve",1,{"blob":"date","date":[["blob"]]}]"#,
        ] {
            assert_eq!(adapted(text, PeerVersion::V0_5), text);
        }
    }

    #[test]
    fn what_a_version_knows_stays() {
        let blob = r#"["resolve",1,[[["blob","a/b",["readable",2]],["date",null]]]]"#;
        assert_eq!(adapted(blob, PeerVersion::V0_8), blob);
        let url = r#"["resolve",1,["url","a:b"]]"#;
        assert_eq!(adapted(url, PeerVersion::V0_11), url);
    }
}

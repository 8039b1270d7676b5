//! Messages for peers with older versions.
//!
//! Content is encoded before its destination is known, and forwarded unchanged. So forms that an
//! older peer does not understand are replaced at the very end, when the messages are sent.

use capnweb_wire::{UnknownForms, replace_forms};

use crate::{outgoing::Outgoing, util::search::contains};

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

    /// Returns the forms that have to be replaced.
    fn unknown(self) -> UnknownForms {
        if self >= Self::V0_8 {
            UnknownForms::Urls
        } else {
            UnknownForms::UrlsAndBlobs
        }
    }

    /// Returns the names of the forms that may have to be replaced.
    fn replaced(self) -> &'static [&'static [u8]] {
        match self.unknown() {
            _ if self.knows_all() => &[],
            UnknownForms::Urls => &[b"\"url\"", b"\"bytes\""],
            UnknownForms::UrlsAndBlobs => &[b"\"url\"", b"\"bytes\"", b"\"blob\"", b"\"date\""],
        }
    }
}

/// Returns the messages with all forms replaced that peers of this version do not understand.
pub(super) fn adapt(mut messages: Outgoing, version: PeerVersion) -> Outgoing {
    let mut adapted = Outgoing::default();
    while let Some(message) = messages.pop() {
        let text = may_be_new(&message, version)
            .then(|| std::str::from_utf8(&message).ok())
            .flatten();
        adapted.message(|out| match text {
            Some(text) => replace_forms(text, version.unknown(), out),
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

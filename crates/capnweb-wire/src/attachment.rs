//! Attachments: long byte strings alongside the text of a message.

use crate::invariant::Invariant;
use crate::{
    Container, Span,
    bytes::{base64_len, write_bytes, write_contained},
};

/// A long byte string that belongs in a text and is kept alongside it.
///
/// Base64 is longer than the bytes, and takes time to write and to read. So bytes stay out of the
/// text if they are passed on within the process, or sent in an encoding that supports bytes.
///
/// `B` is the type that holds the bytes. The text is valid without them: it contains an empty byte
/// string of the same container in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment<B> {
    /// The form in the text that the bytes belong in.
    pub span: Span,
    /// The bytes.
    pub bytes: B,
    /// The container of the bytes.
    pub container: Container,
}

impl<B: AsRef<[u8]>> Attachment<B> {
    /// Returns the number of bytes by which the text would grow with the bytes in it.
    #[must_use]
    pub fn text_len(&self) -> usize {
        base64_len(self.bytes.as_ref().len())
    }

    /// Returns the position in the text at which the base64 digits belong.
    #[must_use]
    pub fn digits_at(&self) -> usize {
        const BEFORE: usize = br#"["bytes",""#.len();
        self.span.start as usize + BEFORE
    }

    /// Appends the form for the attachment to a text, and records its position.
    pub fn write(out: &mut Vec<u8>, bytes: B, container: Container) -> Option<Self> {
        let start = u32::try_from(out.len()).ok()?;
        write_form(out, &[], container);
        let end = u32::try_from(out.len()).ok()?;
        Some(Self {
            span: Span { start, end },
            bytes,
            container,
        })
    }

    /// Finds the attachment that starts at `start`, for the scanner.
    pub(crate) fn find(attachments: &[Self], start: usize) -> Option<Beside> {
        let start = u32::try_from(start).ok()?;
        let number = attachments
            .binary_search_by_key(&start, |attachment| attachment.span.start)
            .ok()?;
        let attachment = attachments.get(number)?;
        Some(Beside {
            number: i64::try_from(number).ok()?,
            end: attachment.span.end as usize,
            len: attachment.bytes.as_ref().len(),
            container: attachment.container,
        })
    }

    /// Appends `text` with the bytes of `attachments`, which must be in text order, as base64.
    ///
    /// ```
    /// use capnweb_wire::{Attachment, Container};
    ///
    /// let mut text = b"[\"resolve\",1,".to_vec();
    /// let attached = Attachment::write(&mut text, [1, 2, 3], Container::ArrayBuffer).unwrap();
    /// text.push(b']');
    /// assert_eq!(text, br#"["resolve",1,["bytes","","ArrayBuffer"]]"#);
    ///
    /// let mut whole = Vec::new();
    /// Attachment::inline(&text, &[attached], &mut whole);
    /// assert_eq!(whole, br#"["resolve",1,["bytes","AQID","ArrayBuffer"]]"#);
    /// ```
    pub fn inline(text: &[u8], attachments: &[Self], out: &mut Vec<u8>) {
        out.reserve(text.len() + attachments.iter().map(Self::text_len).sum::<usize>());
        let mut copied = 0;
        for attachment in attachments {
            let Span { start, end } = attachment.span;
            out.extend_from_slice(
                text.get(copied..start as usize)
                    .or_bug("places ascend within the text"),
            );
            write_form(out, attachment.bytes.as_ref(), attachment.container);
            copied = end as usize;
        }
        out.extend_from_slice(text.get(copied..).or_bug("places ascend within the text"));
    }
}

/// An attachment, as the scanner sees it.
pub(crate) struct Beside {
    /// The number of the attachment.
    pub(crate) number: i64,
    /// The end of its form.
    pub(crate) end: usize,
    /// The number of its bytes.
    pub(crate) len: usize,
    pub(crate) container: Container,
}

/// Appends bytes in a container as an expression.
pub fn write_form(out: &mut Vec<u8>, bytes: &[u8], container: Container) {
    match container {
        // This container needs no name, and some peers do not know any.
        Container::Uint8Array => write_bytes(out, bytes),
        _ => write_contained(out, bytes, container),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_put_together() {
        let mut text = b"[[".to_vec();
        let bytes = |byte: u8, len| vec![byte; len];
        let mut attachments = Vec::new();
        for (bytes, container) in [
            (bytes(1, 4), Container::Uint8Array),
            (bytes(2, 8), Container::Float64Array),
            (bytes(3, 0), Container::DataView),
        ] {
            attachments.extend(Attachment::write(&mut text, bytes, container));
            text.push(b',');
        }
        text.extend_from_slice(b"1]]");
        let mut whole = b"x".to_vec();
        Attachment::inline(&text, &attachments, &mut whole);
        let expected = r#"x[[["bytes","AQEBAQ"],["bytes","AgICAgICAgI","Float64Array"],["bytes","","DataView"],1]]"#;
        assert_eq!(String::from_utf8(whole).unwrap(), expected);
        let more: usize = attachments.iter().map(Attachment::text_len).sum();
        assert_eq!(text.len() + more + 1, expected.len());
        for attachment in &attachments {
            let (before, after) = text.split_at(attachment.digits_at());
            assert!(before.ends_with(b"\"") && after.starts_with(b"\""));
        }
    }
}

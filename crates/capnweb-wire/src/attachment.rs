//! Long byte strings beside the text of a message.

use crate::{
    Container, Form, Hole, Span,
    bytes::{base64_len, write_bytes, write_contained},
};

/// A long byte string that belongs in a text and is kept beside it.
///
/// Base64 is longer than what it says, and takes time to write and to read. So whoever has bytes and hands them to
/// someone in the same process, or writes them in an encoding that knows bytes, leaves them out of the text.
///
/// They are in whatever holds bytes, as `B` says. The text is valid without them: it has an empty byte string of the same container in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment<B> {
    /// The form in the text that they belong in.
    pub span: Span,
    /// The bytes.
    pub bytes: B,
    /// What they are in.
    pub container: Container,
}

impl<B: AsRef<[u8]>> Attachment<B> {
    /// How much longer the text is with the bytes in it.
    #[must_use]
    pub fn text_len(&self) -> usize {
        base64_len(self.bytes.as_ref().len())
    }

    /// Where in the text the digits of its base64 belong.
    #[must_use]
    pub fn digits_at(&self) -> usize {
        const BEFORE: usize = br#"["bytes",""#.len();
        self.span.start as usize + BEFORE
    }

    /// Appends the form that stands for it in a text, and notes where that is.
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

    /// Adds the attachments of a message to the holes of its expression, which begins at `base` in the message's text.
    ///
    /// Those that are not in a value (in a path, in a map's instructions) are left out.
    pub fn add_holes(attachments: &[Self], base: u32, holes: &mut Vec<Hole>) {
        let mut found = std::mem::take(holes).into_iter().peekable();
        // The holes that are open where we are, by their numbers.
        let mut open: Vec<usize> = Vec::new();
        for (id, attachment) in (0..).zip(attachments) {
            let Some(start) = attachment.span.start.checked_sub(base) else {
                continue;
            };
            let span = Span {
                start,
                end: attachment.span.end - base,
            };
            while let Some(hole) = found.next_if(|hole| hole.span.start < start) {
                close(&mut open, holes, hole.span.start);
                open.push(holes.len());
                holes.push(hole);
            }
            close(&mut open, holes, start);
            let around = open.last().and_then(|around| holes.get(*around));
            if around.is_some_and(|around| !has_in_args(around, span)) {
                continue;
            }
            for around in &open {
                if let Some(around) = holes.get_mut(*around) {
                    around.inner += 1;
                }
            }
            holes.push(Hole {
                span,
                form: Form::Bytes,
                id,
                path: None,
                args: None,
                inner: 0,
            });
        }
        holes.extend(found);
    }

    /// Appends `text` with the bytes of `attachments`, which are in the order of the text, as base64.
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
            out.extend_from_slice(text.get(copied..start as usize).unwrap_or_default());
            write_form(out, attachment.bytes.as_ref(), attachment.container);
            copied = end as usize;
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
    }
}

/// Closes the holes that end before `at`.
fn close(open: &mut Vec<usize>, holes: &[Hole], at: u32) {
    while (open.last().and_then(|last| holes.get(*last))).is_some_and(|hole| hole.span.end <= at) {
        open.pop();
    }
}

/// Whether what is at `span` is a part of the hole's arguments.
fn has_in_args(hole: &Hole, span: Span) -> bool {
    let args = hole.args.filter(|_| hole.form != Form::Remap);
    args.is_some_and(|args| args.start < span.start && span.end < args.end)
}

/// Appends bytes in a container as an expression.
pub fn write_form(out: &mut Vec<u8>, bytes: &[u8], container: Container) {
    match container {
        // It needs no name, and some peers know none.
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

    #[test]
    fn attachments_become_holes_where_values_are() {
        let text = r#"["push",["pipeline",1,["bytes",""],[["bytes",""],["import",-1],["remap",2,[],[["import",3]],[["bytes",""]]],["bytes",""]]]]"#;
        let mut holes = Vec::new();
        let frame = crate::scan_frame(text, &crate::Limits::default(), &mut holes).unwrap();
        let expr = frame.expression().unwrap();
        let base = text.find(expr).unwrap();
        let before = holes.clone();
        let attachments: Vec<_> = text
            .match_indices(r#"["bytes",""]"#)
            .map(|(at, form)| Attachment {
                span: Span {
                    start: u32::try_from(at).unwrap(),
                    end: u32::try_from(at + form.len()).unwrap(),
                },
                bytes: [0; 0],
                container: Container::Uint8Array,
            })
            .collect();
        let base = u32::try_from(base).unwrap();
        Attachment::add_holes(&attachments, base, &mut holes);
        let found: Vec<_> = holes.iter().map(|hole| (hole.form, hole.id)).collect();
        let expected = [
            (Form::Pipeline, 1),
            (Form::Bytes, 1),
            (Form::Import, -1),
            (Form::Remap, 2),
            (Form::Import, 3),
            (Form::Bytes, 3),
        ];
        assert_eq!(found, expected);
        assert_eq!((before[0].inner, holes[0].inner), (3, 5));
        assert_eq!(holes[3].inner, 1);
        for hole in &holes[1..] {
            assert_eq!(
                hole.span.of(expr).contains("bytes"),
                hole.form != Form::Import
            );
        }
        // None but in the value itself.
        let mut holes = Vec::new();
        Attachment::add_holes(&attachments[1..2], 0, &mut holes);
        assert_eq!((holes.len(), holes[0].id), (1, 0));
    }
}

//! MessagePack to JSON text.

use rmp::Marker;

use super::error::{MAX_NESTING, PackError};
use crate::invariant::Invariant;
use crate::{
    Attachment, Container, Limits, Span,
    bytes::{base64_len, write_base64},
    scan::utf16_len,
    write::{write_f64, write_string},
};

/// Appends the text of the message in `packed` to `out`. Of `limits`, only the one on size applies.
///
/// The output is JSON, but the scanner still has to check that it is a message. Invalid UTF-8 is
/// replaced by U+FFFD.
///
/// # Errors
///
/// Returns an error if `packed` is not MessagePack, contains something that JSON cannot represent,
/// or exceeds a limit. `out` is then unchanged.
pub fn to_json(packed: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), PackError> {
    run::<Vec<u8>>(packed, limits, out, None)
}

/// Works like [`to_json`], but keeps byte strings of at least `from` bytes as attachments, in text
/// order. `keep` converts the bytes of each. `out` and `attachments` must be empty.
///
/// The length of a message is that of its text with the bytes in it.
///
/// # Errors
///
/// Returns the same errors as [`to_json`]. The contents of `attachments` are then unspecified.
pub fn unpack<B: AsRef<[u8]>>(
    packed: &[u8],
    limits: &Limits,
    from: usize,
    keep: &dyn Fn(&[u8]) -> B,
    out: &mut Vec<u8>,
    attachments: &mut Vec<Attachment<B>>,
) -> Result<(), PackError> {
    attachments.clear();
    let keep = Keep {
        keep,
        attachments,
        from,
        size: 0,
        suspended: 0,
    };
    run(packed, limits, out, Some(keep))
}

fn run<B: AsRef<[u8]>>(
    packed: &[u8],
    limits: &Limits,
    out: &mut Vec<u8>,
    keep: Option<Keep<'_, B>>,
) -> Result<(), PackError> {
    let start = out.len();
    let mut unpacker = Unpacker {
        rest: packed,
        out,
        limit: limits.max_message_bytes(),
        start,
        depth: 0,
        keep,
    };
    let result = unpacker
        .value(false)
        .and_then(|()| unpacker.end())
        .and_then(|()| unpacker.check_kept(limits));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

struct Unpacker<'a, B> {
    rest: &'a [u8],
    out: &'a mut Vec<u8>,
    limit: usize,
    start: usize,
    depth: u32,
    keep: Option<Keep<'a, B>>,
}

/// The byte strings that are kept as attachments.
struct Keep<'a, B> {
    keep: &'a dyn Fn(&[u8]) -> B,
    attachments: &'a mut Vec<Attachment<B>>,
    /// The minimum length of byte strings that are kept.
    from: usize,
    /// The number of bytes by which the text would grow with them.
    size: usize,
    /// The number of open arrays whose rest is text only.
    suspended: u32,
}

impl<'a, B: AsRef<[u8]>> Unpacker<'a, B> {
    fn end(&self) -> Result<(), PackError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(PackError::Trailing)
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], PackError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(PackError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PackError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(PackError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn marker(&mut self) -> Result<Marker, PackError> {
        self.array().map(|[byte]| Marker::from_u8(byte))
    }

    /// Reads a length of `N` bytes.
    fn len<const N: usize>(&mut self) -> Result<usize, PackError> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte)))
    }

    /// Translates one value. Raw bytes are allowed if `base64` is set.
    fn value(&mut self, base64: bool) -> Result<(), PackError> {
        match self.marker()? {
            Marker::Null => self.put(b"null"),
            Marker::True => self.put(b"true"),
            Marker::False => self.put(b"false"),
            Marker::FixPos(number) => self.integer(number),
            Marker::FixNeg(number) => self.integer(number),
            Marker::U8 => {
                let bytes = self.array()?;
                self.integer(u8::from_be_bytes(bytes))
            }
            Marker::U16 => {
                let bytes = self.array()?;
                self.integer(u16::from_be_bytes(bytes))
            }
            Marker::U32 => {
                let bytes = self.array()?;
                self.integer(u32::from_be_bytes(bytes))
            }
            Marker::U64 => {
                let bytes = self.array()?;
                self.integer(u64::from_be_bytes(bytes))
            }
            Marker::I8 => {
                let bytes = self.array()?;
                self.integer(i8::from_be_bytes(bytes))
            }
            Marker::I16 => {
                let bytes = self.array()?;
                self.integer(i16::from_be_bytes(bytes))
            }
            Marker::I32 => {
                let bytes = self.array()?;
                self.integer(i32::from_be_bytes(bytes))
            }
            Marker::I64 => {
                let bytes = self.array()?;
                self.integer(i64::from_be_bytes(bytes))
            }
            Marker::F32 => {
                let bytes = self.array()?;
                self.float(f32::from_be_bytes(bytes).into())
            }
            Marker::F64 => {
                let bytes = self.array()?;
                self.float(f64::from_be_bytes(bytes))
            }
            marker @ (Marker::Bin8 | Marker::Bin16 | Marker::Bin32) => {
                let len = match marker {
                    Marker::Bin8 => self.len::<1>()?,
                    Marker::Bin16 => self.len::<2>()?,
                    _ => self.len::<4>()?,
                };
                self.bytes(len, base64)
            }
            Marker::FixArray(len) => self.items(len.into()),
            Marker::Array16 => {
                let len = self.len::<2>()?;
                self.items(len)
            }
            Marker::Array32 => {
                let len = self.len::<4>()?;
                self.items(len)
            }
            Marker::FixMap(len) => self.members(len.into()),
            Marker::Map16 => {
                let len = self.len::<2>()?;
                self.members(len)
            }
            Marker::Map32 => {
                let len = self.len::<4>()?;
                self.members(len)
            }
            Marker::Reserved => Err(PackError::Foreign("a reserved byte")),
            marker => match self.string(marker)? {
                Some(text) => self.text(text),
                None => Err(PackError::Foreign("an extension")),
            },
        }
    }

    /// Checks that the text written so far fits.
    fn put(&mut self, text: &[u8]) -> Result<(), PackError> {
        self.out.extend_from_slice(text);
        self.check(0)
    }

    /// Checks that this number of further bytes fits.
    fn check(&self, more: usize) -> Result<(), PackError> {
        let limit = self.limit;
        let kept = self.keep.as_ref().map_or(0, |keep| keep.size);
        if (self.out.len() - self.start).saturating_add(more + kept) <= limit {
            Ok(())
        } else {
            Err(PackError::TooLarge { limit })
        }
    }

    /// Checks that the message fits including its attachments. The scanner checks the size of the
    /// text itself.
    fn check_kept(&self, limits: &Limits) -> Result<(), PackError> {
        let limit = limits.max_message_size;
        let kept = self.keep.as_ref().map_or(0, |keep| keep.size);
        let text = self
            .out
            .get(self.start..)
            .or_bug("what was written is within");
        if kept == 0
            || kept.saturating_add(text.len()) <= limit
            || kept.saturating_add(utf16_len(text)) <= limit
        {
            Ok(())
        } else {
            Err(PackError::TooLarge { limit })
        }
    }

    fn integer(&mut self, number: impl itoa::Integer) -> Result<(), PackError> {
        self.put(itoa::Buffer::new().format(number).as_bytes())
    }

    fn float(&mut self, number: f64) -> Result<(), PackError> {
        if number.is_nan() {
            return Err(PackError::Foreign("NaN"));
        }
        // JSON has no infinity either, but has numbers that mean the same.
        match number {
            f64::INFINITY => self.put(b"1e400"),
            f64::NEG_INFINITY => self.put(b"-1e400"),
            _ => {
                write_f64(self.out, number);
                self.check(0)
            }
        }
    }

    /// Returns the bytes of the string that starts with `marker`, or `None` if it is not a string.
    fn string(&mut self, marker: Marker) -> Result<Option<&'a [u8]>, PackError> {
        let len = match marker {
            Marker::FixStr(len) => len.into(),
            Marker::Str8 => self.len::<1>()?,
            Marker::Str16 => self.len::<2>()?,
            Marker::Str32 => self.len::<4>()?,
            _ => return Ok(None),
        };
        self.take(len).map(Some)
    }

    fn text(&mut self, text: &[u8]) -> Result<(), PackError> {
        self.check(text.len())?;
        write_string(self.out, &String::from_utf8_lossy(text));
        self.check(0)
    }

    fn bytes(&mut self, len: usize, allowed: bool) -> Result<(), PackError> {
        let bytes = self.take(len)?;
        if !allowed {
            return Err(PackError::StrayBytes);
        }
        self.check(base64_len(len))?;
        if let Some(keep) = self.keep_for(len) {
            keep.size += base64_len(len);
            // Their position is known at the end of the form.
            keep.attachments.push(Attachment {
                span: Span::default(),
                bytes: (keep.keep)(bytes),
                container: Container::Uint8Array,
            });
            return self.put(b"\"\"");
        }
        self.out.push(b'"');
        write_base64(self.out, bytes);
        self.put(b"\"")
    }

    /// Returns the place to keep this number of bytes, if they are kept.
    fn keep_for(&mut self, len: usize) -> Option<&mut Keep<'a, B>> {
        let keep = self.keep.as_mut()?;
        (len >= keep.from && keep.suspended == 0).then_some(keep)
    }

    /// Handles the end of the form at `start`, whose bytes are the attachment `number`.
    fn attach(&mut self, start: usize, number: usize) {
        let Some(keep) = &mut self.keep else { return };
        let form = self.out.get(start..).or_bug("what was written is within");
        // The name is a string between two quotes, if there is one.
        let name = (form.strip_prefix(br#"["bytes","",""#.as_slice()))
            .and_then(|name| name.strip_suffix(b"\"]"))
            .and_then(|name| str::from_utf8(name).ok());
        let container = match name {
            Some(name) => Container::from_name(name),
            None => (form == br#"["bytes",""]"#).then_some(Container::Uint8Array),
        };
        let container = container.filter(|container| {
            let kept = keep.attachments.get(number);
            kept.is_some_and(|kept| {
                let len = kept.bytes.as_ref().len();
                len.is_multiple_of(container.element_size())
            })
        });
        let Some(container) = container else {
            // The scanner rejects it if it sees it, and must see it unchanged.
            for kept in keep.attachments.drain(number..) {
                keep.size -= kept.text_len();
                let at = start + br#"["bytes",""#.len();
                let rest = self.out.split_off(at);
                write_base64(self.out, kept.bytes.as_ref());
                self.out.extend_from_slice(&rest);
            }
            return;
        };
        let span = (u32::try_from(start).ok()).zip(u32::try_from(self.out.len()).ok());
        if let (Some((start, end)), Some(kept)) = (span, keep.attachments.get_mut(number)) {
            kept.span = Span { start, end };
            kept.container = container;
        }
    }

    fn enter(&mut self) -> Result<(), PackError> {
        if self.depth == MAX_NESTING {
            return Err(PackError::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    fn items(&mut self, len: usize) -> Result<(), PackError> {
        self.enter()?;
        let start = self.out.len();
        self.put(b"[")?;
        let mut is_text = false;
        let mut kept = None;
        for index in 0..len {
            if index > 0 {
                self.put(b",")?;
            }
            let begin: &[u8] = match index {
                1 => self.out.get(start..).or_bug("what was written is within"),
                _ => &[],
            };
            let is_bytes = begin == br#"["bytes","#;
            // The rest is text for instructions, for bytes with more than a name behind them, and
            // in place of the name.
            let rest_is_text =
                begin == br#"["remap","# || (is_bytes && len > 3) || (index == 2 && kept.is_some());
            if rest_is_text && !is_text {
                is_text = true;
                self.suspend(1);
            }
            let before = self.kept();
            self.value(is_bytes)?;
            // Exclude the bytes of a form in its place.
            let is_own = || self.out.get(start..) == Some(br#"["bytes","""#);
            if is_bytes && self.kept() > before && is_own() {
                kept = Some(before);
            }
        }
        if is_text {
            self.suspend(-1);
        }
        self.depth -= 1;
        self.put(b"]")?;
        if let Some(number) = kept {
            self.attach(start, number);
        }
        Ok(())
    }

    /// Returns the number of byte strings that are kept.
    fn kept(&self) -> usize {
        let keep = self.keep.as_ref();
        keep.map_or(0, |keep| keep.attachments.len())
    }

    fn suspend(&mut self, arrays: i32) {
        if let Some(keep) = &mut self.keep {
            keep.suspended = keep.suspended.saturating_add_signed(arrays);
        }
    }

    fn members(&mut self, len: usize) -> Result<(), PackError> {
        self.enter()?;
        self.put(b"{")?;
        for index in 0..len {
            if index > 0 {
                self.put(b",")?;
            }
            let marker = self.marker()?;
            let key = self.string(marker)?.ok_or(PackError::Key)?;
            self.text(key)?;
            self.put(b":")?;
            self.value(false)?;
        }
        self.depth -= 1;
        self.put(b"}")
    }
}

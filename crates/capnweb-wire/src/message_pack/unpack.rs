//! MessagePack to JSON text.

use rmp::Marker;

use super::{MAX_NESTING, PackError};
use crate::{
    Limits,
    bytes::write_base64,
    write::{write_f64, write_string},
};

/// Appends the text of the message that `packed` holds to `out`. Of `limits`, the one on size counts.
///
/// What comes out is JSON, but whether it is a message is for the scanner to say. Text that is no UTF-8 has U+FFFD in its
/// place.
///
/// # Errors
///
/// If `packed` is no MessagePack, holds what JSON has no word for, or exceeds a limit. `out` is then as it was before.
pub fn to_json(packed: &[u8], limits: &Limits, out: &mut Vec<u8>) -> Result<(), PackError> {
    let start = out.len();
    let mut unpacker = Unpacker {
        rest: packed,
        out,
        limit: limits.max_message_bytes(),
        start,
        depth: 0,
    };
    let result = unpacker.value(false).and_then(|()| unpacker.end());
    if result.is_err() {
        out.truncate(start);
    }
    result
}

struct Unpacker<'a> {
    rest: &'a [u8],
    out: &'a mut Vec<u8>,
    limit: usize,
    start: usize,
    depth: u32,
}

impl<'a> Unpacker<'a> {
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

    /// A length of so many bytes.
    fn len<const N: usize>(&mut self) -> Result<usize, PackError> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte)))
    }

    /// One value. Raw bytes are allowed where `base64` is.
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

    /// What has been written still has to fit.
    fn put(&mut self, text: &[u8]) -> Result<(), PackError> {
        self.out.extend_from_slice(text);
        self.check(0)
    }

    /// Whether so many bytes more fit.
    fn check(&self, more: usize) -> Result<(), PackError> {
        let limit = self.limit;
        if (self.out.len() - self.start).saturating_add(more) <= limit {
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
        // JSON has no infinity either, but numbers that are as good.
        match number {
            f64::INFINITY => self.put(b"1e400"),
            f64::NEG_INFINITY => self.put(b"-1e400"),
            _ => {
                write_f64(self.out, number);
                self.check(0)
            }
        }
    }

    /// The bytes of a string that begins with `marker`; `None` if none does.
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
        self.check(len / 3 * 4)?;
        self.out.push(b'"');
        write_base64(self.out, bytes);
        self.put(b"\"")
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
        for index in 0..len {
            if index > 0 {
                self.put(b",")?;
            }
            let is_bytes = index == 1 && self.out.get(start..) == Some(br#"["bytes","#);
            self.value(is_bytes)?;
        }
        self.depth -= 1;
        self.put(b"]")
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

//! The frames of a link.

use bytes::{BufMut as _, Bytes};

/// The length of a frame's header, in bytes.
pub(super) const HEADER: usize = 17;

const DATA: u8 = 0;
const ALIVE: u8 = 1;
const END: u8 = 2;

/// A frame of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The number of data frames before this one.
    pub(super) sequence: u64,
    /// The number of the peer's data frames that were read.
    pub(super) acknowledged: u64,
}

/// The kinds of frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A fragment of the stream of bytes.
    Data(Bytes),
    /// A heartbeat or an acknowledgement.
    Alive,
    /// The end of the stream of bytes.
    End,
}

impl Frame {
    pub(super) fn encode(kind: &Kind, sequence: u64, acknowledged: u64) -> Bytes {
        let (code, content): (u8, &[u8]) = match kind {
            Kind::Data(content) => (DATA, content),
            Kind::Alive => (ALIVE, &[]),
            Kind::End => (END, &[]),
        };
        Self::write(code, sequence, acknowledged, content)
    }

    /// Encodes a data frame without taking hold of its content.
    pub(super) fn data(content: &[u8], sequence: u64, acknowledged: u64) -> Bytes {
        Self::write(DATA, sequence, acknowledged, content)
    }

    fn write(code: u8, sequence: u64, acknowledged: u64, content: &[u8]) -> Bytes {
        let mut frame = Vec::with_capacity(HEADER + content.len());
        frame.put_u8(code);
        frame.put_u64(sequence);
        frame.put_u64(acknowledged);
        frame.put_slice(content);
        frame.into()
    }

    /// Reads a frame. Returns `None` if it is none.
    pub(super) fn decode(mut frame: Bytes) -> Option<Self> {
        let header = frame.get(..HEADER)?;
        let (code, numbers) = header.split_first()?;
        let (sequence, acknowledged) = numbers.split_at_checked(8)?;
        let code = *code;
        let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
        let acknowledged = u64::from_be_bytes(acknowledged.try_into().ok()?);
        let content = frame.split_off(HEADER);
        let kind = match code {
            DATA => Kind::Data(content),
            ALIVE if content.is_empty() => Kind::Alive,
            END if content.is_empty() => Kind::End,
            _ => return None,
        };
        Some(Self {
            kind,
            sequence,
            acknowledged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_encoding() {
        for kind in [Kind::Data("abc".into()), Kind::Alive, Kind::End] {
            let encoded = Frame::encode(&kind, 7, u64::MAX);
            let frame = Frame {
                kind,
                sequence: 7,
                acknowledged: u64::MAX,
            };
            assert_eq!(Frame::decode(encoded), Some(frame));
        }
    }

    #[test]
    fn anything_else_is_no_frame() {
        for bytes in [&b""[..], &[0; 16], &[3; 17], &[1; 18], &[2; 18]] {
            assert_eq!(Frame::decode(Bytes::from_static(bytes)), None);
        }
    }
}

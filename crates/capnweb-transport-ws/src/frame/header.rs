//! Headers of frames.

use super::{Fault, Role, mask::Mask};

/// A frame without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// True if this is the last fragment of the message.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<Mask>,
    /// The length of the payload.
    pub(super) len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// A further fragment of a message.
    Continuation,
    /// A message, or its first fragment.
    Message(Kind),
    Control(Control),
}

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// A frame that may come between the fragments of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Close,
    Ping,
    Pong,
}

const LAST: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LEN: u8 = 0x7f;

/// The length field that means that the length follows in two bytes.
const IN_TWO: u8 = 126;
/// The length field that means that the length follows in eight bytes.
const IN_EIGHT: u8 = 127;

/// The longest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;

impl Header {
    /// The longest header.
    pub(super) const MAX: usize = 2 + 8 + 4;

    /// Parses the header at the start of `bytes`, which were sent to a peer of this role. Returns
    /// it with its length, or `None` if it is incomplete. Errors are reported as early as possible.
    ///
    /// A length that is encoded in more bytes than necessary is accepted, as in other
    /// implementations.
    pub(super) fn parse(bytes: &[u8], role: Role) -> Result<Option<(Self, usize)>, Fault> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & RESERVED != 0 {
            return Err(Fault::ReservedBits);
        }
        let opcode = Opcode::read(first & OPCODE)?;
        let last = first & LAST != 0;
        let masked = second & MASKED != 0;
        match (role, masked) {
            (Role::Server, false) => return Err(Fault::Unmasked),
            (Role::Client, true) => return Err(Fault::Masked),
            _ => {}
        }
        let short = second & LEN;
        if let Opcode::Control(_) = opcode {
            if !last {
                return Err(Fault::FragmentedControl);
            }
            if usize::from(short) > MAX_CONTROL {
                return Err(Fault::LongControl);
            }
        }
        let (len, rest) = match short {
            IN_TWO => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            IN_EIGHT => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        let (mask, rest) = if masked {
            match rest.split_first_chunk() {
                Some((key, rest)) => (Some(Mask::new(*key)), rest),
                None => return Ok(None),
            }
        } else {
            (None, rest)
        };
        let header = Self {
            last,
            opcode,
            mask,
            len,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Appends the header to `out` in its shortest form.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let last = if self.last { LAST } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(last | self.opcode.number());
        match (u8::try_from(self.len), u16::try_from(self.len)) {
            (Ok(len), _) if usize::from(len) <= MAX_CONTROL => out.push(masked | len),
            (_, Ok(len)) => {
                out.push(masked | IN_TWO);
                out.extend_from_slice(&len.to_be_bytes());
            }
            _ => {
                out.push(masked | IN_EIGHT);
                out.extend_from_slice(&self.len.to_be_bytes());
            }
        }
        if let Some(mask) = self.mask {
            out.extend_from_slice(&mask.key());
        }
    }
}

impl Opcode {
    fn read(number: u8) -> Result<Self, Fault> {
        Ok(match number {
            0 => Self::Continuation,
            1 => Self::Message(Kind::Text),
            2 => Self::Message(Kind::Binary),
            8 => Self::Control(Control::Close),
            9 => Self::Control(Control::Ping),
            10 => Self::Control(Control::Pong),
            unknown => return Err(Fault::Opcode(unknown)),
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Message(Kind::Text) => 1,
            Self::Message(Kind::Binary) => 2,
            Self::Control(Control::Close) => 8,
            Self::Control(Control::Ping) => 9,
            Self::Control(Control::Pong) => 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
        Header::parse(bytes, Role::Client)
    }

    #[test]
    fn a_written_header_is_read_back() {
        let key = Mask::new([1, 2, 3, 4]);
        for (len, extra) in [
            (0, 0),
            (125, 0),
            (126, 2),
            (0xffff, 2),
            (0x1_0000, 8),
            (u64::MAX, 8),
        ] {
            for (mask, role) in [(None, Role::Client), (Some(key), Role::Server)] {
                for (last, opcode) in [
                    (true, Opcode::Message(Kind::Text)),
                    (false, Opcode::Message(Kind::Binary)),
                    (false, Opcode::Continuation),
                ] {
                    let header = Header {
                        last,
                        opcode,
                        mask,
                        len,
                    };
                    let mut bytes = Vec::new();
                    header.write(&mut bytes);
                    let whole = bytes.len();
                    assert_eq!(whole, 2 + extra + if mask.is_some() { 4 } else { 0 });
                    assert!(whole <= Header::MAX);
                    bytes.push(0xff);
                    assert_eq!(Header::parse(&bytes, role), Ok(Some((header, whole))));
                    for part in 0..whole {
                        assert_eq!(Header::parse(&bytes[..part], role), Ok(None), "{header:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_fault_is_found_in_two_bytes() {
        for (bytes, fault) in [
            ([0xc1, 0], Fault::ReservedBits),
            ([0xa1, 0], Fault::ReservedBits),
            ([0x91, 0], Fault::ReservedBits),
            ([0x83, 0], Fault::Opcode(3)),
            ([0x8b, 0], Fault::Opcode(11)),
            ([0x81, 0x80], Fault::Masked),
            ([0x09, 0], Fault::FragmentedControl),
            ([0x88, 126], Fault::LongControl),
            ([0x8a, 127], Fault::LongControl),
        ] {
            assert_eq!(parse(&bytes), Err(fault));
        }
        assert_eq!(
            Header::parse(&[0x81, 0], Role::Server),
            Err(Fault::Unmasked)
        );
    }

    #[test]
    fn a_length_may_be_longer_than_it_need_be() {
        let (header, whole) = parse(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0, 3])
            .unwrap()
            .unwrap();
        assert_eq!((header.len, whole), (3, 10));
    }
}

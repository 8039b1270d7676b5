//! Framing of messages in a byte stream.

use crate::Result;

/// The framing of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// WebSocket text frames. Those of the client are masked.
    WebSocket,
    /// One message per line.
    Lines,
}

/// The content of a received frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    Text(&'a [u8]),
    Ping(&'a [u8]),
}

/// The mask of every frame. A server's work does not depend on it.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

impl Framing {
    /// Appends a client's message.
    pub(crate) fn write(self, message: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::WebSocket => write_masked(TEXT, message, out),
            Self::Lines => {
                out.extend_from_slice(message);
                out.push(b'\n');
            }
        }
    }

    /// Appends the answer to a ping.
    pub(crate) fn write_pong(self, payload: &[u8], out: &mut Vec<u8>) {
        if self == Self::WebSocket {
            write_masked(PONG, payload, out);
        }
    }

    /// Appends a client's close frame.
    pub(crate) fn write_close(self, out: &mut Vec<u8>) {
        if self == Self::WebSocket {
            write_masked(CLOSE, &1000_u16.to_be_bytes(), out);
        }
    }

    /// Returns a server's first frame in `input` and its length in bytes, if it is complete.
    pub(crate) fn read(self, input: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
        match self {
            Self::WebSocket => read_unmasked(input),
            Self::Lines => Ok(memchr::memchr(b'\n', input).map(|end| {
                let line = &input[..end];
                (Frame::Text(line), end + 1)
            })),
        }
    }
}

fn write_masked(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(FINAL | opcode);
    match payload.len() {
        length @ ..126 => out.push(MASKED | u8::try_from(length).unwrap_or_default()),
        length => {
            // No message of a load is that long.
            out.push(MASKED | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    out.extend_from_slice(payload);
    mask(&mut out[start..]);
}

/// Masks or unmasks a payload, four bytes at a time.
fn mask(payload: &mut [u8]) {
    let (chunks, rest) = payload.as_chunks_mut::<4>();
    for chunk in chunks {
        *chunk = (u32::from_ne_bytes(*chunk) ^ u32::from_ne_bytes(MASK)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(MASK) {
        *byte ^= mask;
    }
}

fn read_unmasked(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
    let &[first, length, ref rest @ ..] = input else {
        return Ok(None);
    };
    let (header, length) = match length {
        length @ ..126 => (2, u64::from(length)),
        126 => match rest.first_chunk() {
            Some(bytes) => (4, u64::from(u16::from_be_bytes(*bytes))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(bytes) => (10, u64::from_be_bytes(*bytes)),
            None => return Ok(None),
        },
        _ => return Err("a server's frame is masked".into()),
    };
    let end = usize::try_from(length)?
        .checked_add(header)
        .ok_or("a frame is too long")?;
    let Some(payload) = input.get(header..end) else {
        return Ok(None);
    };
    match first {
        byte if byte == FINAL | TEXT => Ok(Some((Frame::Text(payload), end))),
        byte if byte == FINAL | PING => Ok(Some((Frame::Ping(payload), end))),
        byte if byte == FINAL | CLOSE => {
            let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
            Err(format!("the server closed: {reason}").into())
        }
        byte => Err(format!("a frame begins with {byte:#04x}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_frame_is_masked() {
        for length in [0, 1, 3, 4, 5, 20, 125] {
            let message: Vec<u8> = (0..length).collect();
            let mut out = Vec::new();
            Framing::WebSocket.write(&message, &mut out);
            assert_eq!(out[..6], [[0x81, 0x80 | length].as_slice(), &MASK].concat());
            mask(&mut out[6..]);
            assert_eq!(out[6..], message);
        }
    }

    #[test]
    fn a_servers_frame_is_read_when_it_is_whole() {
        let short = [b"\x81\x03".as_slice(), b"one"].concat();
        let medium = [b"\x81\x7e\x01\x00".as_slice(), &[b'x'; 256]].concat();
        let long = [b"\x81\x7f\0\0\0\0\0\x01\0\0".as_slice(), &[b'x'; 65536]].concat();
        for (frame, header) in [(short, 2), (medium, 4), (long, 10)] {
            for end in 0..header + 1 {
                assert_eq!(Framing::WebSocket.read(&frame[..end]).unwrap(), None);
            }
            let whole = (Frame::Text(&frame[header..]), frame.len());
            let input = [&*frame, b"\x81"].concat();
            assert_eq!(Framing::WebSocket.read(&input).unwrap(), Some(whole));
        }
    }

    #[test]
    fn a_frame_that_is_no_answer_ends_the_load() {
        for frame in [
            b"\x81\x83aaaaone".as_slice(),
            b"\x01\x03one",
            b"\x82\x03one",
            b"\x88\x05\x03\xe8bye",
            b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(Framing::WebSocket.read(frame).is_err(), "{frame:x?}");
        }
    }

    #[test]
    fn lines_end() {
        let mut out = Vec::new();
        Framing::Lines.write(b"one", &mut out);
        assert_eq!(out, b"one\n");
        let read = Framing::Lines.read(b"one\ntwo").unwrap();
        assert_eq!(read, Some((Frame::Text(b"one"), 4)));
        assert_eq!(Framing::Lines.read(b"two").unwrap(), None);
    }
}

//! Comparison with a plain model, and with another implementation.

use std::{
    io::{self, Cursor},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use capnweb_core::{Attachment, Container, Encoding};
use proptest::{collection::vec, prelude::*};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    protocol::{
        self,
        frame::{
            Frame,
            coding::{Control, Data, OpCode},
        },
    },
};

use super::*;

/// A message or frame of one side.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// A message in fragments of these sizes, interleaved with these control frames, or a single
/// control frame.
#[derive(Clone, Debug)]
struct Sent {
    said: Said,
    fragments: Vec<usize>,
    between: Vec<Said>,
}

fn bytes(len: usize) -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), 0..len).boxed()
}

fn control() -> BoxedStrategy<Said> {
    prop_oneof![
        bytes(126).prop_map(Said::Ping),
        bytes(126).prop_map(Said::Pong),
    ]
    .boxed()
}

fn said() -> BoxedStrategy<Said> {
    // Use sizes on both sides of the thresholds of headers and buffers.
    let long = prop_oneof![
        Just(125_usize),
        Just(126),
        Just(65535),
        Just(65536),
        16_000..17_000_usize,
        30_000..140_000_usize
    ];
    prop_oneof![
        8 => "[ -~é€😀\n]{0,60}".prop_map(Said::Text),
        2 => bytes(200).prop_map(Said::Binary),
        1 => (long, any::<bool>()).prop_map(|(len, text)| {
            if text { Said::Text("x€yz".repeat(len / 6)) } else { Said::Binary(vec![0xa5; len]) }
        }),
        2 => control(),
    ]
    .boxed()
}

fn sent() -> BoxedStrategy<Vec<Sent>> {
    let fragments = prop_oneof![3 => Just(Vec::new()), 1 => vec(0_usize..50, 0..4)];
    let one =
        (said(), fragments, vec(control(), 0..3)).prop_map(|(said, fragments, between)| Sent {
            said,
            fragments,
            between,
        });
    vec(one, 0..20).boxed()
}

/// Generates the sizes of the pieces in which the bytes arrive.
fn pieces() -> BoxedStrategy<Vec<usize>> {
    prop_oneof![
        vec(1_usize..20, 1..10),
        vec(1_usize..40_000, 1..10),
        Just(vec![1 << 20]),
    ]
    .boxed()
}

fn payload(said: &Said) -> (OpCode, &[u8]) {
    match said {
        Said::Text(text) => (OpCode::Data(Data::Text), text.as_bytes()),
        Said::Binary(bytes) => (OpCode::Data(Data::Binary), bytes),
        Said::Ping(bytes) => (OpCode::Control(Control::Ping), bytes),
        Said::Pong(bytes) => (OpCode::Control(Control::Pong), bytes),
    }
}

/// Writes with the other implementation. Returns the bytes, and the items in them in order.
fn encode(sent: &[Sent], to: Role, key: u32) -> (Vec<u8>, Vec<Said>) {
    let mut out = Vec::new();
    let mut key = key;
    let mut frame = |opcode, payload: &[u8], last| {
        let mut frame = Frame::message(payload.to_vec(), OpCode::Data(Data::Text), last);
        frame.header_mut().opcode = opcode;
        if to == Role::Server {
            key = key.wrapping_mul(0x9e37_79b1).wrapping_add(1);
            frame.header_mut().mask = Some(key.to_be_bytes());
        }
        frame.format(&mut out).unwrap();
    };
    let mut order = Vec::new();
    for Sent {
        said,
        fragments,
        between,
    } in sent
    {
        let (mut opcode, mut rest) = payload(said);
        if let OpCode::Data(_) = opcode {
            let mut between = between.iter();
            for size in fragments {
                let (fragment, more) = rest.split_at((*size).min(rest.len()));
                frame(opcode, fragment, false);
                opcode = OpCode::Data(Data::Continue);
                rest = more;
                if let Some(control) = between.next() {
                    let (opcode, payload) = payload(control);
                    frame(opcode, payload, true);
                    order.push(control.clone());
                }
            }
        }
        frame(opcode, rest, true);
        order.push(said.clone());
    }
    (out, order)
}

/// Returns the items that our reader finds in the bytes. It finds the same ones if it collects long
/// messages in parts.
fn decode(role: Role, rest: &[u8], pieces: &[usize]) -> Result<Vec<Said>, Fault> {
    let found = decode_from(usize::MAX, role, rest, pieces);
    for long_from in [40, 20_000] {
        assert_eq!(decode_from(long_from, role, rest, pieces), found);
    }
    found
}

fn decode_from(
    long_from: usize,
    role: Role,
    mut rest: &[u8],
    pieces: &[usize],
) -> Result<Vec<Said>, Fault> {
    let mut cx = Context::from_waker(Waker::noop());
    let (first, more) = rest.split_at(pieces[0].min(rest.len()));
    let mut reader = Reader::new(role, 1 << 20, first.to_vec());
    reader.set_long_from(long_from);
    rest = more;
    let mut sizes = pieces.iter().copied().cycle();
    let mut said = Vec::new();
    loop {
        let payload = match reader.next()? {
            Some(Incoming::Long(kind)) => (Incoming::Message(kind), reader.take_long().concat()),
            Some(incoming) => (incoming, reader.payload().to_vec()),
            None if rest.is_empty() => return Ok(said),
            None => {
                let size = sizes.next().unwrap_or(1).min(rest.len());
                let Poll::Ready(Ok(read)) = reader.poll_read(&mut &rest[..size], &mut cx) else {
                    panic!("there was something to read");
                };
                rest = &rest[read..];
                continue;
            }
        };
        said.push(match payload {
            (Incoming::Message(Kind::Text), text) => Said::Text(String::from_utf8(text).unwrap()),
            (Incoming::Message(Kind::Binary), bytes) => Said::Binary(bytes),
            (Incoming::Ping, bytes) => Said::Ping(bytes),
            (Incoming::Pong, bytes) => Said::Pong(bytes),
            (Incoming::Close | Incoming::Long(_), _) => panic!("nobody has closed"),
        });
    }
}

/// Returns the items that the other implementation finds in the bytes.
fn decode_elsewhere(role: Role, bytes: &[u8]) -> Vec<Said> {
    struct Incoming(Cursor<Vec<u8>>);
    impl io::Read for Incoming {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }
    impl io::Write for Incoming {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let mut socket = WebSocket::from_raw_socket(Incoming(Cursor::new(bytes.to_vec())), role, None);
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(Message::Text(text)) => Said::Text(text.to_string()),
            Ok(Message::Binary(bytes)) => Said::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Said::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Said::Pong(bytes.to_vec()),
            Err(Error::Protocol(_)) => return said,
            other => panic!("{other:?}"),
        });
    }
}

/// A writer that accepts limited amounts, and sometimes nothing.
struct Slow {
    taken: Vec<u8>,
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
    /// The number of flushes that are pending.
    unflushed: usize,
}

impl Slow {
    fn new(sizes: Vec<usize>) -> Self {
        Self {
            taken: Vec::new(),
            sizes: sizes.into_iter().cycle(),
            unflushed: 0,
        }
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let size = self.sizes.next().unwrap_or(1).min(bytes.len());
        if size == 0 {
            return Poll::Pending;
        }
        self.taken.extend_from_slice(&bytes[..size]);
        Poll::Ready(Ok(size))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(left) = self.unflushed.checked_sub(1) {
            self.unflushed = left;
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_others_write_is_read(sent in sent(), pieces in pieces(), key: u32) {
        for role in [Role::Client, Role::Server] {
            let (bytes, said) = encode(&sent, role, key);
            prop_assert_eq!(decode(role, &bytes, &pieces), Ok(said.clone()));
            prop_assert_eq!(decode_elsewhere(role, &bytes), said);
        }
    }

    #[test]
    fn what_is_cut_off_is_not_made_up(sent in sent(), pieces in pieces(), key: u32, cut: prop::sample::Index) {
        let (bytes, said) = encode(&sent, Role::Server, key);
        let bytes = &bytes[..cut.index(bytes.len() + 1)];
        let read = decode(Role::Server, bytes, &pieces).unwrap();
        prop_assert_eq!(&read[..], &said[..read.len()]);
    }

    #[test]
    fn others_read_what_is_written(
        mut said in vec(said(), 0..40),
        mut sizes in vec(0_usize..100_000, 1..10),
        pieces in pieces(),
    ) {
        // Our side sends pings only in answer to one.
        said.retain(|said| !matches!(said, Said::Ping(_)));
        sizes.push(1);
        let mut cx = Context::from_waker(Waker::noop());
        for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
            let mut io = Slow::new(sizes.clone());
            let mut writer = Writer::new(from);
            for said in &said {
                while !writer.has_room() {
                    let _ = writer.poll_write(&mut io, &mut cx);
                }
                match said {
                    Said::Text(text) => writer.message(Kind::Text, text.as_bytes()),
                    Said::Binary(bytes) => writer.message(Kind::Binary, bytes),
                    Said::Ping(ping) | Said::Pong(ping) => writer.answer(ping),
                }
            }
            while writer.poll_flush(&mut io, &mut cx).is_pending() {}
            prop_assert_eq!(decode_elsewhere(to, &io.taken), said.clone());
            prop_assert_eq!(decode(to, &io.taken, &pieces), Ok(said.clone()));
        }
    }
}

#[test]
fn the_latest_ping_is_answered_when_there_is_room() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut writer = Writer::new(Role::Server);
    let mut io = Slow::new(vec![0]);
    let text = "x".repeat(200_000);
    writer.message(Kind::Text, text.as_bytes());
    for ping in 0..100_000_u32 {
        writer.answer(&ping.to_be_bytes());
        assert!(writer.poll_write(&mut io, &mut cx).is_pending());
    }
    io.sizes = vec![1000].into_iter().cycle();
    assert!(writer.is_urgent());
    assert!(writer.poll_flush(&mut io, &mut cx).is_ready());
    assert!(!writer.is_urgent());
    let answer = Said::Pong(99_999_u32.to_be_bytes().to_vec());
    assert_eq!(
        decode(Role::Client, &io.taken, &[1 << 20]),
        Ok(vec![Said::Text(text), answer])
    );
}

#[test]
fn an_answer_is_urgent_until_it_is_flushed() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut writer = Writer::new(Role::Server);
    let mut io = Slow::new(vec![1000]);
    io.unflushed = 1;
    writer.answer(b"ping");
    assert!(writer.poll_flush(&mut io, &mut cx).is_pending());
    assert!(writer.is_urgent() && !io.taken.is_empty());
    assert!(writer.poll_flush(&mut io, &mut cx).is_ready());
    assert!(!writer.is_urgent());
}

#[test]
fn a_body_is_one_frame_and_what_else_there_is_comes_after_it() {
    let bytes: Bytes = (0..=255).cycle().take(300_000).collect();
    let mut text = br#"["resolve",1,"#.to_vec();
    let attachment = Attachment::write(&mut text, bytes, Container::Uint8Array).unwrap();
    text.push(b']');
    let attachments = [attachment];
    let mut whole = Vec::new();
    Encoding::Json
        .encode_attached(&text, &attachments, &mut whole)
        .unwrap();
    let whole = String::from_utf8(whole).unwrap();
    for (from, to) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        let mut cx = Context::from_waker(Waker::noop());
        let mut writer = Writer::new(from);
        let mut io = Slow::new(vec![0, 999, 70_001]);
        writer.message(Kind::Text, b"before");
        let body = Encoding::Json.encode_body(&text, &attachments).unwrap();
        writer.body(Kind::Text, body);
        assert!(!writer.has_room());
        let mut pings = 0_u8;
        while writer.poll_flush(&mut io, &mut cx).is_pending() {
            if !writer.has_room() {
                pings += 1;
                writer.answer(&[pings]);
            }
        }
        assert!(pings > 1 && writer.has_room() && !writer.is_urgent());
        writer.message(Kind::Text, b"after");
        while writer.poll_flush(&mut io, &mut cx).is_pending() {}
        let said = decode(to, &io.taken, &[1 << 20]).unwrap();
        let texts: Vec<_> = said
            .iter()
            .filter_map(|said| match said {
                Said::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert!(texts == ["before", &whole, "after"]);
        assert!(said.contains(&Said::Pong(vec![pings])));
        assert_eq!(decode_elsewhere(to, &io.taken), said);
    }
}

/// Returns the error for a text in these fragments, if there is one.
fn fault(fragments: &[&[u8]], long_from: usize, piece: usize) -> Option<Fault> {
    let mut bytes = Vec::new();
    for (i, fragment) in fragments.iter().enumerate() {
        let kind = if i == 0 { Data::Text } else { Data::Continue };
        let is_last = i + 1 == fragments.len();
        let mut frame = Frame::message(fragment.to_vec(), OpCode::Data(kind), is_last);
        frame.header_mut().mask = Some([1, 2, 3, 4]);
        frame.format(&mut bytes).unwrap();
    }
    decode_from(long_from, Role::Server, &bytes, &[piece]).err()
}

#[test]
fn a_long_text_must_be_utf8() {
    for piece in [1, 3, 7, 1000] {
        assert_eq!(fault(&["語😀".repeat(9).as_bytes()], 10, piece), None);
        // A character may be cut by fragments, but not by the end.
        assert_eq!(
            fault(&[b"0123456789\xe8", b"\xaa", b"\x9ex"], 10, piece),
            None
        );
        for wrong in [
            &[&b"0123456789\xff"[..]][..],
            &[b"0123456789\xe8\xaa"],
            &[b"01234\xff", b"6789", b"x"],
            &[b"0123456789", b"\xe8", b"x"],
            &[b"0123456789", b"\xe8\xaa", b""],
        ] {
            assert_eq!(
                fault(wrong, 10, piece),
                Some(Fault::NotUtf8),
                "{wrong:?} {piece}"
            );
        }
    }
}

#[test]
fn a_long_message_has_the_same_limit() {
    let long = vec![b'x'; 1 << 20];
    assert_eq!(fault(&[&long], 10, 1000), None);
    let (size, limit) = ((1 << 20) + 1, 1 << 20);
    let expected = Some(Fault::TooLong { size, limit });
    assert_eq!(fault(&[&long, b"x"], 10, 1000), expected);
    assert_eq!(fault(&[b"x", &long], 10, 1000), expected);
}

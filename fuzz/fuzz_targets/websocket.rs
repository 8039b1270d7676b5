//! A WebSocket whose peer sends any bytes at all, in any pieces.
//!
//! What is taken for a message is what another implementation takes for one, what is answered is what another
//! implementation understands, and it takes no more memory than the limit allows.

#![no_main]

use std::{
    io::{self, Cursor},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use capnweb_core::{Limits, Outgoing, Received, Transport};
use capnweb_transport_ws::WebSocketTransport;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

/// The longest message, in bytes.
const LIMIT: usize = 30_000;

/// What it may take to read any, besides what is sent in answer.
const MEMORY: usize = 10 * LIMIT;

/// How many bytes are made up at most, or so.
const MADE_UP: usize = 200_000;

// The first byte says which side we are and what the rest is, the second in what pieces it comes.
fuzz_target!(|input: &[u8]| {
    let [mode, pieces, rest @ ..] = input else {
        return;
    };
    let role = if mode & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let bytes = if mode & 2 == 0 {
        rest.to_vec()
    } else {
        frames(rest, role)
    };
    let expected = expected(role, bytes.clone());
    let memory = MEMORY + 3 * bytes.len();
    let mut socket = Socket {
        incoming: Cursor::new(bytes),
        sent: Vec::new(),
        pieces: *pieces,
        turns: 0,
    };
    let used = allocation_counter::measure(|| converse(role, &mut socket, &expected));
    let memory = u64::try_from(memory).expect("it is little");
    assert!(used.bytes_max < memory, "{} bytes", used.bytes_max);
    check_sent(role, socket.sent);
});

/// Makes frames of bytes: these get further.
fn frames(mut input: &[u8], to: Role) -> Vec<u8> {
    let mut out = Vec::new();
    while let [kind, len, key, rest @ ..] = input
        && out.len() < MADE_UP
    {
        // Mostly what there is, and unfragmented.
        let opcode = [1, 1, 1, 2, 0, 0, 8, 9, 10, 1, 1, 0, 9, 3, 11, 1][usize::from(kind & 15)];
        let last = if kind & 0x30 == 0x30 { 0 } else { 0x80 };
        let reserved = if kind & 0xc0 == 0xc0 { 0x40 } else { 0 };
        let len = match len {
            250.. => usize::from(*len - 249) * 5000,
            len => usize::from(*len),
        };
        let filling = rest.iter().copied().chain(std::iter::repeat(b' '));
        let mut payload: Vec<u8> = filling.take(len).collect();
        input = &rest[len.min(rest.len())..];
        // A key of 255 is none, or one where there must be none.
        let masked = (to == Role::Server) != (*key == 255);
        let mask = [*key, key.wrapping_mul(31), 0, 7];
        let masked_bit = if masked { 0x80 } else { 0 };
        out.push(last | reserved | opcode);
        match u16::try_from(len).expect("it is short") {
            short @ 0..126 => out.push(masked_bit | short as u8),
            long => {
                out.push(masked_bit | 126);
                out.extend_from_slice(&long.to_be_bytes());
            }
        }
        if masked {
            out.extend_from_slice(&mask);
            for (i, byte) in payload.iter_mut().enumerate() {
                *byte ^= mask[i % 4];
            }
        }
        out.extend_from_slice(&payload);
    }
    out
}

/// Everything that a peer sends, then the end; and what is sent to it.
#[derive(Default)]
struct Socket {
    incoming: Cursor<Vec<u8>>,
    sent: Vec<u8>,
    pieces: u8,
    turns: usize,
}

impl Socket {
    /// How many bytes move this time, if any do.
    fn size(&mut self) -> Option<usize> {
        self.turns += 1;
        let size = match self.pieces & 7 {
            0 => usize::MAX,
            1 => 1,
            few @ 2..=5 => usize::from(few) + self.turns % 5,
            6 => 1 + self.turns * 37 % 300,
            _ => 1 + self.turns * 7919 % 20_000,
        };
        let blocks = self.pieces & 8 != 0 && self.turns % 3 == 0;
        (!blocks).then_some(size)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(size) = self.size() else {
            return Poll::Pending;
        };
        let at = usize::try_from(self.incoming.position()).expect("it is short");
        let rest = &self.incoming.get_ref()[at..];
        let size = size.min(rest.len()).min(into.remaining());
        into.put_slice(&rest[..size]);
        self.incoming.set_position((at + size) as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(size) = self.size() else {
            return Poll::Pending;
        };
        let size = size.min(bytes.len());
        self.sent.extend_from_slice(&bytes[..size]);
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Reads until the end, closes, and compares the messages that come with those that should.
fn converse(role: Role, socket: &mut Socket, expected: &[String]) {
    let mut cx = Context::from_waker(Waker::noop());
    let limits = limits();
    // Each turn moves a byte, or is the other direction's, or one that blocks.
    let mut turns = 0..10 * socket.incoming.get_ref().len() + 1000;
    let taken = std::mem::take(socket);
    let mut transport = match role {
        Role::Server => WebSocketTransport::server(taken, &limits),
        Role::Client => WebSocketTransport::client(taken, &limits),
    };
    let mut out = Outgoing::default();
    let mut expected = expected.iter();
    let reason = loop {
        turns.next().expect("it comes to an end");
        match transport.poll_receive(&mut cx) {
            Poll::Ready(Received::Message(message)) => {
                assert_eq!(Some(message), expected.next().map(String::as_str));
            }
            Poll::Ready(Received::Attached(message, _)) => {
                panic!("{message}: as text, nothing is beside it");
            }
            Poll::Ready(Received::Closed(reason)) => break reason,
            Poll::Pending => {
                let sent = transport.poll_send(&mut cx, &mut out);
                assert!(!matches!(sent, Poll::Ready(Err(_))));
            }
        }
    };
    assert_eq!(expected.next(), None);
    while transport.poll_close(&mut cx, Some(&reason)).is_pending() {
        turns.next().expect("it comes to an end");
    }
    *socket = transport.into_inner();
}

fn limits() -> Limits {
    // In code units, each of which has three bytes at most.
    let limits = Limits::default().with_max_message_size(LIMIT / 3);
    assert_eq!(limits.max_message_bytes(), LIMIT);
    limits
}

/// Only an end in memory.
struct Bytes(Cursor<Vec<u8>>);

impl io::Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl io::Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages that another implementation finds.
fn expected(role: Role, bytes: Vec<u8>) -> Vec<String> {
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Bytes(Cursor::new(bytes)), role, Some(config));
    let mut messages = Vec::new();
    loop {
        let frame = match socket.read() {
            Ok(Message::Text(text)) => text.to_string(),
            Ok(Message::Binary(bytes)) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => text,
                Err(_) => return messages,
            },
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_) | Message::Frame(_)) | Err(_) => return messages,
        };
        let lines = frame
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let whole = lines.filter(|line| !line.trim_ascii().is_empty());
        messages.extend(whole.map(str::to_owned));
    }
}

/// What we send is answers to pings, and a close frame at the end.
fn check_sent(role: Role, bytes: Vec<u8>) {
    let peer = match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let mut socket = WebSocket::from_raw_socket(Bytes(Cursor::new(bytes)), peer, None);
    loop {
        match socket.read() {
            Ok(Message::Pong(_)) => {}
            Ok(Message::Close(Some(frame))) => {
                assert!(frame.code.is_allowed(), "{frame:?}");
                break;
            }
            // As an answer to one like it.
            Ok(Message::Close(None)) => break,
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return,
            other => panic!("{other:?}"),
        }
    }
    assert!(socket.read().is_err(), "nothing comes after a close frame");
}

//! From messages to bytes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::{
    Role,
    header::{Control, Header, Kind, MAX_CONTROL, Opcode},
    mask::Mask,
};

/// So much is collected before it is written.
const WRITE_SIZE: usize = 64 * 1024;

/// A message of this size is better kept than copied, if it need not be masked.
pub(crate) const LARGE: usize = WRITE_SIZE;

/// Masking goes over what has just been copied, while it is near.
const PIECE: usize = 4096;

/// Collects frames and writes them, as many as there are at a time.
pub(crate) struct Writer {
    role: Role,
    /// Frames, …
    frames: Vec<u8>,
    /// … of which so much is written …
    written: usize,
    /// … and which end with this, the payload of a large message.
    large: Bytes,
    /// The answer to a ping, waiting for room. There is one at most: a later ping takes the place of an earlier one.
    pong: Option<Vec<u8>>,
    /// There is an answer among the frames, and nobody else may come to write them.
    urgent: bool,
    /// Something was written since the last flush.
    unflushed: bool,
}

impl Writer {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            frames: Vec::new(),
            written: 0,
            large: Bytes::new(),
            pong: None,
            urgent: false,
            unflushed: false,
        }
    }

    /// Whether messages are to be added now. Otherwise what there is has to be written first.
    pub(crate) fn has_room(&self) -> bool {
        self.written == 0 && self.large.is_empty() && self.frames.len() < WRITE_SIZE
    }

    /// Makes room for so many messages of so many bytes in all.
    pub(crate) fn reserve(&mut self, messages: usize, bytes: usize) {
        let all = messages.saturating_mul(Header::MAX).saturating_add(bytes);
        self.frames.reserve(all.min(WRITE_SIZE));
    }

    /// Adds a message.
    pub(crate) fn message(&mut self, kind: Kind, payload: &[u8]) {
        self.frame(Opcode::Message(kind), payload);
    }

    /// Adds a message without a copy of it. A client's has to be masked, which takes one.
    pub(crate) fn large_message(&mut self, kind: Kind, payload: Bytes) {
        match self.role {
            Role::Client => self.message(kind, &payload),
            Role::Server => {
                self.header(Opcode::Message(kind), payload.len(), None);
                self.large = payload;
            }
        }
    }

    /// Answers a ping, as soon as there is room.
    pub(crate) fn answer(&mut self, ping: &[u8]) {
        if self.large.is_empty() && self.frames.len() < WRITE_SIZE {
            self.frame(Opcode::Control(Control::Pong), ping);
        } else {
            self.pong = Some(ping.to_vec());
        }
        self.urgent = true;
    }

    /// Adds a close frame, after which there must be no other. All before it have to be written.
    pub(crate) fn close(&mut self, payload: &[u8]) {
        debug_assert!(payload.len() <= MAX_CONTROL && self.large.is_empty());
        self.pong = None;
        self.frame(Opcode::Control(Control::Close), payload);
    }

    /// Whether there is something to write that is no message.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        match self.role {
            Role::Server => {
                self.header(opcode, payload.len(), None);
                self.frames.extend_from_slice(payload);
            }
            Role::Client => {
                let mask = Mask::random();
                self.header(opcode, payload.len(), Some(mask));
                // Each piece starts anew with the key, so its length is a multiple of the key's.
                for piece in payload.chunks(PIECE) {
                    let start = self.frames.len();
                    self.frames.extend_from_slice(piece);
                    mask.apply(self.frames.get_mut(start..).unwrap_or_default());
                }
            }
        }
    }

    fn header(&mut self, opcode: Opcode, len: usize, mask: Option<Mask>) {
        let header = Header {
            last: true,
            opcode,
            mask,
            len: u64::try_from(len).unwrap_or(u64::MAX),
        };
        header.write(&mut self.frames);
    }

    /// Writes what there is. Ready when nothing is left.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let frames = self.frames.get(self.written..).unwrap_or_default();
            let io = Pin::new(&mut *io);
            let written = match (frames, &self.large[..]) {
                ([], []) => match self.pong.take() {
                    Some(ping) => {
                        self.clear();
                        self.frame(Opcode::Control(Control::Pong), &ping);
                        continue;
                    }
                    None => break,
                },
                (frames, []) => io.poll_write(cx, frames),
                ([], large) => io.poll_write(cx, large),
                (frames, large) if io.is_write_vectored() => {
                    io.poll_write_vectored(cx, &[IoSlice::new(frames), IoSlice::new(large)])
                }
                (frames, _) => io.poll_write(cx, frames),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written(written),
            }
        }
        self.clear();
        self.urgent = false;
        Poll::Ready(Ok(()))
    }

    /// Writes what there is, and has it sent.
    pub(crate) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_write(io, cx))?;
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, len: usize) {
        self.unflushed = true;
        let of_frames = len.min(self.frames.len() - self.written);
        self.written += of_frames;
        self.large.advance((len - of_frames).min(self.large.len()));
    }

    /// All is written. What it took is not kept: the connection may be idle from now on.
    fn clear(&mut self) {
        self.frames = Vec::new();
        self.written = 0;
        self.large = Bytes::new();
    }
}

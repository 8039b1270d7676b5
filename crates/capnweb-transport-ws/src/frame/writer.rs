//! Writing frames: from messages to bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use capnweb_core::{BufferPool, MessageBody};
use tokio::io::AsyncWrite;

use super::{
    Role,
    header::{Control, Header, Kind, MAX_CONTROL, Opcode},
    mask::Mask,
};
use capnweb_core::invariant::Invariant;

/// The number of bytes that are collected before they are written.
const WRITE_SIZE: usize = 64 * 1024;

/// The number of bytes that are masked right after they have been copied, while they are in the
/// cache.
const PIECE: usize = 4096;

/// Collects frames and writes them, as many as there are at a time.
pub(crate) struct Writer {
    role: Role,
    /// Frames, …
    frames: Vec<u8>,
    /// … and the number of their bytes that are written.
    written: usize,
    /// The rest of a message whose frame is the last one and is not whole yet.
    body: Option<Masked>,
    /// The answer to a ping, waiting for room. There is one at most: a later ping takes the place
    /// of an earlier one.
    pong: Option<Vec<u8>>,
    /// Whether there is an answer to a ping that is not flushed, and that no message may come to
    /// flush.
    urgent: bool,
    /// Whether something was written since the last flush.
    unflushed: bool,
    /// The number of bytes that were written since the beginning.
    sent: u64,
}

/// A message, and the key with which it is to be masked from here on, if at all.
struct Masked {
    body: MessageBody,
    mask: Option<Mask>,
}

impl Writer {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            frames: Vec::new(),
            written: 0,
            body: None,
            pong: None,
            urgent: false,
            unflushed: false,
            sent: 0,
        }
    }

    /// Returns the number of bytes that were written since the beginning.
    #[inline]
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns whether there is room for messages. Otherwise the frames have to be written first.
    pub(crate) fn has_room(&self) -> bool {
        self.written == 0 && self.body.is_none() && self.frames.len() < WRITE_SIZE
    }

    /// Makes room for `messages` messages of `bytes` bytes in all.
    pub(crate) fn reserve(&mut self, messages: usize, bytes: usize) {
        let all = messages.saturating_mul(Header::MAX).saturating_add(bytes);
        self.room_for(all.min(WRITE_SIZE));
    }

    fn room_for(&mut self, bytes: usize) {
        if self.frames.capacity() == 0 {
            self.frames = BufferPool::shared().take(bytes);
        } else {
            self.frames.reserve(bytes);
        }
    }

    /// Adds a message.
    pub(crate) fn message(&mut self, kind: Kind, payload: &[u8]) {
        self.frame(Opcode::Message(kind), payload);
    }

    /// Adds a message that need not be in memory as a whole.
    pub(crate) fn body(&mut self, kind: Kind, body: MessageBody) {
        debug_assert!(self.body.is_none());
        self.room_for(WRITE_SIZE);
        let mask = (self.role == Role::Client).then(Mask::random);
        self.header(Opcode::Message(kind), body.len(), mask);
        self.body = Some(Masked { body, mask });
        self.fill();
    }

    /// Adds as much of the body as there is room for.
    fn fill(&mut self) {
        while let Some(Masked { body, mask }) = &mut self.body {
            if body.is_empty() {
                self.body = None;
                return;
            }
            if self.frames.len() + PIECE > WRITE_SIZE {
                return;
            }
            let start = self.frames.len();
            body.take(PIECE, &mut self.frames);
            let piece = self
                .frames
                .get_mut(start..)
                .or_bug("a frame that was written is within");
            if let Some(mask) = mask {
                mask.apply(piece);
                *mask = mask.after(piece.len());
            }
        }
    }

    /// Answers a ping, as soon as there is room.
    pub(crate) fn answer(&mut self, ping: &[u8]) {
        if self.body.is_none() && self.frames.len() < WRITE_SIZE {
            self.frame(Opcode::Control(Control::Pong), ping);
        } else {
            self.pong = Some(ping.to_vec());
        }
        self.urgent = true;
    }

    /// Adds a ping, unless there is a message that is not whole.
    pub(crate) fn ping(&mut self) {
        if self.body.is_none() {
            self.frame(Opcode::Control(Control::Ping), &[]);
            self.urgent = true;
        }
    }

    /// Adds a close frame, after which there must be no other.
    pub(crate) fn close(&mut self, payload: &[u8]) {
        debug_assert!(payload.len() <= MAX_CONTROL && self.body.is_none());
        self.pong = None;
        self.frame(Opcode::Control(Control::Close), payload);
    }

    /// Returns whether there is something to write and flush that is no message.
    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        self.room_for(Header::MAX + payload.len());
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
                    mask.apply(
                        self.frames
                            .get_mut(start..)
                            .or_bug("a frame that was written is within"),
                    );
                }
            }
        }
    }

    fn header(&mut self, opcode: Opcode, len: usize, mask: Option<Mask>) {
        let header = Header {
            last: true,
            opcode,
            mask,
            len: u64::try_from(len).or_bug("lengths fit in 64 bits"),
        };
        header.write(&mut self.frames);
    }

    /// Writes the frames. Ready when nothing is left.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let frames = self
                .frames
                .get(self.written..)
                .or_bug("what was written is within");
            if frames.is_empty() {
                self.written = 0;
                self.frames.clear();
                if self.body.is_some() {
                    self.fill();
                    continue;
                }
                // Their buffer is not kept: the connection may be idle from now on.
                BufferPool::shared().give(std::mem::take(&mut self.frames));
                match self.pong.take() {
                    Some(ping) => self.frame(Opcode::Control(Control::Pong), &ping),
                    None => break,
                }
                continue;
            }
            match ready!(Pin::new(&mut *io).poll_write(cx, frames))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.written += written;
                    self.sent = self.sent.wrapping_add(written as u64);
                    self.unflushed = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the frames, and flushes them.
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
        self.urgent = false;
        Poll::Ready(Ok(()))
    }
}

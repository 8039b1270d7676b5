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

/// The number of bytes that are collected for one write.
const WRITE_SIZE: usize = 64 * 1024;

/// The number of bytes that are copied and then masked at a time, so that they are still in the
/// cache.
const PIECE: usize = 4096;

/// A writer that collects frames, and writes as many as possible at a time.
pub(crate) struct Writer {
    role: Role,
    /// The collected frames.
    frames: Vec<u8>,
    /// The number of bytes of `frames` that have been written.
    written: usize,
    /// The rest of a message whose frame is last in `frames` and incomplete.
    body: Option<Masked>,
    /// The answer to a ping, which waits for room. A later ping replaces an earlier one.
    pong: Option<Vec<u8>>,
    /// True if the answer to a ping has not been flushed. There may be no message that would flush
    /// it.
    urgent: bool,
    /// True if anything was written since the last flush.
    unflushed: bool,
    /// The total number of bytes that were written.
    sent: u64,
}

/// A message, and the key to mask its rest with, if it is masked.
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

    /// Returns the total number of bytes that were written.
    #[inline]
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns whether there is room for messages. Otherwise the frames must be written first.
    pub(crate) fn has_room(&self) -> bool {
        self.written == 0 && self.body.is_none() && self.frames.len() < WRITE_SIZE
    }

    /// Reserves room for `messages` messages of `bytes` bytes in total.
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

    /// Adds a message that is never in memory as a whole.
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

    /// Answers a ping as soon as there is room.
    pub(crate) fn answer(&mut self, ping: &[u8]) {
        if self.body.is_none() && self.frames.len() < WRITE_SIZE {
            self.frame(Opcode::Control(Control::Pong), ping);
        } else {
            self.pong = Some(ping.to_vec());
        }
        self.urgent = true;
    }

    /// Adds a ping, unless a message is incomplete.
    pub(crate) fn ping(&mut self) {
        if self.body.is_none() {
            self.frame(Opcode::Control(Control::Ping), &[]);
            self.urgent = true;
        }
    }

    /// Adds a close frame. No frame may follow it.
    pub(crate) fn close(&mut self, payload: &[u8]) {
        debug_assert!(payload.len() <= MAX_CONTROL && self.body.is_none());
        self.pong = None;
        self.frame(Opcode::Control(Control::Close), payload);
    }

    /// Returns whether there is a control frame to write and flush.
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
                // The key restarts with each piece, so a piece's length must be a multiple of the
                // key's.
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

    /// Writes the frames, and is ready once all of them are written.
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
                // Do not keep the buffer, since the connection may be idle from now on.
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

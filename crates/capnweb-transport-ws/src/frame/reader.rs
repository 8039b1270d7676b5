//! Reading frames: from bytes to messages.

use std::{
    future::Future,
    io,
    ops::Range,
    pin::pin,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes};
use capnweb_core::{BufferPool, ByteBudget, ByteCharge, LongBytes, Utf8Check};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    Batch, Fault, Role,
    header::{Control, Header, Kind, Opcode},
    mask::Mask,
};
use capnweb_core::invariant::Invariant;

/// Returns the maximum size of one read. Larger reads would keep the peer waiting, since nothing is
/// answered during a read. Calls are about four times as long as their answers, so with these sizes
/// both sides read about the same number of messages.
const fn read_size(role: Role) -> usize {
    match role {
        Role::Server => 32 * 1024,
        Role::Client => 8 * 1024,
    }
}

/// The size above which a buffer is returned to the pool once there is nothing large to read.
const KEEP: usize = 64 * 1024;

/// The length from which a frame's payload is worth taking without a copy.
const LARGE: usize = 32 * 1024;

/// The length from which a message is collected in parts, since it would take long to move, unmask
/// and validate it as a whole.
const LONG: usize = 1 << 20;

/// The number of bytes of long messages after which it is the other direction's turn.
const TURN: usize = 1 << 20;

/// A parser that lends the payloads of frames from the buffer that they were read into.
pub(crate) struct Reader {
    role: Role,
    /// The longest message, in bytes.
    max_len: usize,
    /// The pool of large buffers.
    spare: &'static BufferPool,
    /// The bytes that have been read.
    bytes: Vec<u8>,
    /// The start of the next frame in `bytes`.
    start: usize,
    /// The length of the next frame, as far as it is known.
    wanted: usize,
    /// The kind of the message whose last fragment has not arrived.
    incomplete: Option<Kind>,
    /// The fragments of that message so far.
    joined: Vec<u8>,
    /// A message that is collected in parts, from its first long frame or fragment on.
    long: Option<LongMessage>,
    /// The length from which a message is [`LONG`].
    long_from: usize,
    /// The bytes of long messages that were read since the last turn of the other direction.
    in_turn: usize,
    lent: Lent,
    /// True if the last read filled its buffer.
    full: bool,
    /// True if a frame was taken since the last turn of the other direction.
    taken: bool,
    /// True if a batch was tried since the last read.
    tried: bool,
    /// The total number of bytes that were read.
    received: u64,
    /// The number of those bytes that belonged to control frames.
    of_control_frames: u64,
    /// The share of a server's budget that the buffers take.
    charge: ByteCharge,
}

/// The position of the payload that is lent.
#[derive(Clone)]
enum Lent {
    /// The payload is in `bytes`.
    Whole(Range<usize>),
    /// The payload consists of the joined fragments.
    Joined,
}

/// A long message so far. All of it is unmasked.
struct LongMessage {
    kind: Kind,
    bytes: LongBytes,
    /// The check of a text.
    utf8: Option<Utf8Check>,
    /// False if the text is not UTF-8.
    is_valid: bool,
    /// The fragment that is being received.
    fragment: Fragment,
    /// True once the message was returned.
    is_done: bool,
}

/// A fragment of a long message.
struct Fragment {
    /// The number of bytes that have not arrived.
    left: usize,
    /// The key for the next bytes.
    mask: Option<Mask>,
    /// True if no fragment follows.
    is_last: bool,
}

impl Fragment {
    /// Unmasks the next bytes.
    fn unmask(&mut self, bytes: &mut [u8]) {
        self.left = self.left.saturating_sub(bytes.len());
        if let Some(mask) = &mut self.mask {
            mask.apply(bytes);
            *mask = mask.after(bytes.len());
        }
    }
}

impl LongMessage {
    /// Begins with what has arrived so far.
    fn new(kind: Kind, begun: &[u8], fragment: Fragment) -> Self {
        let mut bytes = LongBytes::default();
        bytes.push(begun);
        let mut utf8 = (kind == Kind::Text).then(Utf8Check::default);
        Self {
            kind,
            bytes,
            is_valid: utf8.as_mut().is_none_or(|utf8| utf8.check(begun)),
            utf8,
            fragment,
            is_done: false,
        }
    }

    /// Checks that what has arrived is the beginning of a text, or all of it.
    fn check(&self) -> Result<(), Fault> {
        let is_cut = self.fragment.left == 0
            && self.fragment.is_last
            && self.utf8.as_ref().is_some_and(|utf8| !utf8.is_complete());
        match self.is_valid && !is_cut {
            true => Ok(()),
            false => Err(Fault::NotUtf8),
        }
    }

    /// Takes the bytes of the fragment that are at the beginning of `unread`, and returns their
    /// number.
    fn take(&mut self, unread: &mut [u8]) -> usize {
        let len = unread.len().min(self.fragment.left);
        let piece = unread.get_mut(..len).unwrap_or_default();
        self.fragment.unmask(piece);
        self.bytes.push(piece);
        if let Some(utf8) = &mut self.utf8 {
            self.is_valid &= utf8.check(piece);
        }
        len
    }

    /// Reads bytes of the fragment once.
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let left = self.fragment.left;
        let (piece, read) = self.bytes.fill(|part, room| {
            let mut space = part.limit(room.min(left));
            pin!(io.read_buf(&mut space)).poll(cx)
        });
        self.fragment.unmask(piece);
        if let Some(utf8) = &mut self.utf8 {
            self.is_valid &= utf8.check(piece);
        }
        read
    }
}

/// A message or control frame that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Kind),
    /// A long message, for [`take_long`](Reader::take_long).
    Long(Kind),
    Close,
    Ping,
    Pong,
}

impl Reader {
    /// Creates a reader for a peer of this role. `already_read` are the bytes that the handshake
    /// has read beyond its own end.
    pub(crate) fn new(role: Role, max_len: usize, already_read: Vec<u8>) -> Self {
        Self {
            role,
            max_len,
            spare: BufferPool::shared(),
            bytes: already_read,
            start: 0,
            wanted: 0,
            incomplete: None,
            joined: Vec::new(),
            long: None,
            long_from: LONG,
            in_turn: 0,
            lent: Lent::Whole(0..0),
            full: false,
            taken: false,
            tried: false,
            received: 0,
            of_control_frames: 0,
            charge: ByteCharge::default(),
        }
    }

    /// Returns the total number of bytes that were read.
    #[inline]
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of those bytes that belonged to control frames.
    #[inline]
    pub(crate) fn of_control_frames(&self) -> u64 {
        self.of_control_frames
    }

    /// Returns whether a message has begun and is not complete.
    pub(crate) fn is_in_message(&self) -> bool {
        self.incomplete.is_some() || self.long.is_some() || self.start < self.bytes.len()
    }

    /// Counts the buffers of unfinished messages towards this budget.
    pub(crate) fn set_budget(&mut self, unfinished: &ByteBudget) {
        self.charge = unfinished.charge();
    }

    /// Returns the next complete message or control frame. Afterwards [`payload`](Self::payload)
    /// returns its payload. `None` means that more has to be read first.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, Fault> {
        if matches!(self.lent, Lent::Joined) {
            self.joined = Vec::new();
        }
        self.lent = Lent::Whole(0..0);
        if self.long.as_ref().is_some_and(|long| long.is_done) {
            self.long = None;
        }
        loop {
            if let Some(long) = &mut self.long {
                let unread = self.bytes.get_mut(self.start..);
                let len = long.take(unread.or_bug("what is unread is within"));
                self.start += len;
                self.in_turn += len;
                long.check()?;
                if long.fragment.left > 0 {
                    self.wanted = 0;
                    return self.unfinished();
                }
                let kind = long.kind;
                if long.fragment.is_last {
                    long.is_done = true;
                    self.taken = true;
                    self.incomplete = None;
                    return Ok(Some(Incoming::Long(kind)));
                }
                self.incomplete = Some(kind);
            }
            let unread = self
                .bytes
                .get(self.start..)
                .or_bug("what is unread is within");
            let Some((header, before)) = Header::parse(unread, self.role)? else {
                self.wanted = Header::MAX;
                return self.unfinished();
            };
            let len = self.admit(&header)?;
            if let Some(kind) = self.begins_long(&header, len) {
                self.start += before;
                let fragment = Fragment {
                    left: len,
                    mask: header.mask,
                    is_last: header.last,
                };
                match &mut self.long {
                    Some(long) => long.fragment = fragment,
                    None => {
                        let begun = std::mem::take(&mut self.joined);
                        self.long = Some(LongMessage::new(kind, &begun, fragment));
                    }
                }
                continue;
            }
            let payload = self.start + before;
            // The limit may be the maximum of the type.
            let payload = payload..payload.saturating_add(len);
            let Some(bytes) = self.bytes.get_mut(payload.clone()) else {
                self.wanted = len.saturating_add(before);
                return self.unfinished();
            };
            if let Some(mask) = header.mask {
                mask.apply(bytes);
            }
            self.start = payload.end;
            self.taken = true;
            match (header.opcode, self.incomplete) {
                (Opcode::Message(kind), _) if header.last => {
                    self.lent = Lent::Whole(payload);
                    return Ok(Some(Incoming::Message(kind)));
                }
                (Opcode::Message(kind), _) => {
                    self.joined.extend_from_slice(bytes);
                    self.incomplete = Some(kind);
                }
                (Opcode::Continuation, kind) => {
                    self.joined.extend_from_slice(bytes);
                    if let Some(kind) = kind.filter(|_| header.last) {
                        self.incomplete = None;
                        self.lent = Lent::Joined;
                        return Ok(Some(Incoming::Message(kind)));
                    }
                }
                (Opcode::Control(control), _) => {
                    let size = (before + len) as u64;
                    self.of_control_frames = self.of_control_frames.wrapping_add(size);
                    self.lent = Lent::Whole(payload);
                    return Ok(Some(match control {
                        Control::Close => Incoming::Close,
                        Control::Ping => Incoming::Ping,
                        Control::Pong => Incoming::Pong,
                    }));
                }
            }
        }
    }

    /// Returns the kind of the message that this fragment belongs to, if it is long by now.
    fn begins_long(&self, header: &Header, len: usize) -> Option<Kind> {
        let kind = match header.opcode {
            Opcode::Message(kind) => kind,
            Opcode::Continuation => self.incomplete?,
            Opcode::Control(_) => return None,
        };
        let is_long = self.long.is_some() || self.joined.len() + len >= self.long_from;
        is_long.then_some(kind)
    }

    /// Takes the parts of the long message that [`next`](Self::next) returned last.
    pub(crate) fn take_long(&mut self) -> Vec<Bytes> {
        let long = self.long.take();
        // Shrinking a charge always succeeds.
        let _ = self.charge.set(self.held());
        long.map_or_else(Vec::new, |long| long.bytes.into_parts())
    }

    /// Charges the buffers while a message is incomplete.
    fn unfinished(&mut self) -> Result<Option<Incoming>, Fault> {
        if self.charge.set(self.held()) {
            Ok(None)
        } else {
            Err(Fault::NoRoom)
        }
    }

    fn held(&self) -> usize {
        let long = self.long.as_ref().map_or(0, |long| long.bytes.capacity());
        self.bytes.capacity() + self.joined.capacity() + long
    }

    /// Moves the next short messages into `batch`, which must be empty. This happens once per read;
    /// [`next`](Self::next) handles the frame at which it stops.
    pub(crate) fn take_batch(&mut self, batch: &mut Batch) -> bool {
        if std::mem::replace(&mut self.tried, true)
            || self.incomplete.is_some()
            || self.long.is_some()
        {
            return false;
        }
        let unread = self
            .bytes
            .get(self.start..)
            .or_bug("what is unread is within");
        let len = batch.take(unread, self.role, self.max_len);
        self.start += len;
        self.taken |= len > 0;
        len > 0
    }

    /// Returns the payload of the frame or message that `next` returned last.
    pub(crate) fn payload(&self) -> &[u8] {
        match &self.lent {
            Lent::Whole(payload) => self
                .bytes
                .get(payload.clone())
                .or_bug("a payload that was lent is within"),
            Lent::Joined => &self.joined,
        }
    }

    /// Takes the payload out if it is long and fills most of its buffer. It is no longer lent
    /// afterwards.
    pub(crate) fn take_payload(&mut self) -> Option<Bytes> {
        let Lent::Whole(payload) = self.lent.clone() else {
            return None;
        };
        if payload.len() < LARGE || payload.len() < self.bytes.capacity() / 2 {
            return None;
        }
        self.lent = Lent::Whole(0..0);
        // The next frame is likely to have the same length.
        let next = self.spare.find(self.bytes.capacity()).unwrap_or_default();
        let mut bytes = std::mem::replace(&mut self.bytes, next);
        self.bytes
            .extend_from_slice(bytes.get(self.start..).or_bug("what is unread is within"));
        self.start = 0;
        bytes.truncate(payload.end);
        Some(self.spare.lend(bytes).slice(payload))
    }

    /// Returns the length of the payload, if such a frame is allowed here.
    fn admit(&self, header: &Header) -> Result<usize, Fault> {
        match (header.opcode, self.incomplete) {
            (Opcode::Continuation, None) => return Err(Fault::NothingToContinue),
            (Opcode::Message(_), Some(_)) => return Err(Fault::Incomplete),
            _ => {}
        }
        let before = match header.opcode {
            Opcode::Continuation => {
                self.joined.len() + self.long.as_ref().map_or(0, |long| long.bytes.len())
            }
            Opcode::Message(_) => 0,
            // The limit on messages does not apply to control frames.
            Opcode::Control(_) => {
                return Ok(usize::try_from(header.len).or_bug("a control frame is short"));
            }
        };
        usize::try_from(header.len)
            .ok()
            .filter(|len| *len <= self.max_len.saturating_sub(before))
            .ok_or_else(|| Fault::TooLong {
                size: header
                    .len
                    .saturating_add(u64::try_from(before).unwrap_or(u64::MAX)),
                limit: self.max_len,
            })
    }

    /// Makes all messages of this length or more long ones.
    #[cfg(test)]
    pub(super) fn set_long_from(&mut self, len: usize) {
        self.long_from = len;
    }

    /// Returns whether it is the other direction's turn: once for each full read with a frame in
    /// it, or after a while in a long message.
    pub(crate) fn take_turn(&mut self) -> bool {
        if self.in_turn >= TURN {
            self.in_turn = 0;
            return true;
        }
        std::mem::take(&mut self.full) && std::mem::take(&mut self.taken)
    }

    /// Reads once. Reading no bytes means that the stream has ended.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.lent = Lent::Whole(0..0);
        self.taken = false;
        self.tried = false;
        if let Some(long) = &mut self.long
            && long.fragment.left > 0
            && self.start == self.bytes.len()
        {
            self.bytes.clear();
            (self.start, self.full) = (0, false);
            let read = long.poll_read(io, cx);
            match &read {
                Poll::Ready(len) => {
                    let len = len.as_ref().copied().unwrap_or_default();
                    self.in_turn += len;
                    self.received = self.received.wrapping_add(len as u64);
                }
                Poll::Pending => {
                    self.in_turn = 0;
                    self.give_back();
                    // Shrinking a charge always succeeds.
                    let _ = self.charge.set(self.held());
                }
            }
            return read;
        }
        let room = self.make_room();
        let mut space = (&mut self.bytes).limit(room);
        let read = pin!(io.read_buf(&mut space)).poll(cx);
        match &read {
            Poll::Ready(len) => {
                let len = len.as_ref().copied().unwrap_or_default();
                self.full = len == room;
                self.received = self.received.wrapping_add(len as u64);
            }
            Poll::Pending => {
                self.give_back();
                // Shrinking a charge always succeeds.
                let _ = self.charge.set(self.held());
            }
        }
        read
    }

    /// Moves the unread bytes to the front and makes room behind them. There is room for a frame of
    /// the usual size. For a longer frame, the buffer at most doubles the bytes that have arrived,
    /// unless the pool has a buffer of the full size anyway. So a peer's header alone takes up no
    /// memory.
    fn make_room(&mut self) -> usize {
        self.bytes.drain(..self.start);
        self.start = 0;
        let rest = self.bytes.len();
        let wanted = self.wanted.max(rest + 1);
        if wanted > self.bytes.capacity()
            && let Some(mut large) = self.spare.find(wanted)
        {
            large.extend_from_slice(&self.bytes);
            self.spare.give(std::mem::replace(&mut self.bytes, large));
        }
        let read_size = read_size(self.role);
        let size = wanted
            .min(rest.saturating_mul(2))
            .max(rest.saturating_add(1))
            .next_multiple_of(read_size);
        // Use up the remaining room first, so that a large frame is not moved on each read.
        if size > self.bytes.capacity() && self.bytes.capacity() - rest < read_size {
            self.bytes.reserve_exact(size - rest);
        }
        // The capacity may be larger.
        size.max(wanted).min(self.bytes.capacity()) - rest
    }

    /// Returns the buffers to the pool, since nothing may arrive for hours.
    fn give_back(&mut self) {
        let keep = if self.bytes.is_empty() {
            Vec::new()
        } else if self.wanted <= read_size(self.role) && self.bytes.capacity() > KEEP {
            let mut small = Vec::with_capacity(read_size(self.role).max(self.bytes.len()));
            small.extend_from_slice(&self.bytes);
            small
        } else {
            return;
        };
        self.spare.give(std::mem::replace(&mut self.bytes, keep));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const READ_SIZE: usize = read_size(Role::Client);

    /// Creates a reader that shares no buffers with other tests.
    fn new_reader(role: Role, max_len: usize, already_read: Vec<u8>) -> Reader {
        Reader {
            spare: Box::leak(Box::default()),
            ..Reader::new(role, max_len, already_read)
        }
    }

    fn read(reader: &mut Reader, mut bytes: &[u8]) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        match reader.poll_read(&mut bytes, &mut cx) {
            Poll::Ready(Ok(len)) => len,
            other => panic!("{other:?}"),
        }
    }

    /// Polls a stream that has nothing to read and has not ended.
    fn wait(reader: &mut Reader) {
        let (mut io, _other) = tokio::io::duplex(1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.poll_read(&mut io, &mut cx).is_pending());
    }

    fn frame(len: usize) -> Vec<u8> {
        let header = Header {
            last: true,
            opcode: Opcode::Message(Kind::Text),
            mask: None,
            len: u64::try_from(len).unwrap(),
        };
        let mut frame = Vec::new();
        header.write(&mut frame);
        frame.resize(frame.len() + len, b'x');
        frame
    }

    #[test]
    fn an_idle_connection_holds_no_buffer() {
        let mut reader = new_reader(Role::Client, 1 << 20, Vec::new());
        wait(&mut reader);
        assert_eq!(reader.bytes.capacity(), 0);
        read(&mut reader, &frame(5));
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        assert_eq!(reader.payload(), b"xxxxx");
        assert_eq!(reader.next(), Ok(None));
        assert_eq!(reader.bytes.capacity(), READ_SIZE);
        wait(&mut reader);
        assert_eq!(reader.bytes.capacity(), 0);
    }

    #[test]
    fn a_large_frame_takes_as_much_room_as_has_come_of_it() {
        let mut reader = new_reader(Role::Client, 1 << 30, Vec::new());
        let large = frame(LONG - 1);
        let mut rest = &large[..];
        while !rest.is_empty() {
            assert_eq!(reader.next(), Ok(None));
            let len = read(&mut reader, rest);
            rest = &rest[len..];
            assert!(reader.bytes.capacity() <= (2 * reader.bytes.len()).max(READ_SIZE));
        }
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        assert_eq!(reader.payload().len(), LONG - 1);
        // The start of the next frame does not keep the buffer of this one.
        read(&mut reader, &frame(100)[..50]);
        assert_eq!(reader.next(), Ok(None));
        wait(&mut reader);
        assert!(reader.bytes.capacity() <= KEEP);
        read(&mut reader, &frame(100)[50..]);
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        assert_eq!(reader.payload().len(), 100);
    }

    #[test]
    fn a_long_frame_takes_as_much_room_as_has_come_of_it() {
        let mut reader = new_reader(Role::Client, 1 << 30, Vec::new());
        let long = frame(5 * LONG);
        let mut rest = &long[..];
        while !rest.is_empty() {
            assert_eq!(reader.next(), Ok(None));
            let len = read(&mut reader, rest);
            rest = &rest[len..];
            assert!(reader.held() <= long.len() - rest.len() + (256 << 10) + READ_SIZE);
            if rest.len() < long.len() / 2 {
                wait(&mut reader);
                assert_eq!(reader.bytes.capacity(), 0);
            }
        }
        assert_eq!(reader.next(), Ok(Some(Incoming::Long(Kind::Text))));
        let parts = reader.take_long();
        assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), 5 * LONG);
        assert!(parts.iter().flatten().all(|byte| *byte == b'x'));
        assert_eq!((reader.next(), reader.held()), (Ok(None), 0));
    }

    #[test]
    fn a_long_frame_in_small_pieces_is_moved_seldom() {
        for role in [Role::Client, Role::Server] {
            let mut reader = new_reader(role, 1 << 30, Vec::new());
            let large = frame(1 << 20);
            let (mut capacity, mut moves) = (0, 0);
            for mut piece in large.chunks(1000) {
                while !piece.is_empty() {
                    let len = read(&mut reader, piece);
                    piece = &piece[len..];
                    // A frame from a server that is not masked is a fault.
                    reader.wanted = large.len();
                    moves += usize::from(reader.bytes.capacity() != capacity);
                    capacity = reader.bytes.capacity();
                }
            }
            assert_eq!(reader.bytes, large);
            assert!(moves <= 12, "{moves}");
        }
    }

    #[test]
    fn a_header_alone_takes_no_room() {
        let mut reader = new_reader(Role::Client, 1 << 30, Vec::new());
        read(&mut reader, &frame(1 << 29)[..10]);
        assert_eq!(reader.next(), Ok(None));
        read(&mut reader, b"x");
        assert_eq!(reader.bytes.capacity(), READ_SIZE);
    }

    #[test]
    fn the_other_direction_has_its_turn_after_a_full_read() {
        let mut reader = new_reader(Role::Client, 1 << 20, Vec::new());
        let frames = frame(10).repeat(10_000);
        assert_eq!(read(&mut reader, &frames), READ_SIZE);
        assert!(reader.next().unwrap().is_some());
        assert!(reader.take_turn() && !reader.take_turn());
        assert_eq!(read(&mut reader, &frames[READ_SIZE..][..3]), 3);
        assert!(reader.next().unwrap().is_some());
        assert!(!reader.take_turn());
    }

    #[test]
    fn messages_may_be_as_long_as_the_limit() {
        let limit = 1000;
        let mut reader = new_reader(Role::Client, limit, frame(1000));
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        let mut reader = new_reader(Role::Client, limit, frame(1001));
        assert_eq!(reader.next(), Err(Fault::TooLong { size: 1001, limit }));
        // Another limit applies to control frames.
        let mut reader = new_reader(Role::Client, 0, vec![0x89, 1, b'x']);
        assert_eq!(reader.next(), Ok(Some(Incoming::Ping)));
        // The same in fragments.
        let first = [&[0x01, 100][..], &[b'x'; 100]].concat();
        let more = [&[0x00, 100][..], &[b'x'; 100]].concat();
        let mut reader = new_reader(Role::Client, 250, [&first[..], &more, &more].concat());
        let limit = 250;
        assert_eq!(reader.next(), Err(Fault::TooLong { size: 300, limit }));
    }

    #[test]
    fn a_message_may_have_no_limit() {
        let endless = [&[0x81, 127][..], &u64::MAX.to_be_bytes()].concat();
        let mut reader = new_reader(Role::Client, usize::MAX, endless);
        assert_eq!(reader.next(), Ok(None));
        read(&mut reader, b"x");
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.held() <= 4 * READ_SIZE, "{}", reader.held());
    }

    #[test]
    fn fragments_come_in_order() {
        let mut reader = new_reader(Role::Client, 1000, vec![0x80, 0]);
        assert_eq!(reader.next(), Err(Fault::NothingToContinue));
        let mut reader = new_reader(Role::Client, 1000, vec![0x01, 1, b'x', 0x81, 0]);
        assert_eq!(reader.next(), Err(Fault::Incomplete));
    }

    /// Reads all of `bytes`, and returns the number of reads.
    fn read_all(reader: &mut Reader, mut bytes: &[u8]) -> usize {
        let mut reads = 0;
        while !bytes.is_empty() {
            assert_eq!(reader.next(), Ok(None));
            let len = read(reader, bytes);
            bytes = &bytes[len..];
            reads += 1;
        }
        reads
    }

    #[test]
    fn a_buffer_that_is_there_anyway_is_read_into_at_once() {
        let mut reader = new_reader(Role::Client, 1 << 30, Vec::new());
        let large = frame(LONG - 1);
        let first = read_all(&mut reader, &large);
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        let memory = reader.payload().as_ptr();
        wait(&mut reader);
        assert_eq!(reader.bytes.capacity(), 0);
        let second = read_all(&mut reader, &large);
        assert!((first, second) > (2, 2) && second == 2, "{first} {second}");
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        assert_eq!(reader.payload().as_ptr(), memory);
    }

    #[test]
    fn a_long_payload_is_taken_without_a_copy() {
        let mut reader = new_reader(Role::Client, 1 << 30, Vec::new());
        let large = frame(LONG - 1);
        read_all(&mut reader, &[&large[..], &frame(3)].concat());
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        let memory = reader.payload().as_ptr();
        let taken = reader.take_payload().unwrap();
        assert_eq!((taken.as_ptr(), taken.len()), (memory, LONG - 1));
        assert_eq!(reader.payload(), b"");
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        assert_eq!(reader.payload(), b"xxx");
        assert_eq!(reader.take_payload(), None);
        // Its buffer is reused once the payload is dropped.
        drop(taken);
        read_all(&mut reader, &large);
        assert_eq!(reader.next(), Ok(Some(Incoming::Message(Kind::Text))));
        assert_eq!(reader.payload().as_ptr(), memory);
    }
}

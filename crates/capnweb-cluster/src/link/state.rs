//! The state of a link: sequence numbers and the window.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::frame::{Frame, Kind};

/// The number of data frames that may be sent and not yet read by the peer.
///
/// A bus drops messages of a subscriber that has far more in its queue.
pub(super) const WINDOW_FRAMES: u64 = 4096;

/// The number of bytes that may be sent and not yet read by the peer.
pub(super) const WINDOW_BYTES: usize = 4 << 20;

/// The part of a link that its stream and its pump share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Wakes the pump.
    pub(super) pump: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    // Sending.
    /// The number of data frames that were begun.
    next: u64,
    /// The number of data frames that have their place on the bus.
    published: u64,
    /// The sizes of the data frames that the peer has not read.
    unread: VecDeque<usize>,
    unread_bytes: usize,
    pub(super) writer: Option<Waker>,
    /// The stream is shut down or dropped: the pump sends the end.
    pub(super) is_ending: bool,
    pub(super) has_sent_end: bool,
    pub(super) last_sent: Instant,
    /// The last frame has data, and nothing has arrived since.
    is_data_unheard: bool,

    // Receiving.
    /// The number of data frames that have arrived.
    expected: u64,
    incoming: VecDeque<Bytes>,
    incoming_bytes: usize,
    /// The number of data frames that were read, and their bytes since the last acknowledgement.
    read: u64,
    read_bytes: usize,
    acknowledged: u64,
    pub(super) reader: Option<Waker>,
    has_peer_ended: bool,
    pub(super) last_heard: Instant,

    /// The reason why the link broke.
    broken: Option<Arc<str>>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            state: Mutex::new(State {
                next: 0,
                published: 0,
                unread: VecDeque::new(),
                unread_bytes: 0,
                writer: None,
                is_ending: false,
                has_sent_end: false,
                last_sent: now,
                is_data_unheard: false,
                expected: 0,
                incoming: VecDeque::new(),
                incoming_bytes: 0,
                read: 0,
                read_bytes: 0,
                acknowledged: 0,
                reader: None,
                has_peer_ended: false,
                last_heard: now,
                broken: None,
            }),
            pump: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks the link, unless it is broken already.
    pub(super) fn break_with(&self, reason: &str) {
        let mut state = self.lock();
        state.broken.get_or_insert_with(|| reason.into());
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        self.pump.notify_one();
    }

    /// Handles a frame of the peer.
    ///
    /// # Errors
    ///
    /// Returns the reason to break the link.
    pub(super) fn receive(&self, frame: Frame) -> Result<(), &'static str> {
        let mut state = self.lock();
        let is_whole = frame.sequence == state.expected;
        state.last_heard = Instant::now();
        state.is_data_unheard = false;
        state.acknowledge(frame.acknowledged)?;
        let mut reader = None;
        match frame.kind {
            Kind::Data(content) => {
                if !is_whole {
                    return Err(GAP);
                }
                state.expected += 1;
                state.incoming_bytes += content.len();
                // The last frame may exceed the window.
                let is_too_much = state.expected - state.acknowledged > WINDOW_FRAMES
                    || state.incoming_bytes > 2 * WINDOW_BYTES;
                if is_too_much {
                    return Err("the peer has sent more than the window allows");
                }
                state.incoming.push_back(content);
                reader = state.reader.take();
            }
            // A heartbeat may be published before a data frame that was begun earlier.
            Kind::Alive if frame.sequence > state.expected => return Err(GAP),
            Kind::Alive => {}
            Kind::End => {
                if !is_whole {
                    return Err(GAP);
                }
                state.has_peer_ended = true;
                reader = state.reader.take();
            }
        }
        let has_room = state.has_room();
        let writer = if has_room { state.writer.take() } else { None };
        drop(state);
        [reader, writer].into_iter().flatten().for_each(Waker::wake);
        Ok(())
    }
}

const GAP: &str = "messages between the nodes were lost";

impl State {
    /// Returns the error of a broken link.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.broken {
            Some(reason) => Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                reason.to_string(),
            )),
            None => Ok(()),
        }
    }

    /// Returns whether the last frame has data and nothing has arrived since.
    pub(super) fn is_data_unheard(&self) -> bool {
        self.is_data_unheard
    }

    pub(super) fn is_over(&self) -> bool {
        self.broken.is_some() || self.has_sent_end
    }

    pub(super) fn has_room(&self) -> bool {
        let frames = u64::try_from(self.unread.len()).unwrap_or(u64::MAX);
        frames < WINDOW_FRAMES && self.unread_bytes < WINDOW_BYTES
    }

    fn acknowledge(&mut self, acknowledged: u64) -> Result<(), &'static str> {
        if acknowledged > self.next {
            return Err("the peer has acknowledged what was never sent");
        }
        let unread = u64::try_from(self.unread.len()).unwrap_or(u64::MAX);
        let mut first = self.next - unread;
        while first < acknowledged {
            let size = self.unread.pop_front().unwrap_or_default();
            self.unread_bytes = self.unread_bytes.saturating_sub(size);
            first += 1;
        }
        Ok(())
    }

    /// Encodes the next data frame.
    pub(super) fn next_data(&mut self, content: &[u8]) -> Bytes {
        let frame = Frame::data(content, self.next, self.take_acknowledgement());
        self.next += 1;
        self.unread.push_back(content.len());
        self.unread_bytes += content.len();
        self.last_sent = Instant::now();
        self.is_data_unheard = true;
        frame
    }

    /// Notes that the last data frame has its place on the bus.
    pub(super) fn data_is_published(&mut self) {
        self.published = self.next;
    }

    /// Encodes a frame without data.
    pub(super) fn other(&mut self, kind: &Kind) -> Bytes {
        self.last_sent = Instant::now();
        self.is_data_unheard = false;
        let acknowledged = self.take_acknowledgement();
        Frame::encode(kind, self.published, acknowledged)
    }

    fn take_acknowledgement(&mut self) -> u64 {
        self.acknowledged = self.read;
        self.read_bytes = 0;
        self.read
    }

    /// Returns whether the peer should learn what was read, since its window may fill.
    pub(super) fn owes_acknowledgement(&self) -> bool {
        self.read - self.acknowledged >= WINDOW_FRAMES / 4 || self.read_bytes >= WINDOW_BYTES / 4
    }

    /// Returns whether every data frame that was begun has its place on the bus.
    pub(super) fn is_published(&self) -> bool {
        self.published == self.next
    }

    /// Takes up to `max` bytes that have arrived.
    pub(super) fn take(&mut self, max: usize) -> Option<Bytes> {
        let front = self.incoming.front_mut()?;
        if front.len() > max {
            self.incoming_bytes = self.incoming_bytes.saturating_sub(max);
            return Some(front.split_to(max));
        }
        let content = self.incoming.pop_front()?;
        self.incoming_bytes = self.incoming_bytes.saturating_sub(content.len());
        self.read += 1;
        self.read_bytes += content.len();
        Some(content)
    }

    /// Returns whether the peer's stream has ended and is read.
    pub(super) fn is_at_end(&self) -> bool {
        self.has_peer_ended && self.incoming.is_empty()
    }
}

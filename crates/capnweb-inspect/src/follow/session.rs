//! One session: its tables, calls and round trips.

mod receive;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use capnweb_wire::{Expr, Hole, scan_frame};
use serde::Serialize;

use self::receive::Sent;
use super::{Call, Held, HeldKind, LIMITS, Options, Origin, advice::Answers};
use crate::{
    Body, Side, TransportKind,
    preview::{MAX_LOOKED_INTO, Preview},
};

/// The maximum number of faults that are kept.
const MAX_FAULTS: usize = 100;
/// The maximum number of round trips that are kept per side.
const MAX_ROUND_TRIPS: usize = 10_000;
/// The maximum number of released references per side whose answers may be on their way.
const MAX_LATE: usize = 10_000;

/// The traffic that one side of a session sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// The number of messages.
    pub messages: u64,
    /// The bytes of the messages, without the framing of the transport.
    pub bytes: u64,
    /// The number of calls, reads and maps, without chunks of streams.
    pub calls: u64,
    /// The number of times that this side called something after an answer, the first time
    /// included.
    pub round_trips: u32,
}

/// The changes of a session since they were last taken.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The numbers of the calls that are new or have changed.
    pub calls: Vec<u64>,
    /// True if anything else has changed, such as the references that are held.
    pub others: bool,
}

/// The references of one side to the other's exports.
#[derive(Debug, Default)]
struct Table {
    /// The exports of one side that the other holds, by ID.
    held: BTreeMap<i64, Held>,
    /// The last ID that the holder has assigned.
    pushed: i64,
    /// The lowest ID that the exporter has assigned, or 0.
    exported: i64,
    /// References that were released before their outcome was seen. The exporter may have sent the
    /// outcome before it received the release.
    late: HashMap<i64, Held>,
    /// True if there were too many of them to keep.
    is_late_full: bool,
}

impl Table {
    /// Returns true if either side has assigned the ID, even if it was released since.
    fn was_assigned(&self, id: i64) -> bool {
        (self.exported..=self.pushed).contains(&id)
    }
}

/// The round trips of one side.
#[derive(Debug)]
struct RoundTrips {
    count: u32,
    /// True if an answer arrived after the last call.
    is_answered: bool,
    /// The time when the last answer arrived.
    answered: f64,
    /// The time when each round trip ended.
    ends: VecDeque<f64>,
}

impl Default for RoundTrips {
    fn default() -> Self {
        Self {
            count: 0,
            is_answered: true,
            answered: 0.0,
            ends: VecDeque::new(),
        }
    }
}

/// A session that is followed.
#[derive(Debug)]
pub struct Session {
    id: u64,
    transport: TransportKind,
    path: String,
    opened: f64,
    last: f64,
    closed: Option<String>,
    aborted: Option<String>,
    /// True if the beginning of the session was seen.
    is_opened: bool,
    /// True if a message refers to something before the first one that was seen.
    is_partial: bool,
    /// The tables, indexed by the side that exports.
    tables: [Table; 2],
    calls: VecDeque<Call>,
    next_call: u64,
    counts: [Counts; 2],
    round_trips: [RoundTrips; 2],
    answers: Answers,
    faults: Vec<String>,
    faults_left_out: u64,
    untracked: u64,
    /// The number of messages so far.
    message: u64,
    /// The number of each side's last message.
    spoke: [u64; 2],
    changed: BTreeSet<u64>,
    is_changed: bool,
    holes: Vec<Hole>,
}

impl Session {
    pub(super) fn new(id: u64, now: f64) -> Self {
        Self {
            id,
            transport: TransportKind::Other,
            path: String::new(),
            opened: now,
            last: now,
            closed: None,
            aborted: None,
            is_opened: false,
            is_partial: false,
            tables: Default::default(),
            calls: VecDeque::new(),
            next_call: 1,
            counts: Default::default(),
            round_trips: Default::default(),
            answers: Answers::default(),
            faults: Vec::new(),
            faults_left_out: 0,
            untracked: 0,
            message: 0,
            spoke: [0; 2],
            changed: BTreeSet::new(),
            is_changed: true,
            holes: Vec::new(),
        }
    }

    /// Returns the session's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the kind of transport.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        self.transport
    }

    /// Returns the path that the client asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the time when the session began, in milliseconds since the start of the recording.
    #[must_use]
    pub fn opened(&self) -> f64 {
        self.opened
    }

    /// Returns the time of the last event.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.last
    }

    /// Returns the reason why the session ended, if it has.
    #[must_use]
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// Returns the error of the `abort` message that ended the session, if there was one.
    #[must_use]
    pub fn aborted(&self) -> Option<&str> {
        self.aborted.as_deref()
    }

    /// Returns true if messages of the session are missing before the first one: it has no
    /// [`Event::Open`](crate::Event::Open), and a message refers to an ID that no earlier message
    /// assigned. Then calls may be mistaken for others, and neither faults nor leaks can be told.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Returns the calls, in the order in which they were seen.
    pub fn calls(&self) -> impl DoubleEndedIterator<Item = &Call> + ExactSizeIterator {
        self.calls.iter()
    }

    /// Returns a call by its number, unless it was dropped.
    #[must_use]
    pub fn call(&self, number: u64) -> Option<&Call> {
        let first = self.calls.front()?.number;
        self.calls
            .get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Returns the references that the sides hold, without the main objects.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.tables.iter().flat_map(|table| table.held.values())
    }

    /// Returns the traffic that a side has sent.
    #[must_use]
    pub fn counts(&self, side: Side) -> Counts {
        Counts {
            round_trips: self.round_trips[side.index()].count,
            ..self.counts[side.index()]
        }
    }

    /// Returns the end times of a side's round trips. A round trip ends with the last answer before
    /// the side's next call.
    pub fn round_trip_ends(&self, side: Side) -> impl Iterator<Item = f64> {
        self.round_trips[side.index()].ends.iter().copied()
    }

    /// Returns the violations of the protocol, in words.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Returns the number of faults that were left out because there were too many.
    #[must_use]
    pub fn faults_left_out(&self) -> u64 {
        self.faults_left_out
    }

    /// Returns the number of calls that were dropped because there were too many.
    #[must_use]
    pub fn dropped_calls(&self) -> u64 {
        self.calls
            .front()
            .map_or(self.next_call, |call| call.number)
            - 1
    }

    /// Returns the number of references that are not followed because there were too many.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Returns the changes since this method was last called.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            calls: std::mem::take(&mut self.changed).into_iter().collect(),
            others: std::mem::take(&mut self.is_changed),
        }
    }

    /// Returns the number of calls and references that are kept.
    pub(super) fn size(&self) -> usize {
        let held: usize = self
            .tables
            .iter()
            .map(|table| table.held.len() + table.late.len())
            .sum();
        self.calls.len() + held
    }

    /// Returns true if the holder of a reference has sent a message since it received the
    /// reference.
    pub(crate) fn has_spoken_since(&self, held: &Held) -> bool {
        self.spoke[held.holder.index()] > held.message
    }

    pub(super) fn open(&mut self, now: f64, transport: TransportKind, path: &str) {
        self.is_changed = true;
        self.is_opened = true;
        self.opened = now;
        self.last = now;
        self.transport = transport;
        path.clone_into(&mut self.path);
    }

    pub(super) fn close(&mut self, now: f64, reason: &str) {
        self.is_changed = true;
        self.last = now;
        self.closed.get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn message(&mut self, now: f64, from: Side, body: &Body, options: &Options) {
        self.is_changed = true;
        self.last = now;
        self.message += 1;
        self.spoke[from.index()] = self.message;
        let counts = &mut self.counts[from.index()];
        counts.messages += 1;
        counts.bytes += u64::try_from(body.len()).unwrap_or(u64::MAX);
        let Some(text) = body.text() else {
            return self.fault(from, "sent bytes that are no message");
        };
        let mut holes = std::mem::take(&mut self.holes);
        match scan_frame(text, &LIMITS, &mut holes) {
            Ok(frame) => {
                let sent = Sent {
                    now,
                    from,
                    bytes: text.len(),
                    holes: &holes,
                };
                self.frame(&sent, frame, options);
            }
            Err(error) => self.fault(from, &format!("sent what is no message: {error}")),
        }
        self.holes = holes;
        while self.calls.len() > options.max_calls {
            if let Some(dropped) = self.calls.pop_front() {
                self.changed.remove(&dropped.number);
            }
        }
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut Call)) {
        let Some(first) = self.calls.front().map(|call| call.number) else {
            return;
        };
        let at = number
            .checked_sub(first)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(call) = at.and_then(|at| self.calls.get_mut(at)) {
            change(call);
            self.changed.insert(number);
        }
    }

    /// Returns the call that an import of a side comes from.
    fn origin(&self, side: Side, id: i64) -> Option<u64> {
        self.tables[side.other().index()].held.get(&id)?.origin.call
    }

    fn label(&self, number: u64) -> String {
        self.call(number).map(Call::label).unwrap_or_default()
    }

    /// Returns a name for an import of a side, for use in arguments.
    fn name(&self, side: Side, id: i64) -> String {
        match self.tables[side.other().index()].held.get(&id) {
            _ if id == 0 => "main".to_owned(),
            Some(Held {
                kind: HeldKind::Result,
                origin: Origin {
                    call: Some(number), ..
                },
                ..
            }) => {
                format!("#{number}")
            }
            Some(Held {
                origin: Origin {
                    call: Some(number), ..
                },
                ..
            }) => format!("(stub of #{number})"),
            _ => "(stub)".to_owned(),
        }
    }

    fn tree(&self, expr: &str, bytes: usize) -> Option<Expr> {
        (bytes <= MAX_LOOKED_INTO)
            .then(|| Expr::parse(expr, &LIMITS).ok())
            .flatten()
    }

    fn preview(&self, from: Side, expr: &str, bytes: usize) -> String {
        match self.tree(expr, bytes) {
            Some(tree) => Preview::of(&tree, &|id| self.name(from, id)),
            None => format!("{bytes} bytes"),
        }
    }

    /// Notes that a side did something with an unknown ID in the exports of `exporter`.
    fn unknown(&mut self, from: Side, what: &str, exporter: Side, id: i64) {
        let is_new = !self.tables[exporter.index()].was_assigned(id);
        self.is_partial |= !self.is_opened && is_new;
        self.violation(from, &format!("{what} {id}, which is not there"));
    }

    /// Notes a violation that the tables show, unless they are incomplete.
    fn violation(&mut self, from: Side, what: &str) {
        if self.untracked == 0 && !self.is_partial {
            self.fault(from, what);
        }
    }

    fn fault(&mut self, from: Side, what: &str) {
        match self.faults.len() < MAX_FAULTS {
            true => self
                .faults
                .push(format!("message {}: the {from} {what}", self.message)),
            false => self.faults_left_out += 1,
        }
    }
}

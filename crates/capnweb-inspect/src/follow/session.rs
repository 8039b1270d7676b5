//! One session: its tables, calls and round trips.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use capnweb_wire::{Expr, Form, Frame, Hole, Step, scan_frame, steps};
use serde::Serialize;

use super::{
    Advice, Call, CallKind, Held, HeldKind, LIMITS, Options, Origin, Outcome, Place,
    advice::{Answers, is_soon},
};
use crate::{
    Body, Side, TransportKind,
    preview::{self, MAX_LOOKED_INTO, Preview},
};

/// The largest number of faults that are kept.
const MAX_FAULTS: usize = 100;
/// The largest number of round trips that are kept, each side.
const MAX_ROUND_TRIPS: usize = 10_000;
/// The largest number of chunks whose answers are waited for, each side.
const MAX_LATE: usize = 10_000;

/// What passed through a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// Messages.
    pub messages: u64,
    /// Bytes of messages, without the framing of the transport.
    pub bytes: u64,
    /// Calls, reads and maps, without chunks of streams.
    pub calls: u64,
    /// How often this side called something after an answer had come, the first time included.
    pub round_trips: u32,
}

/// What has changed since it was last asked for.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The numbers of the calls that are new, or have changed.
    pub calls: Vec<u64>,
    /// Whether anything else has changed, such as what is held.
    pub others: bool,
}

/// The references of one side to the other's exports.
#[derive(Debug, Default)]
struct Table {
    /// The exports of one side that the other holds, by ID.
    held: BTreeMap<i64, Held>,
    /// The last ID that the holder has taken.
    pushed: i64,
    /// Calls whose results were let go of before they came.
    late: HashMap<i64, u64>,
}

/// The round trips of one side.
#[derive(Debug)]
struct RoundTrips {
    count: u32,
    /// Whether an answer came since the last call.
    is_answered: bool,
    /// When the last answer came.
    answered: f64,
    /// When each round trip ended.
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
    /// By the side that exports.
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

    /// Returns when the session began, in milliseconds since the start of the recording.
    #[must_use]
    pub fn opened(&self) -> f64 {
        self.opened
    }

    /// Returns when something last happened.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.last
    }

    /// Returns how the session ended, if it did.
    #[must_use]
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// Returns the error of the `abort` message that ended the session, if there was one.
    #[must_use]
    pub fn aborted(&self) -> Option<&str> {
        self.aborted.as_deref()
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

    /// Returns what the sides hold of each other, besides the main objects.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.tables.iter().flat_map(|table| table.held.values())
    }

    /// Returns what a side has sent.
    #[must_use]
    pub fn counts(&self, side: Side) -> Counts {
        Counts {
            round_trips: self.round_trips[side.index()].count,
            ..self.counts[side.index()]
        }
    }

    /// Returns when each round trip of a side ended: the answer that came before its next call.
    pub fn round_trip_ends(&self, side: Side) -> impl Iterator<Item = f64> {
        self.round_trips[side.index()].ends.iter().copied()
    }

    /// Returns what was not as the protocol demands, in words.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Returns how many faults were left out, since there were too many.
    #[must_use]
    pub fn faults_left_out(&self) -> u64 {
        self.faults_left_out
    }

    /// Returns how many calls were dropped, since there were too many.
    #[must_use]
    pub fn dropped_calls(&self) -> u64 {
        self.calls
            .front()
            .map_or(self.next_call, |call| call.number)
            - 1
    }

    /// Returns how many references are not followed, since there were too many.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Returns what has changed since this was last called.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            calls: std::mem::take(&mut self.changed).into_iter().collect(),
            others: std::mem::take(&mut self.is_changed),
        }
    }

    /// Returns whether the holder of something has sent a message since it got it.
    pub(crate) fn has_spoken_since(&self, held: &Held) -> bool {
        self.spoke[held.holder.index()] > held.message
    }

    pub(super) fn open(&mut self, now: f64, transport: TransportKind, path: &str) {
        self.is_changed = true;
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

    fn frame(&mut self, sent: &Sent<'_>, frame: Frame<'_>, options: &Options) {
        let (now, from) = (sent.now, sent.from);
        match frame {
            Frame::Push(expr) => self.push(sent, expr, false, options),
            Frame::Stream(expr) => self.push(sent, expr, true, options),
            Frame::Pipe => {
                let id = self.next_push(from);
                let origin = Origin {
                    call: None,
                    label: "pipe".to_owned(),
                    place: Place::Argument,
                };
                self.hold(sent, from.other(), id, HeldKind::Pipe, origin, options);
            }
            Frame::Pull(id) => {
                let table = &mut self.tables[from.other().index()];
                match table.held.get_mut(&id) {
                    Some(held) => {
                        held.is_pulled = true;
                        if let (HeldKind::Result, Some(number)) = (held.kind, held.origin.call) {
                            self.change(number, |call| {
                                call.pulled.get_or_insert(now);
                                if call.outcome == Outcome::NotAskedFor {
                                    call.outcome = Outcome::Pending;
                                }
                            });
                        }
                    }
                    None => self.unknown(from, "pulled", id),
                }
            }
            Frame::Resolve(id, expr) => self.settle(sent, id, expr, true, options),
            Frame::Reject(id, expr) => self.settle(sent, id, expr, false, options),
            Frame::Release { id, count } => self.release(sent, id, count),
            Frame::Abort(expr) => {
                let error = self.preview(from, expr, sent.bytes);
                self.aborted
                    .get_or_insert_with(|| format!("the {from} aborted: {error}"));
            }
        }
    }

    fn next_push(&mut self, from: Side) -> i64 {
        let table = &mut self.tables[from.other().index()];
        table.pushed += 1;
        table.pushed
    }

    fn push(&mut self, sent: &Sent<'_>, expr: &str, is_stream: bool, options: &Options) {
        let Sent { now, from, .. } = *sent;
        let id = self.next_push(from);
        let operation = sent.operation(expr);
        let tree = self.tree(expr, sent.bytes);
        let parent = operation.and_then(|hole| self.origin(from, hole.id));
        let path = operation
            .and_then(|hole| hole.path)
            .map(|path| path_of(path.of(expr)))
            .unwrap_or_default();
        let kind = match operation {
            _ if is_stream => CallKind::Stream,
            None => CallKind::Value,
            Some(hole) if hole.form == Form::Remap => CallKind::Map,
            Some(hole) if hole.args.is_some() => CallKind::Call,
            Some(_) => CallKind::Get,
        };
        if is_stream && let Some(number) = self.repeats(from, parent, &path) {
            self.change(number, |call| {
                call.repeated += 1;
                call.bytes += sent.bytes;
                call.outcome = Outcome::Pending;
            });
            self.hold_result(sent, id, number, options);
            self.hold_content(sent, number, Place::Argument, options);
            return;
        }
        let args = match (&tree, operation) {
            (Some(Expr::Pipeline(reference) | Expr::Import(reference)), _) => {
                reference.args.as_deref()
            }
            _ => None,
        };
        let name = |id| self.name(from, id);
        let shown = match (kind, args, operation) {
            (CallKind::Call | CallKind::Stream, Some(args), _) => {
                Some(Preview::of_args(args, &name))
            }
            (CallKind::Call | CallKind::Stream, None, _) => Some("…".to_owned()),
            _ => None,
        };
        let path = match kind {
            CallKind::Value => tree
                .as_ref()
                .map_or_else(|| "…".to_owned(), |tree| Preview::of(tree, &name)),
            _ => path,
        };
        let mut depends_on = Vec::new();
        for hole in sent.content(operation) {
            if matches!(hole.form, Form::Import | Form::Pipeline | Form::Remap)
                && let Some(number) = self.origin(from, hole.id)
                && Some(number) != parent
                && !depends_on.contains(&number)
            {
                depends_on.push(number);
            }
        }
        let advice = match is_stream {
            true => None,
            false => self.advice(sent, operation, args.unwrap_or_default()),
        };
        let number = self.next_call;
        self.next_call += 1;
        let round_trip = match is_stream {
            true => 0,
            false => self.round_trip(from),
        };
        if let Some(hole) = operation
            && hole.id != 0
            && !self.tables[from.other().index()]
                .held
                .contains_key(&hole.id)
        {
            self.unknown(from, "called", hole.id);
        }
        self.calls.push_back(Call {
            number,
            caller: from,
            id,
            kind,
            path,
            args: shown,
            parent,
            depends_on,
            sent: now,
            pulled: is_stream.then_some(now),
            settled: None,
            released: None,
            outcome: if is_stream {
                Outcome::Pending
            } else {
                Outcome::NotAskedFor
            },
            round_trip,
            bytes: sent.bytes,
            answer_bytes: 0,
            advice,
            repeated: 0,
        });
        self.changed.insert(number);
        if !is_stream {
            self.counts[from.index()].calls += 1;
        }
        self.hold_result(sent, id, number, options);
        self.hold_content(sent, number, Place::Argument, options);
    }

    /// Returns the call that stands for the chunks of the same stream.
    fn repeats(&self, from: Side, parent: Option<u64>, path: &str) -> Option<u64> {
        let recent = self.calls.iter().rev().take(64);
        let mut same = recent.filter(|call| {
            call.kind == CallKind::Stream
                && call.caller == from
                && call.parent == parent
                && call.path == path
        });
        same.next().map(|call| call.number)
    }

    fn round_trip(&mut self, from: Side) -> u32 {
        let trips = &mut self.round_trips[from.index()];
        if trips.is_answered {
            trips.is_answered = false;
            trips.count += 1;
            if trips.count > 1 {
                if trips.ends.len() == MAX_ROUND_TRIPS {
                    trips.ends.pop_front();
                }
                trips.ends.push_back(trips.answered);
            }
        }
        trips.count
    }

    fn advice(&self, sent: &Sent<'_>, operation: Option<&Hole>, args: &[Expr]) -> Option<Advice> {
        let Sent { now, from, .. } = *sent;
        // Only the first call after an answer begins a round trip.
        if !self.round_trips[from.index()].is_answered {
            return None;
        }
        let used = operation.into_iter().chain(sent.content(operation));
        for hole in
            used.filter(|hole| matches!(hole.form, Form::Import | Form::Pipeline | Form::Remap))
        {
            let Some(held) = self.tables[from.other().index()].held.get(&hole.id) else {
                continue;
            };
            // A result that is still held was pipelined on.
            if held.kind == HeldKind::Result || held.origin.place != Place::Result {
                continue;
            }
            if let Some(call) = held.origin.call.and_then(|number| self.call(number))
                && call.caller == from
                && let Some(settled) = call.settled
                && is_soon(settled, settled - call.sent, now)
                && call.round_trip == self.round_trips[from.index()].count
            {
                return Some(Advice::Pipeline(call.number));
            }
        }
        self.answers.advice(from, args, now)
    }

    fn settle(&mut self, sent: &Sent<'_>, id: i64, expr: &str, is_value: bool, options: &Options) {
        let Sent { now, from, .. } = *sent;
        let table = &mut self.tables[from.index()];
        let number = match table.held.get_mut(&id) {
            Some(held) if held.kind == HeldKind::Result || held.kind == HeldKind::Promise => {
                if held.is_settled {
                    return self.fault(from, &format!("answered {id} twice"));
                }
                held.is_settled = true;
                held.origin.call
            }
            Some(_) => return self.fault(from, &format!("answered {id}, which is no promise")),
            None => match table.late.remove(&id) {
                Some(number) => Some(number),
                None if (1..=table.pushed).contains(&id) || self.untracked > 0 => None,
                None => return self.unknown(from, "answered", id),
            },
        };
        let of_call = table
            .held
            .get(&id)
            .is_none_or(|held| held.kind == HeldKind::Result);
        let shown = self.preview(from, expr, sent.bytes);
        let tree = self.tree(expr, sent.bytes);
        if let Some(number) = number {
            let mut is_stream = false;
            if of_call {
                self.change(number, |call| {
                    is_stream = call.kind == CallKind::Stream;
                    call.settled = Some(now);
                    call.answer_bytes += sent.bytes;
                    call.outcome = match is_value {
                        true => Outcome::Resolved(shown),
                        false => Outcome::Rejected(shown),
                    };
                });
            }
            if is_stream {
                self.tables[from.index()].held.remove(&id);
            } else {
                let trips = &mut self.round_trips[from.other().index()];
                trips.is_answered = true;
                trips.answered = now;
                if let (Some(tree), true, true) = (&tree, is_value, of_call)
                    && let Some(call) = self.calls.iter().rev().find(|call| call.number == number)
                {
                    self.answers.add(call, tree, now);
                }
            }
            self.hold_content(sent, number, Place::Result, options);
        } else {
            self.hold_content_of(sent, None, Place::Result, options);
        }
    }

    fn release(&mut self, sent: &Sent<'_>, id: i64, count: u64) {
        let Sent { now, from, .. } = *sent;
        let table = &mut self.tables[from.other().index()];
        let Some(held) = table.held.get_mut(&id) else {
            // The main object may be released: nothing follows from it.
            return if id != 0 {
                self.unknown(from, "released", id)
            };
        };
        if count > held.refs {
            let fault = format!(
                "released {id} {count} times, and holds it {} times",
                held.refs
            );
            held.refs = 0;
            self.fault(from, &fault);
        } else {
            held.refs -= count;
        }
        let table = &mut self.tables[from.other().index()];
        if table.held.get(&id).is_some_and(|held| held.refs > 0) {
            return;
        }
        let Some(held) = table.held.remove(&id) else {
            return;
        };
        if let (HeldKind::Result, Some(number)) = (held.kind, held.origin.call) {
            if !held.is_settled && held.is_pulled && table.late.len() < MAX_LATE {
                table.late.insert(id, number);
            }
            self.change(number, |call| {
                call.released = Some(now);
                if call.outcome == Outcome::Pending {
                    call.outcome = Outcome::Released;
                }
            });
        }
    }

    fn hold_result(&mut self, sent: &Sent<'_>, id: i64, number: u64, options: &Options) {
        let label = self.label(number);
        let origin = Origin {
            call: Some(number),
            label,
            place: Place::Result,
        };
        self.hold(
            sent,
            sent.from.other(),
            id,
            HeldKind::Result,
            origin,
            options,
        );
    }

    /// Takes in the capabilities of a message that belongs to a call.
    fn hold_content(&mut self, sent: &Sent<'_>, number: u64, place: Place, options: &Options) {
        self.hold_content_of(sent, Some(number), place, options);
    }

    fn hold_content_of(
        &mut self,
        sent: &Sent<'_>,
        call: Option<u64>,
        place: Place,
        options: &Options,
    ) {
        for hole in sent.holes {
            let kind = match hole.form {
                Form::Export => HeldKind::Stub,
                Form::Promise => HeldKind::Promise,
                Form::Writable => HeldKind::Writable,
                Form::Readable | Form::Blob => {
                    let label = call.map(|number| self.label(number)).unwrap_or_default();
                    if let Some(held) = self.tables[sent.from.other().index()]
                        .held
                        .get_mut(&hole.id)
                        && held.kind == HeldKind::Pipe
                    {
                        held.origin = Origin { call, label, place };
                    }
                    continue;
                }
                _ => continue,
            };
            let label = call.map(|number| self.label(number)).unwrap_or_default();
            let origin = Origin { call, label, place };
            self.hold(sent, sent.from, hole.id, kind, origin, options);
        }
    }

    fn hold(
        &mut self,
        sent: &Sent<'_>,
        exporter: Side,
        id: i64,
        kind: HeldKind,
        origin: Origin,
        options: &Options,
    ) {
        let is_full = self
            .tables
            .iter()
            .map(|table| table.held.len())
            .sum::<usize>()
            >= options.max_held;
        let message = self.message;
        let table = &mut self.tables[exporter.index()];
        if let Some(held) = table.held.get_mut(&id) {
            held.refs += 1;
            held.message = message;
            return;
        }
        if is_full {
            self.untracked += 1;
            return;
        }
        table.held.insert(
            id,
            Held {
                id,
                holder: exporter.other(),
                kind,
                origin,
                refs: 1,
                since: sent.now,
                is_pulled: false,
                is_settled: false,
                message,
            },
        );
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

    /// Names an import of a side, in arguments.
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

    fn unknown(&mut self, from: Side, what: &str, id: i64) {
        if self.untracked == 0 {
            self.fault(from, &format!("{what} {id}, which is not there"));
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

/// A message on its way.
struct Sent<'a> {
    now: f64,
    from: Side,
    bytes: usize,
    holes: &'a [Hole],
}

impl<'a> Sent<'a> {
    /// Returns the hole that is the whole of a push.
    fn operation(&self, expr: &str) -> Option<&'a Hole> {
        let hole = self.holes.first()?;
        let is_whole = hole.span.of(expr).len() == expr.trim().len();
        (is_whole && matches!(hole.form, Form::Import | Form::Pipeline | Form::Remap))
            .then_some(hole)
    }

    /// Returns the holes in a push, without the operation.
    fn content(&self, operation: Option<&Hole>) -> impl Iterator<Item = &'a Hole> + use<'a> {
        self.holes.iter().skip(usize::from(operation.is_some()))
    }
}

fn path_of(text: &str) -> String {
    let mut out = String::new();
    for step in steps(text) {
        match step {
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(&preview::shortened(&key, 60));
            }
            other => {
                out.push('[');
                out.push_str(&other.to_string());
                out.push(']');
            }
        }
    }
    out
}

//! Taking in what the sides say: each message changes the tables and the calls.

use capnweb_wire::{Expr, Form, Frame, Hole, Step, steps};

use super::{MAX_LATE, MAX_ROUND_TRIPS, Session};
use crate::{
    Side,
    follow::{
        Advice, Call, CallKind, Held, HeldKind, Options, Origin, Outcome, Place, advice::is_soon,
    },
    preview::{self, Preview},
};

impl Session {
    pub(super) fn frame(&mut self, sent: &Sent<'_>, frame: Frame<'_>, options: &Options) {
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
                    // The main object is no promise, and can be asked for all the same.
                    None if id == 0 => {}
                    None => self.unknown(from, "pulled", from.other(), id),
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
        if let Some(hole) = operation
            && matches!(path.as_str(), "close" | "abort")
            && let Some(held) = self.tables[from.other().index()].held.get_mut(&hole.id)
            && matches!(held.kind, HeldKind::Pipe | HeldKind::Writable)
        {
            held.is_settled = true;
        }
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
            let call = (Some(number), self.label(number));
            self.hold_result(sent, id, &call, true, options);
            self.hold_content(sent, &call, Place::Argument, options);
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
            self.unknown(from, "called", from.other(), hole.id);
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
        let call = (Some(number), self.label(number));
        self.hold_result(sent, id, &call, is_stream, options);
        self.hold_content(sent, &call, Place::Argument, options);
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
        let mut released = None;
        match table.held.get_mut(&id) {
            // A stub is no promise, and can be asked for all the same.
            Some(held) if held.is_pulled || held.is_promise() => {
                if held.is_settled && held.is_promise() {
                    return self.violation(from, &format!("answered {id} twice"));
                }
                held.is_settled = true;
            }
            held => {
                let is_held = held.is_some();
                released = table.late.remove(&id);
                match released {
                    Some(_) => {}
                    // The ID was handed over again while its release was on its way.
                    None if is_held && table.is_late_full => {}
                    None if is_held => {
                        return self
                            .violation(from, &format!("answered {id}, which is no promise"));
                    }
                    // The release is on its way.
                    None if table.was_assigned(id) => {}
                    // What is in the answer is released all the same.
                    None => self.unknown(from, "answered", from, id),
                }
            }
        }
        let held = match &released {
            Some(released) => Some(released),
            None => self.tables[from.index()].held.get(&id),
        };
        let of_call = held.is_none_or(|held| held.kind == HeldKind::Result);
        let is_stream = held.is_some_and(|held| held.is_stream);
        let number = held.and_then(|held| held.origin.call);
        // The call itself may have been dropped.
        let label = held
            .map(|held| held.origin.label.clone())
            .unwrap_or_default();
        let shown = self.preview(from, expr, sent.bytes);
        let tree = self.tree(expr, sent.bytes);
        if let Some(number) = number {
            if of_call {
                self.change(number, |call| {
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
                let call = self.call(number).map(|call| (call.caller, call.sent));
                if let (Some(tree), true, Some((to, since))) = (&tree, is_value && of_call, call) {
                    self.answers.add(number, to, tree, now, now - since);
                }
            }
        }
        self.hold_content(sent, &(number, label), Place::Result, options);
    }

    fn release(&mut self, sent: &Sent<'_>, id: i64, count: u64) {
        let Sent { now, from, .. } = *sent;
        let table = &mut self.tables[from.other().index()];
        let Some(held) = table.held.get_mut(&id) else {
            // The main object may be released: nothing follows from it.
            return if id != 0 {
                self.unknown(from, "released", from.other(), id)
            };
        };
        if count > held.refs {
            let fault = format!(
                "released {id} {count} times, and holds it {} times",
                held.refs
            );
            held.refs = 0;
            self.violation(from, &fault);
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
        let call = match held.kind {
            HeldKind::Result => held.origin.call,
            _ => None,
        };
        let is_awaited = held.is_pulled || held.kind == HeldKind::Promise;
        if is_awaited && !held.is_settled {
            table.is_late_full |= table.late.len() >= MAX_LATE;
            if table.late.len() < MAX_LATE {
                table.late.insert(id, held);
            }
        }
        if let Some(number) = call {
            self.change(number, |call| {
                call.released = Some(now);
                if call.outcome == Outcome::Pending {
                    call.outcome = Outcome::Released;
                }
            });
        }
    }

    fn hold_result(
        &mut self,
        sent: &Sent<'_>,
        id: i64,
        call: &Named,
        is_stream: bool,
        options: &Options,
    ) {
        let exporter = sent.from.other();
        let origin = origin_in(call, Place::Result);
        self.hold(sent, exporter, id, HeldKind::Result, origin, options);
        if let Some(held) = self.tables[exporter.index()].held.get_mut(&id) {
            held.is_stream = is_stream;
        }
    }

    /// Takes in the capabilities of a message that belongs to a call.
    fn hold_content(&mut self, sent: &Sent<'_>, call: &Named, place: Place, options: &Options) {
        for hole in sent.holes {
            let kind = match hole.form {
                Form::Export => HeldKind::Stub,
                Form::Promise => HeldKind::Promise,
                Form::Writable => HeldKind::Writable,
                Form::Readable | Form::Blob => {
                    let table = &mut self.tables[sent.from.other().index()];
                    if let Some(held) = table.held.get_mut(&hole.id)
                        && held.kind == HeldKind::Pipe
                    {
                        held.origin = origin_in(call, place);
                    }
                    continue;
                }
                _ => continue,
            };
            let origin = origin_in(call, place);
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
        table.exported = table.exported.min(id);
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
                is_stream: false,
                message,
            },
        );
    }
}

/// A call's number, and the call as JavaScript.
type Named = (Option<u64>, String);

fn origin_in((call, label): &Named, place: Place) -> Origin {
    Origin {
        call: *call,
        label: label.clone(),
        place,
    }
}

/// A message on its way.
pub(super) struct Sent<'a> {
    pub(super) now: f64,
    pub(super) from: Side,
    pub(super) bytes: usize,
    pub(super) holes: &'a [Hole],
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

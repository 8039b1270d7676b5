//! Calls as text: one line per call, nested under the call that it depends on.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{
    Call, Outcome, Session, Side,
    preview::{millis, plural},
};

/// Returns the calls of a session as text for a terminal. Times count from the start of the
/// session.
///
/// ```text
/// session 1  WebSocket /api  3 calls, 2 round trips, 9 messages
///    0 ms     4.1 ms  1  authenticate("[redacted]") → stub
///    0 ms     4.2 ms  2  └ getName() → "ada"
///  ┄┄┄┄┄ round trip 1 of the client ended at 4.2 ms
///    5 ms     3.9 ms  3  └ getFriendIds() → [4, 5, 6]
///                        ⚑ awaiting call 1 cost a round trip: call this on its promise
/// ```
#[must_use]
pub fn report(session: &Session) -> String {
    let mut out = String::new();
    let counts = [Side::Client, Side::Server].map(|side| session.counts(side));
    let calls = counts.iter().map(|counts| counts.calls).sum::<u64>();
    let messages = counts.iter().map(|counts| counts.messages).sum::<u64>();
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let _ = writeln!(
        out,
        "session {}  {} {}  {}, {}, {}",
        session.id(),
        session.transport(),
        session.path(),
        plural(number(calls), "call"),
        plural(number(u64::from(counts[0].round_trips)), "round trip"),
        plural(number(messages), "message"),
    );
    if session.dropped_calls() > 0 {
        let _ = writeln!(
            out,
            "  (the first {} are left out)",
            plural(number(session.dropped_calls()), "call")
        );
    }
    if session.is_partial() {
        let _ = writeln!(
            out,
            "  (its beginning is missing: calls may be mistaken for others, and leaks are not known)"
        );
    }
    let mut ends = [Side::Client, Side::Server].map(|side| {
        session
            .round_trip_ends(side)
            .collect::<Vec<_>>()
            .into_iter()
            .enumerate()
            .peekable()
    });
    for (depth, call) in nested(session) {
        let side = call.caller;
        // The lines belong to the main column only.
        while depth == 0
            && let Some((at, end)) = ends[side.index()].next_if(|(_, end)| *end <= call.sent)
            && side == Side::Client
        {
            let _ = writeln!(
                out,
                " ┄┄┄┄┄ round trip {} of the client ended at {}",
                at + 1,
                millis(end - session.opened())
            );
        }
        line(&mut out, call, depth, session.opened());
    }
    if let Some(aborted) = session.aborted() {
        let _ = writeln!(out, "  {aborted}");
    }
    for fault in session.faults() {
        let _ = writeln!(out, "  ! {fault}");
    }
    if let Some(reason) = session.closed() {
        let _ = writeln!(
            out,
            "  ended after {}: {reason}",
            millis(session.last() - session.opened())
        );
    }
    out
}

/// Returns the calls with their depths, each after the call that it depends on.
pub(crate) fn nested(session: &Session) -> Vec<(usize, &Call)> {
    let mut children = BTreeMap::<u64, Vec<u64>>::new();
    let mut roots = Vec::new();
    for call in session.calls() {
        match call.parent.filter(|parent| session.call(*parent).is_some()) {
            Some(parent) => children.entry(parent).or_default().push(call.number),
            None => roots.push(call.number),
        }
    }
    let mut out = Vec::new();
    let mut left: Vec<(usize, u64)> = roots.into_iter().rev().map(|number| (0, number)).collect();
    while let Some((depth, number)) = left.pop() {
        if let Some(call) = session.call(number) {
            out.push((depth, call));
        }
        let below = children.remove(&number).unwrap_or_default();
        left.extend(below.into_iter().rev().map(|number| (depth + 1, number)));
    }
    out
}

fn line(out: &mut String, call: &Call, depth: usize, opened: f64) {
    let took = call.took().map(millis).unwrap_or_default();
    let indent = match depth {
        0 => String::new(),
        depth => format!("{}└ ", "  ".repeat(depth.min(20) - 1)),
    };
    let from = match call.caller {
        Side::Client => "",
        Side::Server => "server: ",
    };
    let _ = write!(
        out,
        "{:>9} {:>9}  {:<3} {indent}{from}{}",
        millis(call.sent - opened),
        took,
        call.number,
        call.label()
    );
    if call.repeated > 0 {
        let _ = write!(out, " ×{}", call.repeated + 1);
    }
    let _ = match &call.outcome {
        Outcome::Resolved(value) => writeln!(out, " → {value}"),
        Outcome::Rejected(error) => writeln!(out, " ✗ {error}"),
        Outcome::NotAskedFor => writeln!(out, "  (not asked for)"),
        Outcome::Released => writeln!(out, "  (no longer wanted)"),
        Outcome::Pending => writeln!(out, "  (no answer)"),
    };
    if !call.depends_on.is_empty() {
        let list: Vec<_> = call.depends_on.iter().map(u64::to_string).collect();
        let _ = writeln!(
            out,
            "{:24}{indent}takes the results of {}",
            "",
            list.join(", ")
        );
    }
    if let Some(advice) = &call.advice {
        let _ = writeln!(out, "{:24}⚑ {advice}", "");
    }
}

//! Sessions as JSON, for the page and other programs.

use capnweb_inspect::{Call, Counts, Held, Session, Side};
use serde::Serialize;

/// The largest number of references that are listed of a session, the oldest.
const MAX_HELD: usize = 500;

/// A session, with all or some of its calls.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView<'a> {
    id: u64,
    transport: String,
    path: &'a str,
    opened: f64,
    last: f64,
    closed: Option<&'a str>,
    aborted: Option<&'a str>,
    client: Counts,
    server: Counts,
    /// When each round trip of the client ended.
    round_trip_ends: Vec<f64>,
    held: Vec<HeldView<'a>>,
    held_left_out: usize,
    leaks: Vec<String>,
    faults: &'a [String],
    dropped_calls: u64,
    untracked: u64,
    calls: Vec<CallView<'a>>,
}

#[derive(Debug, Serialize)]
struct HeldView<'a> {
    #[serde(flatten)]
    held: &'a Held,
    what: String,
}

#[derive(Debug, Serialize)]
struct CallView<'a> {
    #[serde(flatten)]
    call: &'a Call,
    label: String,
    hint: Option<String>,
}

impl<'a> SessionView<'a> {
    /// Returns a session with these calls.
    pub(crate) fn new(session: &'a Session, calls: impl Iterator<Item = &'a Call>) -> Self {
        let mut held: Vec<_> = session.held().collect();
        held.sort_by(|one, other| one.since.total_cmp(&other.since));
        let held_left_out = held.len().saturating_sub(MAX_HELD);
        held.truncate(MAX_HELD);
        let leaks = match session.closed() {
            Some(_) => session.leaks().iter().map(ToString::to_string).collect(),
            None => Vec::new(),
        };
        Self {
            id: session.id(),
            transport: session.transport().to_string(),
            path: session.path(),
            opened: session.opened(),
            last: session.last(),
            closed: session.closed(),
            aborted: session.aborted(),
            client: session.counts(Side::Client),
            server: session.counts(Side::Server),
            round_trip_ends: session.round_trip_ends(Side::Client).collect(),
            held: held
                .into_iter()
                .map(|held| HeldView {
                    held,
                    what: held.describe(),
                })
                .collect(),
            held_left_out,
            leaks,
            faults: session.faults(),
            dropped_calls: session.dropped_calls(),
            untracked: session.untracked(),
            calls: calls
                .map(|call| CallView {
                    call,
                    label: call.label(),
                    hint: call.advice.as_ref().map(ToString::to_string),
                })
                .collect(),
        }
    }

    /// Returns a session with all its calls.
    pub(crate) fn whole(session: &'a Session) -> Self {
        Self::new(session, session.calls())
    }
}

/// Returns sessions as a JSON array.
pub(crate) fn json<'a>(sessions: impl Iterator<Item = SessionView<'a>>) -> String {
    let sessions: Vec<_> = sessions.collect();
    // Numbers, texts and lists can always be written.
    serde_json::to_string(&sessions).unwrap_or_else(|_| "[]".to_owned())
}

//! The plan of all measurements.

use crate::{Failure, Result};

use super::options::Options;
use super::programs::Name;
use super::units::Unit;

/// A table of the page, or several that belong together.
pub(super) struct Group {
    pub(super) id: &'static str,
    pub(super) measurements: Vec<Measurement>,
}

/// A task that several programs perform.
pub(super) struct Measurement {
    pub(super) id: String,
    pub(super) title: String,
    /// The case that the clients run.
    pub(super) case: &'static str,
    pub(super) in_flight: Option<u32>,
    pub(super) unit: Unit,
    /// True if the cores are kept from sleeping.
    pub(super) spinners: bool,
    pub(super) at_most_rounds: usize,
    pub(super) rows: Vec<Row>,
}

/// A client and a server.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) client: End,
    /// The server, or `None` if the client includes it.
    pub(super) server: Option<End>,
    /// True if a second instance of the server's program is a proxy between the two.
    pub(super) is_proxied: bool,
    /// True if the other programs are compared with this row. By default, it is the first row.
    pub(super) is_reference: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Other,
    /// No framework: the floor that remains if everything is left out.
    Floor,
}

/// A program, and how it communicates.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) program: Name,
    pub(super) over: &'static str,
    pub(super) encoding: Option<&'static str>,
}

impl End {
    pub(super) fn options(self) -> Vec<&'static str> {
        let mut options = vec!["--over", self.over];
        options.extend(self.encoding.iter().flat_map(|name| ["--encoding", name]));
        options
    }
}

pub(super) const fn end(program: Name, over: &'static str) -> End {
    End {
        program,
        over,
        encoding: None,
    }
}

/// Returns a row with the same program at both ends.
fn both(label: &'static str, program: Name, over: &'static str) -> Row {
    pair(label, end(program, over), end(program, over))
}

fn encoded(label: &'static str, program: Name, over: &'static str, encoding: &'static str) -> Row {
    let end = End {
        program,
        over,
        encoding: Some(encoding),
    };
    pair(label, end, end)
}

fn pair(label: &'static str, client: End, server: End) -> Row {
    Row {
        label,
        kind: match server.program {
            Name::Ours => Kind::Ours,
            Name::Floors => Kind::Floor,
            _ => Kind::Other,
        },
        client,
        server: Some(server),
        is_proxied: false,
        is_reference: false,
    }
}

/// Returns a row whose client includes the server.
fn alone(label: &'static str, program: Name, over: &'static str) -> Row {
    Row {
        server: None,
        ..both(label, program, over)
    }
}

fn proxied(label: &'static str, program: Name) -> Row {
    Row {
        is_proxied: true,
        ..both(label, program, "websocket")
    }
}

const OURS: &str = "ours, WebSocket";
const NODE: &str = "capnweb on Node, WebSocket";
const BUN: &str = "capnweb on Bun, WebSocket";

/// Returns the rows of our program and npm capnweb.
fn three() -> Vec<Row> {
    vec![
        both(OURS, Name::Ours, "websocket"),
        both("ours, TCP lines", Name::Ours, "lines"),
        both(NODE, Name::Node, "websocket"),
        both(BUN, Name::Bun, "websocket"),
    ]
}

fn everyone() -> Vec<Row> {
    vec![
        both(OURS, Name::Ours, "websocket"),
        both("ours, TCP lines", Name::Ours, "lines"),
        both("ours, Unix socket", Name::Ours, "unix"),
        both("ours, WebTransport", Name::Ours, "webtransport"),
        both(NODE, Name::Node, "websocket"),
        both(BUN, Name::Bun, "websocket"),
        both("jsonrpsee, WebSocket", Name::Jsonrpsee, "websocket"),
        encoded("tarpc bincode, TCP", Name::Tarpc, "tcp", "bincode"),
        encoded("tarpc JSON, TCP", Name::Tarpc, "tcp", "json"),
        both("tonic, HTTP/2", Name::Tonic, "http2"),
        both("capnp-rpc, TCP", Name::CapnpRpc, "tcp"),
        both("echo, TCP", Name::Floors, "raw-tcp"),
        both(
            "echo, WebSocket, flush a wake",
            Name::Floors,
            "raw-websocket",
        ),
        both(
            "echo, WebSocket, flush a message",
            Name::Floors,
            "raw-websocket-flush",
        ),
    ]
}

/// Returns the rows of programs that transfer bytes as bytes.
fn with_bytes() -> Vec<Row> {
    let packed = encoded(
        "ours, WebSocket, MessagePack",
        Name::Ours,
        "websocket",
        "message-pack",
    );
    let mut rows = three();
    rows.insert(1, packed);
    rows
}

fn measurement(
    id: impl Into<String>,
    title: impl Into<String>,
    case: &'static str,
    unit: Unit,
    rows: Vec<Row>,
) -> Measurement {
    Measurement {
        id: id.into(),
        title: title.into(),
        case,
        in_flight: None,
        unit,
        spinners: false,
        at_most_rounds: usize::MAX,
        rows,
    }
}

fn in_flight(
    id: &str,
    title: &str,
    case: &'static str,
    unit: Unit,
    at_once: u32,
    rows: Vec<Row>,
) -> Measurement {
    Measurement {
        in_flight: Some(at_once),
        ..measurement(format!("{id}-{at_once}"), title, case, unit, rows)
    }
}

fn group(id: &'static str, measurements: impl IntoIterator<Item = Measurement>) -> Group {
    Group {
        id,
        measurements: measurements.into_iter().collect(),
    }
}

fn all() -> Vec<Group> {
    vec![
        group("server", [server_alone()]),
        group("calls", calls()),
        group("node-client", node_client()),
        group(
            "chains",
            [in_flight(
                "chains",
                "Chains of 10 pipelined calls, 64 at once",
                "chains",
                Unit::Chains,
                64,
                three(),
            )],
        ),
        group("batch", [1, 10, 100, 1000].map(batch)),
        group(
            "map",
            [measurement(
                "map",
                "`map` over 1000 elements",
                "map",
                Unit::Elements,
                three(),
            )],
        ),
        group("bytes", bytes()),
        group("local", [local()]),
        group("sessions", sessions()),
        group("proxy", [64, 1000].map(proxy)),
    ]
}

fn server_alone() -> Measurement {
    let loaded = |label, program, over| pair(label, end(Name::Raw, over), end(program, over));
    let responder = pair(
        "bare responder, WebSocket",
        end(Name::Raw, "websocket"),
        end(Name::Floors, "responder"),
    );
    let rows = vec![
        loaded(OURS, Name::Ours, "websocket"),
        loaded("ours, TCP lines", Name::Ours, "lines"),
        loaded(NODE, Name::Node, "websocket"),
        loaded(BUN, Name::Bun, "websocket"),
        responder,
    ];
    let title = "Servers alone under raw load, 1000 calls in flight";
    in_flight("server", title, "calls", Unit::Calls, 1000, rows)
}

fn calls() -> Vec<Measurement> {
    let mut sequential = in_flight(
        "calls",
        "One call at a time",
        "calls",
        Unit::Calls,
        1,
        everyone(),
    );
    sequential.spinners = true;
    let mut measurements = vec![sequential];
    for (at_once, title) in [(64, "64 calls in flight"), (1000, "1000 calls in flight")] {
        let mut rows = everyone();
        rows.insert(4, alone("ours, within a process", Name::Ours, "in-process"));
        measurements.push(in_flight(
            "calls",
            title,
            "calls",
            Unit::Calls,
            at_once,
            rows,
        ));
    }
    measurements
}

/// Returns the measurements of npm capnweb's client on Node, with either server.
fn node_client() -> Vec<Measurement> {
    let rows = |over| {
        [
            ("our server", Name::Ours),
            ("npm capnweb's server", Name::Node),
        ]
        .map(|(label, server)| pair(label, end(Name::Node, over), end(server, over)))
        .to_vec()
    };
    let mut measurements = Vec::new();
    for (at_once, title) in [
        (1, "Node's client, one call at a time"),
        (64, "Node's client, 64 calls in flight"),
        (1000, "Node's client, 1000 calls in flight"),
    ] {
        let rows = rows("websocket");
        measurements.push(in_flight(
            "node-client",
            title,
            "calls",
            Unit::Calls,
            at_once,
            rows,
        ));
    }
    for (at_once, title) in [
        (1, "Node's client, batches of 1 call"),
        (10, "Node's client, batches of 10 calls"),
        (100, "Node's client, batches of 100 calls"),
        (1000, "Node's client, batches of 1000 calls"),
    ] {
        let rows = rows("batch");
        let id = "node-client-batch";
        measurements.push(in_flight(id, title, "batch", Unit::Calls, at_once, rows));
    }
    measurements
}

fn batch(calls: u32) -> Measurement {
    let rows = vec![
        both("ours", Name::Ours, "batch"),
        both("capnweb on Node", Name::Node, "batch"),
        both("capnweb on Bun", Name::Bun, "batch"),
    ];
    let title = match calls {
        1 => "HTTP batches of 1 call".to_owned(),
        calls => format!("HTTP batches of {calls} calls"),
    };
    in_flight("batch", &title, "batch", Unit::Calls, calls, rows)
}

fn bytes() -> Vec<Measurement> {
    let mut echoed = with_bytes();
    echoed.extend([
        both("jsonrpsee, WebSocket", Name::Jsonrpsee, "websocket"),
        encoded("tarpc bincode, TCP", Name::Tarpc, "tcp", "bincode"),
        both("tonic, HTTP/2", Name::Tonic, "http2"),
        both("capnp-rpc, TCP", Name::CapnpRpc, "tcp"),
    ]);
    vec![
        measurement(
            "bytes",
            "1 MiB of bytes echoed, one way",
            "bytes",
            Unit::Bytes,
            echoed,
        ),
        measurement(
            "stream-up",
            "A stream to the server, chunks of 64 KiB",
            "stream-up",
            Unit::Bytes,
            with_bytes(),
        ),
        measurement(
            "stream-down",
            "A stream from the server, chunks of 64 KiB",
            "stream-down",
            Unit::Bytes,
            with_bytes(),
        ),
    ]
}

fn local() -> Measurement {
    let rows = vec![
        alone("ours", Name::Ours, "local"),
        alone("capnweb on Node", Name::Node, "local"),
        alone("capnweb on Bun", Name::Bun, "local"),
    ];
    let title = "Calls of an object of the same process, one at a time";
    measurement("local", title, "local", Unit::Calls, rows)
}

fn sessions() -> Vec<Measurement> {
    let mut rows = three();
    rows.push(both("jsonrpsee, WebSocket", Name::Jsonrpsee, "websocket"));
    rows.push(encoded("tarpc bincode, TCP", Name::Tarpc, "tcp", "bincode"));
    rows.push(both("tonic, HTTP/2", Name::Tonic, "http2"));
    rows.push(both("capnp-rpc, TCP", Name::CapnpRpc, "tcp"));
    let mut idle = measurement(
        "idle",
        "Memory of the server for an idle session",
        "idle",
        Unit::Held,
        rows.clone(),
    );
    // Allocations hardly differ between rounds, and opening the sessions takes long.
    idle.at_most_rounds = 2;
    let title = "Connect, one call, close";
    vec![
        measurement("connect", title, "connect", Unit::Sessions, rows),
        idle,
    ]
}

fn proxy(at_once: u32) -> Measurement {
    let mut rows = vec![
        proxied("our proxy", Name::Ours),
        both("ours without a proxy", Name::Ours, "websocket"),
        proxied("npm capnweb's proxy, Node", Name::Node),
        both("capnweb on Node without a proxy", Name::Node, "websocket"),
    ];
    rows[0].is_reference = true;
    let title = format!("Through a proxy, {at_once} calls in flight");
    in_flight("proxy", &title, "calls", Unit::Calls, at_once, rows)
}

/// Returns the requested groups, or the requested measurements of them.
pub(super) fn plan(options: &Options) -> Result<Vec<Group>> {
    let mut plan = all();
    for wanted in &options.only {
        let known = plan.iter().any(|group| {
            group.id == wanted || group.measurements.iter().any(|one| one.id == *wanted)
        });
        if !known {
            return Err(Failure::new(format!(
                "there is no case `{wanted}`; there are {}",
                names(&plan)
            )));
        }
    }
    for group in &mut plan {
        let whole = options.only.is_empty() || options.only.iter().any(|name| name == group.id);
        group
            .measurements
            .retain(|one| whole || options.only.contains(&one.id));
        for one in &mut group.measurements {
            one.rows.retain(|row| {
                let server = row.server.map_or(row.client.program, |end| end.program);
                options.wants(row.client.program) || options.wants(server)
            });
        }
        group.measurements.retain(|one| !one.rows.is_empty());
    }
    plan.retain(|group| !group.measurements.is_empty());
    Ok(plan)
}

fn names(plan: &[Group]) -> String {
    let groups: Vec<_> = plan
        .iter()
        .map(|group| match group.measurements.as_slice() {
            [one] if one.id == group.id => one.id.clone(),
            several => {
                let ids: Vec<_> = several.iter().map(|one| one.id.as_str()).collect();
                format!("{} ({})", group.id, ids.join(", "))
            }
        })
        .collect();
    groups.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Options, all, plan};

    fn planned(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let groups = plan(&Options::parse(&words).unwrap()).unwrap();
        let measurements = groups.into_iter().flat_map(|group| group.measurements);
        measurements.map(|one| one.id).collect()
    }

    #[test]
    fn names_are_given_once() {
        let mut seen = HashSet::new();
        for group in all() {
            for one in group.measurements {
                assert!(seen.insert(one.id.clone()), "{}", one.id);
                let labels: HashSet<_> = one.rows.iter().map(|row| row.label).collect();
                assert_eq!(labels.len(), one.rows.len(), "{}", one.id);
            }
        }
    }

    #[test]
    fn a_group_or_one_of_it_can_be_asked_for() {
        assert_eq!(
            planned("--only calls"),
            ["calls-1", "calls-64", "calls-1000"]
        );
        assert_eq!(planned("--only calls-64,map"), ["calls-64", "map"]);
        assert!(planned("--only server --programs jsonrpsee").is_empty());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let words = ["--only".to_owned(), "dances".to_owned()];
        let refused = plan(&Options::parse(&words).unwrap()).err().unwrap();
        assert!(refused.to_string().contains("calls-1000"));
    }
}

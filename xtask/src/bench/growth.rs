//! `cargo xtask growth`: measures whether the cost of a call stays the same under growing load.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tally::Tally;
use crate::{Failure, Result, page};

use super::machine;
use super::plan::{End, end};
use super::process::Why;
use super::programs::{Name, Programs};
use super::results::Sample;
use super::run::{Load, MORE_PATIENCE};
use super::statistics::Spread;
use super::units::{Unit, count, significant, time};

/// The dimensions of growth, and how to measure them.
const MEASUREMENTS: &[(&str, Measure)] = &[
    ("exports", exports),
    ("memory", memory),
    ("payload", payload),
    ("fairness", fairness),
];

/// A function that returns a table.
type Measure = fn(&Programs, &Effort) -> Result<Table>;

/// The amount of work.
struct Effort {
    rounds: usize,
    time: Duration,
    /// The number of calls during which memory is observed.
    calls: f64,
}

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let mut effort = Effort {
        rounds: 3,
        time: Duration::from_secs(2),
        calls: 1e7,
    };
    let mut wanted = Vec::new();
    for argument in arguments {
        match MEASUREMENTS.iter().find(|(name, _)| name == argument) {
            Some(found) => wanted.push(found),
            None if argument == "--quick" => {
                effort = Effort {
                    rounds: 1,
                    time: Duration::from_millis(500),
                    calls: 1e6,
                };
            }
            None => return Err(Failure::new(format!("unexpected argument `{argument}`"))),
        }
    }
    if wanted.is_empty() {
        wanted.extend(MEASUREMENTS);
    }
    let programs = Programs::build_ours()?;
    for (name, measure) in wanted {
        println!("\n── {name} ──");
        let table = measure(&programs, &effort)?;
        let text = format!("({})\n\n{}", machine::now()?, table.text());
        println!("{text}");
        page::put(&format!("growth-{name}"), &text)?;
    }
    Ok(Tally::default())
}

/// Rows of cells. The first row contains the heads.
struct Table(Vec<Vec<String>>);

impl Table {
    fn new(heads: &[&str]) -> Self {
        Self(vec![heads.iter().map(ToString::to_string).collect()])
    }

    fn row(&mut self, cells: Vec<String>) {
        println!("{}", cells.join("  "));
        self.0.push(cells);
    }

    fn text(&self) -> String {
        let mut lines: Vec<_> = self
            .0
            .iter()
            .map(|cells| format!("| {} |\n", cells.join(" | ")))
            .collect();
        let columns = self.0.first().map_or(0, Vec::len);
        lines.insert(1, format!("|{}\n", " ---: |".repeat(columns)));
        lines.concat()
    }
}

fn load<'a>(case: &'a str, effort: &Effort) -> Load<'a> {
    let over = end(Name::Ours, "websocket");
    Load {
        case,
        client: over,
        server: Some(over),
        is_proxied: false,
        options: Vec::new(),
        time: effort.time,
        warm_up: Duration::from_millis(300),
        patience: MORE_PATIENCE,
    }
}

/// Returns the results of several rounds, or the reason why there are none.
fn rounds(
    load: &Load<'_>,
    programs: &Programs,
    effort: &Effort,
) -> std::result::Result<Vec<(Sample, Value)>, Why> {
    (0..effort.rounds).map(|_| load.measure(programs)).collect()
}

fn spread(samples: &[(Sample, Value)], of: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
    Spread::of(samples.iter().filter_map(|(sample, _)| of(sample)))
}

/// Measures calls per second while the session holds a number of other objects.
fn exports(programs: &Programs, effort: &Effort) -> Result<Table> {
    let mut table = Table::new(&[
        "live objects",
        "calls/s",
        "lowest – highest",
        "server's CPU a call",
    ]);
    for objects in [1, 10, 1_000, 100_000] {
        let mut load = load("calls", effort);
        load.options = vec![
            ("--in-flight", "64".to_owned()),
            ("--exports", objects.to_string()),
        ];
        let shown = objects.to_string();
        table.row(match rounds(&load, programs, effort) {
            Ok(samples) => {
                let rate = spread(&samples, |sample| sample.result(Unit::Calls));
                let cpu = spread(&samples, |sample| Some(sample.server_time? / sample.units));
                let (rate, cpu) = (rate.map(show_rate), cpu.map(|cpu| time(cpu.median)));
                let (median, range) = rate.unwrap_or_default();
                vec![shown, median, range, cpu.unwrap_or_default()]
            }
            Err(why) => failed(shown, &why, 4),
        });
    }
    Ok(table)
}

fn show_rate(rate: Spread) -> (String, String) {
    let range = format!("{} – {}", count(rate.least), count(rate.most));
    (count(rate.median), range)
}

/// Returns a row with `cells` cells for a failure.
fn failed(label: String, why: &Why, cells: usize) -> Vec<String> {
    let mut row = vec![label, format!("– ({})", why.reason)];
    row.resize(cells, String::new());
    row
}

/// Measures the memory of both processes while calls are made, 1000 at a time.
fn memory(programs: &Programs, effort: &Effort) -> Result<Table> {
    /// The sampling interval.
    const EVERY: Duration = Duration::from_millis(50);
    /// The maximum duration.
    const AT_MOST: Duration = Duration::from_secs(300);
    const LINES: usize = 10;
    let stopped = |why: Why| Failure::new(why.reason);

    let mut load = load("calls", effort);
    load.options = vec![("--in-flight", "1000".to_owned())];
    let (sample, _) = load.measure(programs).map_err(stopped)?;
    let rate = sample.units / sample.seconds;
    load.time = Duration::from_secs_f64(effort.calls / rate).min(AT_MOST);

    let mut pair = load.start(programs).map_err(stopped)?;
    let deadline = Instant::now() + load.time + load.patience;
    pair.client.expect("start", deadline).map_err(stopped)?;
    let started = Instant::now();
    let mut sizes = Vec::new();
    while Instant::now() < deadline {
        sizes.push((started.elapsed(), pair.server_size(), pair.client_size()));
        match pair.client.line_within(EVERY).map_err(stopped)? {
            Some(line) if line == "stop" => break,
            Some(line) => {
                return Err(Failure::new(format!(
                    "it printed `{line}` instead of `stop`"
                )));
            }
            None => {}
        }
    }
    let report = pair.client.line(deadline).map_err(stopped)?;
    let report: Value = serde_json::from_str(&report).unwrap_or_default();
    let number = |key: &str| report.get(key).and_then(Value::as_f64);
    let (calls, seconds) = number("units")
        .zip(number("seconds"))
        .ok_or_else(|| Failure::new("the client did not report"))?;

    let mut table = Table::new(&["calls", "server's memory", "client's memory"]);
    let step = sizes.len().div_ceil(LINES).max(1);
    let last = sizes.len().saturating_sub(1);
    for (at, (elapsed, server, client)) in sizes.iter().enumerate() {
        if at % step == 0 || at == last {
            let so_far = calls * (elapsed.as_secs_f64() / seconds).min(1.0);
            table.row(vec![count(so_far), megabytes(*server), megabytes(*client)]);
        }
    }
    Ok(table)
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("–".to_owned(), |bytes| {
        format!("{} MB", significant(bytes as f64 / 1e6))
    })
}

/// Measures the time per byte for a round trip, with messages of different sizes.
fn payload(programs: &Programs, effort: &Effort) -> Result<Table> {
    let json = end(Name::Ours, "websocket");
    let packed = End {
        encoding: Some("message-pack"),
        ..json
    };
    let mut table = Table::new(&["size", "text", "bytes", "bytes, MessagePack"]);
    // The second to last size is the maximum for bytes in a JSON message, the last one the maximum
    // for text.
    for kib in [1, 16, 256, 4 << 10, 23 << 10, 31 << 10] {
        let cells = [("text", json), ("bytes", json), ("bytes", packed)].map(|(case, over)| {
            let mut load = load(case, effort);
            (load.client, load.server) = (over, Some(over));
            load.options = vec![("--size", (kib * 1024).to_string())];
            // Allow for several of the largest messages.
            load.time = load.time.max(Duration::from_secs(kib / (8 << 10)));
            match rounds(&load, programs, effort) {
                Ok(samples) => {
                    let byte = spread(&samples, |sample| Some(sample.seconds * 1e9 / sample.units));
                    byte.map_or(String::new(), |byte| {
                        format!("{} ns/byte", significant(byte.median))
                    })
                }
                Err(why) if why.reason.contains("max_outgoing_message_size") => {
                    "– (too long for a message)".to_owned()
                }
                Err(why) => format!("– ({})", why.reason),
            }
        });
        let size = match kib {
            kib if kib < 1 << 10 => format!("{kib} KiB"),
            kib => format!("{} MiB", kib >> 10),
        };
        table.row([vec![size], cells.to_vec()].concat());
    }
    Ok(table)
}

/// Measures calls per second and session, with a number of sessions that each make one call at a
/// time.
fn fairness(programs: &Programs, effort: &Effort) -> Result<Table> {
    let mut table = Table::new(&[
        "sessions",
        "calls/s in all",
        "calls/s of the session with the fewest",
        "1 %",
        "median",
        "99 %",
        "most",
    ]);
    for sessions in [100, 1_000, 10_000] {
        let mut load = load("fairness", effort);
        load.options = vec![("--sessions", sessions.to_string())];
        // Each session should get enough turns.
        load.time = load.time.max(Duration::from_secs(sessions / 2_000));
        let shown = sessions.to_string();
        table.row(match load.measure(programs) {
            Ok((sample, report)) => {
                let per_second = |key: &str| {
                    let calls = report.get(key).and_then(Value::as_f64);
                    calls.map_or("–".to_owned(), |calls| {
                        significant(calls / sample.seconds)
                    })
                };
                let mut row = vec![shown, count(sample.units / sample.seconds)];
                row.extend(["least", "percent1", "median", "percent99", "most"].map(per_second));
                row
            }
            Err(why) => failed(shown, &why, 7),
        });
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_table_has_a_line_under_its_heads() {
        let mut table = Table::new(&["a", "b"]);
        table.row(vec!["1".to_owned(), "2".to_owned()]);
        assert_eq!(table.text(), "| a | b |\n| ---: | ---: |\n| 1 | 2 |\n");
    }
}

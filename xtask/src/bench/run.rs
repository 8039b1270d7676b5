//! Running the programs one after another.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Result;

use super::machine;
use super::options::Options;
use super::plan::{self, End};
use super::proc_fs::{processor_time, resident_bytes};
use super::process::{Running, Spinners, Why};
use super::programs::Programs;
use super::results::{Group, Measurement, Row, Sample};
use super::units::Unit;

/// The time limit for a server to listen, and for a client to begin after its warm-up or to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The time limit for cases that open many sessions first.
pub(super) const MORE_PATIENCE: Duration = Duration::from_secs(120);

/// Measures a group. The programs take turns.
pub(super) fn group(
    planned: &plan::Group,
    programs: &Programs,
    options: &Options,
) -> Result<Group> {
    let note = note(options)?;
    let measure = |one| measurement(one, &note, programs, options);
    Ok(Group {
        id: planned.id.to_owned(),
        measurements: planned.measurements.iter().map(measure).collect(),
    })
}

/// Describes the rounds, their duration, and the date.
fn note(options: &Options) -> Result<String> {
    let rounds = match options.rounds {
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    };
    let seconds = options.time.as_secs_f64();
    Ok(format!("{rounds} of {seconds} s each, {}", machine::now()?))
}

fn measurement(
    planned: &plan::Measurement,
    note: &str,
    programs: &Programs,
    options: &Options,
) -> Measurement {
    println!("\n── {} ──", planned.title);
    let _spinning = planned.spinners.then(|| Spinners::start(machine::cores()));
    let mut rows: Vec<Row> = planned.rows.iter().map(empty).collect();
    let mut given_up = vec![false; rows.len()];
    let rounds = options.rounds.min(planned.at_most_rounds);
    for round in 1..=rounds {
        let turns = planned.rows.iter().zip(&mut rows).zip(&mut given_up);
        for ((program, row), given_up) in turns {
            if *given_up {
                continue;
            }
            let label = program.label;
            match once(planned, program, programs, options) {
                Ok(sample) => {
                    let result = show(planned.unit, &sample);
                    println!("{round}/{rounds} {label:<36} {result}");
                    row.samples.push(sample);
                }
                Err(why) => {
                    println!("{round}/{rounds} {label:<36} {}", why.reason);
                    *given_up = why.is_final;
                    row.missing = Some(why.reason);
                }
            }
        }
    }
    Measurement {
        id: planned.id.clone(),
        title: planned.title.clone(),
        note: note.to_owned(),
        unit: planned.unit,
        rows,
    }
}

fn empty(planned: &plan::Row) -> Row {
    Row {
        label: planned.label.to_owned(),
        kind: planned.kind,
        is_reference: planned.is_reference,
        samples: Vec::new(),
        missing: None,
    }
}

fn show(unit: Unit, sample: &Sample) -> String {
    match sample.result(unit) {
        Some(result) => format!("{} {}", unit.amount(result), unit.head()),
        None => "nothing".to_owned(),
    }
}

/// A measurement of one client, and of its server if it has one.
pub(super) struct Load<'a> {
    pub(super) case: &'a str,
    pub(super) client: End,
    pub(super) server: Option<End>,
    /// True if a second instance of the server's program is a proxy between the two.
    pub(super) is_proxied: bool,
    /// Further options for the client.
    pub(super) options: Vec<(&'static str, String)>,
    pub(super) time: Duration,
    pub(super) warm_up: Duration,
    /// The additional time limit.
    pub(super) patience: Duration,
}

/// The running programs of one measurement.
pub(super) struct Pair {
    pub(super) client: Running,
    /// The servers. The client connects to the last one.
    servers: Vec<Running>,
    size_before: Option<u64>,
}

/// Measures a row once.
fn once(
    measurement: &plan::Measurement,
    row: &plan::Row,
    programs: &Programs,
    options: &Options,
) -> std::result::Result<Sample, Why> {
    let mut load = Load {
        case: measurement.case,
        client: row.client,
        server: row.server,
        is_proxied: row.is_proxied,
        options: Vec::new(),
        time: options.time,
        warm_up: options.warm_up,
        patience: PATIENCE,
    };
    if let Some(in_flight) = measurement.in_flight {
        load.options.push(("--in-flight", in_flight.to_string()));
    }
    if measurement.unit == Unit::Held {
        load.options
            .push(("--sessions", options.sessions.to_string()));
        load.patience = MORE_PATIENCE;
    }
    load.measure(programs).map(|(sample, _)| sample)
}

impl Load<'_> {
    /// Starts the programs.
    pub(super) fn start(&self, programs: &Programs) -> std::result::Result<Pair, Why> {
        let server_core = 0;
        let client_core = machine::cores().saturating_sub(1).min(1);
        let mut servers = Vec::new();
        let mut address = None;
        if let Some(end) = self.server {
            for _ in 0..=usize::from(self.is_proxied) {
                let (server, at) = serve(server_core, end, address.as_deref(), programs)?;
                servers.push(server);
                address = Some(at);
            }
        }
        let size_before = servers
            .last()
            .and_then(|server| resident_bytes(server.pid()));

        let mut arguments = vec!["load".to_owned(), self.case.to_owned()];
        arguments.extend(self.client.options().iter().map(ToString::to_string));
        let own = [
            ("--at", address.unwrap_or_default()),
            ("--seconds", self.time.as_secs_f64().to_string()),
            ("--warm-up", self.warm_up.as_secs_f64().to_string()),
        ];
        for (name, value) in own.iter().chain(&self.options) {
            arguments.extend([(*name).to_owned(), value.clone()]);
        }
        let words = programs
            .command(self.client.program)
            .map_err(Why::for_good)?;
        let client = Running::start(client_core, &words, &arguments)?;
        Ok(Pair {
            client,
            servers,
            size_before,
        })
    }

    /// Starts the programs, measures, and ends them. Returns the sample and the client's report.
    pub(super) fn measure(&self, programs: &Programs) -> std::result::Result<(Sample, Value), Why> {
        let mut pair = self.start(programs)?;
        let within = |time: Duration| Instant::now() + time + self.patience;
        pair.client.expect("start", within(self.warm_up))?;
        let before = pair.times();
        pair.client.expect("stop", within(self.time))?;
        let after = pair.times();
        let size = pair.server_size();
        let line = pair.client.line(within(Duration::ZERO))?;
        let wrong = || Why::new(format!("it reported `{line}`"));
        let report: Value = serde_json::from_str(&line).map_err(|_| wrong())?;
        let (units, seconds) = units_and_seconds(&report).ok_or_else(wrong)?;
        if units <= 0.0 {
            return Err(Why::new("it did no work in the given time"));
        }
        let sample = Sample {
            units,
            seconds,
            server_time: passed(before.0, after.0),
            client_time: passed(before.1, after.1),
            server_growth: grown(pair.size_before, size),
        };
        Ok((sample, report))
    }
}

impl Pair {
    /// Returns the processor time that server and client have used so far.
    fn times(&self) -> (Option<Duration>, Option<Duration>) {
        let server = self.servers.last().map(Running::pid);
        (
            server.and_then(processor_time),
            processor_time(self.client.pid()),
        )
    }

    pub(super) fn server_size(&self) -> Option<u64> {
        resident_bytes(self.servers.last()?.pid())
    }

    pub(super) fn client_size(&self) -> Option<u64> {
        resident_bytes(self.client.pid())
    }
}

/// Starts a server, or a proxy for the server at `upstream`. Returns it with its address.
fn serve(
    core: usize,
    end: End,
    upstream: Option<&str>,
    programs: &Programs,
) -> std::result::Result<(Running, String), Why> {
    let words = programs.command(end.program).map_err(Why::for_good)?;
    let mut arguments = vec!["serve"];
    arguments.extend(end.options());
    arguments.extend(upstream.iter().flat_map(|at| ["--upstream", at]));
    let mut server = Running::start(core, &words, &arguments)?;
    let line = server.line(Instant::now() + PATIENCE)?;
    let address = line
        .strip_prefix("listening ")
        .ok_or_else(|| Why::new(format!("its server printed `{line}`")))?;
    Ok((server, address.to_owned()))
}

/// Returns the number of units that were done, and the seconds that they took.
fn units_and_seconds(report: &Value) -> Option<(f64, f64)> {
    Some((
        report.get("units")?.as_f64()?,
        report.get("seconds")?.as_f64()?,
    ))
}

/// Returns the difference in nanoseconds.
fn passed(before: Option<Duration>, after: Option<Duration>) -> Option<f64> {
    Some(after?.saturating_sub(before?).as_secs_f64() * 1e9)
}

#[expect(clippy::cast_precision_loss, reason = "bytes, far below 2^53")]
fn grown(before: Option<u64>, after: Option<u64>) -> Option<f64> {
    Some(after?.saturating_sub(before?) as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::units_and_seconds;

    #[test]
    fn reports_have_two_numbers() {
        let report = json!({ "units": 1234, "seconds": 2.0001 });
        assert_eq!(units_and_seconds(&report), Some((1234.0, 2.0001)));
        assert_eq!(units_and_seconds(&json!({ "units": 1 })), None);
    }
}

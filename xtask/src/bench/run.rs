//! Running the programs, one after another.

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

/// How long a server may take until it listens, and a client until it begins beyond its warm-up, or ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same where many sessions are opened first.
const MORE_PATIENCE: Duration = Duration::from_secs(120);

/// Measures a group, with the programs taking turns.
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

/// When and for how long is measured.
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

/// Starts a row's programs, measures once, and ends them.
fn once(
    measurement: &plan::Measurement,
    row: &plan::Row,
    programs: &Programs,
    options: &Options,
) -> std::result::Result<Sample, Why> {
    let server_core = 0;
    let client_core = machine::cores().saturating_sub(1).min(1);
    let mut servers = Vec::new();
    let mut address = None;
    if let Some(end) = row.server {
        for _ in 0..=usize::from(row.is_proxied) {
            let (server, at) = serve(server_core, end, address.as_deref(), programs)?;
            servers.push(server);
            address = Some(at);
        }
    }
    let server = servers.last().map(Running::pid);
    let size_before = server.and_then(resident_bytes);

    let mut arguments = vec!["load".to_owned(), measurement.case.to_owned()];
    arguments.extend(row.client.options().iter().map(ToString::to_string));
    let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    option("--at", address.unwrap_or_default());
    option("--seconds", options.time.as_secs_f64().to_string());
    option("--warm-up", options.warm_up.as_secs_f64().to_string());
    if let Some(in_flight) = measurement.in_flight {
        option("--in-flight", in_flight.to_string());
    }
    if measurement.unit == Unit::Held {
        option("--sessions", options.sessions.to_string());
    }
    let words = programs
        .command(row.client.program)
        .map_err(Why::for_good)?;
    let mut client = Running::start(client_core, &words, &arguments)?;

    let patience = match measurement.unit {
        Unit::Held => MORE_PATIENCE,
        _ => PATIENCE,
    };
    let pid = client.pid();
    let times = move || (server.and_then(processor_time), processor_time(pid));
    client.expect("start", Instant::now() + options.warm_up + patience)?;
    let before = times();
    client.expect("stop", Instant::now() + options.time + patience)?;
    let after = times();
    let size = server.and_then(resident_bytes);
    let report = client.line(Instant::now() + patience)?;
    let (units, seconds) =
        read_report(&report).ok_or_else(|| Why::new(format!("it reported `{report}`")))?;
    if units <= 0.0 {
        return Err(Why::new("it did nothing in its time"));
    }
    Ok(Sample {
        units,
        seconds,
        server_time: passed(before.0, after.0),
        client_time: passed(before.1, after.1),
        server_growth: grown(size_before, size),
    })
}

/// Starts a server, or a proxy of the one at `upstream`. Gives its address as well.
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
        .ok_or_else(|| Why::new(format!("its server said `{line}`")))?;
    Ok((server, address.to_owned()))
}

/// How much was done, in how many seconds.
pub(super) fn read_report(line: &str) -> Option<(f64, f64)> {
    let report: Value = serde_json::from_str(line).ok()?;
    Some((
        report.get("units")?.as_f64()?,
        report.get("seconds")?.as_f64()?,
    ))
}

/// In nanoseconds.
fn passed(before: Option<Duration>, after: Option<Duration>) -> Option<f64> {
    Some(after?.saturating_sub(before?).as_secs_f64() * 1e9)
}

#[expect(clippy::cast_precision_loss, reason = "bytes, far below 2^53")]
fn grown(before: Option<u64>, after: Option<u64>) -> Option<f64> {
    Some(after?.saturating_sub(before?) as f64)
}

#[cfg(test)]
mod tests {
    use super::read_report;

    #[test]
    fn reports_are_json() {
        let report = read_report(r#"{"units": 1234, "seconds": 2.0001}"#);
        assert_eq!(report, Some((1234.0, 2.0001)));
        assert_eq!(read_report("ready"), None);
    }
}

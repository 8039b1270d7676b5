//! `capnweb bench`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::IsTerminal,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use super::{arguments, check_arguments, evaluate, parse, source, within};
use crate::{
    arguments::Bench,
    connect::{Link, Settings},
    evaluate::{Evaluator, Log, Scope, Term},
    expression::Program,
    failure::{Code, Failure},
    output::{self, Style, json, table},
    stream::output_failure,
};

/// The longest measurable time, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

/// The time between two updates of the percentiles.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("max", 100.0),
];

pub(super) async fn run(bench: &Bench, style: Style) -> Result<(), Failure> {
    let source = source(&bench.expression)?;
    let program = parse(&source)?;
    let settings = bench.connection.settings()?;
    let arguments = arguments(&bench.values).await?;
    check_arguments(&program, &source, |name| arguments.contains_key(name))?;
    let load = Arc::new(Load {
        settings,
        program,
        source,
        arguments,
        log: Arc::new(|_| {}),
        until: Instant::now() + bench.duration,
        count: bench.count.unwrap_or(u64::MAX),
        tally: Mutex::new(Tally::new()?),
    });
    let mut links = Vec::new();
    if !load.settings.endpoint.is_batch() {
        for _ in 0..bench.sessions.min(bench.concurrency) {
            links.push(Arc::new(load.settings.open().await?));
        }
    }
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..bench.concurrency as usize {
        let link = links.get(worker % links.len().max(1)).cloned();
        workers.spawn(load.clone().work(link));
    }
    let bar = progress();
    let mut tick = tokio::time::interval(SHOWN_EVERY);
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let (mut broken, mut is_stopped) = (None, false);
    loop {
        tokio::select! {
            worker = workers.join_next() => match worker {
                Some(Ok(Err(failure))) => broken = broken.or(Some(failure)),
                Some(_) => {}
                None => break,
            },
            _ = tick.tick() => bar.set_message(load.tally().line(began.elapsed())),
            _ = &mut interrupt, if !is_stopped => {
                is_stopped = true;
                workers.abort_all();
            }
        }
    }
    let elapsed = began.elapsed();
    bar.finish_and_clear();
    for link in links {
        if let Some(link) = Arc::into_inner(link) {
            link.close().await;
        }
    }
    let tally = load.tally();
    if tally.is_empty()
        && let Some(failure) = broken
    {
        return Err(failure);
    }
    let text = match bench.json {
        true => tally.to_json(elapsed, bench.concurrency),
        false => tally.to_table(elapsed, style),
    };
    output::write_out(text.as_bytes()).map_err(|error| output_failure(&error, None))?;
    match (broken, tally.errors.values().sum::<u64>()) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(()),
        (None, errors) => Err(Failure::new(
            Code::Peer,
            format!("{errors} evaluations failed"),
        )),
    }
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_draw_target(match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr_with_hz(5),
        false => ProgressDrawTarget::hidden(),
    });
    bar
}

/// The state shared by all workers.
struct Load {
    settings: Settings,
    program: Program,
    source: String,
    arguments: BTreeMap<String, Term>,
    log: Log,
    until: Instant,
    count: u64,
    tally: Mutex<Tally>,
}

impl Load {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates the expression until the time is over. Without a link, each evaluation is a
    /// separate batch.
    async fn work(self: Arc<Self>, link: Option<Arc<Link>>) -> Result<(), Failure> {
        while Instant::now() < self.until && self.tally().claim(self.count) {
            let began = Instant::now();
            let result = match &link {
                Some(link) => self.evaluate(link).await,
                None => match self.settings.open().await {
                    Ok(link) => {
                        let result = self.evaluate(&link).await;
                        drop(link);
                        result
                    }
                    Err(failure) => Err(failure),
                },
            };
            let elapsed = began.elapsed();
            match result {
                Ok(()) => self.tally().add(elapsed),
                // Server errors and timeouts are counted, and do not end the measurement.
                Err(failure) if matches!(failure.code, Code::Peer | Code::Timeout) => {
                    self.tally().fail(failure.message);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn evaluate(&self, link: &Link) -> Result<(), Failure> {
        let evaluator =
            Evaluator::new(link.main(), self.log.clone()).arguments(self.arguments.clone());
        let mut scope = Scope::default();
        let evaluation = evaluate(link, &evaluator, &self.program, &self.source, &mut scope);
        within(self.settings.timeout, evaluation).await.map(|_| ())
    }
}

/// The measurements so far.
struct Tally {
    times: Histogram<u64>,
    claimed: u64,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        let times = Histogram::new_with_bounds(1, LONGEST, 3);
        Ok(Self {
            times: times.map_err(|error| Failure::usage(error.to_string()))?,
            claimed: 0,
            errors: BTreeMap::new(),
        })
    }

    /// Claims the next evaluation. Returns false if there are none left.
    fn claim(&mut self, count: u64) -> bool {
        self.claimed += 1;
        self.claimed <= count
    }

    fn add(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.times.saturating_record(nanos);
    }

    fn fail(&mut self, message: String) {
        *self.errors.entry(message).or_default() += 1;
    }

    fn is_empty(&self) -> bool {
        self.times.is_empty() && self.errors.is_empty()
    }

    fn percentile(&self, percentile: f64) -> Duration {
        match percentile {
            100.0 => Duration::from_nanos(self.times.max()),
            _ => Duration::from_nanos(self.times.value_at_percentile(percentile)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
    fn rate(&self, elapsed: Duration) -> f64 {
        self.times.len() as f64 / elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Returns the measurements as one line.
    fn line(&self, elapsed: Duration) -> String {
        let mut line = format!(
            "{:.1} s  {:.0}/s",
            elapsed.as_secs_f64(),
            self.rate(elapsed)
        );
        if !self.times.is_empty() {
            for (name, percentile) in PERCENTILES {
                let _ = write!(line, "  {name} {}", time(self.percentile(percentile)));
            }
        }
        let errors: u64 = self.errors.values().sum();
        if errors > 0 {
            let _ = write!(line, "  {errors} errors");
        }
        line
    }

    fn to_table(&self, elapsed: Duration, style: Style) -> String {
        let errors: u64 = self.errors.values().sum();
        let mut header = vec!["calls", "errors", "seconds", "calls/s", "mean"];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "fractions of nanoseconds are of no interest"
        )]
        let mean = Duration::from_nanos(self.times.mean() as u64);
        let mut row = vec![
            self.times.len().to_string(),
            errors.to_string(),
            format!("{:.1}", elapsed.as_secs_f64()),
            format!("{:.0}", self.rate(elapsed)),
            time(mean),
        ];
        for (name, percentile) in PERCENTILES {
            header.push(name);
            row.push(time(self.percentile(percentile)));
        }
        let mut text = table::texts(&header, &[row], style);
        for (message, count) in &self.errors {
            let _ = writeln!(text, "{count} × {}", output::human::harmless(message));
        }
        text
    }

    fn to_json(&self, elapsed: Duration, concurrency: u32) -> String {
        let errors: u64 = self.errors.values().sum();
        let mut out = format!(
            r#"{{"calls":{},"errors":{errors},"concurrency":{concurrency},"seconds":{:.3},"callsPerSecond":{:.1},"microseconds":{{"mean":{:.1}"#,
            self.times.len(),
            elapsed.as_secs_f64(),
            self.rate(elapsed),
            self.times.mean() / 1000.0
        );
        for (name, percentile) in PERCENTILES {
            let micros = self.percentile(percentile).as_secs_f64() * 1e6;
            let _ = write!(out, r#","{name}":{micros:.1}"#);
        }
        out.push_str(r#"},"messages":{"#);
        for (at, (message, count)) in self.errors.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            json::string(message, &mut out);
            let _ = write!(out, ":{count}");
        }
        out.push_str("}}\n");
        out
    }
}

/// Formats a time with about three significant digits.
fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..1000.0 => format!("{micros:.0} µs"),
        ..100_000.0 => format!("{:.2} ms", micros / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (micros, text) in [
            (7, "7 µs"),
            (1500, "1.50 ms"),
            (250_000, "250 ms"),
            (2_000_000, "2.00 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn a_tally_counts_successes_and_errors() {
        let mut tally = Tally::new().unwrap();
        assert!(tally.claim(2) && tally.claim(2) && !tally.claim(2));
        tally.add(Duration::from_micros(100));
        tally.fail("Error: no".to_owned());
        let json = tally.to_json(Duration::from_secs(1), 4);
        let read = json::parse(&json).unwrap();
        assert_eq!(read["calls"].as_f64(), Some(1.0));
        assert_eq!(read["errors"].as_f64(), Some(1.0));
        assert_eq!(read["messages"]["Error: no"].as_f64(), Some(1.0));
        let table = tally.to_table(Duration::from_secs(1), Style::PLAIN);
        assert!(table.contains("1 × Error: no"), "{table}");
    }
}

//! Measurement of the generator's maximum rate.

use std::{fs, time::Duration};

use crate::{Result, calls, clock, options::Options, responder::Responder};

/// Runs the load against a responder, and prints the generator's own cost per call.
pub(crate) fn run(options: &Options) -> Result {
    let server = Responder::start(options.over, "5")?;
    let options = Options {
        at: server.address,
        ..options.clone()
    };
    let mut busy = Vec::new();
    let report = calls::load(&options, &mut |line| {
        clock::print(line);
        busy.push(cpu_time());
    })?;
    server.wait()?;
    clock::print(&report.to_string());
    // A thread that waits without sleeping is always busy.
    if let ([Some(start), Some(stop)], false) = (&*busy, options.spin) {
        eprintln!("{}", verdict(stop.saturating_sub(*start), report.units));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn verdict(busy: Duration, calls: u64) -> String {
    let each = busy.as_nanos() as f64 / calls.max(1) as f64;
    let most = 1e3 / each;
    format!("a call costs the load {each:.0} ns: one core makes {most:.1} million a second at most")
}

/// Returns the processor time of this thread, if the system provides it.
fn cpu_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_in_calls_of_a_core() {
        let text = verdict(Duration::from_micros(500), 5000);
        assert!(
            text.contains("100 ns") && text.contains("10.0 million"),
            "{text}"
        );
    }
}

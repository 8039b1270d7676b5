//! `capnweb-interop attack`: attacks a server as strangers might, and measures the effect on its
//! other clients.
//!
//! Each attack has a server process of its own, which is measured from outside.

mod attacks;
mod neighbor;
mod raw;
mod victim;

use std::{process::ExitCode, time::Duration};

use self::{
    attacks::{ATTACKS, Attack, Held},
    neighbor::{Neighbor, Waits},
    victim::{Victim, wait_for},
};

/// The time for which the neighbor is observed before the attack.
const BEFORE: Duration = Duration::from_millis(1000);

/// The minimum time for which the neighbor is observed during the attack.
const DURING: Duration = Duration::from_millis(500);

/// The time after which no object may be left. Running methods have half a minute after the end of
/// their session.
const GRACE: Duration = Duration::from_secs(40);

/// The time for the memory to be freed after that.
const AFTER: Duration = Duration::from_secs(60);

/// The maximum increase of the wait for the slowest of a hundred calls.
const LONGER: Duration = Duration::from_millis(20);

const MIB: u64 = 1 << 20;

/// The measurements of one attack.
struct Measured {
    before: u64,
    peak: u64,
    after: u64,
    cpu: Duration,
    waits_before: Waits,
    waits_during: Waits,
    failures: Vec<String>,
}

const HEAD: &str = "\
| attack | before | peak | after | CPU | p50 before | during | p99 before | during | kept |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|
";

/// Runs the attacks whose names contain `only`, or all of them. Prints a table, and also writes it
/// to the file `table`. Fails if a server did not keep its promises.
pub(crate) fn run(only: Option<&str>, table: Option<String>) -> Result<ExitCode, String> {
    print!("{HEAD}");
    let mut rows = HEAD.to_owned();
    let mut all_kept = true;
    for attack in ATTACKS {
        if only.is_some_and(|only| !attack.name.contains(only)) {
            continue;
        }
        let measured = make(attack)?;
        all_kept &= measured.failures.is_empty();
        let row = row(attack, &measured);
        print!("{row}");
        rows += &row;
    }
    if let Some(table) = table {
        std::fs::write(&table, rows).map_err(|error| format!("{table}: {error}"))?;
    }
    Ok(if all_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn make(attack: &Attack) -> Result<Measured, String> {
    let victim = Victim::start(attack.descriptors)?;
    let neighbor = Neighbor::new(victim.address)
        .map_err(|error| format!("the neighbor cannot connect: {error}"))?;
    // One-time allocations have been made by then.
    std::thread::sleep(BEFORE / 2);
    neighbor.take();
    std::thread::sleep(BEFORE);
    let objects_before = victim.objects()?;
    let (waits_before, before, cpu_before) = (neighbor.take(), victim.memory()?, victim.cpu()?);

    let mut held = Held::default();
    let attacked = (attack.run)(victim.address, &mut held);
    std::thread::sleep(DURING);
    let (waits_during, cpu) = (neighbor.take(), victim.cpu()?.saturating_sub(cpu_before));
    drop(held);

    let enough = 2 * before;
    let objects = wait_for(GRACE, || victim.objects(), |now| *now <= objects_before);
    let after = wait_for(AFTER, || victim.memory(), |now| *now <= enough)?;
    let (peak, served) = (victim.peak()?, neighbor.stop());

    let mut failures = Vec::new();
    if let Err(error) = attacked {
        failures.push(format!("the attack was cut off: {error}"));
    }
    failures.extend(served.err());
    let objects_left = match objects {
        Ok(objects) => objects.saturating_sub(objects_before),
        Err(error) => {
            failures.push(error);
            0
        }
    };
    if objects_left > 0 {
        failures.push(format!("{objects_left} objects are left"));
    }
    if peak > before + attack.peak * MIB {
        failures.push(format!("the peak is over {} MiB", attack.peak));
    }
    if after > enough {
        failures.push("memory stays".to_owned());
    }
    if waits_during.p99 > waits_before.p99 + LONGER {
        failures.push("neighbors wait".to_owned());
    }
    Ok(Measured {
        before,
        peak,
        after,
        cpu,
        waits_before,
        waits_during,
        failures,
    })
}

fn row(attack: &Attack, measured: &Measured) -> String {
    let mib = |bytes: u64| format!("{} MiB", bytes / MIB);
    let ms = |wait: Duration| match wait {
        Duration::MAX => "no answer".to_owned(),
        wait => format!("{:.1} ms", wait.as_secs_f64() * 1000.0),
    };
    let Measured {
        waits_before,
        waits_during,
        failures,
        ..
    } = measured;
    let kept = if failures.is_empty() {
        "yes".to_owned()
    } else {
        format!("**no**: {}", failures.join("; "))
    };
    format!(
        "| {} | {} | {} | {} | {:.1} s | {} | {} | {} | {} | {kept} |\n",
        attack.name,
        mib(measured.before),
        mib(measured.peak),
        mib(measured.after),
        measured.cpu.as_secs_f64(),
        ms(waits_before.p50),
        ms(waits_during.p50),
        ms(waits_before.p99),
        ms(waits_during.p99),
    )
}

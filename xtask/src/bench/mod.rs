//! `cargo xtask bench`: measures programs that do the same thing by different means.
//!
//! Server and client are separate processes, each on its own core. The programs take turns round by
//! round, so that other load of the machine affects all of them. The results go into
//! `target/bench/results.json`, and from there into the tables and charts of `docs/performance.md`.

mod chart;
pub(crate) mod growth;
mod machine;
mod options;
mod plan;
mod proc_fs;
mod process;
mod programs;

mod results;
mod run;
mod statistics;
mod table;
mod units;

use crate::tally::Tally;
use crate::{Result, page, workspace};

use self::options::Options;
use self::programs::Programs;
use self::results::Results;

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let options = Options::parse(arguments)?;
    let file = workspace::bench_folder()?.join("results.json");
    let mut results = Results::load(&file)?;
    if !options.render {
        let plan = plan::plan(&options)?;
        let programs = Programs::build(&options)?;
        if options.check {
            return Ok(Tally::default());
        }
        results.machine = machine::describe(&programs)?;
        for planned in &plan {
            let measured = run::group(planned, &programs, &options)?;
            println!("\n{}", table::group(&measured));
            results.put(measured);
            // Save the results so far, regardless of the rest.
            results.save(&file)?;
        }
        println!("all numbers: {}", file.display());
    }
    if options.writes_page() {
        write_page(&results)?;
    }
    Ok(Tally::default())
}

/// Updates all tables and charts.
fn write_page(results: &Results) -> Result {
    if !results.machine.is_empty() {
        let lines: Vec<_> = results
            .machine
            .iter()
            .map(|line| format!("- {line}\n"))
            .collect();
        page::put("machine", &lines.concat())?;
    }
    for group in &results.groups {
        page::put(&group.id, &table::group(group))?;
        for measurement in &group.measurements {
            if let Some(drawn) = chart::draw(measurement) {
                page::put_chart(&measurement.id, &drawn)?;
            }
        }
    }
    Ok(())
}

//! Results as Markdown tables.

use std::fmt::Write;

use super::plan::Kind;
use super::results::{Group, Measurement, Row};
use super::units::{ratio, time};

/// Returns the tables of a group, each under its title.
pub(super) fn group(group: &Group) -> String {
    let tables: Vec<_> = group.measurements.iter().map(measurement).collect();
    tables.join("\n")
}

fn measurement(measurement: &Measurement) -> String {
    let unit = measurement.unit;
    let (_, share) = unit.share();
    let mut text = format!("**{}** ({})\n\n", measurement.title, measurement.note);
    let mut heads = vec![String::new(), unit.head(), "lowest – highest".to_owned()];
    if unit.is_rate() {
        heads.push(format!("server's CPU a {share}"));
        heads.push(format!("client's CPU a {share}"));
    }
    heads.push(beside(measurement));
    line(&mut text, &heads);
    let aligned = heads.iter().enumerate();
    let rule: Vec<_> = aligned
        .map(|(column, _)| if column == 0 { "---" } else { "---:" }.to_owned())
        .collect();
    line(&mut text, &rule);
    for row in &measurement.rows {
        let mut cells = cells(measurement, row);
        // A row without results has a reason instead.
        cells.resize(heads.len(), String::new());
        line(&mut text, &cells);
    }
    text
}

/// Returns the head of the last column.
fn beside(measurement: &Measurement) -> String {
    let ours = match measurement.reference() {
        Some(row) if row.kind == Kind::Ours && row.is_reference => row.label.as_str(),
        _ => "ours",
    };
    match measurement.unit.is_rate() {
        true => format!("{ours} ÷ this"),
        false => format!("this ÷ {ours}"),
    }
}

fn cells(measurement: &Measurement, row: &Row) -> Vec<String> {
    let unit = measurement.unit;
    let label = match row.kind {
        Kind::Ours => format!("**{}**", row.label),
        Kind::Other => row.label.clone(),
        Kind::Floor => format!("*{}*", row.label),
    };
    let Some(result) = row.result(unit) else {
        let why = row.missing.as_deref().unwrap_or("not measured");
        return vec![label, format!("– ({why})")];
    };
    let mut range = format!(
        "{} – {}",
        unit.amount(result.least),
        unit.amount(result.most)
    );
    if let Some(why) = &row.missing {
        let _ = write!(range, "; some rounds failed: {why}");
    }
    let mut cells = vec![label, unit.amount(result.median), range];
    if unit.is_rate() {
        let (share, _) = unit.share();
        let shown = |nanoseconds: Option<f64>| {
            nanoseconds.map_or("–".to_owned(), |one| time(share * one))
        };
        cells.push(shown(row.time_a_unit(|sample| sample.server_time)));
        cells.push(shown(row.time_a_unit(|sample| sample.client_time)));
    }
    let reference = measurement
        .reference()
        .filter(|reference| reference.label != row.label)
        .and_then(|reference| reference.result(unit));
    cells.push(reference.map_or(String::new(), |ours| {
        ratio(match unit.is_rate() {
            true => ours.median / result.median,
            false => result.median / ours.median,
        })
    }));
    cells
}

fn line(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::results;

    #[test]
    fn a_table_shows_medians_and_what_is_missing() {
        let table = super::group(&results().groups[0]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines[4..],
            [
                "| **ours** | 2.00 M | 1.00 M – 3.00 M | 250 ns | – |  |",
                "| theirs | 100 k | 100 k – 100 k | 5000 ns | – | 20.0× |",
                "| nobody's | – (it is not there) |  |  |  |  |",
            ]
        );
    }
}

//! Putting tables and charts into `docs/performance.md`.

use std::path::PathBuf;

use crate::{Failure, Result, workspace};

use super::results::Results;
use super::{chart, table};

const PAGE: &str = "docs/performance.md";

/// What stands before a table, …
const BEGIN: &str = "<!-- table: ";
/// … and after it.
const END: &str = "<!-- end -->";

/// Writes every table that the page has a place for, and the charts.
pub(super) fn write(results: &Results) -> Result {
    let mut page = workspace::read(PAGE)?;
    if !results.machine.is_empty() {
        let lines: Vec<_> = results
            .machine
            .iter()
            .map(|line| format!("- {line}"))
            .collect();
        page = replaced(&page, "machine", &(lines.join("\n") + "\n"))?;
    }
    for group in &results.groups {
        page = replaced(&page, &group.id, &table::group(group))?;
        for measurement in &group.measurements {
            if let Some(drawn) = chart::draw(measurement) {
                save(&format!("docs/performance/{}.svg", measurement.id), &drawn)?;
            }
        }
    }
    save(PAGE, &page)
}

/// `page` with another table in the place that is marked with `id`.
fn replaced(page: &str, id: &str, table: &str) -> Result<String> {
    let missing = || Failure::new(format!("{PAGE} has no place for the table `{id}`"));
    let begin = format!("{BEGIN}{id} -->\n");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{table}\n{END}{after}"))
}

fn save(path: &str, text: &str) -> Result {
    let path: PathBuf = workspace::root().join(path);
    let saved = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, text));
    saved.map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page =
            "one\n<!-- table: a -->\nold\n<!-- end -->\ntwo\n<!-- table: b -->\n<!-- end -->\n";
        let page = replaced(page, "a", "new\n").unwrap();
        assert_eq!(
            page,
            "one\n<!-- table: a -->\n\nnew\n\n<!-- end -->\ntwo\n<!-- table: b -->\n<!-- end -->\n"
        );
        assert_eq!(replaced(&page, "a", "new\n").unwrap(), page);
        assert!(replaced(&page, "c", "").is_err());
    }
}

//! Tables and charts of `docs/performance.md`.

use crate::{Failure, Result, workspace};

const PAGE: &str = "docs/performance.md";

/// The start of the line before a table.
const BEGIN: &str = "<!-- table: ";
/// The line after a table.
const END: &str = "<!-- end -->";

/// Inserts a table into the page.
pub(crate) fn put(id: &str, table: &str) -> Result {
    put_on(PAGE, id, table)
}

/// Inserts a table into another page.
pub(crate) fn put_on(path: &str, id: &str, table: &str) -> Result {
    let page = workspace::read(path)?;
    save(path, &replaced(&page, id, table)?)
}

/// Returns `page` with `table` in place of the one that is marked with `id`.
fn replaced(page: &str, id: &str, table: &str) -> Result<String> {
    let missing = || Failure::new(format!("the page has no place for the table `{id}`"));
    let begin = format!("{BEGIN}{id} -->\n");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{table}\n{END}{after}"))
}

/// Writes the chart `name`, which is SVG, if the page shows it.
pub(crate) fn put_chart(name: &str, drawn: &str) -> Result {
    let file = format!("performance/{name}.svg");
    if workspace::read(PAGE)?.contains(&file) {
        save(&format!("docs/{file}"), drawn)?;
    }
    Ok(())
}

fn save(path: &str, text: &str) -> Result {
    let path = workspace::root().join(path);
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

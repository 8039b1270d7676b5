//! Values as tables.

use capnweb::Value;
use indexmap::IndexSet;
use unicode_width::UnicodeWidthStr;

use super::{
    human::Printer,
    style::{Role, Style},
};

/// Formats a value as a table. A list of objects has one column per key, any other list has
/// numbered columns, and an object has one row per key.
pub(crate) fn render(value: &Value, style: Style) -> String {
    let (header, rows) = match value {
        Value::Array(items) if items.iter().any(|item| matches!(item, Value::Object(_))) => {
            objects(items)
        }
        Value::Array(items) => lists(items),
        Value::Object(object) => {
            let rows = object
                .iter()
                .map(|(key, value)| vec![key.clone(), cell(value)]);
            (vec!["key".to_owned(), "value".to_owned()], rows.collect())
        }
        other => (vec!["value".to_owned()], vec![vec![cell(other)]]),
    };
    draw(&header, &rows, style)
}

fn objects(items: &[Value]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut keys = IndexSet::new();
    for item in items {
        match item {
            Value::Object(object) => keys.extend(object.keys().cloned()),
            _ => {
                keys.insert(String::new());
            }
        }
    }
    let row = |item: &Value| {
        let of_key = |key: &String| match item {
            Value::Object(object) => object.get(key).map(cell).unwrap_or_default(),
            other if key.is_empty() => cell(other),
            _ => String::new(),
        };
        keys.iter().map(of_key).collect()
    };
    let rows = items.iter().map(row).collect();
    (keys.into_iter().collect(), rows)
}

fn lists(items: &[Value]) -> (Vec<String>, Vec<Vec<String>>) {
    let cells = |item: &Value| match item {
        Value::Array(items) => items.iter().map(cell).collect(),
        other => vec![cell(other)],
    };
    let mut rows: Vec<Vec<String>> = items.iter().map(cells).collect();
    let width = rows.iter().map(Vec::len).max().unwrap_or(1);
    rows.iter_mut()
        .for_each(|row| row.resize(width, String::new()));
    let header = match width {
        1 => vec!["value".to_owned()],
        _ => (0..width).map(|column| column.to_string()).collect(),
    };
    (header, rows)
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => super::human::harmless(&text.replace('\n', "⏎")),
        other => Printer::plain().one_line(other),
    }
}

/// Draws a table. Columns of numbers are right-aligned.
fn draw(header: &[String], rows: &[Vec<String>], style: Style) -> String {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.width())
                .fold(name.width(), usize::max)
        })
        .collect();
    let is_number: Vec<bool> = (0..header.len())
        .map(|column| {
            let mut cells = rows.iter().filter_map(|row| row.get(column));
            !rows.is_empty() && cells.all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
        })
        .collect();
    let line = |cells: &[String], role: Option<Role>| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let width = widths.get(column).copied().unwrap_or_default();
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            let text = match role {
                Some(role) => style.paint(role, cell),
                None => cell.clone(),
            };
            if column > 0 {
                line.push_str("  ");
            }
            match is_number.get(column) {
                Some(true) => line.push_str(&format!("{pad}{text}")),
                _ => line.push_str(&format!("{text}{pad}")),
            }
        }
        format!("{}\n", line.trim_end())
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut out = line(header, Some(Role::Strong));
    out.push_str(&line(&rule, Some(Role::Faint)));
    rows.iter().for_each(|row| out.push_str(&line(row, None)));
    out
}

/// Draws a table of strings.
pub(crate) fn texts(header: &[&str], rows: &[Vec<String>], style: Style) -> String {
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    draw(&header, rows, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::json::parse;

    fn table(json: &str) -> String {
        render(&parse(json).unwrap(), Style::PLAIN)
    }

    #[test]
    fn objects_are_rows_with_their_keys_as_columns() {
        assert_eq!(
            table(r#"[{"id":7,"name":"Ada"},{"id":10,"tags":["x"]}]"#),
            "id  name  tags\n──  ────  ─────\n 7  Ada\n10        [\"x\"]\n"
        );
    }

    #[test]
    fn lists_are_rows() {
        assert_eq!(
            table(r#"[[4,"user 4"],[15,"ü"]]"#),
            " 0  1\n──  ──────\n 4  user 4\n15  ü\n"
        );
        assert_eq!(table("[1,2]"), "value\n─────\n    1\n    2\n");
        assert_eq!(table("[]"), "value\n─────\n");
    }

    #[test]
    fn anything_else_is_a_small_table() {
        assert_eq!(
            table(r#"{"a":"x","b":null}"#),
            "key  value\n───  ─────\na    x\nb    null\n"
        );
        assert_eq!(table(r#""x""#), "value\n─────\nx\n");
    }
}

//! Output of values in several formats.

pub(crate) mod human;
pub(crate) mod iso;
pub(crate) mod json;
pub(crate) mod style;
pub(crate) mod table;

use std::io::{self, Write};

use capnweb::Value;

pub(crate) use self::style::Style;

/// The output format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// JavaScript.
    #[default]
    Human,
    /// One line of JSON, with tags for values that JSON lacks.
    Json,
    /// A table.
    Table,
    /// Strings and bytes unchanged.
    Raw,
}

/// Formats a value, with a line break at the end.
pub(crate) fn render(value: &Value, format: Format, style: Style) -> Vec<u8> {
    let mut text = match format {
        Format::Human => human::Printer::new(style).print(value),
        Format::Json => json::to_string(value),
        Format::Table => return table::render(value, style).into_bytes(),
        Format::Raw => match value {
            Value::String(text) => text.clone(),
            Value::Bytes(bytes) => return bytes.to_vec(),
            Value::Binary(binary) => return binary.as_bytes().to_vec(),
            Value::Undefined => return Vec::new(),
            Value::Date(date) => iso::format(*date),
            Value::Url(url) => url.to_string(),
            Value::BigInt(number) => number.to_string(),
            other => json::to_string(other),
        },
    };
    text.push('\n');
    text.into_bytes()
}

/// Writes to standard output. A closed pipe, such as one to `head`, is not an error.
pub(crate) fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

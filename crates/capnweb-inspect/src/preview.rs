//! Short, readable previews of expressions.

use capnweb_wire::{Expr, PathStep, Reference};

/// The maximum length of a value's preview, in characters.
const WIDTH: usize = 60;
/// The maximum length of one string in a preview.
const STRING: usize = 32;
/// The maximum length of a message that is parsed for a preview.
pub(crate) const MAX_LOOKED_INTO: usize = 64 * 1024;

/// Formats values as shortened JavaScript.
pub(crate) struct Preview<'a> {
    out: String,
    left: usize,
    /// Returns a name for an ID in the sender's import table.
    name: &'a dyn Fn(i64) -> String,
}

impl<'a> Preview<'a> {
    pub(crate) fn of(expr: &Expr, name: &'a dyn Fn(i64) -> String) -> String {
        let mut preview = Self {
            out: String::new(),
            left: WIDTH,
            name,
        };
        preview.expr(expr, 0);
        preview.out
    }

    pub(crate) fn of_args(args: &[Expr], name: &'a dyn Fn(i64) -> String) -> String {
        let mut preview = Self {
            out: String::new(),
            left: WIDTH,
            name,
        };
        preview.items(args, 0);
        preview.out
    }

    fn add(&mut self, text: &str) {
        self.left = self.left.saturating_sub(text.chars().count());
        self.out.push_str(text);
    }

    fn items(&mut self, items: &[Expr], depth: usize) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.add(", ");
            }
            if self.left == 0 {
                self.out.push('…');
                return;
            }
            self.expr(item, depth);
        }
    }

    fn expr(&mut self, expr: &Expr, depth: usize) {
        if depth > 6 {
            return self.add("…");
        }
        match expr {
            Expr::Undefined => self.add("undefined"),
            Expr::Null => self.add("null"),
            Expr::Bool(value) => self.add(if *value { "true" } else { "false" }),
            Expr::Number(number) => self.add(&number.to_string()),
            Expr::String(text) => self.string(&text.to_str()),
            Expr::BigInt(number) => self.add(&shortened(&format!("{number}n"), STRING)),
            Expr::Date(date) => self.add(&format!(
                "Date({})",
                date.millis()
                    .map_or_else(|| "invalid".to_owned(), |ms| ms.to_string())
            )),
            Expr::Bytes(bytes, _) => self.add(&format!("{} bytes", bytes.len())),
            Expr::Url(url) => self.add(&format!("URL({})", shortened(&url.to_str(), STRING))),
            Expr::Error(error) => {
                let text = format!("{}: {}", error.name, error.message);
                self.add(&shortened(&text, WIDTH));
            }
            Expr::Array(items) => {
                self.add("[");
                self.items(items, depth + 1);
                self.add("]");
            }
            Expr::Object(members) => {
                self.add("{");
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        self.add(", ");
                    }
                    if self.left == 0 {
                        self.out.push('…');
                        break;
                    }
                    self.add(&format!("{}: ", shortened(&name.to_str(), STRING)));
                    self.expr(value, depth + 1);
                }
                self.add("}");
            }
            Expr::Pipeline(reference) | Expr::Import(reference) => self.reference(reference, depth),
            Expr::Export(_) => self.add("stub"),
            Expr::Promise(_) => self.add("promise"),
            Expr::Writable(_) => self.add("writable"),
            Expr::Readable(_) => self.add("stream"),
            Expr::Blob(..) => self.add("Blob"),
            Expr::Headers(_) => self.add("Headers"),
            Expr::Request(request) => self.add(&format!(
                "Request({})",
                shortened(&request.url.to_str(), STRING)
            )),
            Expr::Response(_) => self.add("Response"),
            Expr::Remap(_) => self.add("map"),
            _ => self.add("…"),
        }
    }

    fn reference(&mut self, reference: &Reference, depth: usize) {
        let name = (self.name)(reference.id);
        self.add(&name);
        if let Some(path) = &reference.path {
            for step in path {
                self.add(&match step {
                    PathStep::Key(key) => format!(".{}", shortened(&key.to_str(), STRING)),
                    PathStep::Number(index) => format!("[{index}]"),
                });
            }
        }
        if let Some(args) = &reference.args {
            self.add("(");
            self.items(args, depth + 1);
            self.add(")");
        }
    }

    fn string(&mut self, text: &str) {
        let text = shortened(text, STRING);
        self.add(&format!("{text:?}"));
    }
}

/// Returns the start of a text, made safe for a terminal.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let mut chars = text.chars();
    let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out: String = chars.by_ref().take(width).map(harmless).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// Formats milliseconds for people.
pub(crate) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 0.0 => "0 ms".to_owned(),
        ms if ms >= 60_000.0 => format!("{:.1} min", ms / 60_000.0),
        ms if ms >= 10_000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms >= 100.0 || ms.fract() == 0.0 => format!("{ms:.0} ms"),
        ms if ms >= 1.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.2} ms"),
    }
}

/// Returns a count with its noun.
pub(crate) fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short() {
        let name = |id| format!("#{id}");
        let of = |text: &str| Preview::of(&text.parse().unwrap(), &name);
        assert_eq!(
            of(r#"{"a":[[1,["undefined"]]],"b":["import",-1,["x",0],[2]]}"#),
            "{a: [1, undefined], b: #-1.x[0](2)}"
        );
        assert_eq!(of(r#"["error","TypeError","no"]"#), "TypeError: no");
        assert_eq!(
            of(&format!("\"{}\"", "é".repeat(40))),
            format!("\"{}…\"", "é".repeat(32))
        );
        let long = format!("[[{}]]", vec!["12345"; 40].join(","));
        assert!(of(&long).chars().count() < 80 && of(&long).ends_with("…]"));
    }

    #[test]
    fn times_are_short() {
        for (ms, text) in [
            (0.0, "0 ms"),
            (0.25, "0.25 ms"),
            (12.34, "12.3 ms"),
            (150.2, "150 ms"),
            (12_340.0, "12.3 s"),
        ] {
            assert_eq!(millis(ms), text);
        }
    }
}

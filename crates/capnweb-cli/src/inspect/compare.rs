//! Comparing what a server answers with what it answered before.

use std::collections::HashMap;

use capnweb_wire::{Capture, Expr, JsString, Message, PathStep, RawJson};

/// The text that stands in place of a secret in a recording.
const REDACTED: &str = "[redacted]";

/// The IDs that a server has chosen: those of the recording, and those of now.
#[derive(Debug, Default)]
pub(crate) struct Ids(HashMap<i64, i64>);

impl Ids {
    /// Returns today's ID. Those that the client chose are the same.
    pub(crate) fn now(&self, recorded: i64) -> Option<i64> {
        match recorded {
            0.. => Some(recorded),
            _ => self.0.get(&recorded).copied(),
        }
    }

    /// Replaces the server's IDs in a message of the client.
    ///
    /// # Errors
    ///
    /// Returns the ID that the server has not sent this time.
    pub(crate) fn translate(&self, message: &mut Message) -> Result<(), i64> {
        match message {
            Message::Push(expr)
            | Message::Stream(expr)
            | Message::Resolve(_, expr)
            | Message::Reject(_, expr) => self.expr(expr),
            Message::Pull(id) | Message::Release { id, .. } => self.id(id),
            _ => Ok(()),
        }
    }

    fn id(&self, id: &mut i64) -> Result<(), i64> {
        *id = self.now(*id).ok_or(*id)?;
        Ok(())
    }

    fn expr(&self, expr: &mut Expr) -> Result<(), i64> {
        match expr {
            Expr::Import(reference) | Expr::Pipeline(reference) => {
                self.id(&mut reference.id)?;
                reference
                    .args
                    .iter_mut()
                    .flatten()
                    .try_for_each(|arg| self.expr(arg))
            }
            Expr::Remap(remap) => {
                self.id(&mut remap.id)?;
                for capture in &mut remap.captures {
                    if let Capture::Import(id) = capture {
                        self.id(id)?;
                    }
                }
                Ok(())
            }
            Expr::Array(items) => items.iter_mut().try_for_each(|item| self.expr(item)),
            Expr::Object(members) => members
                .iter_mut()
                .try_for_each(|(_, value)| self.expr(value)),
            Expr::Error(error) => error
                .props
                .iter_mut()
                .try_for_each(|(_, value)| self.expr(value)),
            Expr::Request(request) => request.body.iter_mut().try_for_each(|body| self.expr(body)),
            Expr::Response(response) => self.expr(&mut response.body),
            _ => Ok(()),
        }
    }
}

/// Compares two values, and learns the server's IDs on the way.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) ids: &'a mut Ids,
    /// Names of properties that are not compared.
    pub(crate) ignored: &'a [String],
    /// The places at which the values differ, with both values.
    pub(crate) differences: Vec<String>,
}

impl Comparison<'_> {
    pub(crate) fn compare(&mut self, recorded: &Expr, now: &Expr, path: &str) {
        match (recorded, now) {
            (Expr::Export(recorded), Expr::Export(now))
            | (Expr::Promise(recorded), Expr::Promise(now))
            | (Expr::Writable(recorded), Expr::Writable(now)) => {
                self.ids.0.insert(*recorded, *now);
            }
            // The ends of pipes are numbered by their sender.
            (Expr::Readable(_), Expr::Readable(_)) => {}
            (Expr::Blob(recorded, _), Expr::Blob(now, _)) => self.text(recorded, now, path),
            (Expr::String(recorded), _) if recorded.to_str() == REDACTED => {}
            (Expr::Array(recorded), Expr::Array(now)) => {
                if recorded.len() != now.len() {
                    self.differ(
                        path,
                        &format!("{} elements", recorded.len()),
                        &format!("{}", now.len()),
                    );
                }
                for (at, (recorded, now)) in recorded.iter().zip(now).enumerate() {
                    self.compare(recorded, now, &format!("{path}[{at}]"));
                }
            }
            (Expr::Object(recorded), Expr::Object(now)) => self.members(recorded, now, path),
            (Expr::Error(recorded), Expr::Error(now)) => {
                self.text(&recorded.name, &now.name, &format!("{path}.name"));
                self.text(&recorded.message, &now.message, &format!("{path}.message"));
                self.members(&recorded.props, &now.props, path);
            }
            (Expr::Response(recorded), Expr::Response(now)) => {
                self.compare(&recorded.body, &now.body, &format!("{path}.body"));
                if recorded.other != now.other {
                    self.differ(path, &raw(&recorded.other), &raw(&now.other));
                }
            }
            // References to the client's own exports.
            (Expr::Import(recorded), Expr::Import(now))
            | (Expr::Pipeline(recorded), Expr::Pipeline(now)) => {
                if recorded.path != now.path {
                    self.differ(
                        path,
                        &steps(recorded.path.as_deref()),
                        &steps(now.path.as_deref()),
                    );
                }
                let (recorded, now) = (recorded.args.clone(), now.args.clone());
                self.compare(
                    &Expr::Array(recorded.unwrap_or_default()),
                    &Expr::Array(now.unwrap_or_default()),
                    path,
                );
            }
            (Expr::Number(recorded), Expr::Number(now)) if recorded.is_nan() && now.is_nan() => {}
            (recorded, now) if recorded == now => {}
            (recorded, now) => self.differ(path, &short(recorded), &short(now)),
        }
    }

    fn members(&mut self, recorded: &[(JsString, Expr)], now: &[(JsString, Expr)], path: &str) {
        for (name, value) in recorded {
            let path = format!("{path}.{name}");
            if self.ignored.iter().any(|ignored| *ignored == name.to_str()) {
                continue;
            }
            match now.iter().rev().find(|(other, _)| other == name) {
                Some((_, now)) => self.compare(value, now, &path),
                None => self.differ(&path, &short(value), "nothing"),
            }
        }
        for (name, value) in now {
            let is_new = recorded.iter().all(|(other, _)| other != name);
            if is_new && self.ignored.iter().all(|ignored| *ignored != name.to_str()) {
                self.differ(&format!("{path}.{name}"), "nothing", &short(value));
            }
        }
    }

    fn text(&mut self, recorded: &JsString, now: &JsString, path: &str) {
        if recorded != now {
            self.differ(
                path,
                &short(&Expr::String(recorded.clone())),
                &short(&Expr::String(now.clone())),
            );
        }
    }

    fn differ(&mut self, path: &str, recorded: &str, now: &str) {
        let place = match path {
            "" => String::new(),
            path => format!("{}: ", path.trim_start_matches('.')),
        };
        self.differences
            .push(format!("{place}recorded {recorded}, now {now}"));
    }
}

fn raw(options: &[(JsString, RawJson)]) -> String {
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    options.join(", ")
}

fn steps(path: Option<&[PathStep]>) -> String {
    let steps = path.unwrap_or_default().iter().map(|step| match step {
        PathStep::Key(key) => key.to_string(),
        PathStep::Number(number) => number.to_string(),
    });
    steps.collect::<Vec<_>>().join(".")
}

fn short(expr: &Expr) -> String {
    let text = expr.to_string();
    match text.char_indices().nth(80) {
        None => text,
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(recorded: &str, now: &str, ids: &mut Ids) -> Vec<String> {
        let ignored = ["at".to_owned()];
        let mut comparison = Comparison {
            ids,
            ignored: &ignored,
            differences: Vec::new(),
        };
        comparison.compare(&recorded.parse().unwrap(), &now.parse().unwrap(), "");
        comparison.differences
    }

    #[test]
    fn values_are_compared_and_ids_learned() {
        let mut ids = Ids::default();
        let same =
            |ids: &mut Ids, recorded, now| assert!(differences(recorded, now, ids).is_empty());
        same(
            &mut ids,
            r#"{"a":["export",-1],"at":1}"#,
            r#"{"at":2,"a":["export",-7]}"#,
        );
        same(&mut ids, r#""[redacted]""#, "7");
        same(&mut ids, r#"[[["nan"]]]"#, r#"[[["nan"]]]"#);
        same(
            &mut ids,
            r#"["error","TypeError","no","stack"]"#,
            r#"["error","TypeError","no","another"]"#,
        );
        assert_eq!(
            (ids.now(-1), ids.now(-2), ids.now(3)),
            (Some(-7), None, Some(3))
        );
        for (recorded, now, difference) in [
            ("1", "2", "recorded 1, now 2"),
            (
                r#"{"a":[[1]]}"#,
                r#"{"a":[[2]]}"#,
                "a[0]: recorded 1, now 2",
            ),
            (r#"{"a":1}"#, "{}", "a: recorded 1, now nothing"),
            ("{}", r#"{"a":1}"#, "a: recorded nothing, now 1"),
            ("[[]]", "[[1]]", "recorded 0 elements, now 1"),
            (
                r#"["error","E","a"]"#,
                r#"["error","E","b"]"#,
                "message: recorded \"a\", now \"b\"",
            ),
            (
                r#"["export",-1]"#,
                "null",
                "recorded [\"export\",-1], now null",
            ),
        ] {
            assert_eq!(
                differences(recorded, now, &mut Ids::default()),
                [difference]
            );
        }
        let mut message: Message =
            r#"["push",["remap",-1,[],[["import",-1]],[]]]"#.parse().unwrap();
        ids.translate(&mut message).unwrap();
        assert_eq!(
            message.to_string(),
            r#"["push",["remap",-7,[],[["import",-7]],[]]]"#
        );
        assert_eq!(ids.translate(&mut Message::Pull(-9)), Err(-9));
    }
}

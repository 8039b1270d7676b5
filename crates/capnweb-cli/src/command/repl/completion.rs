//! Completion at the prompt.

use std::collections::BTreeMap;

use capnweb::describe::Description;

use crate::{
    description::Shape,
    expression::{Expr, ExprKind},
};

/// The words that can begin an expression.
const WORDS: &[&str] = &[
    "await",
    "false",
    "let",
    "new",
    "null",
    "this",
    "true",
    "undefined",
];

/// The commands of the prompt.
const COMMANDS: &[&str] = &[
    ":describe",
    ":drop",
    ":dts",
    ":held",
    ":help",
    ":quit",
    ":stats",
];

/// The names and types that completion uses.
#[derive(Debug, Default)]
pub(crate) struct Known {
    description: Option<Description>,
    variables: Vec<String>,
    shapes: BTreeMap<String, Shape>,
}

impl Known {
    pub(crate) fn set_description(&mut self, description: Description) {
        self.description = Some(description);
    }

    pub(crate) fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    pub(crate) fn set_variables(&mut self, names: &[&str]) {
        self.variables = names.iter().map(|name| (*name).to_owned()).collect();
        self.shapes.retain(|name, _| names.contains(&name.as_str()));
    }

    /// Stores the type of a variable.
    pub(crate) fn set_shape(&mut self, name: &str, value: &Expr) {
        let shape = self.shape(value);
        self.shapes.insert(name.to_owned(), shape);
    }

    fn shape(&self, expr: &Expr) -> Shape {
        let Some(description) = &self.description else {
            return Shape::unknown();
        };
        match &expr.kind {
            ExprKind::This => Shape::main(description),
            ExprKind::Name(name) => self.name(name, description),
            ExprKind::Member { of, name } => self.shape(of).member(name, description),
            ExprKind::Index { of, .. } => self.shape(of).element(description),
            ExprKind::Await(of) => self.shape(of),
            ExprKind::Call { callee, .. } => self.shape(callee),
            _ => Shape::unknown(),
        }
    }

    fn name(&self, name: &str, description: &Description) -> Shape {
        match self.shapes.get(name) {
            Some(shape) => shape.clone(),
            None => Shape::main(description).member(name, description),
        }
    }

    /// Returns the start of the word before the cursor, and its completions.
    pub(crate) fn complete(&self, line: &str) -> (usize, Vec<String>) {
        if line.starts_with(':') {
            let fitting = COMMANDS.iter().filter(|word| word.starts_with(line));
            return (0, fitting.map(|word| (*word).to_owned()).collect());
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let start = line
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_part(*c))
            .last()
            .map_or(line.len(), |(at, _)| at);
        let (before, word) = line.split_at(start);
        let mut names: Vec<String> = match before.strip_suffix('.') {
            Some(path) => self.members(path),
            None => {
                let mut names = self.variables.clone();
                if let Some(description) = &self.description {
                    names.extend(Shape::main(description).members(description));
                }
                names.extend(WORDS.iter().map(|word| (*word).to_owned()));
                names
            }
        };
        names.retain(|name| name.starts_with(word));
        names.sort();
        names.dedup();
        (start, names)
    }

    /// Returns the members of the expression at the end of `path`.
    fn members(&self, path: &str) -> Vec<String> {
        let Some(description) = &self.description else {
            return Vec::new();
        };
        // The dot belongs to the longest suffix of the text that is an expression.
        let starts = path.char_indices().map(|(at, _)| at);
        let expr = starts
            .filter_map(|start| path.get(start..))
            .filter(|rest| !rest.starts_with(char::is_whitespace))
            .find_map(
                |rest| match crate::expression::parse(rest).ok()?.statements.pop()? {
                    crate::expression::Statement::Expr(expr) => Some(expr),
                    crate::expression::Statement::Let { value, .. } => Some(value),
                },
            );
        match expr {
            Some(expr) => self.shape(&expr).members(description),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use capnweb::Result;

    use super::*;

    #[capnweb::interface]
    #[allow(dead_code, reason = "only its description is used")]
    trait User {
        async fn get_name(&self) -> Result<String>;
        async fn get_friends(&self) -> Result<Vec<Friend>>;
    }

    #[capnweb::value]
    struct Friend {
        name: String,
        since: u32,
    }

    #[capnweb::interface]
    #[allow(dead_code, reason = "only its description is used")]
    trait Api {
        async fn authenticate(&self, token: String) -> Result<UserStub>;
        async fn add(&self, a: f64, b: f64) -> Result<f64>;
    }

    fn known() -> Known {
        let mut known = Known::default();
        known.set_description(Description::of::<ApiStub>());
        let program = crate::expression::parse("let user = authenticate(\"t\")").unwrap();
        for statement in &program.statements {
            if let crate::expression::Statement::Let { name, value } = statement {
                known.set_shape(name, value);
            }
        }
        known.set_variables(&["user"]);
        known
    }

    #[test]
    fn members_are_completed_along_a_path() {
        let known = known();
        for (line, start, names) in [
            ("aut", 0, &["authenticate"][..]),
            ("a", 0, &["add", "authenticate", "await"]),
            ("user.", 5, &["getFriends", "getName"]),
            ("user.getN", 5, &["getName"]),
            ("add(1, use", 7, &["user"]),
            ("add(1, user.getN", 12, &["getName"]),
            ("authenticate(\"t\").getF", 18, &["getFriends"]),
            ("user.getFriends()[0].", 21, &["name", "since"]),
            ("[user.getFriends().", 19, &["length", "map"]),
            ("nope.x", 5, &[]),
            (":h", 0, &[":held", ":help"]),
        ] {
            let (at, found) = known.complete(line);
            assert_eq!(
                (at, found),
                (start, names.iter().map(|name| (*name).to_owned()).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn without_a_description_variables_are_completed() {
        let mut known = Known::default();
        known.set_variables(&["user"]);
        assert_eq!(known.complete("us").1, ["user"]);
        assert!(known.complete("user.").1.is_empty());
    }
}

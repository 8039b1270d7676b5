//! Finds the paths that a source file uses: in its `use` items and elsewhere.

use std::collections::BTreeSet;

use super::tokens::{Token, tokens};

/// A path in the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) names: Vec<String>,
    pub(super) line: usize,
    /// The modules of this file that contain the path, outermost first.
    pub(super) inside: Vec<String>,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The path is not in a `use`.
    Inline,
    /// The path is in a `use` and imports this name, or `*`.
    Use { name: String, is_public: bool },
}

/// The contents of a file, without its tests.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) paths: Vec<Path>,
    /// The names that are defined outside all blocks.
    pub(super) items: BTreeSet<String>,
    /// Modules in other files that are only for tests.
    pub(super) test_modules: Vec<String>,
}

pub(super) fn read(source: &str) -> Source {
    let mut reader = Reader {
        tokens: &tokens(source),
        at: 0,
        depth: 0,
        inside: Vec::new(),
        found: Source::default(),
    };
    reader.read();
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// The depth of open braces.
    depth: usize,
    /// The open modules, and the depth at which each closes.
    inside: Vec<(String, usize)>,
    found: Source,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> &'a str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| token.text)
    }

    fn before(&self, back: usize) -> &'a str {
        self.at
            .checked_sub(back)
            .map_or("", |at| self.tokens[at].text)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    fn inside(&self) -> Vec<String> {
        self.inside.iter().map(|(name, _)| name.clone()).collect()
    }

    fn is_next(&self, texts: &[&str]) -> bool {
        (0..)
            .zip(texts)
            .all(|(ahead, text)| self.peek(ahead) == *text)
    }

    fn read(&mut self) {
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "#" if self.is_next(&["#", "[", "cfg", "(", "test", ")", "]"]) => {
                    self.at += 7;
                    self.skip_item();
                }
                "{" => {
                    self.depth += 1;
                    self.at += 1;
                }
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    self.inside.retain(|(_, depth)| *depth < self.depth + 1);
                    self.at += 1;
                }
                "mod" if self.peek(2) == "{" => {
                    self.inside.push((self.peek(1).to_owned(), self.depth + 1));
                    self.at += 2;
                }
                "use" => self.read_use(),
                _ => self.read_word(),
            }
        }
    }

    /// Skips an item that is only for tests.
    fn skip_item(&mut self) {
        while self.is_next(&["#", "["]) {
            self.skip_balanced();
        }
        if self.peek(0) == "mod" && self.peek(2) == ";" {
            self.found.test_modules.push(self.peek(1).to_owned());
        }
        let is_item = matches!(
            self.peek(0),
            "async"
                | "const"
                | "enum"
                | "extern"
                | "fn"
                | "impl"
                | "macro_rules"
                | "mod"
                | "pub"
                | "static"
                | "struct"
                | "trait"
                | "type"
                | "unsafe"
                | "use"
        );
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "{" => {
                    let is_use_tree = self.before(1) == "::";
                    self.skip_balanced();
                    if !is_use_tree {
                        return;
                    }
                }
                "(" | "[" => self.skip_balanced(),
                ";" => {
                    self.at += 1;
                    return;
                }
                // This ends a field, a match arm or an argument.
                "," if !is_item => return,
                "}" | ")" | "]" => return,
                _ => self.at += 1,
            }
        }
    }

    /// Skips everything up to the bracket that closes the next one.
    fn skip_balanced(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn read_use(&mut self) {
        // `impl Trait + use<'a>` is not an item.
        if self.peek(1) == "<" {
            self.at += 1;
            return;
        }
        let is_public = self.before(1) == "pub" || self.before(1) == ")";
        self.at += 1;
        self.read_tree(&[], is_public);
    }

    fn read_tree(&mut self, before: &[String], is_public: bool) {
        let mut names = before.to_vec();
        let line = self.line();
        loop {
            match self.peek(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.peek(0), "}" | "") {
                        self.read_tree(&names, is_public);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "::" => self.at += 1,
                "" | "," | ";" | "}" => break,
                "as" => {
                    let name = self.peek(1).to_owned();
                    self.at += 2;
                    return self.found_use(names, name, is_public, line);
                }
                // This is the start of `$crate` in a macro.
                "$" => self.at += 1,
                name => {
                    names.push(name.to_owned());
                    self.at += 1;
                }
            }
        }
        // `a::{self}` means `a`.
        if names.len() > 1 && names.last().is_some_and(|last| last == "self") {
            names.pop();
        }
        let name = names.last().cloned().unwrap_or_default();
        self.found_use(names, name, is_public, line);
    }

    fn found_use(&mut self, names: Vec<String>, name: String, is_public: bool, line: usize) {
        let inside = self.inside();
        let kind = Kind::Use { name, is_public };
        self.found.paths.push(Path {
            names,
            line,
            inside,
            kind,
        });
    }

    fn read_word(&mut self) {
        let is_outside = self.depth == 0;
        let word = self.peek(0);
        let starts_a_path = self.peek(1) == "::"
            && !matches!(self.before(1), "::" | ".")
            && !matches!(self.peek(2), "<" | "");
        if starts_a_path {
            return self.read_path();
        }
        if is_outside
            && matches!(
                self.before(1),
                "const" | "enum" | "fn" | "mod" | "static" | "struct" | "trait" | "type" | "union"
            )
        {
            self.found.items.insert(word.to_owned());
        }
        self.at += 1;
    }

    fn read_path(&mut self) {
        // `pub(in path)` restricts visibility, and does not use the path.
        let is_visibility = self.before(1) == "in" && self.before(3) == "pub";
        let line = self.line();
        let mut names = vec![self.peek(0).to_owned()];
        self.at += 1;
        while self.peek(0) == "::" && is_name(self.peek(1)) {
            names.push(self.peek(1).to_owned());
            self.at += 2;
        }
        if is_visibility {
            return;
        }
        let inside = self.inside();
        self.found.paths.push(Path {
            names,
            line,
            inside,
            kind: Kind::Inline,
        });
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::{Kind, Source, read};

    /// Returns each path with its line, and for a `use` the name that it imports.
    fn paths(source: &Source) -> Vec<String> {
        let describe = |path: &super::Path| {
            let names = path.names.join("::");
            let line = path.line;
            match &path.kind {
                Kind::Inline => format!("{line} {names}"),
                Kind::Use {
                    name,
                    is_public: false,
                } => format!("{line} {names} as {name}"),
                Kind::Use {
                    name,
                    is_public: true,
                } => format!("{line} {names} as pub {name}"),
            }
        };
        source.paths.iter().map(describe).collect()
    }

    #[test]
    fn use_trees_are_taken_apart() {
        let source = read(
            "use crate::{\n    a::{self, B as C},\n    d::*,\n};\npub(crate) use self::e::F;\npub use g;",
        );
        let expected = [
            "2 crate::a as a",
            "2 crate::a::B as C",
            "3 crate::d::* as *",
            "5 self::e::F as pub F",
            "6 g as pub g",
        ];
        assert_eq!(paths(&source), expected);
    }

    #[test]
    fn paths_are_found_in_signatures_bodies_and_macros() {
        let source = read(
            "fn f(a: crate::b::C<super::D>) {\n x::y::<Z>(); self.z(); }\nmacro_rules! m { () => { $crate::w::V } }",
        );
        let expected = ["1 crate::b::C", "1 super::D", "2 x::y", "3 crate::w::V"];
        assert_eq!(paths(&source), expected);
    }

    #[test]
    fn tests_are_left_out() {
        let source = read(
            "#[cfg(test)]\nuse a::{b, c};\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\n\
             struct S { #[cfg(test)] a: t::T, b: u::U }\n\
             #[cfg(test)]\nmod more { use super::d; fn f() { e::g(); } }\nuse h::i;",
        );
        assert_eq!(paths(&source), ["6 u::U", "9 h::i as i"]);
        assert_eq!(source.test_modules, ["tests"]);
    }

    #[test]
    fn a_visibility_is_no_use() {
        let source = read("pub(in crate::a) fn f() {}\nimpl X + use<'a, T>;");
        assert!(source.paths.is_empty(), "{:?}", source.paths);
    }

    #[test]
    fn modules_within_the_file_are_kept_with_their_paths() {
        let source = read("mod a { mod b { use super::C; } use super::D; }\nuse e::F;");
        let inside: Vec<_> = source
            .paths
            .iter()
            .map(|path| path.inside.join("::"))
            .collect();
        assert_eq!(inside, ["a::b", "a", ""]);
    }

    #[test]
    fn items_are_those_outside_of_blocks() {
        let source = read("pub struct A;\nimpl A { fn b() {} }\npub(crate) const C: u8 = 1;");
        let items: Vec<_> = source.items.iter().map(String::as_str).collect();
        assert_eq!(items, ["A", "C"]);
    }
}

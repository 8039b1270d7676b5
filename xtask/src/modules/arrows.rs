//! The uses between the files of a crate, and the cycles among them.
//!
//! Paths are followed through re-exports to the file that defines the name. This works on text,
//! without type information. So an `impl` counts for the file that contains it, and a method call
//! is not a use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::uses::{self, Kind, Source};
use crate::{Failure, Result};

/// A module's path from the crate's root.
type Module = Vec<String>;

/// A use of one file by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) line: usize,
    pub(super) name: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            from,
            to,
            line,
            name,
        } = self;
        write!(f, "{from}:{line} uses {name} of {to}")
    }
}

/// The files of a crate, as paths below `src/` with `/` as separator, and their uses of one
/// another.
pub(super) struct Arrows {
    pub(super) files: BTreeSet<String>,
    pub(super) arrows: Vec<Arrow>,
}

impl Arrows {
    /// Reads all files below a crate's `src` folder.
    pub(super) fn read(src: &Path) -> Result<Self> {
        let mut sources = BTreeMap::new();
        for path in rust_files(src)? {
            let text = fs::read_to_string(src.join(&path)).map_err(|error| {
                Failure::new(format!(
                    "cannot read {}: {error}",
                    src.join(&path).display()
                ))
            })?;
            let name = path
                .iter()
                .map(|part| part.to_string_lossy())
                .collect::<Vec<_>>()
                .join("/");
            sources.insert(name, uses::read(&text));
        }
        Ok(Resolver::new(sources).arrows())
    }

    /// Returns the sets of files that use one another in a cycle, largest first.
    pub(super) fn circles(&self) -> Vec<Vec<&str>> {
        let mut targets = BTreeMap::<&str, BTreeSet<&str>>::new();
        for arrow in &self.arrows {
            targets.entry(&arrow.from).or_default().insert(&arrow.to);
        }
        let reachable = |from: &str| {
            let mut found = BTreeSet::new();
            let mut next = vec![from];
            while let Some(file) = next.pop() {
                for target in targets.get(file).into_iter().flatten() {
                    if found.insert(*target) {
                        next.push(target);
                    }
                }
            }
            found
        };
        let reach: BTreeMap<&str, BTreeSet<&str>> = self
            .files
            .iter()
            .map(|file| (file.as_str(), reachable(file)))
            .collect();
        let mut circles = BTreeSet::new();
        for (file, found) in &reach {
            if found.contains(file) {
                let circle = found.iter().filter(|other| reach[*other].contains(file));
                circles.insert(circle.copied().collect::<Vec<_>>());
            }
        }
        let mut circles: Vec<_> = circles.into_iter().collect();
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }
}

fn rust_files(src: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = src.join(&folder);
        let entries = fs::read_dir(&path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        for entry in entries.flatten() {
            let name = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|found| found == "rs") {
                files.push(name);
            }
        }
    }
    Ok(files)
}

fn module_of(file: &str) -> Module {
    let mut names: Module = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if names
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        names.pop();
    }
    names
}

/// The place that a path leads to: a module, and a name in it unless the module itself is meant.
type Place = (Module, Option<String>);

struct Resolver {
    sources: BTreeMap<String, Source>,
    files: BTreeMap<Module, String>,
    /// The names of a module that are defined elsewhere.
    exports: BTreeMap<Module, BTreeMap<String, Place>>,
    /// The modules whose names a module exports with a glob.
    globs: BTreeMap<Module, Vec<Module>>,
    /// The modules that a file has local names for.
    locals: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Resolver {
    fn new(mut sources: BTreeMap<String, Source>) -> Self {
        leave_out_tests(&mut sources);
        let files = sources
            .keys()
            .map(|file| (module_of(file), file.clone()))
            .collect();
        let mut resolver = Self {
            sources,
            files,
            exports: BTreeMap::new(),
            globs: BTreeMap::new(),
            locals: BTreeMap::new(),
        };
        resolver.note_uses();
        resolver
    }

    /// Records the names that each `use` imports.
    fn note_uses(&mut self) {
        for (file, source) in &self.sources {
            let here = module_of(file);
            for path in &source.paths {
                let Kind::Use { name, is_public } = &path.kind else {
                    continue;
                };
                let Some((at, what)) = self.resolve(&here, path, false) else {
                    continue;
                };
                match what {
                    None if path.inside.is_empty() => {
                        let locals = self.locals.entry(here.clone()).or_default();
                        locals.insert(name.clone(), at.clone());
                    }
                    Some(all) if all == "*" && *is_public => {
                        self.globs.entry(here.clone()).or_default().push(at.clone());
                        continue;
                    }
                    _ => {}
                }
                // Include private names, since the modules below see them.
                let exports = self.exports.entry(here.clone()).or_default();
                exports.insert(name.clone(), (at, what));
            }
        }
    }

    /// Follows a path through modules. Returns `None` if the path leaves the crate, or does not
    /// start with a module.
    fn resolve(&self, here: &Module, path: &uses::Path, with_locals: bool) -> Option<Place> {
        let mut names = path.names.as_slice();
        let mut at: Module = [here.as_slice(), &path.inside].concat();
        match names.first()?.as_str() {
            "crate" => at.clear(),
            "self" | "super" => {}
            first => {
                let child = [here.as_slice(), &[first.to_owned()]].concat();
                let local = self.locals.get(here).and_then(|locals| locals.get(first));
                if self.files.contains_key(&child) {
                    at = child;
                } else if let Some(local) = local.filter(|_| with_locals) {
                    at = local.clone();
                } else {
                    return None;
                }
                names = &names[1..];
            }
        }
        while let Some(name) = names.first() {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => {
                    at.pop()?;
                }
                name => {
                    let child = [at.as_slice(), &[name.to_owned()]].concat();
                    if !self.files.contains_key(&child) {
                        break;
                    }
                    at = child;
                }
            }
            names = &names[1..];
        }
        Some((at, names.first().cloned()))
    }

    /// Follows re-exports to the definition of a name.
    fn home(&self, place: Place) -> Place {
        let mut seen = BTreeSet::new();
        let (mut at, mut what) = place;
        while let Some(name) = &what {
            if !seen.insert((at.clone(), name.clone())) {
                break;
            }
            let exported = self.exports.get(&at).and_then(|exports| exports.get(name));
            if let Some((next, name)) = exported {
                (at, what) = (next.clone(), name.clone());
                continue;
            }
            let globs = self.globs.get(&at).into_iter().flatten();
            let Some(next) = globs.into_iter().find(|glob| self.has(glob, name)) else {
                break;
            };
            at = next.clone();
        }
        (at, what)
    }

    fn has(&self, module: &Module, name: &str) -> bool {
        let exports = self.exports.get(module);
        exports.is_some_and(|exports| exports.contains_key(name))
            || self
                .files
                .get(module)
                .is_some_and(|file| self.sources[file].items.contains(name))
    }

    /// Returns the file of a module, or of the nearest module that contains it.
    fn file(&self, module: &Module) -> Option<&String> {
        (0..=module.len())
            .rev()
            .find_map(|len| self.files.get(&module[..len]))
    }

    fn arrows(self) -> Arrows {
        let mut arrows = Vec::new();
        for (file, source) in &self.sources {
            let here = module_of(file);
            for path in &source.paths {
                let Some(place) = self.resolve(&here, path, true) else {
                    continue;
                };
                let (home, what) = self.home(place);
                let Some(to) = self.file(&home).filter(|to| *to != file) else {
                    continue;
                };
                // Re-exporting a name from a module below does not count as a use.
                let is_export = matches!(
                    path.kind,
                    Kind::Use {
                        is_public: true,
                        ..
                    }
                ) && module_of(to).starts_with(&here);
                if !is_export {
                    arrows.push(Arrow {
                        from: file.clone(),
                        to: to.clone(),
                        line: path.line,
                        name: what.unwrap_or_else(|| home.last().cloned().unwrap_or_default()),
                    });
                }
            }
        }
        Arrows {
            files: self.sources.into_keys().collect(),
            arrows,
        }
    }
}

/// Removes the files that are test modules, including those below them.
fn leave_out_tests(sources: &mut BTreeMap<String, Source>) {
    let tests: Vec<Module> = sources
        .iter()
        .flat_map(|(file, source)| {
            let here = module_of(file);
            let names = source.test_modules.iter();
            names.map(move |name| [here.as_slice(), std::slice::from_ref(name)].concat())
        })
        .collect();
    sources.retain(|file, _| {
        let module = module_of(file);
        !tests.iter().any(|test| module.starts_with(test))
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::Sources;

    /// Returns each use as `from:line name to`.
    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let arrows = Sources::new(files).read();
        arrows
            .arrows
            .iter()
            .map(|arrow| format!("{}:{} {} {}", arrow.from, arrow.line, arrow.name, arrow.to))
            .collect()
    }

    #[test]
    fn names_are_followed_to_the_file_that_defines_them() {
        let found = arrows(&[
            (
                "lib.rs",
                "mod a; mod b; pub use a::A; pub(crate) use b::c::*;",
            ),
            (
                "a.rs",
                "use crate::b::{C as D, E};\nfn f() -> crate::G { todo!() }",
            ),
            (
                "b/mod.rs",
                "mod c; pub(crate) use c::C; pub(crate) use self::c::Y as E;",
            ),
            (
                "b/c.rs",
                "pub struct C; pub struct Y; pub struct G;\nuse super::super::A;",
            ),
        ]);
        assert_eq!(
            found,
            [
                "a.rs:1 C b/c.rs",
                "a.rs:1 Y b/c.rs",
                "a.rs:2 G b/c.rs",
                "b/c.rs:2 A a.rs"
            ]
        );
    }

    #[test]
    fn names_of_modules_are_followed() {
        let found = arrows(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b;\nfn f() { b::g(); b::c::h(); }"),
            ("b.rs", "mod c; fn g() { c::h() }"),
            ("b/c.rs", "mod inner { use super::super::g; }"),
        ]);
        assert_eq!(
            found,
            [
                "a.rs:1 b b.rs",
                "a.rs:2 g b.rs",
                "a.rs:2 h b/c.rs",
                "b.rs:1 h b/c.rs",
                "b/c.rs:1 g b.rs",
            ]
        );
    }

    #[test]
    fn other_crates_and_tests_draw_no_arrow() {
        let found = arrows(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "use std::b::C;\nfn f(x: b::C) {}\n#[cfg(test)] mod tests;",
            ),
            ("a/tests.rs", "use crate::b::C;"),
            (
                "b.rs",
                "pub struct C;\n#[cfg(test)] mod tests { use crate::a::f; }",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn circles_are_found_with_all_their_files() {
        let arrows = Sources::new(&[
            ("lib.rs", ""),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A; use crate::d::D;"),
            ("d.rs", "use crate::e::E;"),
            ("e.rs", "use crate::d::D;"),
            ("f.rs", "use crate::a::A;"),
        ])
        .read();
        let expected: [&[&str]; 2] = [&["a.rs", "b.rs", "c.rs"], &["d.rs", "e.rs"]];
        assert_eq!(arrows.circles(), expected);
    }
}

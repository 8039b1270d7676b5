//! Layers within crates, which determine the modules that each module may use.
//!
//! ARCHITECTURE.md states the same rules in words.

mod arrows;
#[cfg(test)]
mod testing;
mod tokens;
mod uses;

use std::collections::BTreeSet;
use std::path::Path;

use arrows::{Arrow, Arrows};

use crate::{Result, manifest, workspace};

/// The layers of a crate's `src/`, lowest first. A module may use its own layer and lower ones.
///
/// A layer lists modules at the root of the crate; each includes everything below it. The modules
/// of a layer may use one another, but not in a cycle. With `a + b`, two modules count as one.
/// Every module except the root itself is in exactly one layer.
struct Rule {
    package: &'static str,
    layers: &'static [&'static [&'static str]],
    is_enforced: bool,
}

/// True if the modules of capnweb-core follow its rule.
const CORE_IS_IN_LAYERS: bool = true;

const RULES: &[Rule] = &[
    Rule {
        package: "capnweb-core",
        layers: &[
            &["limits", "runtime", "url"],
            &["util"],
            // An error contains a payload.
            &["graph + error"],
            &["outgoing"],
            &["session"],
            &["transport", "driver"],
            &["api"],
            &["typed"],
            &["fetch"],
            &["describe"],
        ],
        is_enforced: CORE_IS_IN_LAYERS,
    },
    Rule {
        package: "capnweb-client",
        layers: &[
            &["random", "clock", "ending", "resume"],
            &["backoff", "breaker", "retry", "attempt", "state"],
            &["servers", "transports", "derivations"],
            &["settings", "notes"],
            &["shared"],
            &["keeper", "sessions"],
            &["supervisor"],
            &["client"],
            &["pool", "batch"],
            &["builder"],
        ],
        is_enforced: true,
    },
    Rule {
        package: "capnweb-cluster",
        layers: &[
            &["token", "flag", "rights"],
            &["bus", "directory", "node_id", "epoch", "sturdy"],
            &["memory", "link", "lease", "topic"],
            &["backbone", "links", "obituaries", "nats", "postgres"],
            &["settings"],
            // An object that moves asks its node where it lives next.
            &["placement + member + handoff + cluster"],
        ],
        is_enforced: true,
    },
];

/// The maximum number of files that use one another in a cycle.
///
/// The largest cycle is the graph of capnweb-core, where it is inherent: settling a promise runs
/// the calls that were queued on it, which settle others.
const LARGEST_CIRCLE: usize = 34;

/// Checks every crate under `crates/`, and returns the violations.
pub(crate) fn broken_rules() -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for found in manifest::crates()? {
        let rule = RULES.iter().find(|rule| rule.package == found.name);
        if rule.is_some_and(|rule| !rule.is_enforced) {
            println!("the modules of {} are not checked yet", found.name);
            continue;
        }
        let src = format!("crates/{}/src", found.name);
        let arrows = Arrows::read(&workspace::root().join(Path::new(&src)))?;
        let layout = Layout(rule.map_or(&[], |rule| rule.layers));
        broken.extend(layout.check(&arrows, &src));
    }
    Ok(broken)
}

/// The layers of a crate, or none.
struct Layout<'a>(&'a [&'a [&'a str]]);

impl Layout<'_> {
    /// Returns the module at the crate's root that a file belongs to, or the modules that count as
    /// one with it. Returns `None` for the root. In a crate without layers, also returns `None` for
    /// files outside any folder.
    fn unit<'f>(&'f self, file: &'f str) -> Option<&'f str> {
        if self.0.is_empty() {
            return file.split_once('/').map(|(folder, _)| folder);
        }
        let name = file.split('/').next().unwrap_or(file);
        let name = name.strip_suffix(".rs").unwrap_or(name);
        if file == "lib.rs" {
            return None;
        }
        let units = self.0.iter().flat_map(|layer| layer.iter());
        let unit = units.copied().find(|unit| is_part(unit, name));
        Some(unit.unwrap_or(name))
    }

    /// Returns the index of a module's layer.
    fn layer(&self, unit: &str) -> Option<usize> {
        self.0.iter().position(|layer| layer.contains(&unit))
    }

    fn check(&self, arrows: &Arrows, src: &str) -> Vec<String> {
        let mut broken = Vec::new();
        if !self.0.is_empty() {
            broken.extend(self.modules_and_table_differ(arrows, src));
            let against = arrows.arrows.iter();
            broken.extend(against.filter_map(|arrow| self.is_against(arrow, src)));
        }
        for circle in arrows.circles() {
            broken.extend(self.is_too_large(&circle, src));
            broken.extend(self.is_across_modules(&circle, arrows, src));
        }
        broken
    }

    fn modules_and_table_differ(&self, arrows: &Arrows, src: &str) -> Vec<String> {
        let units: BTreeSet<&str> = arrows
            .files
            .iter()
            .filter_map(|file| self.unit(file))
            .collect();
        let missing = units
            .iter()
            .filter(|unit| self.layer(unit).is_none())
            .map(|unit| {
                format!("{src} has a module `{unit}`, which is in no layer: see xtask/src/modules")
            });
        let named = self.0.iter().flat_map(|layer| layer.iter());
        let gone = named.filter(|unit| !units.contains(*unit)).map(|unit| {
            format!("{src} has no module `{unit}`, but a layer names it: see xtask/src/modules")
        });
        missing.chain(gone).collect()
    }

    fn is_against(&self, arrow: &Arrow, src: &str) -> Option<String> {
        let (from, to) = (self.unit(&arrow.from)?, self.unit(&arrow.to)?);
        if self.layer(from)? >= self.layer(to)? {
            return None;
        }
        Some(format!(
            "{src}/{arrow}, but `{from}` is in a layer below that of `{to}`"
        ))
    }

    fn is_too_large(&self, circle: &[&str], src: &str) -> Option<String> {
        (circle.len() > LARGEST_CIRCLE).then(|| {
            format!(
                "{} files of {src} use one another in a circle, more than {LARGEST_CIRCLE}: {}",
                circle.len(),
                circle.join(" ")
            )
        })
    }

    fn is_across_modules(&self, circle: &[&str], arrows: &Arrows, src: &str) -> Option<String> {
        let units: BTreeSet<&str> = circle.iter().filter_map(|file| self.unit(file)).collect();
        if units.len() < 2 {
            return None;
        }
        let mut told = BTreeSet::new();
        let crossings = arrows.arrows.iter().filter_map(|arrow| {
            let (from, to) = (self.unit(&arrow.from)?, self.unit(&arrow.to)?);
            let is_in =
                circle.contains(&arrow.from.as_str()) && circle.contains(&arrow.to.as_str());
            (is_in && from != to && told.insert((&arrow.from, &arrow.to)))
                .then(|| format!("\n    {src}/{arrow}"))
        });
        Some(format!(
            "the modules {} of {src} use one another in a circle:{}",
            units
                .into_iter()
                .map(|unit| format!("`{unit}`"))
                .collect::<Vec<_>>()
                .join(", "),
            crossings.collect::<String>()
        ))
    }
}

/// Returns whether `unit` is or includes the module `name`.
fn is_part(unit: &str, name: &str) -> bool {
    unit.split('+').any(|part| part.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::testing::Sources;
    use super::{LARGEST_CIRCLE, Layout};

    const LAYERS: &[&[&str]] = &[&["low"], &["middle + error"], &["left", "right"]];

    const MODULES: [(&str, &str); 6] = [
        ("lib.rs", "pub use right::R;"),
        ("low.rs", "pub struct L;"),
        ("middle/mod.rs", "mod m; use m::M; use crate::error::E;"),
        ("middle/m.rs", "pub struct M; use crate::low::L;"),
        ("error.rs", "pub struct E; use crate::middle::M;"),
        ("left/mod.rs", "use crate::right::R; use crate::low::L;"),
    ];

    /// Returns the violations of a crate with these modules and one more.
    fn check(right: &str) -> Vec<String> {
        let mut files = MODULES.to_vec();
        files.push(("right.rs", right));
        Layout(LAYERS).check(&Sources::new(&files).read(), "src")
    }

    #[test]
    fn uses_of_lower_layers_are_allowed() {
        let broken = check("pub struct R; use crate::middle::M;");
        assert!(broken.is_empty(), "{broken:?}");
    }

    #[test]
    fn a_use_of_a_higher_layer_names_its_place() {
        let mut files = MODULES.to_vec();
        files[1].1 = "\nfn f(r: crate::R) {}";
        files.push(("right.rs", "pub struct R;"));
        assert_eq!(
            Layout(LAYERS).check(&Sources::new(&files).read(), "src"),
            ["src/low.rs:2 uses R of right.rs, but `low` is in a layer below that of `right`"]
        );
    }

    #[test]
    fn a_circle_across_modules_names_the_uses_that_close_it() {
        let broken = check("pub struct R;\nuse crate::left::X;");
        assert_eq!(
            broken,
            [
                "the modules `left`, `right` of src use one another in a circle:\
              \n    src/left/mod.rs:1 uses R of right.rs\
              \n    src/right.rs:2 uses X of left/mod.rs"
            ]
        );
    }

    #[test]
    fn without_layers_circles_stay_within_a_folder() {
        let check = |b: &str| {
            let files = [
                ("a/mod.rs", "pub struct A; use crate::c::S;"),
                ("c.rs", "pub struct S; use crate::b::S as T;"),
                (b, "pub struct S; use crate::a::A;"),
            ];
            Layout(&[]).check(&Sources::new(&files).read(), "src").len()
        };
        assert_eq!(check("b/mod.rs"), 1);
        assert_eq!(check("b.rs"), 0);
    }

    #[test]
    fn the_table_names_every_module_and_no_other() {
        let files = [("lib.rs", ""), ("new.rs", ""), ("low.rs", "")];
        let layers: &[&[&str]] = &[&["low"], &["old"]];
        let broken = Layout(layers).check(&Sources::new(&files).read(), "src");
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert!(
            broken[0].starts_with("src has a module `new`"),
            "{broken:?}"
        );
        assert!(
            broken[1].starts_with("src has no module `old`"),
            "{broken:?}"
        );
    }

    #[test]
    fn circles_have_a_largest_size() {
        let circle = |size: usize| {
            let files: Vec<_> = (0..size)
                .map(|number| {
                    let next = (number + 1) % size;
                    let text = format!("pub struct S; use super::m{next}::S as T;");
                    (format!("a/m{number}.rs"), text)
                })
                .collect();
            let files: Vec<_> = files
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect();
            Layout(&[]).check(&Sources::new(&files).read(), "src")
        };
        let broken = circle(LARGEST_CIRCLE);
        assert!(broken.is_empty(), "{broken:?}");
        let broken = circle(LARGEST_CIRCLE + 1);
        assert_eq!(broken.len(), 1, "{broken:?}");
        let size = LARGEST_CIRCLE + 1;
        assert!(
            broken[0].starts_with(&format!("{size} files of src")),
            "{broken:?}"
        );
    }
}

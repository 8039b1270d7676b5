//! Comparison with handwritten declarations.

use std::{
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use super::{Declarations, Type, keep::located, names::names};

/// The Node program for the comparison.
const PROGRAM: &str = include_str!("check.mjs");

impl Declarations {
    /// Fails a test if the handwritten declarations in the file at `path` differ from these.
    ///
    /// This is for pages with their own declarations. It compares the main interface and everything
    /// that it refers to: missing and additional methods and fields, the types of parameters,
    /// results and fields, and what is optional. The names of types and parameters do not matter,
    /// nor do docs. A type that is `any` in the file, or has no description in Rust, matches
    /// anything.
    ///
    /// The path is relative to the package's folder. The test runs Node, which must be installed,
    /// with the TypeScript and the npm `capnweb` of the file's project. TypeScript must be version
    /// 5.4 to 6. If the project uses a later version, install one for the test with `npm install
    /// --save-dev typescript-6@npm:typescript@6`.
    ///
    /// ```no_run
    /// # use capnweb_core::Result;
    /// # #[capnweb_macros::interface(crate = "capnweb_core")]
    /// # pub trait Greeter {
    /// #     async fn greet(&self, name: String) -> Result<String>;
    /// # }
    /// #[test]
    /// fn the_page_knows_this_interface() {
    ///     capnweb_core::typescript::of::<GreeterStub>().matches("web/src/api.d.ts");
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Panics
    ///
    /// Panics with all differences if there are any, or with the reason if the declarations cannot
    /// be compared.
    #[track_caller]
    pub fn matches(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let shown = path.display();
        match self.differences(path) {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => panic!("{shown} differs:\n{}", differences.join("\n")),
            Err(error) => panic!("cannot compare {shown}: {error}"),
        }
    }

    /// Returns the differences between the declarations in the file at `path` and these, one per
    /// line: see [`matches`](Self::matches).
    ///
    /// # Errors
    ///
    /// Returns an error if Node cannot be run, if the compiler cannot read the file, or if these
    /// are not the declarations of an interface.
    pub fn differences(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let names = names(&self.description);
        let main = match &self.description.main {
            Type::Reference { id, .. } => names.get(id),
            _ => None,
        };
        let main =
            main.ok_or_else(|| io::Error::other("these are not of an interface or value"))?;
        let mut node = Command::new("node")
            .args(["--input-type=module", "--eval", PROGRAM, "--"])
            .arg(located(path.as_ref()))
            .args(["--main", main])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot run `node`: {error}")))?;
        if let Some(mut input) = node.stdin.take() {
            // If the program ends early, its output has the reason.
            let _ = input.write_all(self.to_string().as_bytes());
        }
        let output = node.wait_with_output()?;
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        match output.status.code() {
            Some(0) => Ok(Vec::new()),
            Some(1) if !output.stdout.is_empty() => {
                let found = lines(&output.stdout);
                Ok(found.lines().map(str::to_owned).collect())
            }
            _ => Err(io::Error::other(lines(&output.stderr))),
        }
    }
}

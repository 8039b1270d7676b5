//! Comparison with declarations that were written by hand.

use std::{
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use super::{Declarations, Type, keep::located, names::names};

/// The program for Node that compares.
const PROGRAM: &str = include_str!("check.mjs");

impl Declarations {
    /// Fails a test if the declarations in the file at `path`, which were written by hand, differ from
    /// these.
    ///
    /// It is for a page that keeps declarations of its own. It compares the main interface and whatever
    /// that reaches: methods and fields that are missing or not there, types of parameters, results and
    /// fields, and what can be left out. Names of types and parameters do not matter, nor do docs. Where the
    /// file says `any`, or Rust says nothing of a type, anything goes.
    ///
    /// The path is relative to the package's folder. This runs Node, which has to be installed, with the
    /// TypeScript and the npm `capnweb` of the file's own project. Programs can use TypeScript 5.4 to 6; beside a
    /// later one, `npm install --save-dev typescript-6@npm:typescript@6` brings one for this.
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
    /// If there is a difference, with all of them; if they cannot be compared, with the reason.
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

    /// Returns how the declarations in the file at `path` differ from these, a line for each difference: see
    /// [`matches`](Self::matches).
    ///
    /// # Errors
    ///
    /// If Node cannot be run, or the compiler cannot read the file. If it is not an interface that these
    /// declarations are of.
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
            // A program that ends early says why.
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

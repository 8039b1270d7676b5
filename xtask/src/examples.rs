//! `cargo xtask examples`: runs what the README tells a newcomer to run.

use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, no_arguments, workspace};

/// No example has anything to do for so long.
const LIMIT: Duration = Duration::from_secs(60);

/// How the line begins in which the server's example says where it listens.
const LISTENS: &str = "listening on ";

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    for name in ["server", "client"] {
        is_in_the_readme(name)?;
    }
    cargo("build")
        .args(["--package", "capnweb", "--examples", "--all-features"])
        .run()?;
    example("quickstart")?.limit(LIMIT).run()?;
    example("lasting")?.arg("5").limit(LIMIT).run()?;
    let (_server, line) = example("server")?
        .arg("127.0.0.1:0")
        .start_and_read_line(LIMIT)?;
    let address = line.strip_prefix(LISTENS).ok_or_else(|| {
        Failure::new(format!(
            "the example's server does not say where it listens, but `{line}`"
        ))
    })?;
    example("client")?.arg(address).limit(LIMIT).run()
}

fn example(name: &str) -> Result<Program> {
    Ok(Program::new(workspace::built(&format!("examples/{name}"))?))
}

/// The README shows the example as it is, but for the comment at its head.
fn is_in_the_readme(name: &str) -> Result {
    let path = format!("crates/capnweb/examples/{name}.rs");
    let example = workspace::read(&path)?;
    let readme = workspace::read("README.md")?;
    let code = without_head(&example);
    if readme.contains(code) {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "README.md does not show {path} as it is; copy it there"
        )))
    }
}

fn without_head(example: &str) -> &str {
    let mut rest = example;
    while rest.starts_with("//!") || rest.starts_with('\n') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::without_head;

    #[test]
    fn the_head_comment_is_left_out() {
        assert_eq!(
            without_head("//! A.\n//!\n//! B.\n\nuse x;\n//! c\n"),
            "use x;\n//! c\n"
        );
        assert_eq!(without_head("use x;\n"), "use x;\n");
        assert_eq!(without_head("//! only"), "");
    }
}

//! `cargo xtask examples`: runs the commands that the README recommends to newcomers.

use std::time::Duration;

use crate::program::Program;
use crate::tally::Tally;
use crate::{Failure, Result, build, diagrams, no_arguments, workspace};

/// The time limit of an example.
const LIMIT: Duration = Duration::from_secs(60);

/// The start of the line in which the server example prints its address.
const LISTENS: &str = "listening on ";

/// The start of the line in which the README calls the server from a shell.
const CALLS: &str = "capnweb call ws://127.0.0.1:8080/api '";

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    for name in ["server", "client"] {
        is_in_the_readme(name)?;
    }
    example("quickstart")?.limit(LIMIT).run()?;
    example("lasting")?.arg("5").limit(LIMIT).run()?;
    let (_server, line) = example("server")?
        .arg("127.0.0.1:0")
        .start_and_read_line(LIMIT)?;
    let address = line.strip_prefix(LISTENS).ok_or_else(|| {
        Failure::new(format!(
            "the example's server does not print its address, but `{line}`"
        ))
    })?;
    example("client")?.arg(address).limit(LIMIT).run()?;
    let tally = command_line(address)?;
    diagrams::check_terminal()?;
    Ok(tally)
}

/// Runs the command line of the README against the server.
fn command_line(address: &str) -> Result<Tally> {
    let readme = workspace::read("README.md")?;
    let expression = readme
        .split_once(CALLS)
        .and_then(|(_, rest)| rest.split_once('\''))
        .map(|(expression, _)| expression)
        .ok_or_else(|| Failure::new(format!("README.md does not show `{CALLS}…`")))?;
    Program::new(build::command_line()?)
        .args(["call", &format!("ws://{address}/api"), expression])
        .limit(LIMIT)
        .run()
}

fn example(name: &str) -> Result<Program> {
    Ok(Program::new(build::example(name)?))
}

/// Checks that the README shows the example unchanged, except for the comment at its top.
fn is_in_the_readme(name: &str) -> Result {
    let path = format!("crates/capnweb/examples/{name}.rs");
    let example = workspace::read(&path)?;
    let readme = workspace::read("README.md")?;
    let code = without_head(&example);
    if readme.contains(code) {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "README.md does not show {path} unchanged; copy it there"
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

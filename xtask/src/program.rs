//! Running other programs. Each is printed before it runs, and the tests that it reports are
//! counted.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::workspace;
use crate::{Failure, Result};

/// The time that the output of a program that has ended may take. Without it, a process that the
/// program has left behind would be waited for.
const LAST_OUTPUT: Duration = Duration::from_secs(60);

/// A program with its arguments, which runs in the root of the checkout.
pub(crate) struct Program {
    name: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    folder: PathBuf,
    limit: Option<Duration>,
}

/// Returns `cargo` with the given subcommand.
pub(crate) fn cargo(subcommand: &str) -> Program {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Program::new(cargo).arg(subcommand)
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: workspace::root(),
            limit: None,
        }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args<I: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_owned();
        self
    }

    /// Sets a time limit. A program that exceeds it is killed and counts as failed.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs the program to its end, copies its output, and counts the tests in it.
    pub(crate) fn run(self) -> Result<Tally> {
        self.announce();
        let mut child = self.spawn(Stdio::piped)?;
        let readers = [
            copy(child.stdout.take(), std::io::stdout()),
            copy(child.stderr.take(), std::io::stderr()),
        ];
        let status = self.wait(&mut child)?;
        let mut tally = Tally::default();
        let deadline = Instant::now() + LAST_OUTPUT;
        let mut has_left = false;
        for reader in readers.into_iter().flatten() {
            while !reader.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            if reader.is_finished() {
                tally += reader.join().unwrap_or_default();
            } else {
                has_left = true;
            }
        }
        let reason = if !status.success() {
            format!("`{self}` failed ({status})")
        } else if has_left {
            format!("`{self}` has left processes running, which hold its output")
        } else {
            return Ok(tally);
        };
        Err(Failure { reason, tally })
    }

    /// Runs the program to its end, and returns its output. If it fails, prints the output without
    /// network addresses, which depend on the machine and are of no use to a reader.
    pub(crate) fn quiet(self) -> Result<String> {
        let output = self
            .command()
            .stdin(Stdio::null())
            .output()
            .map_err(|error| self.cannot_start(&error))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        eprint!("{}", without_addresses(&format!("{stdout}{stderr}")));
        Err(Failure::new(format!("`{self}` failed ({})", output.status)))
    }

    /// Runs the program like [`quiet`](Self::quiet), but prints the command first.
    pub(crate) fn quiet_but_announced(self) -> Result<String> {
        self.announce();
        self.quiet()
    }

    /// Returns whether the program can be run and succeeds. Prints nothing.
    pub(crate) fn works(self) -> bool {
        self.spawn(Stdio::null)
            .and_then(|mut child| self.wait(&mut child))
            .is_ok_and(|status| status.success())
    }

    /// Starts the program in the background, and returns the first line that it prints within
    /// `limit`. The program is killed when the handle is dropped.
    pub(crate) fn start_and_read_line(self, limit: Duration) -> Result<(Background, String)> {
        self.announce();
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.cannot_start(&error))?;
        let stdout = child.stdout.take();
        let background = Background { child };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            if let Some(stdout) = stdout {
                let mut stdout = BufReader::new(stdout);
                let read = stdout.read_line(&mut line);
                // After the time limit, the receiver is gone.
                let _ = sender.send(read.map(|_| line));
                // The program may continue to print.
                let _ = std::io::copy(&mut stdout, &mut std::io::stdout());
            }
        });
        match receiver.recv_timeout(limit) {
            Ok(Ok(line)) => Ok((background, line.trim_end().to_owned())),
            Ok(Err(_)) | Err(_) => Err(Failure::new(format!("`{self}` printed no line"))),
        }
    }

    fn announce(&self) {
        // Print this before the program's own output, even if stdout is a file.
        println!("$ {self}");
        let _ = std::io::stdout().flush();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        // The variables that `cargo run` sets for this program must not reach another cargo. Build
        // scripts that watch them would run again for nothing.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_about_this_package(name)) {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn spawn(&self, output: fn() -> Stdio) -> Result<Child> {
        self.command()
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn()
            .map_err(|error| self.cannot_start(&error))
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!(
            "cannot start `{}`: {error}; run `cargo xtask setup` to install it",
            self.name.to_string_lossy()
        ))
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        let lost = |error| Failure::new(format!("cannot wait for `{self}`: {error}"));
        let Some(limit) = self.limit else {
            return child.wait().map_err(lost);
        };
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait().map_err(lost)? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Failure::new(format!(
                    "`{self}` was still running after {} seconds and was killed",
                    limit.as_secs()
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs all programs one after another. A failure does not skip the next one.
pub(crate) fn run_all(programs: impl IntoIterator<Item = Program>) -> Result<Tally> {
    sum(programs.into_iter().map(Program::run))
}

/// Runs all programs at the same time, for programs that mostly wait.
pub(crate) fn run_together(programs: Vec<Program>) -> Result<Tally> {
    run_queues(programs.into_iter().map(|program| vec![program]).collect())
}

/// Runs all queues at the same time, and the programs of each one after another.
pub(crate) fn run_queues(queues: Vec<Vec<Program>>) -> Result<Tally> {
    let running: Vec<_> = queues
        .into_iter()
        .map(|programs| thread::spawn(|| run_all(programs)))
        .collect();
    let lost = |_| Err(Failure::new("a thread that watched a program panicked"));
    sum(running
        .into_iter()
        .map(|running| running.join().unwrap_or_else(lost)))
}

fn sum(outcomes: impl Iterator<Item = Result<Tally>>) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(counted) => tally += counted,
            Err(failure) => {
                tally += failure.tally;
                failures.push(failure.reason);
            }
        }
    }
    if failures.is_empty() {
        Ok(tally)
    } else {
        Err(Failure {
            reason: failures.join("; "),
            tally,
        })
    }
}

/// Writes the command as one would type it.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        // Cargo passes its own full path to the programs that it runs.
        let name = Path::new(&self.name);
        if name.file_stem().is_some_and(|stem| stem == "cargo") {
            f.write_str("cargo")?;
        } else {
            f.write_str(&quoted(&self.name))?;
        }
        for argument in &self.arguments {
            write!(f, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

/// A program in the background. It is killed on drop.
pub(crate) struct Background {
    child: Child,
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the output of a program line by line, and counts the tests in it.
fn copy(
    from: Option<impl Read + Send + 'static>,
    mut to: impl Write + Send + 'static,
) -> Option<JoinHandle<Tally>> {
    let mut from = BufReader::new(from?);
    Some(thread::spawn(move || {
        let mut tally = Tally::default();
        let mut line = Vec::new();
        // A failed read or write means that one of the two ends is gone.
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            tally.read(&String::from_utf8_lossy(&line));
            let _ = to.write_all(&line).and_then(|()| to.flush());
            line.clear();
        }
        tally
    }))
}

fn is_about_this_package(variable: &OsStr) -> bool {
    let Some(variable) = variable.to_str() else {
        return false;
    };
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "\"'$*;&|<>()".contains(c)) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.into_owned()
    }
}

/// Returns `text` with every network address reduced to its scheme.
fn without_addresses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + "://".len());
        kept.push_str(before);
        kept.push('…');
        let end = address
            .find(|c: char| c.is_whitespace() || "\"')>".contains(c))
            .unwrap_or(address.len());
        rest = &address[end..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::{Program, without_addresses};

    #[test]
    fn addresses_are_cut() {
        assert_eq!(
            without_addresses("GET https://registry.example/x (404), 'http://a.b' gone"),
            "GET https://… (404), 'http://…' gone"
        );
        assert_eq!(without_addresses("nothing here"), "nothing here");
    }

    #[test]
    fn a_program_shows_as_typed() {
        let program = Program::new("/opt/bin/cargo")
            .args(["test", "a b"])
            .env("X", "-D y");
        assert_eq!(program.to_string(), "X='-D y' cargo test 'a b'");
    }
}

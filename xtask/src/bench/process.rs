//! A child process that prints its address.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::workspace;

/// The exit code for a case that a program does not support.
const UNSUPPORTED: i32 = 3;

/// The maximum number of bytes of a program's error output to keep.
const COMPLAINT: u64 = 4096;

/// The time that a program has to end after its input has ended.
const GRACE: Duration = Duration::from_secs(1);

/// The reason why something could not be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) reason: String,
    /// True if another attempt would fail as well.
    pub(super) is_final: bool,
}

impl Why {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_final: false,
        }
    }

    pub(super) fn for_good(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_final: true,
        }
    }
}

/// A running program. It is killed on drop.
pub(super) struct Running {
    child: Child,
    lines: Receiver<String>,
    complaint: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts a program on one core. `words` are its name and first arguments.
    pub(super) fn start(
        core: usize,
        words: &[PathBuf],
        arguments: &[impl AsRef<OsStr>],
    ) -> Result<Self, Why> {
        let mut child = Command::new("taskset")
            .args(["--cpu-list", &core.to_string()])
            .args(words)
            .args(arguments)
            .current_dir(workspace::root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Why::for_good(format!("taskset cannot be run: {error}")))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let complaint = child
            .stderr
            .take()
            .map(|stderr| thread::spawn(|| read(stderr)));
        Ok(Self {
            child,
            lines,
            complaint,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line that the program prints.
    pub(super) fn line(&mut self, deadline: Instant) -> Result<String, Why> {
        let time = deadline.saturating_duration_since(Instant::now());
        self.line_within(time)?
            .ok_or_else(|| Why::new("it took too long"))
    }

    /// Returns the next line, if it is printed within `time`.
    pub(super) fn line_within(&mut self, time: Duration) -> Result<Option<String>, Why> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    /// Reads the next line, which must be `word`.
    pub(super) fn expect(&mut self, word: &str, deadline: Instant) -> Result<(), Why> {
        let line = self.line(deadline)?;
        if line == word {
            return Ok(());
        }
        Err(Why::new(format!("it printed `{line}` instead of `{word}`")))
    }

    /// Returns the reason why the program ended without printing what was expected.
    fn ended(&mut self) -> Why {
        let status = wait(&mut self.child, GRACE);
        if status.is_none() {
            // The program closed its output and continued.
            let _ = self.child.kill();
        }
        let complaint = self.complaint.take().and_then(|thread| thread.join().ok());
        let complaint = complaint.unwrap_or_default();
        let complaint = complaint.lines().last().unwrap_or_default().trim();
        if status.and_then(|status| status.code()) == Some(UNSUPPORTED) {
            let why = complaint.strip_prefix("unsupported: ").unwrap_or(complaint);
            return Why::for_good(format!("not supported: {why}"));
        }
        match complaint.strip_prefix("error: ").unwrap_or(complaint) {
            "" => Why::new("it ended without an error message"),
            complaint => Why::new(complaint),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // This tells a server to end.
        drop(self.child.stdin.take());
        if wait(&mut self.child, GRACE).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn wait(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + at_most;
    loop {
        // An error means that there is no process to wait for.
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn read(mut stderr: ChildStderr) -> String {
    let mut complaint = Vec::new();
    // Also read the rest, so that the program does not wait for room.
    let _ = stderr.by_ref().take(COMPLAINT).read_to_end(&mut complaint);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    String::from_utf8_lossy(&complaint).into_owned()
}

/// Keeps all cores from sleeping, at the lowest priority, so that measurements do not include the
/// time they take to wake.
pub(super) struct Spinners(Vec<Child>);

impl Spinners {
    pub(super) fn start(cores: usize) -> Self {
        /// The processes limit their own time, in case this program is killed before it can end
        /// them.
        const SPIN: &str = "ulimit -t 600; while :; do :; done";
        let spin = |core: usize| {
            Command::new("nice")
                .args(["-n", "19", "taskset", "--cpu-list", &core.to_string()])
                .args(["sh", "-c", SPIN])
                .stdin(Stdio::null())
                .spawn()
                .ok()
        };
        Self((0..cores).filter_map(spin).collect())
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        for spinner in &mut self.0 {
            let _ = spinner.kill();
            let _ = spinner.wait();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::{Running, Why};

    fn shell(script: &str) -> Running {
        Running::start(0, &[PathBuf::from("sh")], &["-c", script]).expect("a shell")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn lines_come_one_by_one() {
        let mut running = shell("echo start; echo stop");
        assert_eq!(running.expect("start", soon()), Ok(()));
        assert!(running.expect("start", soon()).is_err());
    }

    #[test]
    fn a_program_says_why_it_ends() {
        let mut running = shell("echo 'error: no such thing' >&2; exit 1");
        assert_eq!(running.line(soon()), Err(Why::new("no such thing")));
        let mut running = shell("echo 'unsupported: no streams' >&2; exit 3");
        let why = Why::for_good("not supported: no streams");
        assert_eq!(running.line(soon()), Err(why));
        let mut running = shell("exit 0");
        assert!(running.line(soon()).is_err());
    }

    #[test]
    fn a_server_ends_with_its_input() {
        let running = shell("read line; exit 0");
        let pid = running.pid();
        drop(running);
        assert_eq!(super::super::proc_fs::resident_bytes(pid), None);
    }
}

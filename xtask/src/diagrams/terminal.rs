//! A session of the command line, as a picture: what the programs print is recorded. Only times
//! are set, so that the picture stays the same until a program prints something else.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::svg::{Anchor, Font, Picture};
use crate::program::Program;
use crate::{Failure, Result, build, workspace};

/// The path of the picture.
pub(super) const PATH: &str = "docs/images/terminal.svg";

/// The time that a server may take to start.
const LIMIT: Duration = Duration::from_secs(30);

/// A line of the terminal.
enum Line {
    Command(String),
    Output(String),
}

/// Writes the picture.
pub(super) fn write() -> Result {
    let path = workspace::root().join(PATH);
    std::fs::write(&path, recorded()?).map_err(|error| failed(&path, &error))
}

/// Fails if the programs print something else than the picture shows.
pub(super) fn check() -> Result {
    if workspace::read(PATH)? == recorded()? {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{PATH} is not current; run `cargo xtask diagrams --terminal`"
    )))
}

/// Runs the programs, and returns the picture.
fn recorded() -> Result<String> {
    let program = build::command_line()?;
    let server = Program::new(build::example("server")?).arg("127.0.0.1:0");
    let (_server, line) = server.start_and_read_line(LIMIT)?;
    let address = line
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    let url = format!("ws://{address}/api");
    let folder = workspace::target_dir()?.join("terminal");
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    let recording = folder.join("session.jsonl");

    let mut lines = Vec::new();
    let mut session = Session {
        program: &program,
        lines: &mut lines,
    };
    session.run(
        "call URL 'authenticate(\"t\").getFriendIds().map(id => getProfile(id))' --stats",
        "URL",
        &url,
    )?;
    session.run("call URL 'authenticate(\"t\").getId('", "URL", &url)?;
    let shown =
        "inspect --listen 127.0.0.1:9000 --to ws://127.0.0.1:8080/api --record session.jsonl &";
    session
        .lines
        .push(Line::Command(format!("capnweb {shown}")));
    let (mut inspector, through) = inspector(&program, &url, &recording)?;
    let asked = session.run_at(
        "call URL 'let user = await authenticate(\"t\"); user.getFriendIds()'",
        &through,
    );
    let closed = asked.and_then(|()| has_ended(&recording));
    let ended = inspector.kill().and_then(|()| inspector.wait());
    closed?;
    ended.map_err(|error| failed(&program, &error))?;
    let recorded = std::fs::read_to_string(&recording).map_err(|e| failed(&recording, &e))?;
    std::fs::write(&recording, with_even_times(&recorded)).map_err(|e| failed(&recording, &e))?;
    session.run("inspect FILE", "FILE", &recording.display().to_string())?;
    Ok(drawn(&lines).finish())
}

/// Waits until the end of the session is recorded.
fn has_ended(recording: &Path) -> Result {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let text = std::fs::read_to_string(recording).map_err(|e| failed(recording, &e))?;
        if text.contains("\"close\":") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Failure::new("the end of the session is not recorded"))
}

/// Returns a recording with one event every 0.4 ms.
fn with_even_times(recording: &str) -> String {
    let mut out = String::new();
    for (number, line) in (0_u32..).zip(recording.lines()) {
        let rest = line
            .strip_prefix("{\"t\":")
            .and_then(|rest| rest.split_once(','));
        match rest {
            Some((_, rest)) => {
                let t = f64::from(number) * 0.4;
                out.push_str(&format!("{{\"t\":{t:.1},{rest}\n"));
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

struct Session<'a> {
    program: &'a Path,
    lines: &'a mut Vec<Line>,
}

impl Session<'_> {
    /// Runs a command in which a word stands for something that differs each time.
    fn run(&mut self, command: &str, word: &str, value: &str) -> Result {
        let shown = match word {
            "URL" => "ws://127.0.0.1:8080/api",
            _ => "session.jsonl",
        };
        self.lines.push(Line::Command(format!(
            "capnweb {}",
            command.replace(word, shown)
        )));
        self.output(command, word, value)
    }

    /// Runs a command through the inspector.
    fn run_at(&mut self, command: &str, url: &str) -> Result {
        self.lines.push(Line::Command(format!(
            "capnweb {}",
            command.replace("URL", "ws://127.0.0.1:9000/")
        )));
        self.output(command, "URL", url)
    }

    fn output(&mut self, command: &str, word: &str, value: &str) -> Result {
        let arguments = words(command)
            .into_iter()
            .map(|argument| argument.replace(word, value));
        let output = Command::new(self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(self.program, &error))?;
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8_lossy(&text).into_owned();
            self.lines
                .extend(text.lines().map(|line| Line::Output(line.to_owned())));
        }
        Ok(())
    }
}

/// Splits a command by spaces outside of single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in command.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words
}

/// Starts the inspector, and returns the address for clients.
fn inspector(program: &Path, to: &str, recording: &PathBuf) -> Result<(Child, String)> {
    let mut child = Command::new(program)
        .args([
            "inspect",
            "--listen",
            "127.0.0.1:0",
            "--quiet",
            "--to",
            to,
            "--record",
        ])
        .arg(recording)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(program, &error))?;
    let mut line = String::new();
    if let Some(stderr) = child.stderr.take() {
        BufReader::new(stderr)
            .read_line(&mut line)
            .map_err(|error| failed(program, &error))?;
    }
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("ws://"));
    match url {
        Some(url) => Ok((child, url.to_owned())),
        None => Err(Failure::new(format!(
            "the inspector does not start: {line}"
        ))),
    }
}

fn drawn(lines: &[Line]) -> Picture {
    const HEIGHT: f64 = 20.0;
    let chars = lines.iter().map(|line| match line {
        Line::Command(text) => text.chars().count() + 2,
        Line::Output(text) => text.chars().count(),
    });
    let width = f64::from(u32::try_from(chars.max().unwrap_or(0)).unwrap_or(0)) * 7.9 + 32.0;
    let count = f64::from(u32::try_from(lines.len()).unwrap_or(0));
    let mut picture = Picture::new(
        width,
        count * HEIGHT + 24.0,
        "A session of the command line, as text",
    );
    let mut y = 28.0;
    for line in lines {
        match line {
            Line::Command(text) => {
                picture.text(16.0, y, Anchor::Start, Font::Typed, &format!("$ {text}"))
            }
            Line::Output(text) => picture.text(16.0, y, Anchor::Start, Font::Code, text),
        }
        y += HEIGHT;
    }
    picture
}

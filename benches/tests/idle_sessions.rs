//! Ten thousand idle WebSocket sessions: the server's memory per session, and the cost of pinging
//! all of them.
//!
//! The server runs in a separate process, and is measured by the system. In an optimized build, a
//! session takes 5.9 KB, and pinging ten times as often as by default takes a twentieth of a
//! processor.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::sleep,
    time::Duration,
};

const SESSIONS: u32 = 10_000;

/// The maximum memory per session, in bytes. The futures of a debug build are larger.
const MAX_BYTES: u64 = if cfg!(debug_assertions) { 12 } else { 6 } * 1024;

/// The interval between pings, a tenth of the default.
const INTERVAL_SECONDS: &str = "2";

/// The time for which processor time is measured: two intervals.
const MEASURED: Duration = Duration::from_secs(4);

/// The maximum processor time in that period. An optimized build takes a tenth of it.
const MAX_BUSY: Duration = Duration::from_secs(2);

/// A measured program, which exits at the end of its input.
struct Peer {
    child: Child,
    out: BufReader<ChildStdout>,
    _input: Option<ChildStdin>,
}

impl Peer {
    fn start(words: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_peer"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let _input = child.stdin.take();
        Self { child, out, _input }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let len = self.out.read_line(&mut line).unwrap();
        assert!(len > 0, "the program has ended");
        line.trim_end().to_owned()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// Returns the resident memory, in bytes.
    fn resident(&self) -> u64 {
        let status = self.file("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Returns the processor time so far, which the system counts in hundredths of a second.
    fn busy(&self) -> Duration {
        let stat = self.file("stat");
        // The name in parentheses may contain anything. User and system time are fields 14 and 15.
        let fields = stat.rsplit_once(')').unwrap().1;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().unwrap().parse::<u64>().unwrap();
        Duration::from_millis((ticks() + ticks()) * 10)
    }

    fn open_files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.unwrap().count()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_idle_session_costs_little_though_it_is_asked_for() {
    let sessions = SESSIONS.to_string();
    let serve = [
        "serve",
        "--over",
        "websocket",
        "--ping-interval",
        INTERVAL_SECONDS,
    ];
    let mut server = Peer::start(&serve);
    let address = server.line();
    let address = address.strip_prefix("listening ").unwrap();
    let client = |sessions: &str| {
        let over = ["load", "idle", "--over", "websocket", "--at", address];
        let for_long = ["--sessions", sessions, "--seconds", "60"];
        let mut client = Peer::start(&[&over[..], &for_long].concat());
        assert_eq!(client.line(), "start");
        client
    };
    // Open some sessions first, so that one-time allocations are not counted.
    let warm_up = client("100");
    drop(warm_up);
    sleep(Duration::from_millis(500));
    let (before, files) = (server.resident(), server.open_files());

    let _clients = client(&sessions);
    let all = usize::try_from(SESSIONS).unwrap();
    assert!(server.open_files() >= files + all);
    // Wait until the first pings are done.
    sleep(Duration::from_secs(3));
    let busy = server.busy();
    sleep(MEASURED);
    let busy = server.busy() - busy;
    let each = server.resident().saturating_sub(before) / u64::from(SESSIONS);
    println!("{each} bytes for each of {SESSIONS} sessions; {busy:?} of {MEASURED:?}");
    assert!(server.open_files() >= files + all, "sessions have ended");
    assert!(each < MAX_BYTES, "{each} bytes");
    assert!(busy < MAX_BUSY, "{busy:?}");
}

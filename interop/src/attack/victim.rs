//! The attacked server, in its own process.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::raw::Socket;

/// A server process.
pub(crate) struct Victim {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Victim {
    /// Starts `capnweb-interop serve`, with this number of file descriptors if it matters.
    pub(crate) fn start(descriptors: Option<usize>) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the server cannot be started: {error}");
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = match descriptors {
            None => Command::new(&program),
            Some(descriptors) => {
                let mut command = Command::new("sh");
                command
                    .args([
                        "-c",
                        &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""),
                    ])
                    .arg(&program);
                command
            }
        };
        let mut process = command
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let out = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(out).read_line(&mut line).map_err(failed)?;
        let ready: serde_json::Value = serde_json::from_str(&line)
            .map_err(|error| format!("the server said {line:?}: {error}"))?;
        let address = ready["addr"]
            .as_str()
            .and_then(|address| address.parse().ok());
        Ok(Self {
            process,
            address: address.ok_or_else(|| format!("the server said {line:?}"))?,
        })
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, String> {
        Ok(self.status("VmRSS:")? << 10)
    }

    /// Returns the maximum resident memory so far, in bytes.
    pub(crate) fn peak(&self) -> Result<u64, String> {
        Ok(self.status("VmHWM:")? << 10)
    }

    fn status(&self, name: &str) -> Result<u64, String> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("the server's status has no {name} (it has ended?)"))
    }

    /// Returns the processor time that the server has used.
    pub(crate) fn cpu(&self) -> Result<Duration, String> {
        let stat = self.proc("stat")?;
        // User and system time are the 14th and 15th field. The name before them may contain
        // spaces.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    fn proc(&self, file: &str) -> Result<String, String> {
        let path = format!("/proc/{}/{file}", self.process.id());
        std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    /// Returns the number of live objects, which are main objects and counters, without those of
    /// the connection that asks.
    pub(crate) fn objects(&self) -> Result<usize, String> {
        let failed = |error: io::Error| format!("the server cannot be asked: {error}");
        let mut socket = Socket::open(self.address).map_err(failed)?;
        socket
            .send(r#"["push",["pipeline",0,["probe","live"],[]]]"#)
            .and_then(|()| socket.send(r#"["pull",1]"#))
            .map_err(failed)?;
        let answer = socket.receive_that(r#"["resolve",1,"#).map_err(failed)?;
        let answer: serde_json::Value =
            serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let count = |name: &str| answer[2][name].as_u64().unwrap_or(u64::MAX);
        let alive = count("mains").saturating_add(count("counters")) - 1;
        usize::try_from(alive).map_err(|error| error.to_string())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until `reached`, for at most `time`. Returns the last value.
pub(crate) fn wait_for<T>(
    time: Duration,
    mut value: impl FnMut() -> Result<T, String>,
    reached: impl Fn(&T) -> bool,
) -> Result<T, String> {
    let until = Instant::now() + time;
    loop {
        let now = value()?;
        if reached(&now) || Instant::now() >= until {
            return Ok(now);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

//! The system's timers for TCP sockets.

/// The codes for an open connection, and for the timer of keep-alive, in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";
const KEEP_ALIVE: &str = "02";

/// Returns, for each end of each open IPv4 connection to this port, whether its keep-alive timer
/// runs.
pub fn keep_alive_timers(port: u16) -> Vec<bool> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let mut timers = Vec::new();
    for line in table.lines().skip(1) {
        // The fields are number, local address, remote address, state, queues and timer.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_end = fields[1].ends_with(&port) || fields[2].ends_with(&port);
        if is_end && fields[3] == ESTABLISHED {
            timers.push(fields[5].starts_with(KEEP_ALIVE));
        }
    }
    timers
}

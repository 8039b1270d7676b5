//! Information about a process from Linux.

use std::path::PathBuf;
use std::time::Duration;

/// Returns the processor time that all living threads of a process have used.
pub(super) fn processor_time(pid: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(folder(pid).join("task")).ok()?;
    let mut nanoseconds = 0;
    for thread in threads.flatten() {
        // A thread may have ended since.
        if let Ok(line) = std::fs::read_to_string(thread.path().join("schedstat")) {
            nanoseconds += first_number(&line)?;
        }
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// Returns the resident memory of a process. This excludes memory that the kernel holds for it,
/// such as the buffers of its sockets.
pub(super) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(folder(pid).join("status")).ok()?;
    let (_, rest) = status.split_once("VmRSS:")?;
    Some(first_number(rest)? * 1024)
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from("/proc").join(pid.to_string())
}

fn first_number(line: &str) -> Option<u64> {
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{processor_time, resident_bytes};

    #[test]
    fn this_process_is_known() {
        let pid = std::process::id();
        assert!(processor_time(pid).is_some());
        assert!(resident_bytes(pid).is_some_and(|bytes| bytes > 100_000));
        // No process has this ID.
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}

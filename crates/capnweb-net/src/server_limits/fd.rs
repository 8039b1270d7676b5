//! File descriptors.

/// Returns the number of file descriptors that this process may open, if known.
#[cfg(target_os = "linux")]
pub(super) fn max_open() -> Option<usize> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// Returns the number of file descriptors that this process may open, if known.
#[cfg(not(target_os = "linux"))]
pub(super) fn max_open() -> Option<usize> {
    None
}

#[cfg(target_os = "linux")]
fn soft_limit(limits: &str) -> Option<usize> {
    let line = |line: &str| {
        let (soft, _) = line
            .strip_prefix("Max open files")?
            .trim_start()
            .split_once(' ')?;
        soft.parse().ok()
    };
    limits.lines().find_map(line)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             63123                63123                processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(soft_limit(limits), Some(1024));
        let unlimited =
            "Max open files            unlimited            unlimited            files\n";
        assert_eq!(soft_limit(unlimited), None);
        assert!(max_open().is_none_or(|max| max > 0));
    }
}

//! Searching in texts.

/// Returns whether `text` contains `part`, which is not empty.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
#[inline]
pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Returns whether `text` contains `part`, which is not empty.
///
/// This does without vector instructions, whose code would be five kilobytes of a module.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|found| found == part)
}

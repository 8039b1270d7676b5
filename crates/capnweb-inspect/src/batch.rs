//! HTTP batches: messages as lines of a body.

/// Returns the messages in the body of a batch or of its answer.
///
/// Skips blank lines, carriage returns and a byte order mark.
pub fn lines(body: &str) -> impl Iterator<Item = &str> {
    body.strip_prefix('\u{feff}')
        .unwrap_or(body)
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .filter(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages() {
        let body = "\u{feff}[\"pipe\"]\r\n\n  \n[\"pull\",1]";
        assert_eq!(
            lines(body).collect::<Vec<_>>(),
            ["[\"pipe\"]", "[\"pull\",1]"]
        );
        assert_eq!(lines("").count(), 0);
    }
}

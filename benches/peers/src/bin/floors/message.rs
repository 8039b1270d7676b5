//! The messages to echo: as long as those of a call, each with a unique number.

/// The length of a message in bytes, about that of a call's `push`.
pub(crate) const LENGTH: usize = 60;

const DIGITS: usize = 20;

/// Appends the message with this number.
pub(crate) fn write(number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + LENGTH, b'.');
    let mut rest = number;
    for digit in out[start..start + DIGITS].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Returns whether this is the message with that number.
pub(crate) fn is(bytes: &[u8], number: u64) -> bool {
    let (digits, rest) = bytes.split_at(DIGITS.min(bytes.len()));
    let mut value: u64 = 0;
    for digit in digits {
        value = value
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit.wrapping_sub(b'0')));
    }
    value == number && bytes.len() == LENGTH && rest.iter().all(|byte| *byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_its_number() {
        for number in [0, 1, 9, 10, 12_345, u64::from(u32::MAX)] {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            assert_eq!(bytes.len(), LENGTH);
            assert!(is(&bytes, number));
            assert!(!is(&bytes, number + 1));
            assert!(!is(&bytes[1..], number));
            bytes[LENGTH - 1] = b'!';
            assert!(!is(&bytes, number));
        }
        assert!(!is(b"", 0));
    }
}

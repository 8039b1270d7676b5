//! Decimal digits of big integers.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(super) use self::large::{parse, write};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(super) use self::small::{parse, write};

/// Conversions by `num-bigint`, which are fast for any number of digits.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod large {
    use std::fmt;

    use num_bigint::BigInt;

    pub(crate) fn parse(digits: &str) -> Option<BigInt> {
        digits.parse().ok()
    }

    pub(crate) fn write(number: &BigInt, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(number, f)
    }
}

/// Conversions in a tenth of the code, for modules. Their time grows with the square of the number
/// of digits, of which a message has at most `Limits::max_bigint_digits`.
#[cfg(any(test, all(target_family = "wasm", target_os = "unknown")))]
mod small {
    use std::fmt;

    use num_bigint::{BigInt, Sign};

    /// The number of decimal digits that are converted at once, and the power of ten.
    const AT_ONCE: usize = 9;
    const POWER: u64 = 1_000_000_000;

    pub(crate) fn parse(text: &str) -> Option<BigInt> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (Sign::Minus, digits),
            None => (Sign::Plus, text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let (first, rest) = digits.split_at(digits.len() % AT_ONCE);
        let mut limbs: Vec<u32> = Vec::new();
        let parts = rest.as_bytes().chunks(AT_ONCE);
        for part in std::iter::once(first.as_bytes()).chain(parts) {
            let mut carry = part
                .iter()
                .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit & 15));
            for limb in &mut limbs {
                carry += u64::from(*limb) * POWER;
                *limb = low(carry);
                carry >>= 32;
            }
            if carry > 0 {
                limbs.push(low(carry));
            }
        }
        Some(BigInt::from_slice(sign, &limbs))
    }

    pub(crate) fn write(number: &BigInt, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, mut limbs) = number.to_u32_digits();
        let mut parts = Vec::new();
        while !limbs.is_empty() {
            let mut rest = 0;
            for limb in limbs.iter_mut().rev() {
                let dividend = rest << 32 | u64::from(*limb);
                *limb = low(dividend / POWER);
                rest = dividend % POWER;
            }
            if limbs.last() == Some(&0) {
                limbs.pop();
            }
            parts.push(rest);
        }
        let mut text = String::new();
        for part in parts.iter().rev() {
            text += &if text.is_empty() {
                part.to_string()
            } else {
                format!("{part:09}")
            };
        }
        if text.is_empty() {
            text.push('0');
        }
        f.pad_integral(sign != Sign::Minus, "", &text)
    }

    /// Returns the lower half.
    fn low(number: u64) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the upper half is the carry"
        )]
        {
            number as u32
        }
    }

    #[cfg(test)]
    mod tests {
        use proptest::prelude::*;

        use super::*;

        struct Shown(BigInt);

        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(&self.0, f)
            }
        }

        proptest! {
            #[test]
            fn digits_come_and_go(limbs: Vec<u32>, is_negative: bool) {
                let sign = if is_negative { Sign::Minus } else { Sign::Plus };
                let number = BigInt::from_slice(sign, &limbs);
                let text = number.to_string();
                prop_assert_eq!(Shown(number.clone()).to_string(), text.as_str());
                prop_assert_eq!(parse(&text), Some(number));
            }
        }

        #[test]
        fn only_digits_are_parsed() {
            assert_eq!(parse("+5"), Some(5.into()));
            assert_eq!(parse("000000000000000000001"), Some(1.into()));
            assert_eq!(parse("-0"), Some(0.into()));
            for text in ["", "-", "+", "--1", "1x", "0x10", " 1"] {
                assert_eq!(parse(text), None, "{text}");
            }
        }
    }
}

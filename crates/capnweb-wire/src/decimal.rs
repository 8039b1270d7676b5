//! Decimal digits of floating-point numbers.

use std::{fmt, time::Duration};

pub use self::imp::parse_f64;
use crate::write_f64;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod imp {
    /// Parses a number as JSON writes it. Returns `None` if the text is no number.
    ///
    /// Numbers beyond the range of `f64` become infinite.
    pub fn parse_f64(text: &str) -> Option<f64> {
        text.parse().ok()
    }
}

/// JavaScript hosts have a parser, so a module needs no tables of powers of ten.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod imp {
    /// Parses a number as JSON writes it. Returns `None` if the text is no number.
    ///
    /// Numbers beyond the range of `f64` become infinite.
    pub fn parse_f64(text: &str) -> Option<f64> {
        // The host would accept numbers in other notations.
        let is_decimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        if text.is_empty() || !text.bytes().all(is_decimal) {
            return None;
        }
        let number = wasm_bindgen::JsValue::from_str(text).unchecked_into_f64();
        (!number.is_nan()).then_some(number)
    }
}

/// Shows a number as JavaScript does, without the formatter of the standard library. Infinite
/// numbers are `inf` and `-inf`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal(pub f64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            return f.write_str("NaN");
        }
        if self.0.is_infinite() {
            return f.write_str(if self.0 > 0.0 { "inf" } else { "-inf" });
        }
        let mut text = Vec::new();
        write_f64(&mut text, self.0);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Shows a duration in seconds or milliseconds, such as `1.5s`, without the formatter of the
/// standard library.
#[derive(Clone, Copy, Debug)]
pub struct InSeconds(pub Duration);

impl fmt::Display for InSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.as_secs() == 0 {
            write!(f, "{}ms", Decimal(f64::from(self.0.subsec_nanos()) / 1e6))
        } else {
            write!(f, "{}s", Decimal(self.0.as_secs_f64()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_the_standard_library_does() {
        for millis in [20_000, 1500, 1050, 1000, 999, 250, 50, 1] {
            let time = Duration::from_millis(millis);
            assert_eq!(InSeconds(time).to_string(), format!("{time:?}"));
        }
    }

    #[test]
    fn numbers_are_shown_as_in_javascript() {
        for (number, shown) in [
            (1.5, "1.5"),
            (-2.0, "-2"),
            (1e21, "1e+21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(Decimal(number).to_string(), shown);
        }
    }

    #[test]
    fn only_numbers_are_parsed() {
        assert_eq!(parse_f64("-1.5e3"), Some(-1500.0));
        assert_eq!(parse_f64("1e400"), Some(f64::INFINITY));
        for text in ["", "1x", "0x10", "1.5.2", "--1"] {
            assert_eq!(parse_f64(text), None, "{text}");
        }
    }
}

//! Writing of JSON strings and numbers, exactly as JavaScript writes them.

use crate::invariant::Invariant;

/// Appends `text` as a JSON string, including the quotes.
///
/// ```
/// let mut out = Vec::new();
/// capnweb_wire::write_string(&mut out, "a\"b\n");
/// assert_eq!(out, br#""a\"b\n""#);
/// ```
#[inline]
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_string_content(out, text);
    out.push(b'"');
}

/// Appends the text between the quotes of a JSON string.
#[inline]
pub(crate) fn write_string_content(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_escaped(out, text.as_bytes());
    }
}

/// Returns whether `text` is short and needs no escapes. For a long text, this check is not
/// worthwhile.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    match text.split_last_chunk::<8>() {
        // The last block overlaps the previous one, so there is no remainder.
        Some((_, last)) => {
            text.len() <= 64 && !has_special(last) && !text.chunks_exact(8).any(has_special)
        }
        None => !has_special(text),
    }
}

/// Returns whether a block needs escapes. Without branches, fixed-length blocks compile to vector
/// instructions.
#[inline]
fn has_special(block: &[u8]) -> bool {
    block
        .iter()
        .fold(false, |any, &byte| any | is_special(byte))
}

fn write_escaped(out: &mut Vec<u8>, mut rest: &[u8]) {
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            return;
        };
        write_escape(out, byte);
        rest = after;
    }
}

/// Returns the number of bytes at the start of `text` that need no escapes.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let blocks = text
        .chunks_exact(8)
        .take_while(|block| !has_special(block))
        .count();
    let start = 8 * blocks;
    let rest = text.get(start..).or_bug("pieces end at characters");
    start + rest.iter().take_while(|&&byte| !is_special(byte)).count()
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cold]
fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            let digit = |nibble: u8| {
                if nibble < 10 {
                    b'0' + nibble
                } else {
                    b'a' + nibble - 10
                }
            };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends `number` in decimal, however large.
///
/// JavaScript reads JSON numbers as doubles, so beyond ±(2<sup>53</sup>−1) the peer may see a
/// different number. There, [`to_expr`](crate::to_expr) writes a `bigint`.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, number: i64) {
    if let Ok(digit @ 0..=9) = u8::try_from(number) {
        out.push(b'0' + digit);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// The largest integer up to which doubles represent every integer, 2^53 − 1.
pub(crate) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Appends an integer as a number if JavaScript can represent it, and as a `bigint` otherwise.
#[inline]
pub(crate) fn write_integer<I: Integer>(out: &mut Vec<u8>, number: I) {
    if let Some(safe) = number.safe() {
        write_i64(out, safe);
    } else {
        write_bigint(out, itoa::Buffer::new().format(number));
    }
}

/// Appends `["bigint","…"]`.
pub(crate) fn write_bigint(out: &mut Vec<u8>, digits: &str) {
    out.extend_from_slice(b"[\"bigint\",\"");
    out.extend_from_slice(digits.as_bytes());
    out.extend_from_slice(b"\"]");
}

/// An integer type.
pub(crate) trait Integer: itoa::Integer + Copy {
    /// Returns the number, if doubles represent it and its neighbors exactly.
    fn safe(self) -> Option<i64>;
}

macro_rules! integers {
    ($($int:ty)*) => { $(
        impl Integer for $int {
            #[inline]
            fn safe(self) -> Option<i64> {
                i64::try_from(self).ok().filter(|number| number.unsigned_abs() <= MAX_SAFE_INTEGER)
            }
        }
    )* };
}

integers!(i64 u64 i128 u128);

/// Appends `number` as JavaScript writes it: `2`, `0.1`, `1e+21`, `1e-7`, and negative zero as `0`.
/// Infinities and NaN become the forms `["inf"]`, `["-inf"]` and `["nan"]`.
///
/// ```
/// let mut out = Vec::new();
/// capnweb_wire::write_f64(&mut out, 1e21);
/// capnweb_wire::write_f64(&mut out, f64::INFINITY);
/// assert_eq!(out, br#"1e+21["inf"]"#);
/// ```
#[inline]
pub fn write_f64(out: &mut Vec<u8>, number: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the comparison tells whether anything was lost"
    )]
    let (integer, exact) = (number as i64, number as i64 as f64 == number);
    if exact && integer.unsigned_abs() <= MAX_SAFE_INTEGER {
        write_i64(out, integer);
    } else if number.is_finite() {
        write_decimal(out, zmij::Buffer::new().format_finite(number));
    } else {
        write_non_finite(out, number);
    }
}

/// Appends a number like [`write_f64`], with the digits that distinguish it from its neighbors
/// among `f32`.
pub(crate) fn write_f32(out: &mut Vec<u8>, number: f32) {
    if number.is_finite() && number.fract() != 0.0 {
        write_decimal(out, zmij::Buffer::new().format_finite(number));
    } else {
        write_f64(out, number.into());
    }
}

#[cold]
fn write_non_finite(out: &mut Vec<u8>, number: f64) {
    let form: &[u8] = if number == f64::INFINITY {
        br#"["inf"]"#
    } else if number == f64::NEG_INFINITY {
        br#"["-inf"]"#
    } else {
        br#"["nan"]"#
    };
    out.extend_from_slice(form);
}

/// Converts `zmij`'s output (`1.5`, `2.0`, `1e+16`, `1.5e-7`) to JavaScript's layout of the same
/// digits.
fn write_decimal(out: &mut Vec<u8>, text: &str) {
    let scientific = text.split_once('e');
    let Some((mantissa, Ok(exponent))) =
        scientific.map(|(mantissa, e)| (mantissa, e.parse::<i32>()))
    else {
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        return;
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    out.extend_from_slice(sign.as_bytes());
    let digits = || mantissa.bytes().filter(|&byte| byte != b'.');
    match exponent {
        // All digits of such numbers are before the point: there are at most 17 digits, and `zmij`
        // writes exponents from 16 on.
        16..=20 => {
            let zeros = usize::try_from(exponent + 1)
                .unwrap_or(0)
                .saturating_sub(digits().count());
            out.extend(digits());
            out.extend(std::iter::repeat_n(b'0', zeros));
        }
        -6..=-1 => {
            out.extend_from_slice(b"0.");
            out.extend((exponent..-1).map(|_| b'0'));
            out.extend(digits());
        }
        _ => {
            out.extend_from_slice(mantissa.as_bytes());
            out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
            out.extend_from_slice(
                itoa::Buffer::new()
                    .format(exponent.unsigned_abs())
                    .as_bytes(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_javascript_does() {
        for (text, json) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("eight ch", r#""eight ch""#),
            ("a \"quote\" past eight", r#""a \"quote\" past eight""#),
            ("back\\slash/", r#""back\\slash/""#),
            ("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("é😀\u{2028}", "\"é😀\u{2028}\""),
            ("12345678\n12345678\n", r#""12345678\n12345678\n""#),
        ] {
            assert_eq!(written(|out| write_string(out, text)), json);
        }
    }

    #[test]
    fn numbers_are_laid_out_as_javascript_does() {
        for (number, json) in [
            (0.0, "0"),
            (-0.0, "0"),
            (2.0, "2"),
            (-37.0, "-37"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1.0 / 3.0, "0.3333333333333333"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (12_345_678_901_234_567.0, "12345678901234568"),
            (1e16, "10000000000000000"),
            (-1.5e17, "-150000000000000000"),
            (1e20, "100000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.000_01, "0.00001"),
            (0.000_001, "0.000001"),
            (0.000_001_5, "0.0000015"),
            (-0.000_001_25, "-0.00000125"),
            (0.000_000_1, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::INFINITY, r#"["inf"]"#),
            (f64::NEG_INFINITY, r#"["-inf"]"#),
            (f64::NAN, r#"["nan"]"#),
        ] {
            assert_eq!(written(|out| write_f64(out, number)), json);
        }
    }

    #[test]
    fn single_precision_is_written_short() {
        for (number, json) in [
            (0.1_f32, "0.1"),
            (16_777_216.0, "16777216"),
            (1e-7, "1e-7"),
            (1.5e-6, "0.0000015"),
            (-0.0, "0"),
            (f32::INFINITY, r#"["inf"]"#),
        ] {
            assert_eq!(written(|out| write_f32(out, number)), json);
        }
    }

    #[test]
    fn integers_become_bigints_where_doubles_have_gaps() {
        for (number, json) in [
            (0_i128, "0"),
            (9, "9"),
            (10, "10"),
            (-1, "-1"),
            (9_007_199_254_740_991, "9007199254740991"),
            (-9_007_199_254_740_991, "-9007199254740991"),
            (9_007_199_254_740_992, r#"["bigint","9007199254740992"]"#),
            (-9_007_199_254_740_992, r#"["bigint","-9007199254740992"]"#),
            (
                i128::MIN,
                r#"["bigint","-170141183460469231731687303715884105728"]"#,
            ),
        ] {
            assert_eq!(written(|out| write_integer(out, number)), json);
        }
        assert_eq!(
            written(|out| write_integer(out, u64::MAX)),
            r#"["bigint","18446744073709551615"]"#
        );
        assert_eq!(
            written(|out| write_i64(out, i64::MIN)),
            "-9223372036854775808"
        );
    }

    proptest! {
        #[test]
        fn doubles_read_back_as_they_were(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = written(|out| write_f64(out, number));
            prop_assert_eq!(text.parse::<f64>().unwrap(), number, "{}", text);
            prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), number, "{}", text);
        }

        #[test]
        fn singles_read_back_as_they_were(bits: u32) {
            let number = f32::from_bits(bits);
            prop_assume!(number.is_finite());
            let text = written(|out| write_f32(out, number));
            prop_assert_eq!(text.parse::<f32>().unwrap(), number, "{}", text);
        }

        #[test]
        fn strings_read_back_as_they_were(text: String) {
            let json = written(|out| write_string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}

//! Numbers: parsing them, and converting them to the requested type.

use serde::de::{Unexpected, Visitor};

use super::{
    reader::Reader,
    start::{Form, Start},
};
use crate::{DeError, decimal::parse_f64, lex, write::MAX_SAFE_INTEGER};

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Positive(u64),
    Negative(i64),
    LargePositive(u128),
    LargeNegative(i128),
    /// A number with a fraction, negative zero, or a number out of the range of all integer types.
    Float(f64),
}

impl Number {
    /// Parses decimal digits with an optional sign. Returns `None` if the number is out of the
    /// range of all integer types.
    fn from_digits(digits: &str) -> Option<Self> {
        if let Ok(number) = digits.parse() {
            Some(Self::Positive(number))
        } else if let Ok(number) = digits.parse() {
            Some(Self::Negative(number))
        } else if let Ok(number) = digits.parse() {
            Some(Self::LargePositive(number))
        } else {
            digits.parse().ok().map(Self::LargeNegative)
        }
    }

    /// Returns an integer if the double is one.
    fn from_f64(number: f64) -> Self {
        const TWO_64: f64 = 18_446_744_073_709_551_616.0;
        let limit = TWO_64 * TWO_64;
        if number.fract() != 0.0 || number.is_sign_negative() && number == 0.0 {
            return Self::Float(number);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ranges are checked, and there is no fraction"
        )]
        if (0.0..TWO_64).contains(&number) {
            Self::Positive(number as u64)
        } else if (-TWO_64 / 2.0..0.0).contains(&number) {
            Self::Negative(number as i64)
        } else if (0.0..limit).contains(&number) {
            Self::LargePositive(number as u128)
        } else if (-limit / 2.0..0.0).contains(&number) {
            Self::LargeNegative(number as i128)
        } else {
            Self::Float(number)
        }
    }

    /// Returns the nearest double.
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounded to nearest, as JavaScript does"
    )]
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Positive(number) => number as f64,
            Self::Negative(number) => number as f64,
            Self::LargePositive(number) => number as f64,
            Self::LargeNegative(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// Visits the number for types of up to 64 bits.
    #[inline]
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::Positive(number) => visitor.visit_u64(number),
            Self::Negative(number) => visitor.visit_i64(number),
            Self::LargePositive(_) | Self::LargeNegative(_) => {
                Err(DeError::mismatch(&visitor, "a larger integer"))
            }
            Self::Float(0.0) => visitor.visit_u64(0),
            Self::Float(number) => visitor.visit_f64(number),
        }
    }

    /// Visits the number for types of 128 bits.
    pub(super) fn visit_large<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::LargePositive(number) => match i128::try_from(number) {
                Ok(number) => visitor.visit_i128(number),
                Err(_) => visitor.visit_u128(number),
            },
            Self::LargeNegative(number) => visitor.visit_i128(number),
            number => number.visit(visitor),
        }
    }

    /// Visits the number for types that take any number. Integers beyond 64 bits become doubles.
    pub(super) fn visit_any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::Positive(number) => visitor.visit_u64(number),
            Self::Negative(number) => visitor.visit_i64(number),
            number => visitor.visit_f64(number.as_f64()),
        }
    }

    /// Visits the number for types that distinguish numbers from `bigint`. Integers beyond the
    /// range in which doubles represent every integer become doubles.
    pub(super) fn visit_exact<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::Positive(number @ 0..=MAX_SAFE_INTEGER) => visitor.visit_u64(number),
            Self::Negative(number) if number.unsigned_abs() <= MAX_SAFE_INTEGER => {
                visitor.visit_i64(number)
            }
            number => visitor.visit_f64(number.as_f64()),
        }
    }

    /// Returns the decimal digits, or `None` if there is a fraction or the number is out of the
    /// range of all integer types.
    pub(super) fn digits(self) -> Option<String> {
        match self {
            Self::Positive(number) => Some(number.to_string()),
            Self::Negative(number) => Some(number.to_string()),
            Self::LargePositive(number) => Some(number.to_string()),
            Self::LargeNegative(number) => Some(number.to_string()),
            Self::Float(number) => (number == 0.0).then(|| "0".to_owned()),
        }
    }
}

impl<'de> Reader<'_, 'de> {
    /// Reads the number if it consists of a few digits, as most do. Otherwise skips nothing.
    #[inline]
    fn read_digits(&mut self) -> Option<u64> {
        let digits = self.bytes().get(self.at()..)?;
        let mut number = 0_u64;
        let mut length = 0;
        while let Some(digit @ b'0'..=b'9') = digits.get(length) {
            // This overflows beyond 18 digits, which are rejected below.
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit & 15));
            length += 1;
        }
        let ends = !matches!(digits.get(length), Some(b'.' | b'e' | b'E'));
        if ends && (1..=18).contains(&length) && self.hole().is_none() {
            self.set_at(self.at() + length);
            Some(number)
        } else {
            None
        }
    }

    /// Reads the number literal.
    pub(super) fn read_number(&mut self) -> Result<Number, DeError> {
        match self.read_digits() {
            Some(number) => Ok(Number::Positive(number)),
            None => self.read_number_slowly(),
        }
    }

    fn read_number_slowly(&mut self) -> Result<Number, DeError> {
        let literal = self.read_number_text();
        let integer = !literal.contains(['.', 'e', 'E']) && literal != "-0";
        if let Some(number) = Number::from_digits(literal).filter(|_| integer) {
            return Ok(number);
        }
        parse_f64(literal)
            .map(Number::from_f64)
            .ok_or_else(DeError::malformed)
    }

    /// Reads the text of the number.
    pub(super) fn read_number_text(&mut self) -> &'de str {
        let start = self.at();
        let end = lex::skip_scalar(self.bytes(), start);
        self.set_at(end);
        self.slice(start, end)
    }

    /// Visits the number or `bigint` here for an integer type of up to 64 bits.
    #[inline]
    pub(super) fn visit_integer<'v, V: Visitor<'v>>(
        &mut self,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.read_digits() {
            Some(number) => visitor.visit_u64(number),
            None => self.read_unusual_integer(&visitor)?.visit(visitor),
        }
    }

    /// Visits the number or `bigint` here for an integer type of 128 bits.
    pub(super) fn visit_large_integer<'v, V: Visitor<'v>>(
        &mut self,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.read_unusual_integer(&visitor)?.visit_large(visitor)
    }

    fn read_unusual_integer<'v, V: Visitor<'v>>(&mut self, visitor: &V) -> Result<Number, DeError> {
        match self.start() {
            Start::Number => self.read_number(),
            Start::Form(Form::BigInt, at) => {
                let digits = self.read_text_item(at)?;
                Number::from_digits(&digits)
                    .ok_or_else(|| DeError::mismatch(visitor, "a larger bigint"))
            }
            _ => Err(DeError::mismatch(visitor, self.describe())),
        }
    }

    /// Reads the number or non-finite form.
    #[inline]
    pub(super) fn read_f64<'v, V: Visitor<'v>>(&mut self, visitor: &V) -> Result<f64, DeError> {
        match self.read_digits() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "rounded to nearest, as JavaScript does"
            )]
            Some(number) => Ok(number as f64),
            None => self.read_unusual_f64(visitor),
        }
    }

    fn read_unusual_f64<'v, V: Visitor<'v>>(&mut self, visitor: &V) -> Result<f64, DeError> {
        match self.start() {
            Start::Number => parse_f64(self.read_number_text()).ok_or_else(DeError::malformed),
            Start::Form(form, at) => {
                let Some(number) = form.non_finite() else {
                    return Err(DeError::mismatch(visitor, self.describe()));
                };
                self.set_at(at);
                self.close_array()?;
                Ok(number)
            }
            _ => Err(DeError::mismatch(visitor, self.describe())),
        }
    }

    /// Reads the number or non-finite form, rounding only once.
    pub(super) fn read_f32<'v, V: Visitor<'v>>(&mut self, visitor: &V) -> Result<f32, DeError> {
        match self.start() {
            Start::Number => self
                .read_number_text()
                .parse()
                .map_err(|_| DeError::malformed()),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "infinities and NaN stay what they are"
            )]
            _ => self.read_f64(visitor).map(|number| number as f32),
        }
    }
}

impl Form {
    /// Returns the number that the form represents.
    pub(super) fn non_finite(self) -> Option<f64> {
        match self {
            Self::Infinity => Some(f64::INFINITY),
            Self::NegativeInfinity => Some(f64::NEG_INFINITY),
            Self::Nan => Some(f64::NAN),
            _ => None,
        }
    }
}

/// Visits the integer in `text` with an integer type's `visitor`.
pub(super) fn parse_key<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, DeError> {
    match Number::from_digits(text) {
        Some(number) => number.visit_large(visitor),
        None => Err(serde::de::Error::invalid_value(
            Unexpected::Str(text),
            &visitor,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rereads::Rereads, *};
    use crate::NoCapabilities;

    fn read(text: &str) -> Number {
        let rereads = Rereads::of(text);
        let mut reader = Reader::new(text, 0, &[], &NoCapabilities, &rereads);
        let number = reader.read_number().unwrap();
        reader.finish().unwrap();
        number
    }

    #[test]
    fn literals() {
        for (text, number) in [
            ("0", Number::Positive(0)),
            ("-0", Number::Float(-0.0)),
            ("42", Number::Positive(42)),
            ("-42", Number::Negative(-42)),
            (
                "999999999999999999",
                Number::Positive(999_999_999_999_999_999),
            ),
            ("18446744073709551615", Number::Positive(u64::MAX)),
            ("18446744073709551616", Number::LargePositive(1 << 64)),
            ("-9223372036854775808", Number::Negative(i64::MIN)),
            (
                "-9223372036854775809",
                Number::LargeNegative(i128::from(i64::MIN) - 1),
            ),
            ("1.0", Number::Positive(1)),
            ("-1e3", Number::Negative(-1000)),
            ("1E+2", Number::Positive(100)),
            ("1e21", Number::LargePositive(1_000_000_000_000_000_000_000)),
            (
                "-1e21",
                Number::LargeNegative(-1_000_000_000_000_000_000_000),
            ),
            ("1.5", Number::Float(1.5)),
            ("0.1", Number::Float(0.1)),
            ("1e39", Number::Float(1e39)),
            ("1e400", Number::Float(f64::INFINITY)),
            ("-1e400", Number::Float(f64::NEG_INFINITY)),
            ("1e-400", Number::Positive(0)),
            ("-0.0", Number::Float(-0.0)),
        ] {
            assert_eq!(read(text), number, "{text}");
        }
        assert!(read("-0").as_f64().is_sign_negative());
        assert!(
            read("123456789012345678901234567890123456789012345678901234567890").as_f64() > 1e59
        );
    }

    #[test]
    fn doubles_at_the_edges_of_integer_types() {
        for (number, expected) in [
            (9_223_372_036_854_775_808.0, Number::Positive(1 << 63)),
            (18_446_744_073_709_551_616.0, Number::LargePositive(1 << 64)),
            (-9_223_372_036_854_775_808.0, Number::Negative(i64::MIN)),
            (
                -9_223_372_036_854_777_856.0,
                Number::LargeNegative(-9_223_372_036_854_777_856),
            ),
            (2_f64.powi(127), Number::LargePositive(1 << 127)),
            (2_f64.powi(128), Number::Float(2_f64.powi(128))),
            (-2_f64.powi(127), Number::LargeNegative(i128::MIN)),
        ] {
            assert_eq!(Number::from_f64(number), expected, "{number}");
        }
        assert!(matches!(Number::from_f64(f64::NAN), Number::Float(number) if number.is_nan()));
    }
}

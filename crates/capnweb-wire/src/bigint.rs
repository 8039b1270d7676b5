//! JavaScript's `bigint`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{BIGINT, is_buffered};

mod digits;

/// An integer of any size, which JavaScript sees as a `bigint`.
///
/// Plain integers need this type only if the peer insists on a `bigint`: integers that a JavaScript
/// number cannot represent exactly are sent as a `bigint` anyway. Deserializing accepts a `bigint`,
/// and a number without a fraction. In other formats it is serialized as a string of decimal
/// digits, and deserialized from that or an integer.
///
/// ```
/// # extern crate capnweb_wire as capnweb;
/// use capnweb::BigInt;
///
/// let power: BigInt = "1267650600228229401496703205376".parse().unwrap();
/// assert_eq!(power, BigInt::from(1_u128 << 100));
/// assert_eq!(u64::try_from(BigInt::from(7)), Ok(7));
///
/// // `BigInt::from(7)` on the wire: ["bigint","7"]
/// # let mut out = Vec::new();
/// # capnweb_wire::to_expr(&BigInt::from(7), &mut out, &mut capnweb_wire::NoCapabilities)?;
/// # assert_eq!(out, br#"["bigint","7"]"#);
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BigInt(num_bigint::BigInt);

impl BigInt {
    /// Returns the number as a type for arithmetic.
    #[must_use]
    pub fn as_num(&self) -> &num_bigint::BigInt {
        &self.0
    }
}

impl From<num_bigint::BigInt> for BigInt {
    fn from(number: num_bigint::BigInt) -> Self {
        Self(number)
    }
}

impl From<BigInt> for num_bigint::BigInt {
    fn from(number: BigInt) -> Self {
        number.0
    }
}

/// The error for a [`BigInt`] that does not fit into the requested integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bigint does not fit")]
pub struct BigIntOutOfRange;

/// The error for a text that is no [`BigInt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text has to consist of decimal digits")]
pub struct ParseBigIntError;

macro_rules! integers {
    ($($int:ty)*) => { $(
        impl From<$int> for BigInt {
            fn from(number: $int) -> Self {
                Self(number.into())
            }
        }

        impl TryFrom<&BigInt> for $int {
            type Error = BigIntOutOfRange;

            fn try_from(number: &BigInt) -> Result<Self, BigIntOutOfRange> {
                Self::try_from(&number.0).map_err(|_| BigIntOutOfRange)
            }
        }

        impl TryFrom<BigInt> for $int {
            type Error = BigIntOutOfRange;

            fn try_from(number: BigInt) -> Result<Self, BigIntOutOfRange> {
                Self::try_from(&number)
            }
        }
    )* };
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl FromStr for BigInt {
    type Err = ParseBigIntError;

    fn from_str(digits: &str) -> Result<Self, ParseBigIntError> {
        digits::parse(digits).map(Self).ok_or(ParseBigIntError)
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        digits::write(&self.0, f)
    }
}

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(BIGINT, &self.to_string())
    }
}

impl<'de> Deserialize<'de> for BigInt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(BIGINT, Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = BigInt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bigint")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<BigInt, D::Error> {
        if is_buffered::<D>() {
            deserializer.deserialize_any(Restored { marked: false })
        } else if deserializer.is_human_readable() {
            deserializer.deserialize_any(self)
        } else {
            deserializer.deserialize_str(self)
        }
    }

    fn visit_i64<E>(self, number: i64) -> Result<BigInt, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<BigInt, E> {
        Ok(number.into())
    }

    fn visit_i128<E>(self, number: i128) -> Result<BigInt, E> {
        Ok(number.into())
    }

    fn visit_u128<E>(self, number: u128) -> Result<BigInt, E> {
        Ok(number.into())
    }

    fn visit_str<E: de::Error>(self, digits: &str) -> Result<BigInt, E> {
        digits
            .parse()
            .map_err(|_| E::invalid_value(de::Unexpected::Str(digits), &self))
    }
}

/// Restores a `bigint`, or a number without a fraction, from serde's own buffer.
///
/// [`Restore`](crate::Restore) would round integers as JavaScript does.
struct Restored {
    /// True inside an option, where a double is a date and a string holds digits.
    marked: bool,
}

impl<'de> de::Visitor<'de> for Restored {
    type Value = BigInt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        de::Visitor::expecting(&Visitor, f)
    }

    fn visit_i64<E>(self, number: i64) -> Result<BigInt, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<BigInt, E> {
        Ok(number.into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<BigInt, E> {
        let unexpected = || E::invalid_type(de::Unexpected::Float(number), &self);
        if self.marked || number.fract() != 0.0 {
            return Err(unexpected());
        }
        const TWO_127: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the ranges are checked, and there is no fraction"
        )]
        // A number beyond 128 bits is not an integer, as outside a buffer.
        if (-TWO_127..TWO_127).contains(&number) {
            Ok(BigInt::from(number as i128))
        } else if (TWO_127..TWO_127 * 2.0).contains(&number) {
            Ok(BigInt::from(number as u128))
        } else {
            Err(unexpected())
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BigInt, E> {
        if self.marked {
            de::Visitor::visit_str(Visitor, text)
        } else {
            Err(E::invalid_type(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<BigInt, D::Error> {
        inner.deserialize_any(Self { marked: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_and_go() {
        assert_eq!(BigInt::from(u128::MAX).to_string(), u128::MAX.to_string());
        assert_eq!(i128::try_from(BigInt::from(i128::MIN)), Ok(i128::MIN));
        assert_eq!(u8::try_from(BigInt::from(256)), Err(BigIntOutOfRange));
        assert_eq!(u64::try_from(&BigInt::from(-1)), Err(BigIntOutOfRange));
        let number = num_bigint::BigInt::from(5);
        assert_eq!(BigInt::from(number.clone()).as_num(), &number);
        assert!("12x".parse::<BigInt>().is_err());
    }

    #[test]
    fn other_formats_see_digits() {
        assert_eq!(serde_json::to_string(&BigInt::from(-5)).unwrap(), "\"-5\"");
        for json in ["\"-5\"", "-5"] {
            assert_eq!(
                serde_json::from_str::<BigInt>(json).unwrap(),
                BigInt::from(-5)
            );
        }
        for json in ["1.5", "\"1.5\"", "null"] {
            assert!(serde_json::from_str::<BigInt>(json).is_err(), "{json}");
        }
    }
}

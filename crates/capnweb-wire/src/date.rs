//! JavaScript's `Date`.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{DATE, Restore, is_buffered};

/// A point in time like JavaScript's `Date`: whole milliseconds since the Unix epoch, or invalid.
///
/// In other formats, it is a number of milliseconds, or none.
///
/// ```
/// # extern crate capnweb_wire as capnweb;
/// use capnweb::Date;
/// use std::time::SystemTime;
///
/// let date = Date::from_millis(1_000);
/// assert_eq!(SystemTime::try_from(date).unwrap().elapsed().is_ok(), true);
///
/// // On the wire: ["date",1000]
/// # let mut out = Vec::new();
/// # capnweb_wire::to_expr(&date, &mut out, &mut capnweb_wire::NoCapabilities)?;
/// # assert_eq!(out, br#"["date",1000]"#);
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(Option<i64>);

impl Date {
    /// JavaScript's invalid date, `new Date(NaN)`. It equals itself and sorts before all others.
    pub const INVALID: Self = Self(None);

    /// The maximum distance of a date from the epoch, in milliseconds: 100 million days.
    const MAX_MILLIS: i64 = 8_640_000_000_000_000;

    /// Returns the date this many milliseconds after the epoch. It is invalid beyond 100 million
    /// days from the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < -Self::MAX_MILLIS || millis > Self::MAX_MILLIS {
            Self::INVALID
        } else {
            Self(Some(millis))
        }
    }

    /// Returns the date that JavaScript creates from a number of milliseconds. Fractions are
    /// truncated. A number out of range, or NaN, is an invalid date.
    #[must_use]
    pub fn from_f64(millis: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "cutting the fraction off is what is wanted, and what is out of range stays so"
        )]
        if millis.is_nan() {
            Self::INVALID
        } else {
            Self::from_millis(millis as i64)
        }
    }

    /// Returns the milliseconds since the epoch, which are negative before it, or `None` if the
    /// date is invalid.
    #[must_use]
    pub const fn millis(self) -> Option<i64> {
        self.0
    }

    /// Returns whether the date is valid.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0.is_some()
    }
}

impl From<SystemTime> for Date {
    /// Truncates fractions of milliseconds, toward the epoch.
    fn from(time: SystemTime) -> Self {
        let millis = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::from_millis(millis(after)),
            Err(before) => Self::from_millis(-millis(before.duration())),
        }
    }
}

/// The error for a [`Date`] that is invalid, or out of the range of the requested type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the date is invalid, or further from the epoch than this type of time can tell")]
pub struct InvalidDate;

impl TryFrom<Date> for SystemTime {
    type Error = InvalidDate;

    fn try_from(date: Date) -> Result<Self, InvalidDate> {
        let millis = date.millis().ok_or(InvalidDate)?;
        let distance = Duration::from_millis(millis.unsigned_abs());
        let time = if millis < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.ok_or(InvalidDate)
    }
}

#[cfg(feature = "chrono")]
impl<Tz: chrono::TimeZone> From<chrono::DateTime<Tz>> for Date {
    /// Truncates fractions of milliseconds, toward the past.
    fn from(time: chrono::DateTime<Tz>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }
}

#[cfg(feature = "chrono")]
impl TryFrom<Date> for chrono::DateTime<chrono::Utc> {
    type Error = InvalidDate;

    fn try_from(date: Date) -> Result<Self, InvalidDate> {
        let millis = date.millis().ok_or(InvalidDate)?;
        Self::from_timestamp_millis(millis).ok_or(InvalidDate)
    }
}

#[cfg(feature = "jiff")]
impl From<jiff::Timestamp> for Date {
    /// Truncates fractions of milliseconds, toward the epoch.
    fn from(time: jiff::Timestamp) -> Self {
        Self::from_millis(time.as_millisecond())
    }
}

#[cfg(feature = "jiff")]
impl TryFrom<Date> for jiff::Timestamp {
    type Error = InvalidDate;

    fn try_from(date: Date) -> Result<Self, InvalidDate> {
        let millis = date.millis().ok_or(InvalidDate)?;
        // `from_millisecond` rejects most of the last supported second.
        let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).map_err(|_| InvalidDate)?;
        Self::new(millis.div_euclid(1000), nanos).map_err(|_| InvalidDate)
    }
}

/// A millisecond in nanoseconds.
#[cfg(feature = "time")]
const NANOS_PER_MILLI: i128 = 1_000_000;

#[cfg(feature = "time")]
impl From<time::OffsetDateTime> for Date {
    /// Truncates fractions of milliseconds, toward the past.
    fn from(time: time::OffsetDateTime) -> Self {
        let millis = time.unix_timestamp_nanos().div_euclid(NANOS_PER_MILLI);
        i64::try_from(millis).map_or(Self::INVALID, Self::from_millis)
    }
}

#[cfg(feature = "time")]
impl TryFrom<Date> for time::OffsetDateTime {
    type Error = InvalidDate;

    fn try_from(date: Date) -> Result<Self, InvalidDate> {
        let millis = date.millis().ok_or(InvalidDate)?;
        Self::from_unix_timestamp_nanos(i128::from(millis) * NANOS_PER_MILLI)
            .map_err(|_| InvalidDate)
    }
}

#[cfg(feature = "time")]
impl From<time::UtcDateTime> for Date {
    /// Truncates fractions of milliseconds, toward the past.
    fn from(time: time::UtcDateTime) -> Self {
        time::OffsetDateTime::from(time).into()
    }
}

#[cfg(feature = "time")]
impl TryFrom<Date> for time::UtcDateTime {
    type Error = InvalidDate;

    fn try_from(date: Date) -> Result<Self, InvalidDate> {
        time::OffsetDateTime::try_from(date).map(Into::into)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DATE, &self.0)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DATE, Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Date, D::Error> {
        if is_buffered::<D>() {
            deserializer.deserialize_any(Restore(Restored))
        } else if deserializer.is_human_readable() {
            // Such formats determine themselves whether there is a fraction, or nothing at all.
            deserializer.deserialize_any(self)
        } else {
            Ok(Option::deserialize(deserializer)?.map_or(Date::INVALID, Date::from_millis))
        }
    }

    fn visit_f64<E>(self, millis: f64) -> Result<Date, E> {
        Ok(Date::from_f64(millis))
    }

    fn visit_i64<E>(self, millis: i64) -> Result<Date, E> {
        Ok(Date::from_millis(millis))
    }

    fn visit_u64<E>(self, millis: u64) -> Result<Date, E> {
        Ok(i64::try_from(millis).map_or(Date::INVALID, Date::from_millis))
    }

    fn visit_unit<E>(self) -> Result<Date, E> {
        Ok(Date::INVALID)
    }
}

/// Restores a date from serde's own buffer, and rejects anything else.
struct Restored;

impl<'de> de::Visitor<'de> for Restored {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        de::Visitor::expecting(&Visitor, f)
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, form: A) -> Result<Date, A::Error> {
        let (name, content) = form.variant::<String>()?;
        match name.as_str() {
            "date" => de::VariantAccess::newtype_variant::<f64>(content).map(Date::from_f64),
            name => Err(de::Error::custom(format_args!(
                "expected a date, got {name}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_as_javascript_does() {
        for (number, millis) in [
            (0.0, Some(0)),
            (1.9, Some(1)),
            (-1.9, Some(-1)),
            (8.64e15, Some(8_640_000_000_000_000)),
            (8.64e15 + 1.0, None),
            (-8.64e15, Some(-8_640_000_000_000_000)),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(Date::from_f64(number).millis(), millis, "{number}");
        }
        assert!(!Date::INVALID.is_valid());
        assert!(!Date::from_millis(i64::MIN).is_valid());
    }

    #[test]
    fn system_time() {
        for millis in [0, 1_700_000_000_123, -5] {
            let date = Date::from_millis(millis);
            assert_eq!(Date::from(SystemTime::try_from(date).unwrap()), date);
        }
        assert_eq!(
            Date::from(UNIX_EPOCH - Duration::from_micros(1_500)).millis(),
            Some(-1)
        );
        assert_eq!(SystemTime::try_from(Date::INVALID), Err(InvalidDate));
    }

    #[cfg(feature = "jiff")]
    #[test]
    fn jiff() {
        for millis in [0, 1_700_000_000_123, -5] {
            let date = Date::from_millis(millis);
            let time = jiff::Timestamp::try_from(date).unwrap();
            assert_eq!(Date::from(time), date);
        }
        for edge in [jiff::Timestamp::MIN, jiff::Timestamp::MAX] {
            let time = jiff::Timestamp::try_from(Date::from(edge)).unwrap();
            assert_eq!(time.as_millisecond(), edge.as_millisecond());
        }
        // These dates have years of five digits.
        let late = Date::from_millis(Date::MAX_MILLIS);
        assert_eq!(jiff::Timestamp::try_from(late), Err(InvalidDate));
        assert_eq!(jiff::Timestamp::try_from(Date::INVALID), Err(InvalidDate));
    }

    #[cfg(feature = "time")]
    #[test]
    fn time() {
        for millis in [0, 1_700_000_000_123, -5] {
            let date = Date::from_millis(millis);
            let time = time::OffsetDateTime::try_from(date).unwrap();
            assert_eq!(Date::from(time), date);
            let time = time::UtcDateTime::try_from(date).unwrap();
            assert_eq!(Date::from(time), date);
            let earlier = time - Duration::from_nanos(1);
            assert_eq!(Date::from(earlier), Date::from_millis(millis - 1));
        }
        let late = Date::from_millis(Date::MAX_MILLIS);
        assert_eq!(time::OffsetDateTime::try_from(late), Err(InvalidDate));
        assert_eq!(time::UtcDateTime::try_from(Date::INVALID), Err(InvalidDate));
    }

    #[cfg(feature = "chrono")]
    #[test]
    fn chrono() {
        use chrono::{DateTime, FixedOffset, Utc};

        for millis in [0, 1_700_000_000_123, -5] {
            let date = Date::from_millis(millis);
            let time = DateTime::<Utc>::try_from(date).unwrap();
            assert_eq!(Date::from(time), date);
            let elsewhere = time.with_timezone(&FixedOffset::east_opt(3600).unwrap());
            assert_eq!(Date::from(elsewhere), date);
        }
        assert_eq!(DateTime::<Utc>::try_from(Date::INVALID), Err(InvalidDate));
    }

    #[test]
    fn other_formats_see_a_number() {
        assert_eq!(serde_json::to_string(&Date::from_millis(5)).unwrap(), "5");
        assert_eq!(serde_json::to_string(&Date::INVALID).unwrap(), "null");
        for (json, date) in [
            ("5", Date::from_millis(5)),
            ("-5", Date::from_millis(-5)),
            ("5.5", Date::from_millis(5)),
            ("18446744073709551615", Date::INVALID),
            ("null", Date::INVALID),
        ] {
            assert_eq!(serde_json::from_str::<Date>(json).unwrap(), date);
        }
        assert!(serde_json::from_str::<Date>("true").is_err());
    }
}

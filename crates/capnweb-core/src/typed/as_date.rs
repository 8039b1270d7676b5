//! Points in time of other crates, as JavaScript's `Date`.

use std::ops::{Deref, DerefMut};

use capnweb_wire::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Accepts, MapOutput, NoPipeline, NonList};
use crate::api::promise::Pipelined;

/// A point in time of another type that is sent as JavaScript's `Date`, such as a `SystemTime` or
/// chrono's `DateTime`.
///
/// Use it for parameters, results and elements. A field of a value can keep its type, with
/// [`#[serde(with = "capnweb::date")]`](crate::date). Times are sent in whole milliseconds, like
/// any [`Date`].
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use capnweb::{Object, Result, typed::AsDate};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("hourLater", async |time: AsDate<SystemTime>| {
///         Ok(AsDate(*time + Duration::from_secs(3600)))
///     })
///     .into_stub();
/// let later = api.call("hourLater", (AsDate(SystemTime::UNIX_EPOCH),));
/// let later: AsDate<SystemTime> = later.fetch().await?;
/// assert_eq!(*later, SystemTime::UNIX_EPOCH + Duration::from_secs(3600));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsDate<T>(pub T);

impl<T> Deref for AsDate<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for AsDate<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for AsDate<T> {
    fn from(time: T) -> Self {
        Self(time)
    }
}

impl<T: Clone + Into<Date>> Serialize for AsDate<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        date::serialize(&self.0, serializer)
    }
}

impl<'de, T: TryFrom<Date>> Deserialize<'de> for AsDate<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        date::deserialize(deserializer).map(Self)
    }
}

#[diagnostic::do_not_recommend]
impl<T> Pipelined for AsDate<T> {
    type Pipeline = NoPipeline<Self>;
}

#[diagnostic::do_not_recommend]
impl<T> NonList for AsDate<T> {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Into<Date>> MapOutput for AsDate<T> {
    type Value = Self;
}

/// Marks implementations that accept a date without the wrapper.
#[derive(Debug)]
pub struct ViaDate(());

#[diagnostic::do_not_recommend]
impl<T> Accepts<Self> for AsDate<T>
where
    T: Clone + Into<Date>,
{
    type Wire = Self;

    fn wire(argument: Self) -> Self {
        argument
    }
}

/// Accepts a date without the wrapper.
#[diagnostic::do_not_recommend]
impl<T: Into<Date>> Accepts<T, ViaDate> for AsDate<T> {
    type Wire = Date;

    fn wire(argument: T) -> Date {
        argument.into()
    }
}

/// Serializes fields of other time types as JavaScript's `Date`.
///
/// ```
/// use std::time::SystemTime;
/// use capnweb::{Payload, Result};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Event {
///     #[serde(with = "capnweb::date")]
///     at: SystemTime,
///     #[serde(with = "capnweb::date::option", default)]
///     until: Option<SystemTime>,
/// }
///
/// let event = Event { at: SystemTime::UNIX_EPOCH, until: None };
/// assert_eq!(Payload::encode(&event)?.as_expression(), r#"{"at":["date",0],"until":null}"#);
/// # Ok::<(), capnweb::Error>(())
/// ```
pub mod date {
    use super::{Date, Deserialize, Deserializer, Serialize, Serializer};
    use serde::de::Error as _;

    /// Serializes a point in time as a `Date`.
    ///
    /// # Errors
    ///
    /// Returns an error if the serializer fails.
    pub fn serialize<T: Clone + Into<Date>, S: Serializer>(
        time: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.clone().into().serialize(serializer)
    }

    /// Deserializes a `Date`.
    ///
    /// # Errors
    ///
    /// Returns an error if the input is not a `Date`, or if the date is invalid or out of the range
    /// of `T`.
    pub fn deserialize<'de, T: TryFrom<Date>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let date = Date::deserialize(deserializer)?;
        T::try_from(date).map_err(|_| D::Error::custom(super::TOO_FAR))
    }

    /// Serializes fields that are an `Option` of another time type.
    pub mod option {
        use super::super::AsDate;
        use super::{Date, Deserialize, Deserializer, Serialize, Serializer};

        /// Serializes a point in time as a `Date`, or `None` as `null`.
        ///
        /// # Errors
        ///
        /// Returns an error if the serializer fails.
        pub fn serialize<T: Clone + Into<Date>, S: Serializer>(
            time: &Option<T>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            time.clone().map(Into::<Date>::into).serialize(serializer)
        }

        /// Deserializes a `Date`, or nothing.
        ///
        /// # Errors
        ///
        /// Returns an error if the input is something else, or if the date is invalid or out of the
        /// range of `T`.
        pub fn deserialize<'de, T: TryFrom<Date>, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<T>, D::Error> {
            let date = Option::<AsDate<T>>::deserialize(deserializer)?;
            Ok(date.map(|date| date.0))
        }
    }
}

const TOO_FAR: &str = "the date is invalid, or too far from the epoch for this type of time";

#[cfg(test)]
mod tests {
    use std::{fmt::Debug, time::SystemTime};

    use super::*;
    use crate::Payload;

    /// A value with times in all supported forms.
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(bound = "T: Clone + Into<Date> + TryFrom<Date>")]
    struct Event<T> {
        #[serde(with = "crate::date")]
        at: T,
        #[serde(with = "crate::date::option", default)]
        until: Option<T>,
        all: Vec<AsDate<T>>,
    }

    /// Checks that these milliseconds survive a round trip, and that a date out of the type's range
    /// is rejected.
    fn passes<T>(too_far: &[Date])
    where
        T: Clone + Debug + PartialEq + Into<Date> + TryFrom<Date, Error: Debug>,
    {
        for millis in [
            0,
            1,
            -1,
            -999,
            -1_000,
            1_700_000_000_123,
            -62_135_596_800_000,
        ] {
            let date = Date::from_millis(millis);
            let time = || T::try_from(date).unwrap();
            let event = Event {
                at: time(),
                until: Some(time()),
                all: vec![AsDate(time()), AsDate(time())],
            };
            let written = Payload::encode(&event).unwrap();
            let json = format!(
                r#"{{"at":["date",{millis}],"until":["date",{millis}],"all":[[["date",{millis}],["date",{millis}]]]}}"#
            );
            assert_eq!(written.as_expression(), json);
            assert_eq!(written.decode::<Event<T>>().unwrap(), event);
            let alone = Payload::encode(&date).unwrap();
            assert_eq!(alone.decode::<AsDate<T>>().unwrap().0, time());
        }
        for date in [&[Date::INVALID], too_far].concat() {
            let written = Payload::encode(&date).unwrap();
            let error = written.decode::<AsDate<T>>().unwrap_err();
            assert_eq!(error.message(), TOO_FAR, "{date:?}");
        }
        let text = Payload::encode(&"2020-01-01T00:00:00Z").unwrap();
        let error = text.decode::<AsDate<T>>().unwrap_err();
        assert!(error.message().contains("expected a date"), "{error}");
        let nothing = Payload::encode(&(None::<Date>, ())).unwrap();
        let (none, unit): (Option<AsDate<T>>, Option<AsDate<T>>) = nothing.decode().unwrap();
        assert_eq!((none, unit), (None, None));
    }

    /// JavaScript's first and last date. Their years have six digits.
    #[cfg(any(feature = "jiff", feature = "time"))]
    const EDGES: [Date; 2] = [
        Date::from_millis(-8_640_000_000_000_000),
        Date::from_millis(8_640_000_000_000_000),
    ];

    #[test]
    fn system_time() {
        passes::<SystemTime>(&[]);
    }

    #[cfg(feature = "chrono")]
    #[test]
    fn chrono() {
        passes::<chrono::DateTime<chrono::Utc>>(&[]);
        let time = chrono::DateTime::from_timestamp_nanos(-1);
        let written = Payload::encode(&AsDate(time)).unwrap();
        assert_eq!(written.as_expression(), r#"["date",-1]"#, "toward the past");
    }

    #[cfg(feature = "jiff")]
    #[test]
    fn jiff() {
        passes::<jiff::Timestamp>(&EDGES);
        for (nanos, millis) in [(-1, 0), (-1_999_999, -1), (1_999_999, 1)] {
            let time = jiff::Timestamp::from_nanosecond(nanos).unwrap();
            let written = Payload::encode(&AsDate(time)).unwrap();
            assert_eq!(
                written.as_expression(),
                format!(r#"["date",{millis}]"#),
                "toward the epoch"
            );
        }
        for time in [jiff::Timestamp::MIN, jiff::Timestamp::MAX] {
            let back: AsDate<jiff::Timestamp> =
                Payload::encode(&AsDate(time)).unwrap().decode().unwrap();
            assert_eq!(back.as_millisecond(), time.as_millisecond());
        }
    }

    #[cfg(feature = "time")]
    #[test]
    fn time() {
        passes::<time::OffsetDateTime>(&EDGES);
        passes::<time::UtcDateTime>(&EDGES);
        for (nanos, millis) in [(-1, -1), (-1_999_999, -2), (1_999_999, 1)] {
            let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let written = Payload::encode(&AsDate(time)).unwrap();
            assert_eq!(
                written.as_expression(),
                format!(r#"["date",{millis}]"#),
                "toward the past"
            );
        }
        let here =
            time::OffsetDateTime::UNIX_EPOCH.to_offset(time::UtcOffset::from_hms(2, 0, 0).unwrap());
        let written = Payload::encode(&AsDate(here)).unwrap();
        assert_eq!(written.as_expression(), r#"["date",0]"#);
    }
}

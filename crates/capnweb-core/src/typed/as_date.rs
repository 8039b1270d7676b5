//! Other crates' points in time as JavaScript's `Date`.

use std::ops::{Deref, DerefMut};

use capnweb_wire::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Accepts, MapOutput, NoPipeline, NonList};
use crate::api::promise::Pipelined;

/// A point in time of another type, `SystemTime` or chrono's `DateTime` for instance, that crosses
/// as JavaScript's `Date`.
///
/// It is for parameters, results and elements. A field of a value can keep its type, with
/// [`#[serde(with = "capnweb::date")]`](crate::date). Whole milliseconds cross, as of any [`Date`].
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use capnweb_core::{AsDate, Object, Result};
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

/// The way of a date as it is.
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

/// Without the wrapper.
#[diagnostic::do_not_recommend]
impl<T: Into<Date>> Accepts<T, ViaDate> for AsDate<T> {
    type Wire = Date;

    fn wire(argument: T) -> Date {
        argument.into()
    }
}

/// Fields that are JavaScript's `Date` there and a point in time of another type here.
///
/// ```
/// use std::time::SystemTime;
/// use capnweb_core::{Payload, Result};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Event {
///     #[serde(with = "capnweb_core::date")]
///     at: SystemTime,
///     #[serde(with = "capnweb_core::date::option", default)]
///     until: Option<SystemTime>,
/// }
///
/// let event = Event { at: SystemTime::UNIX_EPOCH, until: None };
/// assert_eq!(Payload::encode(&event)?.as_json(), r#"{"at":["date",0],"until":null}"#);
/// # Ok::<(), capnweb_core::Error>(())
/// ```
pub mod date {
    use super::{Date, Deserialize, Deserializer, Serialize, Serializer};
    use serde::de::Error as _;

    /// Writes a point in time as a `Date`.
    ///
    /// # Errors
    ///
    /// If the serializer fails.
    pub fn serialize<T: Clone + Into<Date>, S: Serializer>(
        time: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.clone().into().serialize(serializer)
    }

    /// Reads a `Date`.
    ///
    /// # Errors
    ///
    /// If there is something else, or the date is invalid or too far away for a `T`.
    pub fn deserialize<'de, T: TryFrom<Date>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let date = Date::deserialize(deserializer)?;
        T::try_from(date).map_err(|_| D::Error::custom(super::TOO_FAR))
    }

    /// The same for an `Option`.
    pub mod option {
        use super::super::AsDate;
        use super::{Date, Deserialize, Deserializer, Serialize, Serializer};

        /// Writes a point in time as a `Date`, or `null`.
        ///
        /// # Errors
        ///
        /// If the serializer fails.
        pub fn serialize<T: Clone + Into<Date>, S: Serializer>(
            time: &Option<T>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            time.clone().map(Into::<Date>::into).serialize(serializer)
        }

        /// Reads a `Date`, or nothing.
        ///
        /// # Errors
        ///
        /// If there is something else, or the date is invalid or too far away for a `T`.
        pub fn deserialize<'de, T: TryFrom<Date>, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<T>, D::Error> {
            let date = Option::<AsDate<T>>::deserialize(deserializer)?;
            Ok(date.map(|date| date.0))
        }
    }
}

const TOO_FAR: &str = "the date is invalid, or too far from the epoch for this type of time";

//! Names by which a type tells this crate's serializer and deserializer that it is more than plain
//! data.
//!
//! serde's data model has neither capabilities nor dates nor big integers. A type that is one of
//! these serializes itself as a newtype struct (or unit struct) of a reserved name, and asks for
//! one when it is read. To any other format the name means nothing, and the plain value in it is
//! what that format sees.

/// Newtype around a token (bytes) that stands for a capability, see
/// [`CapabilitySink`](crate::CapabilitySink).
pub const CAPABILITY: &str = "$capnweb::Capability";

/// Newtype around a token (bytes) that stands for content which is passed on as text, see
/// [`CapabilitySink::raw`](crate::CapabilitySink::raw).
pub const RAW: &str = "$capnweb::Raw";

/// Unit struct: JavaScript's `undefined`. See [`Undefined`](crate::Undefined).
pub const UNDEFINED: &str = "$capnweb::Undefined";

/// Newtype around the milliseconds of a date, or none. See [`Date`](crate::Date).
pub const DATE: &str = "$capnweb::Date";

/// Newtype around the decimal digits of a big integer. See [`BigInt`](crate::BigInt).
pub const BIGINT: &str = "$capnweb::BigInt";

/// Newtype around an argument that can be left out: a `None` in it is written as `undefined` rather
/// than `null`, so that at a JavaScript callee the parameter's default applies. It is read like
/// what is in it.
pub const OPTIONAL: &str = "$capnweb::Optional";

/// Newtype around the text of a URL.
pub const URL: &str = "$capnweb::Url";

/// Newtype asked for by types that hold any value and keep apart what plain data would blur.
///
/// The deserializer in it answers `deserialize_any` as usual for plain values (null, booleans,
/// numbers, strings, arrays, objects). Everything else is visited as an enum whose variant is named
/// after the form: `undefined` (a unit), `bigint` (its digits), `date` (its milliseconds, NaN if
/// invalid), `bytes`, the name of any other [`Container`](crate::Container) (its bytes), `error` (a
/// map of `name`, `message`, `stack` if there is one, and the error's other properties), `url` (a
/// string), `headers` (a list of pairs), `request`, `response`, `blob` (maps), and `capability`
/// (the token's bytes).
pub const VALUE: &str = "$capnweb::Value";

//! Reserved names with which a type tells this crate's serializer and deserializer that it is more
//! than plain data.
//!
//! serde's data model has neither capabilities nor dates nor big integers. Such a type serializes
//! itself as a newtype struct (or unit struct) with a reserved name, and requests one when it is
//! deserialized. Other formats ignore the name, and see the plain value inside.

/// A newtype around a token (bytes) for a capability: see
/// [`CapabilitySink`](crate::CapabilitySink).
pub const CAPABILITY: &str = "$capnweb::Capability";

/// A newtype around a token (bytes) for content that is passed on as text: see
/// [`CapabilitySink::raw`](crate::CapabilitySink::raw).
pub const RAW: &str = "$capnweb::Raw";

/// The unit struct for JavaScript's `undefined`: see [`Undefined`](crate::Undefined).
pub const UNDEFINED: &str = "$capnweb::Undefined";

/// A newtype around the milliseconds of a date, or none: see [`Date`](crate::Date).
pub const DATE: &str = "$capnweb::Date";

/// A newtype around the decimal digits of a big integer: see [`BigInt`](crate::BigInt).
pub const BIGINT: &str = "$capnweb::BigInt";

/// A newtype around an argument that can be omitted. `None` is written as `undefined` rather than
/// `null`, so the default of a JavaScript parameter applies. It is read like the inner value.
pub const OPTIONAL: &str = "$capnweb::Optional";

/// A newtype around the text of a URL.
pub const URL: &str = "$capnweb::Url";

/// A newtype that is requested by types which hold any value without losing distinctions.
///
/// Its deserializer answers `deserialize_any` as usual for plain values (null, booleans, numbers,
/// strings, arrays, objects). All other values are visited as an enum whose variant is named after
/// the form: `undefined` (a unit), `bigint` (its digits), `date` (its milliseconds, NaN if
/// invalid), `bytes`, the name of any other [`Container`](crate::Container) (its bytes), `error` (a
/// map of `name`, `message`, optionally `stack`, and the error's other properties), `url` (a
/// string), `headers` (a list of pairs), `request`, `response`, `blob` (maps), and `capability`
/// (the token's bytes).
pub const VALUE: &str = "$capnweb::Value";

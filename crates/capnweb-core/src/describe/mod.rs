//! Descriptions of interfaces and values as data, and their output as TypeScript declarations and
//! JSON Schemas.
//!
//! A [`Description`] contains the information in traits and structs: the names on the wire, the
//! types of parameters, results and fields, docs, deprecations and error codes. [`typescript`] and
//! [`json_schema`] print it. Peers can read it as the property [`$interface`](PROPERTY) of an
//! object.
//!
//! `#[interface]`, `#[value]` and `#[error]` describe their items. Types without a description are
//! [`Type::Unknown`], so no type needs a bound.

mod as_other;
mod describer;
mod description;
mod introspection;
pub mod json_schema;
mod known;
pub mod typescript;

#[doc(hidden)]
pub use self::describer::{
    Arguments, DescribeWith, Described, DescribedError, DescribedWith, Form, MethodSource,
    Otherwise, Probe, Source, StandIn, Undescribed, UndescribedError,
};
#[doc(hidden)]
pub use self::introspection::Kept;
pub use self::introspection::PROPERTY;
pub use self::{
    describer::{Describe, DescribeError, Describer},
    description::{
        CatchAll, Description, ErrorKind, ErrorType, Field, Interface, Item, Method, Parameter,
        ReadError, Type, VERSION, ValueType,
    },
};

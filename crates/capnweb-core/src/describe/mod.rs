//! Interfaces and values described as data, and TypeScript declarations and JSON Schemas made of that.
//!
//! A [`Description`] holds what the traits and structs say: the names on the wire, the types of
//! parameters, results and fields, docs, deprecations and error codes. [`typescript`] and
//! [`json_schema`] print it. Peers can read it as the property [`$interface`](PROPERTY) of an object.
//!
//! `#[interface]`, `#[value]` and `#[error]` describe what they stand on. Types that describe nothing of
//! themselves are [`Type::Unknown`]; no bound is needed anywhere.

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

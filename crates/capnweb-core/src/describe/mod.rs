//! Interfaces and values described as data, and TypeScript declarations made of that.
//!
//! A [`Description`] holds what the traits and structs say: the names on the wire, the types of
//! parameters, results and fields, docs, deprecations and error codes. [`typescript`] prints it.
//!
//! `#[interface]`, `#[value]` and `#[error]` describe what they stand on. Types that describe nothing of
//! themselves are [`Type::Unknown`]; no bound is needed anywhere.

mod describer;
mod description;
mod known;
pub mod typescript;

#[doc(hidden)]
pub use self::describer::{
    Described, DescribedError, MethodSource, Probe, Source, StandIn, Undescribed, UndescribedError,
};
pub use self::{
    describer::{Describe, DescribeError, Describer},
    description::{
        CatchAll, Description, ErrorKind, ErrorType, Field, Interface, Item, Method, Parameter,
        ReadError, Type, VERSION, ValueType,
    },
};

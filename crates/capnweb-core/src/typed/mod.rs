//! Types on top of stubs, the basis of `#[interface]` and `#[value]`.
//!
//! A parameter determines the arguments that it [accepts](Accepts). A type determines the
//! [pipeline](crate::Pipelined) of its promises. The result of a recorded function determines [the
//! type that it is awaited as](MapOutput). The macros generate calls of [`macro_support`], which
//! adds no functionality of its own.

mod accepts;
mod as_date;
mod callback;
mod containers;
mod from_value;
pub mod macro_support;
mod map_output;
mod parameter;
mod pipeline;
mod plain;
pub(crate) mod stream;
mod thrown;

pub use self::{
    accepts::Accepts,
    as_date::{AsDate, date},
    callback::{Callback, Function},
    map_output::MapOutput,
    parameter::{MethodError, Parameter, ReturnValue, WireType},
    pipeline::{
        Json, ListPipeline, MapPipeline, NoPipeline, NonList, OptionPipeline, TypedPipeline,
    },
};

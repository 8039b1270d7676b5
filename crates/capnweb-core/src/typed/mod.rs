//! Types on top of stubs: what `#[interface]` and `#[value]` build on.
//!
//! A parameter says what it [accepts](Accepts), a type says what can be asked of a promise of it
//! (its [pipeline](crate::Pipelined)), and a recorded function's result says [what it is awaited
//! as](MapOutput). [`macro_support`] is what the macros write calls to; it adds nothing of its own.

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

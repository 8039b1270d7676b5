//! Types on top of stubs: what `#[interface]` and `#[value]` build on.
//!
//! A parameter says what it [accepts](Accepts), a type says what can be asked of a promise of it
//! (its [pipeline](crate::Pipelined)), and a recorded function's result says [what it is awaited
//! as](MapOutput). [`macro_support`] is what the macros write calls to; it adds nothing of its own.

mod accepts;
mod as_date;
mod callback;
mod containers;
pub mod macro_support;
mod map_output;
mod parameter;
mod pipeline;
mod plain;
mod thrown;

pub use self::{
    accepts::Accepts,
    as_date::{AsDate, date},
    callback::{Callback, Function},
    map_output::MapOutput,
    parameter::{Data, MethodError, Parameter, Returned},
    pipeline::{Json, ListPipeline, MapPipeline, Opaque, OptionPipeline, Single, TypedPipeline},
};

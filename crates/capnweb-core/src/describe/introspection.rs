//! Descriptions that peers can read.

use std::sync::OnceLock;

use super::{DescribeWith, Describer, Description, Type};
use crate::{
    api::promise::Pipelined,
    graph::payload::Payload,
    typed::{Accepts, MapOutput, NoPipeline, NonList, macro_support::INTERFACE},
};

/// The name of the property that holds the description of an object's interface, `$interface`.
///
/// Peers can read it if [`SessionOptions::with_introspection`](crate::SessionOptions::with_introspection) is on.
pub const PROPERTY: &str = INTERFACE;

/// The description of an interface, created on first use.
///
/// The arguments of a generic interface are unknown in it, so all of them have the same
/// description.
#[doc(hidden)]
#[derive(Debug)]
pub struct Kept(OnceLock<Option<Payload>>);

impl Kept {
    #[expect(clippy::new_without_default, reason = "for macros alone")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Returns the description of `T`, which has `parameters` type parameters.
    pub fn of<T: DescribeWith>(&self, parameters: usize) -> Option<Payload> {
        let describe = || {
            let mut describer = Describer::new();
            let main = T::describe_with(&mut describer, vec![Type::Unknown; parameters]);
            Payload::encode(&describer.into_description(main)).ok()
        };
        self.0.get_or_init(describe).clone()
    }
}

impl Pipelined for Description {
    type Pipeline = NoPipeline<Self>;
}

impl NonList for Description {}

impl MapOutput for Description {
    type Value = Self;
}

impl Accepts<Self> for Description {
    type Wire = Self;

    fn wire(argument: Self) -> Self {
        argument
    }
}

impl<'a> Accepts<&'a Self> for Description {
    type Wire = &'a Self;

    fn wire(argument: &'a Self) -> &'a Self {
        argument
    }
}

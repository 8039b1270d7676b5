//! The types of fetch as parameters and results of interfaces.

use crate::{
    api::promise::Pipelined,
    fetch::{Blob, Headers, Request, Response},
    typed::{Accepts, MapOutput, NoPipeline, NonList},
};

macro_rules! parameters {
    ($($type:ident)*) => { $(
        impl Pipelined for $type {
            type Pipeline = NoPipeline<Self>;
        }

        impl NonList for $type {}

        impl MapOutput for $type {
            type Value = Self;
        }

        impl Accepts<Self> for $type {
            type Wire = Self;

            fn wire(argument: Self) -> Self {
                argument
            }
        }

        impl<'a> Accepts<&'a Self> for $type {
            type Wire = &'a Self;

            fn wire(argument: &'a Self) -> &'a Self {
                argument
            }
        }
    )* };
}

parameters!(Headers Request Response Blob);

//! Fetch's types as parameters and results of interfaces.

use super::{Blob, Headers, Request, Response};
use crate::{
    promise::Pipelined,
    typed::{Accepts, MapOutput, Opaque, Single},
};

macro_rules! parameters {
    ($($type:ident)*) => { $(
        impl Pipelined for $type {
            type Pipeline = Opaque<Self>;
        }

        impl Single for $type {}

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

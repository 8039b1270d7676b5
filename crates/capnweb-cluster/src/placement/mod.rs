//! Which node an object lives on, and how its calls get there.

mod activation;
mod active;
mod found;
mod gate;
mod kinds;
mod objects;

pub use self::{
    activation::Activation,
    kinds::{Activate, Hosting},
};
pub(crate) use self::{
    active::Active,
    found::{ObjectKey, follow, host_subject, is_hosted_elsewhere, left},
    gate::ECHO,
    kinds::{Kind, Kinds},
    objects::{Objects, Opened},
};

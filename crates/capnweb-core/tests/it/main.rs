//! Sessions, tested from outside: a script plays the peer, or two sessions play with each other.

mod basics;
mod cancellation;
mod lifetime;
mod mains;
mod order;
mod support;
mod typed;
mod violations;

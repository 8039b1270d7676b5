//! What a handler's parameters and results have to be, with errors that say so.

use serde::{Serialize, de::DeserializeOwned};

use crate::{api::promise::Pipelined, graph::error::Error};

/// A type that a handler's parameter can be of: any that serde can deserialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a remote method: it cannot be received",
    label = "this type cannot cross the wire",
    note = "a parameter is a value that serde can deserialize, a stub, a `Callback`, a stream or a \
            `Promise`; annotate your own types with `#[capnweb::value]`",
    note = "an object is passed as its interface's stub: `FooStub`, not `impl Foo`"
)]
pub trait Parameter: DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> Parameter for T {}

/// A type that a handler's result can be of: any that serde can serialize.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a remote method: it cannot be sent",
    label = "this type cannot cross the wire",
    note = "a result is a value that serde can serialize, a stub, a stream or a `Promise`; annotate \
            your own types with `#[capnweb::value]`",
    note = "an object is returned as its interface's stub: `Ok(FooStub::new(object))`"
)]
pub trait ReturnValue: Serialize + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + Send + 'static> ReturnValue for T {}

/// What the type parameter of a generic interface has to be: a value that goes both ways.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type parameter of an interface",
    label = "this type cannot cross the wire, or has no pipeline",
    note = "it has to be `Serialize`, `DeserializeOwned`, `Pipelined`, `Send`, `Sync` and `'static`; \
            `#[capnweb::value]` makes your own types so, and `Json<{Self}>` wraps other crates'"
)]
pub trait WireType: Pipelined + Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Pipelined + Serialize + DeserializeOwned + Send + Sync + 'static> WireType for T {}

/// An error that a method can return beside the library's own: it turns into an [`Error`] on its
/// way out, and is made of one by the caller.
///
/// `#[error]` on an enum makes it so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a remote method",
    label = "this type does not turn into `capnweb::Error` and back",
    note = "annotate an enum of your own with `#[capnweb::error]`, or implement both \
            `From<{Self}> for capnweb::Error`, which says what the peer is told, and \
            `From<capnweb::Error> for {Self}`, which reads that again and takes what else can go wrong in a call",
    note = "an error of another crate is passed on by `capnweb::OrInternal`: `….or_internal()?`"
)]
pub trait MethodError: Into<Error> + From<Error> {}

#[diagnostic::do_not_recommend]
impl<E: Into<Error> + From<Error>> MethodError for E {}

/// An error that has a message.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` has no messages",
    label = "neither `Display` nor a message on any variant",
    note = "derive `thiserror::Error`, or write `#[rpc(message = \"…\")]` on each variant, or implement `Display`"
)]
pub trait ErrorMessage: std::fmt::Display {}

#[diagnostic::do_not_recommend]
impl<E: std::fmt::Display> ErrorMessage for E {}

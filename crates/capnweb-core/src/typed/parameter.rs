//! Bounds on the types of parameters, results and errors, with helpful compiler errors.

use serde::{Serialize, de::DeserializeOwned};

use crate::{api::promise::Pipelined, graph::error::Error};

/// A type for a handler's parameter: any type that serde can deserialize.
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

/// A type for a handler's result: any type that serde can serialize.
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

/// A type for the type parameter of a generic interface: a value that can be both sent and
/// received.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type parameter of an interface",
    label = "this type cannot cross the wire, or has no pipeline",
    note = "it has to be `Serialize`, `DeserializeOwned`, `Pipelined`, `Send`, `Sync` and `'static`; \
            use `#[capnweb::value]` for your own types, and `Json<{Self}>` for those of other crates"
)]
pub trait WireType: Pipelined + Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Pipelined + Serialize + DeserializeOwned + Send + Sync + 'static> WireType for T {}

/// An error type for methods, other than the library's own. It converts into an [`Error`] when the
/// method returns, and the caller converts it back.
///
/// `#[error]` on an enum implements the conversions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a remote method",
    label = "this type does not turn into `capnweb::Error` and back",
    note = "annotate an enum of your own with `#[capnweb::error]`, or implement both \
            `From<{Self}> for capnweb::Error`, which makes the error that is sent to the peer, and \
            `From<capnweb::Error> for {Self}`, which reads that error, and any other that a call can fail with",
    note = "pass on an error of another crate with `capnweb::OrInternal`: `….or_internal()?`"
)]
pub trait MethodError: Into<Error> + From<Error> {}

#[diagnostic::do_not_recommend]
impl<E: Into<Error> + From<Error>> MethodError for E {}

/// An error with a message.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` has no messages",
    label = "neither `Display` nor a message on any variant",
    note = "derive `thiserror::Error`, or write `#[rpc(message = \"…\")]` on each variant, or implement `Display`"
)]
pub trait ErrorMessage: std::fmt::Display {}

#[diagnostic::do_not_recommend]
impl<E: std::fmt::Display> ErrorMessage for E {}

//! What a handler's parameters and results have to be, with errors that say so.

use serde::{Serialize, de::DeserializeOwned};

use crate::api::promise::Pipelined;

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
pub trait ReturnValue: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> ReturnValue for T {}

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

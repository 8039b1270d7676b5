//! Types without a pipeline.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::{
    api::{promise::Pipelined, stub::Stub},
    typed::pipeline::pipeline,
};

/// The pipeline of a type that has no methods or properties.
pub struct NoPipeline<T> {
    stub: Stub,
    marker: PhantomData<fn() -> T>,
}

pipeline!(NoPipeline);

/// A value of any serde type, for use where a type with a pipeline is required.
///
/// ```
/// # use capnweb::{Object, Promise, Result, typed::Json};
/// #[derive(serde::Deserialize)]
/// struct User {
///     name: String,
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let api = Object::new().method("user", async || {
/// #     Ok(std::collections::BTreeMap::from([("name", "Ada")]))
/// # }).into_stub();
/// let user: Promise<Json<User>> = api.call("user", ()).cast();
/// assert_eq!(user.await?.0.name, "Ada");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

#[diagnostic::do_not_recommend]
impl<T> Pipelined for Json<T> {
    type Pipeline = NoPipeline<Self>;
}

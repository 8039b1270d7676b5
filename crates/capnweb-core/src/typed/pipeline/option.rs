//! The pipeline of options.

use std::{
    collections::{BTreeMap, HashMap},
    marker::PhantomData,
};

use indexmap::IndexMap;

use crate::{
    api::{
        promise::{Pipelined, Promise},
        stub::Stub,
    },
    typed::{Callback, MapOutput, pipeline::pipeline},
};

/// The pipeline of an option: the operations on its promise.
pub struct OptionPipeline<T> {
    stub: Stub,
    marker: PhantomData<fn() -> T>,
}

pipeline!(OptionPipeline);

impl<T: Pipelined> OptionPipeline<T> {
    /// Returns the promise of the inner value, to read its fields and call its methods before it is
    /// there.
    ///
    /// If the option turns out to be `None`, these operations fail with a `TypeError`. To keep the
    /// `None`, use [`map`](Self::map).
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use capnweb::{Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let ages: Promise<Option<BTreeMap<String, u32>>> =
    ///     Promise::ready(Some(BTreeMap::from([("Ada".to_owned(), 36)])));
    /// assert_eq!(ages.some().value("Ada").await?, 36);
    ///
    /// let nobody: Promise<Option<BTreeMap<String, u32>>> = Promise::ready(());
    /// assert!(nobody.some().value("Ada").await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn some(&self) -> Promise<T> {
        Promise::from_stub(self.stub.clone())
    }

    /// Applies a function to the inner value at the peer, if there is one. `None` stays `None`, and
    /// the function's calls are not made.
    ///
    /// The function is recorded just as [`ListPipeline::map`](crate::ListPipeline::map) records it.
    ///
    /// ```
    /// # use capnweb::{Object, Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let api = Object::new()
    /// #     .method("best", async |name: String| Ok((name == "Ada").then_some(2)))
    /// #     .method("name", async |id: u32| Ok(format!("user {id}")))
    /// #     .into_stub();
    /// let best = |of: &str| api.call("best", (of,)).cast::<Option<u32>>();
    /// let name_of_best = |of| best(of).map(|id| api.call("name", (id,)).cast::<String>());
    /// assert_eq!(name_of_best("Ada").await?.as_deref(), Some("user 2"));
    /// assert_eq!(name_of_best("Bob").await?, None);
    /// # Ok(()) }
    /// ```
    pub fn map<R: MapOutput>(
        &self,
        function: impl FnOnce(Promise<T>) -> R,
    ) -> Promise<Option<R::Value>>
    where
        // This is not a bound of the whole block, so that the compiler error for an array says why
        // it cannot be mapped.
        T: NonList,
    {
        Promise::cast(self.stub.map(|value| function(Promise::cast(value))))
    }
}

/// A type that is not an array on the wire. A function that is applied to an `Option` of it
/// receives the value itself rather than its elements.
#[diagnostic::on_unimplemented(
    message = "the promise of an `Option<{Self}>` cannot be mapped",
    label = "`{Self}` is an array on the wire, or may be one",
    note = "the peer would apply the function to each element of the array, not to the array; \
            let the method return a list instead of an option of one, or await the promise"
)]
pub trait NonList {}

#[diagnostic::do_not_recommend]
impl<K, V, S> NonList for HashMap<K, V, S> {}
#[diagnostic::do_not_recommend]
impl<K, V> NonList for BTreeMap<K, V> {}
#[diagnostic::do_not_recommend]
impl<K, V, S> NonList for IndexMap<K, V, S> {}
#[diagnostic::do_not_recommend]
impl<A, R> NonList for Callback<A, R> {}
#[diagnostic::do_not_recommend]
impl<T: NonList> NonList for Box<T> {}

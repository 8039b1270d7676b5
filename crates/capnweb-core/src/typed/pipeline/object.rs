//! The pipeline of objects whose keys are data.

use std::marker::PhantomData;

use crate::{
    api::{
        promise::{Pipelined, Promise},
        stub::Stub,
    },
    typed::pipeline::pipeline,
};

/// The pipeline of a map from keys to values: the operations on its promise.
pub struct MapPipeline<V> {
    stub: Stub,
    marker: PhantomData<fn() -> V>,
}

pipeline!(MapPipeline);

impl<V: Pipelined> MapPipeline<V> {
    /// Returns the promise of the value of `key`. If there is none, it is JavaScript's `undefined`,
    /// which only an `Option` can be decoded from.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use capnweb::{Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let ages = BTreeMap::from([("Ada".to_owned(), 36)]);
    /// let ages: Promise<BTreeMap<String, u32>> = Promise::ready(ages);
    /// assert_eq!(ages.value("Ada").await?, 36);
    /// # Ok(()) }
    /// ```
    pub fn value(&self, key: &str) -> Promise<V> {
        Promise::cast(self.stub.get(key))
    }
}

//! Objects whose keys are data.

use std::marker::PhantomData;

use crate::{
    api::{
        promise::{Pipelined, Promise},
        stub::Stub,
    },
    typed::pipeline::pipeline,
};

/// What can be asked of the promise of a map from keys to values.
pub struct MapPipeline<V> {
    stub: Stub,
    marker: PhantomData<fn() -> V>,
}

pipeline!(MapPipeline);

impl<V: Pipelined> MapPipeline<V> {
    /// The value of `key`. If there is none it is JavaScript's `undefined`, which only an `Option` can be
    /// read from.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use capnweb::{Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let ages: Promise<BTreeMap<String, u32>> = Promise::ready(BTreeMap::from([("Ada".to_owned(), 36)]));
    /// assert_eq!(ages.value("Ada").await?, 36);
    /// # Ok(()) }
    /// ```
    pub fn value(&self, key: &str) -> Promise<V> {
        Promise::cast(self.stub.get(key))
    }
}

//! The pipeline of lists.

use std::marker::PhantomData;

use crate::{
    api::{
        promise::{Pipelined, Promise},
        stub::Stub,
    },
    typed::{MapOutput, pipeline::pipeline},
};

/// The pipeline of a list: the operations on its promise.
pub struct ListPipeline<T> {
    stub: Stub,
    marker: PhantomData<fn() -> T>,
}

pipeline!(ListPipeline);

impl<T: Pipelined> ListPipeline<T> {
    /// Applies a function to each element at the peer, without transferring the elements here
    /// first.
    ///
    /// The closure runs once, on this side, with a placeholder. Its operations are recorded, sent,
    /// and performed by the peer for every element. So the closure cannot be async, cannot inspect
    /// the element, and cannot use it after returning. It may call stubs, pass promises that it
    /// captures, and record nested maps. [`MapOutput`] lists the possible results.
    ///
    /// ```
    /// # use capnweb::{Object, Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let api = Object::new()
    /// #     .method("friends", async || Ok([1, 2]))
    /// #     .method("name", async |id: u32| Ok(format!("user {id}")))
    /// #     .into_stub();
    /// let friends: Promise<Vec<u32>> = api.call("friends", ()).cast();
    /// let names = friends.map(|id| (id.clone(), api.call("name", (id,)).cast::<String>()));
    /// assert_eq!(names.await?, [(1, "user 1".to_owned()), (2, "user 2".to_owned())]);
    /// # Ok(()) }
    /// ```
    pub fn map<R: MapOutput>(
        &self,
        function: impl FnOnce(Promise<T>) -> R,
    ) -> Promise<Vec<R::Value>> {
        Promise::cast(self.stub.map(|element| function(Promise::cast(element))))
    }

    /// Returns the promise of the element at `index`. Beyond the last element, it is JavaScript's
    /// `undefined`, which only an `Option` can be decoded from.
    ///
    /// ```
    /// # use capnweb::{Object, Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let friends: Promise<Vec<String>> = Promise::ready(["Ada", "Grace"]);
    /// assert_eq!(friends.at(1).await?, "Grace");
    /// # Ok(()) }
    /// ```
    pub fn at(&self, index: usize) -> Promise<T> {
        Promise::cast(self.stub.get(u64::try_from(index).unwrap_or(u64::MAX)))
    }
}

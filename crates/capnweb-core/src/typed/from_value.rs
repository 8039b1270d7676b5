//! Promises of values and futures: `Promise::ready` and `Promise::from_future`.

use std::{future::Future, sync::Arc};

use super::Accepts;
use crate::{
    api::promise::{Pipelined, Promise},
    graph::{
        error::{Error, Result},
        hook::Hook,
        payload::Payload,
        promise_state::PromiseState,
    },
    runtime,
};

impl<T: Pipelined> Promise<T> {
    /// Creates a promise that has settled to `value`, for instance as the result of a handler. The
    /// value can be anything that a parameter of type `T` [accepts](Accepts).
    ///
    /// ```
    /// # use capnweb::{Promise, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let name: Promise<String> = Promise::ready("Ada");
    /// assert_eq!(name.await?, "Ada");
    /// # Ok(()) }
    /// ```
    pub fn ready<A, M>(value: A) -> Self
    where
        T: Accepts<A, M>,
    {
        Self::from_hook(outcome::<T, A, M>(value))
    }

    /// Creates a rejected promise.
    pub fn rejected(error: Error) -> Self {
        Self::from_hook(Hook::Broken(error))
    }

    /// Creates a promise of a future's output. Calls on the promise are queued until the future
    /// completes.
    ///
    /// A task of the current Tokio runtime runs the future. Its output can be anything that a
    /// parameter of type `T` [accepts](Accepts).
    ///
    /// ```
    /// # use capnweb::{Object, Promise, Result, Stub};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// // The API is not there yet, but it can already be called.
    /// let api: Promise<Stub> = Promise::from_future(async {
    ///     Ok(Object::new().method("add", async |a: f64, b: f64| Ok(a + b)).into_stub())
    /// });
    /// assert_eq!(api.call("add", (1, 2)).fetch::<f64>().await?, 3.0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn from_future<A, M>(future: impl Future<Output = Result<A>> + Send + 'static) -> Self
    where
        T: Accepts<A, M>,
    {
        let deferred = PromiseState::new();
        let mut resolver = Resolver(Some(deferred.clone()));
        runtime::spawn(async move {
            let outcome = match future.await {
                Ok(value) => outcome::<T, A, M>(value),
                Err(error) => Hook::Broken(error),
            };
            resolver.settle(outcome);
        });
        Self::from_hook(Hook::Promise(deferred))
    }
}

/// Returns the outcome of a promise that settles to `value`.
fn outcome<T: Accepts<A, M>, A, M>(value: A) -> Hook {
    Payload::encode(&T::wire(value)).map_or_else(Hook::Broken, Payload::into_hook)
}

/// Settles a promise, at the latest on drop.
struct Resolver(Option<Arc<PromiseState>>);

impl Resolver {
    fn settle(&mut self, outcome: Hook) {
        if let Some(deferred) = self.0.take() {
            deferred.settle(outcome);
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.settle(Hook::Broken(Error::canceled(
            "the future behind a promise was dropped: it panicked or its runtime was shut down",
        )));
    }
}

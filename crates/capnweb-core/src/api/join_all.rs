//! Awaiting many promises.

use std::{
    future::{IntoFuture, poll_fn},
    task::Poll,
};

use serde::de::DeserializeOwned;

use crate::{
    api::promise::PromiseFuture,
    graph::error::{Error, Result},
};

/// Awaits many promises at once and returns their outcomes in order. In an HTTP batch they travel
/// together.
///
/// For other futures, use `join_all` of the `futures` crate.
///
/// ```
/// # use capnweb::{Object, Result, join_all};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let api = Object::new().method("square", |n: f64| async move { Ok(n * n) }).into_stub();
/// let squares = (0..3).map(|n| api.call("square", (n,)).cast::<f64>());
/// let squares: Result<Vec<f64>> = join_all(squares).await.into_iter().collect();
/// assert_eq!(squares?, [0.0, 1.0, 4.0]);
/// # Ok(()) }
/// ```
pub async fn join_all<T, E, P>(promises: impl IntoIterator<Item = P>) -> Vec<Result<T, E>>
where
    T: DeserializeOwned + 'static,
    E: From<Error>,
    P: IntoFuture<Output = Result<T, E>, IntoFuture = PromiseFuture<T, E>>,
{
    // This asks the peers for all of the outcomes.
    let mut pulls: Vec<PromiseFuture<T, E>> =
        promises.into_iter().map(IntoFuture::into_future).collect();
    pulls.iter_mut().for_each(PromiseFuture::drive);
    if pulls.iter().any(PromiseFuture::is_local) {
        // Any of them may still turn into a promise of a peer, which must be pulled as soon as it
        // does.
        return futures_util::future::join_all(pulls).await;
    }
    if pulls.iter().any(|pull| !pull.batches().is_empty()) {
        // Anything else that is polled in the same pass joins the batch.
        pass().await;
        let batches = pulls.iter().flat_map(PromiseFuture::batches);
        batches.for_each(|batch| batch.request_flush());
    }
    // The order of waiting does not matter: by the time one outcome is there, most others are too.
    let mut outcomes = Vec::with_capacity(pulls.len());
    for pull in pulls {
        outcomes.push(pull.await);
    }
    outcomes
}

/// Completes on its second poll, after waking itself once.
async fn pass() {
    let mut polled = false;
    poll_fn(|cx| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

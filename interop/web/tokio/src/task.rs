//! Tasks.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::oneshot;

/// A handle of a task.
#[derive(Debug)]
pub struct JoinHandle<T>(oneshot::Receiver<T>);

/// The error of a task that did not end. It does not occur: a panic ends the whole instance.
#[derive(Debug)]
pub struct JoinError;

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task did not end")
    }
}

impl std::error::Error for JoinError {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|output| output.map_err(|_| JoinError))
    }
}

/// Spawns a task.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: 'static> + 'static,
{
    let (sender, receiver) = oneshot::channel();
    capnweb_core::runtime::spawn(async move {
        // Nobody may want to know.
        let _ = sender.send(future.await);
    });
    JoinHandle(receiver)
}

/// Lets other tasks run.
pub async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A number of tasks.
#[derive(Debug)]
pub struct JoinSet<T>(FuturesUnordered<JoinHandle<T>>);

impl<T: 'static> JoinSet<T> {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self(FuturesUnordered::new())
    }

    /// Spawns a task of the set.
    pub fn spawn(&mut self, future: impl Future<Output = T> + 'static) {
        self.0.push(spawn(future));
    }

    /// Waits for the next task to end, in any order. Returns `None` if there is none.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.next().await
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

//! Waiting for events, with a time limit.

use std::{fmt::Display, time::Duration};

/// The time limit of a wait. No expected event takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the current-thread runtime of this test has nothing to do.
///
/// The clock is paused meanwhile, so that it jumps to the end of the sleep as soon as every other
/// task waits for something. A timer that is due within a millisecond counts as something to do.
pub(crate) async fn idle() {
    tokio::time::pause();
    idle_on_paused_clock().await;
    tokio::time::resume();
}

/// Waits like [`idle`], in a test whose clock is paused.
pub(crate) async fn idle_on_paused_clock() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Awaits a future, and fails the test if it hangs.
pub(crate) async fn within<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("nothing has happened for {PATIENCE:?}"),
    }
}

/// Yields to other tasks until a condition holds. Fails the test with `what` if it never does.
///
/// The condition usually depends on the test's own tasks. If the runtime is otherwise idle, it
/// sleeps briefly between two checks, since the condition may also depend on timers and other
/// threads.
pub(crate) async fn eventually<D: Display>(
    what: impl Fn() -> D,
    mut condition: impl FnMut() -> bool,
) {
    let wait = async {
        let mut looks = 0;
        while !condition() {
            looks += 1;
            if looks < 100 {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("{}", what());
    }
}

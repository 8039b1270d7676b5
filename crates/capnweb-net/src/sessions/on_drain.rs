//! Work that accompanies the shutdown of a server.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::Sessions;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts the work when a shutdown begins.
pub(super) type OnDrain = Box<dyn FnOnce(SessionsEnd) -> Work + Send>;

/// The end of a server's sessions, for the work of [`Sessions::on_drain`].
///
/// Awaiting it lets the sessions end, and completes when all have ended.
pub struct SessionsEnd(Work);

impl SessionsEnd {
    fn new(held: watch::Receiver<()>, mut ended: watch::Receiver<bool>) -> Self {
        Self(Box::pin(async move {
            drop(held);
            // It fails if the shutdown was canceled, after which nothing is to be waited for.
            let _ = ended.wait_for(|ended| *ended).await;
        }))
    }
}

impl Future for SessionsEnd {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for SessionsEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionsEnd")
    }
}

impl Sessions {
    /// Runs `work` when [`drain`](Self::drain) begins, for example to hand over what this server
    /// holds.
    ///
    /// Sessions do not end before `work` awaits the [`SessionsEnd`] or completes, except at
    /// [`Drain::deadline`](super::Drain::deadline). What follows the `SessionsEnd` runs after the
    /// last session, and the drain waits for it, for up to 6 seconds after the deadline.
    ///
    /// Work that is added while the server drains does not run.
    ///
    /// ```
    /// use capnweb_net::{Drain, Sessions};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let sessions = Sessions::new();
    /// sessions.on_drain(|sessions_end| async move {
    ///     println!("not ready any more, but clients are still served");
    ///     sessions_end.await;
    ///     println!("the last session has ended");
    /// });
    /// # let quick = Drain::new().lb_delay(std::time::Duration::ZERO);
    /// sessions.drain(quick).await;
    /// # }
    /// ```
    pub fn on_drain<F>(&self, work: impl FnOnce(SessionsEnd) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work: OnDrain = Box::new(move |end| Box::pin(work(end)));
        self.all_work().push(work);
    }

    fn all_work(&self) -> MutexGuard<'_, Vec<OnDrain>> {
        let work = self.registry.on_drain.lock();
        work.unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the work of [`on_drain`](Self::on_drain), unless an earlier shutdown did.
    pub(super) fn start_work(&self) -> Working {
        let work = std::mem::take(&mut *self.all_work());
        let (held, ended) = (watch::Sender::new(()), watch::Sender::new(false));
        let mut tasks = JoinSet::new();
        for work in work {
            tasks.spawn(work(SessionsEnd::new(held.subscribe(), ended.subscribe())));
        }
        Working {
            held: Arc::new(held),
            ended,
            tasks,
        }
    }
}

/// The work that accompanies a shutdown.
pub(super) struct Working {
    /// Each work that holds the sessions has a receiver.
    held: Arc<watch::Sender<()>>,
    ended: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Working {
    /// Returns a future that completes when the sessions may end.
    pub(super) fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let held = self.held.clone();
        async move { held.closed().await }
    }

    /// Tells the work that all sessions have ended, and waits for it until `limit`.
    pub(super) async fn finish(mut self, limit: Instant) {
        self.ended.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if timeout_at(limit, finished).await.is_err() {
            tracing::warn!(target: "capnweb", "work of the shutdown was cut off");
        }
    }
}

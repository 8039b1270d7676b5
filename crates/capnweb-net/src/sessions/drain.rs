//! Draining: ending all sessions of a server, spread over time.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use capnweb_core::Error;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{Sessions, TrackedSession};

/// The WebSocket close code "service restart".
const SERVICE_RESTART: u16 = 1012;

/// The time before the first session is ended, so that clients that were notified can move to
/// another server. They wait for up to a second, so that they do not move all at once. At most
/// half of the spread is used.
const HEAD_START: Duration = Duration::from_secs(2);

/// The time limit for the answer of a peer to a last question.
const ROUND_TRIP: Duration = Duration::from_secs(3);

/// The time limit for the last messages and the closing handshake after the deadline.
const CLOSING: Duration = Duration::from_secs(6);

/// The progress of a server towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// The server reports that it is not ready but still serves new clients, since load balancers
    /// take a while to notice.
    Leaving,
    /// The server refuses new sessions.
    Refusing,
}

/// The timing of a shutdown: see [`Sessions::drain`].
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_net::Drain;
///
/// let drain = Drain::new()
///     .lb_delay(Duration::from_secs(10))
///     .spread(Duration::from_secs(20))
///     .deadline(Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct Drain {
    lb_delay: Duration,
    spread: Duration,
    deadline: Duration,
    reason: Error,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            lb_delay: Duration::from_secs(5),
            spread: Duration::from_secs(10),
            deadline: Duration::from_secs(25),
            reason: Error::disconnected("the server is restarting"),
        }
    }
}

impl Drain {
    /// Creates the default timing, which fits into the 30 seconds that Kubernetes and systemd
    /// allow.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long new sessions are still accepted after [`Sessions::is_ready`] becomes false, so
    /// that load balancers can notice. Default: 5 seconds.
    #[must_use]
    pub fn lb_delay(mut self, delay: Duration) -> Self {
        self.lb_delay = delay;
        self
    }

    /// Sets the time over which sessions are ended, so that their clients do not all return at
    /// once. Each session gets a random point in this time, but not in its first two seconds or, if
    /// it is shorter than four, its first half. It ends there, or as soon afterwards as its running
    /// calls are answered. Default: 10 seconds.
    #[must_use]
    pub fn spread(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// Sets the time after which the remaining sessions are ended even if they have running calls.
    /// It counts from the start of the shutdown. Default: 25 seconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the reason that peers receive. Default: "the server is restarting".
    #[must_use]
    pub fn reason(mut self, reason: Error) -> Self {
        self.reason = reason;
        self
    }
}

/// The result of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The number of sessions that ended with all calls answered, including those that ended by
    /// themselves.
    pub idle: usize,
    /// The number of sessions that were ended at the deadline with running calls.
    pub cut_off: usize,
}

impl Sessions {
    /// Returns whether the server is ready for new clients, for a readiness probe. It is false once
    /// [`drain`](Self::drain) has been called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.registry.phase.borrow() == Phase::Serving
    }

    /// Returns whether new sessions are refused because the server is stopping.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        *self.registry.phase.borrow() == Phase::Refusing
    }

    /// Ends all sessions gracefully. Returns when the last one is over and its transport is closed.
    ///
    /// 1. [`is_ready`](Self::is_ready) becomes false, the work of [`on_drain`](Self::on_drain)
    ///    begins, and [`Drain::lb_delay`] passes.
    /// 2. New sessions and batches are refused: over HTTP with 503 and `Retry-After`.
    /// 3. Peers are notified, so that clients of this library move to another server. Other peers
    ///    ignore the notification.
    /// 4. Each session ends with the close code 1012, "service restart", at a random point of
    ///    [`Drain::spread`], or later once its running calls are answered. From that point on, new
    ///    calls are rejected with the code `unavailable`, and do not run. Batches end by
    ///    themselves.
    /// 5. At [`Drain::deadline`] the remaining sessions are ended.
    ///
    /// So a call that was rejected with `unavailable`, or that has no answer when its session ends
    /// with 1012, has not run, unless it was cut off at the deadline.
    ///
    /// A second call does not restart the shutdown. It ends the remaining sessions with its own
    /// timing.
    ///
    /// ```
    /// # use capnweb_net::{Drain, Sessions};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let sessions = Sessions::new();
    /// # let quick = Drain::new().lb_delay(std::time::Duration::ZERO);
    /// let drained = sessions.drain(quick).await;
    /// println!("{} answered, {} cut off", drained.idle, drained.cut_off);
    /// # }
    /// ```
    pub async fn drain(&self, drain: Drain) -> Drained {
        let start = Instant::now();
        let deadline = start + drain.deadline;
        self.enter(Phase::Leaving);
        let work = self.start_work();
        sleep(drain.lb_delay.min(drain.deadline)).await;
        self.enter(Phase::Refusing);

        let random = RandomState::new();
        let refused = Instant::now();
        let left = deadline.saturating_duration_since(refused);
        let mut ending = JoinSet::new();
        for tracked in self.list() {
            tracked.session().announce_drain(left);
            let share = random.hash_one(tracked.session().id()) >> 32;
            let spread = drain.spread.min(left);
            let first = HEAD_START.min(spread / 2);
            let point = refused + first + (spread - first).mul_f64(fraction(share));
            let ready = (point, work.released());
            ending.spawn(end(tracked, ready, deadline, drain.reason.clone()));
        }
        let mut drained = Drained::default();
        while let Some(ended) = ending.join_next().await {
            match ended {
                Ok(true) => drained.idle += 1,
                Ok(false) | Err(_) => drained.cut_off += 1,
            }
        }
        work.finish(deadline.max(Instant::now()) + CLOSING).await;
        drained
    }

    fn enter(&self, phase: Phase) {
        self.registry.phase.send_if_modified(|current| {
            let is_later = *current < phase;
            *current = phase.max(*current);
            is_later
        });
    }
}

/// Returns `share` as a fraction of `u32::MAX`.
fn fraction(share: u64) -> f64 {
    let share = u32::try_from(share).unwrap_or(u32::MAX);
    f64::from(share) / f64::from(u32::MAX)
}

/// Ends one session at a point in time or when a future completes, whichever is later. Returns
/// whether it was idle at the end.
async fn end(
    tracked: TrackedSession,
    (point, released): (Instant, impl Future<Output = ()>),
    deadline: Instant,
    reason: Error,
) -> bool {
    let session = tracked.session().clone();
    // The entry is no longer needed, and may hold large values of the application.
    drop(tracked);
    let closed = session.closed();
    let idle = async {
        let ready = async {
            sleep_until(point).await;
            released.await;
        };
        tokio::select! {
            () = ready => {}
            _ = session.closed() => return,
        }
        session.refuse_calls(Error::unavailable(reason.message()));
        // The peer asks for the results of its calls in later messages. Those have arrived when it
        // answers. An error means that the session is already over.
        let _ = timeout(ROUND_TRIP, session.round_trip()).await;
        let _ = session.drain().await;
    };
    let was_idle = timeout_at(deadline, idle).await.is_ok();
    session.close_with(SERVICE_RESTART, reason);
    let _ = timeout_at(Instant::now() + CLOSING, closed).await;
    was_idle
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use capnweb_core::{Object, PairTransport, Result, Session, SessionOptions, Stub, pair};
    use tokio::{sync::Notify, task::JoinHandle};

    use super::{super::TransportKind, *};

    /// A client of a tracked server.
    struct Client {
        session: Session,
        finish: Arc<Notify>,
    }

    fn connect(sessions: &Sessions) -> Client {
        let (left, right) = pair();
        let finish = Arc::new(Notify::new());
        serve(sessions, left, &finish);
        let (session, connection) = Session::client(SessionOptions::new().without_keep_alive());
        tokio::spawn(connection.drive(right));
        Client { session, finish }
    }

    fn serve(sessions: &Sessions, transport: PairTransport, finish: &Arc<Notify>) {
        let options = SessionOptions::new().without_keep_alive();
        let (session, mut connection) = Session::server(options);
        sessions.track(&session, TransportKind::Stream, None);
        let finish = finish.clone();
        connection.set_main(
            Object::new()
                .method("ping", async || Ok("pong"))
                .method("slow", move || {
                    let finish = finish.clone();
                    async move {
                        finish.notified().await;
                        Ok("done")
                    }
                })
                .into_stub(),
        );
        tokio::spawn(connection.drive(transport));
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn close_code(session: &Session) -> Option<u16> {
        session.end_reason()?.session_end()?.close_code()
    }

    fn start_drain(sessions: &Sessions, drain: Drain) -> JoinHandle<Drained> {
        let sessions = sessions.clone();
        tokio::spawn(async move { sessions.drain(drain).await })
    }

    async fn fetch(main: Stub, method: &str) -> Result<String> {
        main.call(method, ()).fetch().await
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sessions_are_ended_within_the_spread() {
        let sessions = Sessions::new();
        let clients: Vec<_> = (0..50).map(|_| connect(&sessions)).collect();
        for client in &clients {
            assert_eq!(fetch(client.session.main(), "ping").await.unwrap(), "pong");
        }
        let start = Instant::now();
        let drain = Drain::new().lb_delay(secs(1)).spread(secs(10));
        let draining = start_drain(&sessions, drain);
        sleep(Duration::from_millis(500)).await;
        assert!(!sessions.is_ready());
        assert!(!sessions.is_refusing());
        sleep(secs(6)).await;
        // The sessions end one after another.
        assert!(sessions.is_refusing());
        assert!((5..45).contains(&sessions.len()), "{}", sessions.len());
        let drained = draining.await.unwrap();
        assert_eq!(
            drained,
            Drained {
                idle: 50,
                cut_off: 0
            }
        );
        assert!(start.elapsed() < secs(12), "{:?}", start.elapsed());
        for client in &clients {
            client.session.closed().await;
            assert!(client.session.end_reason().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_call_is_answered_before_the_end() {
        let sessions = Sessions::new();
        let client = connect(&sessions);
        let call = tokio::spawn(fetch(client.session.main(), "slow"));
        fetch(client.session.main(), "ping").await.unwrap();
        let draining = start_drain(&sessions, Drain::new().lb_delay(secs(0)));
        sleep(secs(15)).await;
        assert_eq!(sessions.len(), 1);
        client.finish.notify_one();
        assert_eq!(call.await.unwrap().unwrap(), "done");
        let drained = draining.await.unwrap();
        assert_eq!(
            drained,
            Drained {
                idle: 1,
                cut_off: 0
            }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_refused_while_the_last_ones_run() {
        let sessions = Sessions::new();
        let client = connect(&sessions);
        let call = tokio::spawn(fetch(client.session.main(), "slow"));
        fetch(client.session.main(), "ping").await.unwrap();
        let draining = start_drain(&sessions, Drain::new().lb_delay(secs(0)));
        // The first two seconds are for clients that move.
        sleep(secs(1)).await;
        assert_eq!(fetch(client.session.main(), "ping").await.unwrap(), "pong");
        sleep(secs(14)).await;
        let refused = fetch(client.session.main(), "ping").await.unwrap_err();
        assert_eq!(refused.code().as_deref(), Some("unavailable"));
        assert_eq!(refused.message(), "the server is restarting");
        client.finish.notify_one();
        assert_eq!(call.await.unwrap().unwrap(), "done");
        assert_eq!(draining.await.unwrap().idle, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_ends_is_cut_off_at_the_deadline() {
        let sessions = Sessions::new();
        let client = connect(&sessions);
        let call = tokio::spawn(fetch(client.session.main(), "slow"));
        fetch(client.session.main(), "ping").await.unwrap();
        let server = sessions.list()[0].session().clone();
        let start = Instant::now();
        let drained = sessions.drain(Drain::new().deadline(secs(20))).await;
        assert_eq!(
            drained,
            Drained {
                idle: 0,
                cut_off: 1
            }
        );
        assert!(start.elapsed() >= secs(20) && start.elapsed() < secs(27));
        assert_eq!(close_code(&server), Some(1012));
        assert!(call.await.unwrap().unwrap_err().is_disconnected());
        assert!(sessions.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_served_until_the_work_of_the_shutdown_lets_them_end() {
        let sessions = Sessions::new();
        let client = connect(&sessions);
        let main = client.session.main();
        fetch(main.clone(), "ping").await.unwrap();
        let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        sessions.on_drain({
            let (begun, ended, sessions) = (begun.clone(), ended.clone(), sessions.clone());
            move |sessions_end| async move {
                begun.notify_one();
                // Longer than the delay and the spread.
                sleep(secs(18)).await;
                assert_eq!(fetch(main, "ping").await.unwrap(), "pong");
                sessions_end.await;
                assert!(sessions.is_empty());
                sleep(secs(1)).await;
                ended.notify_one();
            }
        });
        let start = Instant::now();
        let draining = start_drain(&sessions, Drain::new());
        begun.notified().await;
        assert_eq!(start.elapsed(), secs(0));
        assert_eq!(draining.await.unwrap().idle, 1);
        // The drain has waited for the rest of the work.
        ended.notified().await;
        assert!(start.elapsed() >= secs(19) && start.elapsed() < secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_cut_off() {
        let sessions = Sessions::new();
        let client = connect(&sessions);
        fetch(client.session.main(), "ping").await.unwrap();
        sessions.on_drain(|_sessions_end| std::future::pending());
        sessions.on_drain(|sessions_end| async move {
            sessions_end.await;
            std::future::pending().await
        });
        let start = Instant::now();
        let drained = sessions.drain(Drain::new().deadline(secs(20))).await;
        assert_eq!(drained.idle + drained.cut_off, 1);
        assert!(start.elapsed() >= secs(20) && start.elapsed() < secs(34));
        assert!(sessions.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_the_shutdown_runs_once() {
        let sessions = Sessions::new();
        let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = count.clone();
        sessions.on_drain(move |_| async move {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        sessions.drain(Drain::new()).await;
        sessions.drain(Drain::new()).await;
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_without_sessions_stops_after_the_delay() {
        let sessions = Sessions::new();
        let start = Instant::now();
        assert_eq!(sessions.drain(Drain::new()).await, Drained::default());
        assert_eq!(start.elapsed(), secs(5));
    }
}

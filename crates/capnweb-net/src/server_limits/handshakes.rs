//! Connections that have sent no request yet.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The age from which a connection makes way for another. Most clients have sent a request by then.
const YOUNG: Duration = Duration::from_secs(1);

pub(super) struct Handshakes {
    max: usize,
    state: Mutex<State>,
    /// Notifies waiting tasks that there is room.
    room: Notify,
}

#[derive(Default)]
struct State {
    next_key: u64,
    /// The connections, oldest first.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    evicted: Arc<Notify>,
}

impl Handshakes {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            state: Mutex::default(),
            room: Notify::new(),
        })
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    pub(super) async fn begin(self: &Arc<Self>) -> Handshake {
        let evicted = Arc::new(Notify::new());
        loop {
            let room = self.room.notified();
            match self.enter(&evicted) {
                Ok(key) => return self.handshake(key, evicted),
                Err(Some(at)) => tokio::select! {
                    () = room => {}
                    () = sleep_until(at) => {}
                },
                Err(None) => room.await,
            }
        }
    }

    pub(super) fn try_begin(self: &Arc<Self>) -> Option<Handshake> {
        let evicted = Arc::new(Notify::new());
        let key = self.enter(&evicted).ok()?;
        Some(self.handshake(key, evicted))
    }

    fn handshake(self: &Arc<Self>, key: u64, evicted: Arc<Notify>) -> Handshake {
        Handshake {
            handshakes: self.clone(),
            key: Some(key),
            evicted,
        }
    }

    /// Adds a connection, replacing the oldest if there are too many. If all are young, returns the
    /// time at which the oldest will no longer be young.
    fn enter(&self, evicted: &Arc<Notify>) -> Result<u64, Option<Instant>> {
        let now = Instant::now();
        let mut state = self.lock();
        while state.waiting.len() >= self.max {
            let Some(oldest) = state.waiting.first_entry() else {
                return Err(None);
            };
            let old_at = oldest.get().since + YOUNG;
            if old_at > now {
                return Err(Some(old_at));
            }
            oldest.remove().evicted.notify_one();
        }
        let key = state.next_key;
        state.next_key += 1;
        let evicted = evicted.clone();
        let waiting = Waiting {
            since: now,
            evicted,
        };
        state.waiting.insert(key, waiting);
        Ok(key)
    }

    fn leave(&self, key: u64) {
        if self.lock().waiting.remove(&key).is_some() {
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection that has sent no request yet, until it is dropped.
#[must_use = "the connection is counted until this is dropped"]
pub struct Handshake {
    handshakes: Arc<Handshakes>,
    key: Option<u64>,
    evicted: Arc<Notify>,
}

impl Handshake {
    /// Returns the notification that the connection must make way for another.
    #[must_use]
    pub fn evicted(&self) -> Arc<Notify> {
        self.evicted.clone()
    }

    /// Stops counting the connection, because it has sent a request.
    pub fn pause(&mut self) {
        if let Some(key) = self.key.take() {
            self.handshakes.leave(key);
        }
    }

    /// Counts the connection again, as the youngest. If there are too many and all are young, this
    /// connection must make way.
    pub fn resume(&mut self) {
        if self.key.is_none() {
            match self.handshakes.enter(&self.evicted) {
                Ok(key) => self.key = Some(key),
                Err(_) => self.evicted.notify_one(),
            }
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.pause();
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("is_counted", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    fn is_ready(future: impl Future) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        pin!(future).poll(&mut cx).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_way() {
        let handshakes = Handshakes::new(2);
        let first = handshakes.begin().await;
        let second = handshakes.begin().await;
        assert!(handshakes.try_begin().is_none());
        tokio::time::advance(YOUNG).await;
        let third = handshakes.try_begin().unwrap();
        assert!(is_ready(first.evicted().notified()));
        assert!(!is_ready(second.evicted().notified()));
        assert_eq!(handshakes.len(), 2);
        // It is no longer counted.
        drop(first);
        assert_eq!(handshakes.len(), 2);
        drop((second, third));
        assert_eq!(handshakes.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_while_all_are_young() {
        let handshakes = Handshakes::new(1);
        let first = handshakes.begin().await;
        let start = Instant::now();
        let second = handshakes.begin().await;
        assert_eq!(start.elapsed(), YOUNG);
        assert!(is_ready(first.evicted().notified()));
        let third = tokio::spawn({
            let handshakes = handshakes.clone();
            async move { handshakes.begin().await }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(second);
        assert!(third.await.unwrap().key.is_some());
        assert_eq!(start.elapsed(), YOUNG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_is_not_counted() {
        let handshakes = Handshakes::new(1);
        let mut first = handshakes.begin().await;
        first.pause();
        tokio::time::advance(YOUNG).await;
        let _second = handshakes.try_begin().unwrap();
        assert!(!is_ready(first.evicted().notified()));
        // The other one is young.
        first.resume();
        assert!(is_ready(first.evicted().notified()));
    }
}

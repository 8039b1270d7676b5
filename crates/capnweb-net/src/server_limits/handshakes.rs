//! Connections that have sent no request yet.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    ServerFull,
    per_address::{network, shrink},
};

/// The age from which a connection makes way for another. Most clients have sent a request by then.
const YOUNG: Duration = Duration::from_secs(1);

pub(super) struct Handshakes {
    max: usize,
    max_per_address: usize,
    state: Mutex<State>,
    /// Notifies waiting tasks that there is room.
    room: Notify,
}

#[derive(Default)]
struct State {
    next_key: u64,
    /// The connections, oldest first.
    waiting: BTreeMap<u64, Waiting>,
    /// The connections of each address.
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
}

struct Waiting {
    client: Option<IpAddr>,
    since: Instant,
    evicted: Arc<Notify>,
}

/// The reason why a connection cannot be added.
enum Full {
    /// There are too many connections, none of which makes way before this time.
    Until(Instant),
    /// No connection is allowed.
    Always,
    /// There are too many connections of this address, and all are young.
    Address,
}

impl State {
    fn remove(&mut self, key: u64) -> Option<Waiting> {
        let removed = self.waiting.remove(&key)?;
        if let Some(client) = removed.client
            && let Some(of_client) = self.by_address.get_mut(&client)
        {
            of_client.remove(&key);
            if of_client.is_empty() {
                self.by_address.remove(&client);
                shrink(&mut self.by_address);
            }
        }
        Some(removed)
    }

    /// Removes connection `key` to make room.
    ///
    /// # Errors
    ///
    /// Returns the time at which the connection will no longer be young, if it still is.
    fn evict(&mut self, key: u64, now: Instant) -> Result<(), Instant> {
        let old_at = self.waiting.get(&key).map(|it| it.since + YOUNG);
        if let Some(old_at) = old_at.filter(|old_at| *old_at > now) {
            return Err(old_at);
        }
        if let Some(evicted) = self.remove(key) {
            evicted.evicted.notify_one();
        }
        Ok(())
    }
}

impl Handshakes {
    pub(super) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            state: Mutex::default(),
            room: Notify::new(),
        })
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    pub(super) fn max_per_address(&self) -> usize {
        self.max_per_address
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    pub(super) async fn begin(
        self: &Arc<Self>,
        client: Option<IpAddr>,
    ) -> Result<Handshake, ServerFull> {
        let client = client.map(network);
        let evicted = Arc::new(Notify::new());
        loop {
            let room = self.room.notified();
            match self.enter(&evicted, client) {
                Ok(key) => return Ok(self.handshake(key, client, evicted)),
                Err(Full::Address) => return Err(ServerFull::HandshakesPerAddress),
                Err(Full::Until(at)) => tokio::select! {
                    () = room => {}
                    () = sleep_until(at) => {}
                },
                Err(Full::Always) => room.await,
            }
        }
    }

    pub(super) fn try_begin(
        self: &Arc<Self>,
        client: Option<IpAddr>,
    ) -> Result<Handshake, ServerFull> {
        let client = client.map(network);
        let evicted = Arc::new(Notify::new());
        match self.enter(&evicted, client) {
            Ok(key) => Ok(self.handshake(key, client, evicted)),
            Err(Full::Address) => Err(ServerFull::HandshakesPerAddress),
            Err(Full::Until(_) | Full::Always) => Err(ServerFull::Handshakes),
        }
    }

    fn handshake(
        self: &Arc<Self>,
        key: u64,
        client: Option<IpAddr>,
        evicted: Arc<Notify>,
    ) -> Handshake {
        Handshake {
            handshakes: self.clone(),
            key: Some(key),
            client,
            evicted,
        }
    }

    /// Adds a connection, replacing the oldest if there are too many of its address or in total.
    ///
    /// # Errors
    ///
    /// Returns an error if all that could make way are young.
    fn enter(&self, evicted: &Arc<Notify>, client: Option<IpAddr>) -> Result<u64, Full> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(client) = client
            // With as many in total, those of other addresses can make way too.
            && self.max_per_address < self.max
        {
            let of_client = |state: &State| {
                let keys = state.by_address.get(&client);
                keys.map_or((0, None), |keys| (keys.len(), keys.first().copied()))
            };
            loop {
                match of_client(&state) {
                    (len, _) if len < self.max_per_address => break,
                    (_, Some(oldest)) => state.evict(oldest, now).map_err(|_| Full::Address)?,
                    (_, None) => return Err(Full::Address),
                }
            }
        }
        while state.waiting.len() >= self.max {
            let Some((&oldest, _)) = state.waiting.first_key_value() else {
                return Err(Full::Always);
            };
            state.evict(oldest, now).map_err(Full::Until)?;
        }
        let key = state.next_key;
        state.next_key += 1;
        if let Some(client) = client {
            state.by_address.entry(client).or_default().insert(key);
        }
        let waiting = Waiting {
            client,
            since: now,
            evicted: evicted.clone(),
        };
        state.waiting.insert(key, waiting);
        Ok(key)
    }

    fn leave(&self, key: u64) {
        if self.lock().remove(key).is_some() {
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
    client: Option<IpAddr>,
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

    /// Counts the connection again, as the youngest. If there are too many, in total or of its
    /// address, and all are young, this connection must make way.
    pub fn resume(&mut self) {
        if self.key.is_none() {
            match self.handshakes.enter(&self.evicted, self.client) {
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
        let handshakes = Handshakes::new(2, 2);
        let first = handshakes.begin(None).await.unwrap();
        let second = handshakes.begin(None).await.unwrap();
        assert!(handshakes.try_begin(None).is_err());
        tokio::time::advance(YOUNG).await;
        let third = handshakes.try_begin(None).unwrap();
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
        let handshakes = Handshakes::new(1, 1);
        let first = handshakes.begin(None).await.unwrap();
        let start = Instant::now();
        let second = handshakes.begin(None).await.unwrap();
        assert_eq!(start.elapsed(), YOUNG);
        assert!(is_ready(first.evicted().notified()));
        let third = tokio::spawn({
            let handshakes = handshakes.clone();
            async move { handshakes.begin(None).await }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(second);
        assert!(third.await.unwrap().unwrap().key.is_some());
        assert_eq!(start.elapsed(), YOUNG);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_is_not_counted() {
        let handshakes = Handshakes::new(1, 1);
        let mut first = handshakes.begin(None).await.unwrap();
        first.pause();
        tokio::time::advance(YOUNG).await;
        let _second = handshakes.try_begin(None).unwrap();
        assert!(!is_ready(first.evicted().notified()));
        // The other one is young.
        first.resume();
        assert!(is_ready(first.evicted().notified()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_does_not_take_all() {
        let handshakes = Handshakes::new(4, 2);
        for (first, again, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1"),
        ] {
            let address = |text: &str| Some(text.parse().unwrap());
            let oldest = handshakes.begin(address(first)).await.unwrap();
            let mut second = handshakes.begin(address(again)).await.unwrap();
            // It does not wait, so clients with other addresses are accepted at once.
            let refused = handshakes.begin(address(first)).await.unwrap_err();
            assert_eq!(refused, ServerFull::HandshakesPerAddress);
            assert!(is_ready(handshakes.begin(address(other))));
            // A connection with a request does not count.
            second.pause();
            let third = handshakes.try_begin(address(again)).unwrap();
            second.resume();
            assert!(is_ready(second.evicted().notified()));
            // The oldest of the address makes way, although there is room in total.
            tokio::time::advance(YOUNG).await;
            let _other = handshakes.begin(address(other)).await.unwrap();
            let fourth = handshakes.begin(address(first)).await.unwrap();
            assert!(is_ready(oldest.evicted().notified()));
            assert!(!is_ready(third.evicted().notified()));
            drop((oldest, second, third, fourth));
        }
        assert_eq!(handshakes.len(), 0);
        assert!(handshakes.lock().by_address.is_empty());
    }
}

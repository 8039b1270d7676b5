//! Counts of sessions, in total and per address.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    ServerFull,
    per_address::{network, shrink},
};

pub(super) struct Sessions {
    max: usize,
    max_per_address: usize,
    count: Mutex<Count>,
}

#[derive(Default)]
struct Count {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Sessions {
    pub(super) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            count: Mutex::default(),
        })
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    pub(super) fn max_per_address(&self) -> usize {
        self.max_per_address
    }

    pub(super) fn len(&self) -> usize {
        self.lock().all
    }

    pub(super) fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
    ) -> Result<SessionPermit, ServerFull> {
        let client = client.map(network);
        let mut count = self.lock();
        if count.all >= self.max {
            return Err(ServerFull::Sessions);
        }
        if let Some(client) = client {
            let so_far = count.by_address.get(&client).copied().unwrap_or_default();
            if so_far >= self.max_per_address {
                return Err(ServerFull::SessionsPerAddress);
            }
            count.by_address.insert(client, so_far + 1);
        }
        count.all += 1;
        drop(count);
        Ok(SessionPermit {
            sessions: self.clone(),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit that counts a session until it is dropped.
#[must_use = "the session is counted until this is dropped"]
pub struct SessionPermit {
    sessions: Arc<Sessions>,
    client: Option<IpAddr>,
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let mut count = self.sessions.lock();
        count.all -= 1;
        if let Some(client) = self.client
            && let Some(of_client) = count.by_address.get_mut(&client)
        {
            *of_client -= 1;
            if *of_client == 0 {
                count.by_address.remove(&client);
                shrink(&mut count.by_address);
            }
        }
    }
}

impl fmt::Debug for SessionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionPermit")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn sessions_are_counted_until_they_are_dropped() {
        let sessions = Sessions::new(2, 2);
        let first = sessions.admit(None).unwrap();
        let _second = sessions.admit(None).unwrap();
        assert_eq!(sessions.admit(None).unwrap_err(), ServerFull::Sessions);
        drop(first);
        assert_eq!(sessions.len(), 1);
        assert!(sessions.admit(None).is_ok());
    }

    #[test]
    fn one_address_does_not_take_all() {
        let sessions = Sessions::new(10, 1);
        for (first, again, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1"),
        ] {
            let held = sessions.admit(address(first)).unwrap();
            let refused = sessions.admit(address(again)).unwrap_err();
            assert_eq!(refused, ServerFull::SessionsPerAddress);
            assert!(sessions.admit(address(other)).is_ok());
            drop(held);
            assert!(sessions.admit(address(again)).is_ok());
        }
        assert!(sessions.lock().by_address.is_empty());
    }
}

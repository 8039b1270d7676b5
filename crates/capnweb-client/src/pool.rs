//! Several clients that share the calls.

use std::sync::{Mutex, PoisonError};

use capnweb_core::StubType;

use crate::{Client, random::Random};

/// One client per server, from [`ClientBuilder::start_pool`](crate::ClientBuilder::start_pool).
///
/// [`main`](Self::main) picks two members at random and takes the one with fewer calls in progress.
/// A stub, and everything derived from it, stays with its member.
///
/// ```no_run
/// use capnweb_client::Client;
/// use capnweb_core::{Result, Stub};
///
/// # async fn example() -> Result<()> {
/// let pool = Client::to(["wss://a.example/api", "wss://b.example/api"]).start_pool();
/// let price: f64 = pool.main::<Stub>().call("price", ("tea",)).fetch().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Pool {
    members: Vec<Client>,
    random: Mutex<Random>,
}

impl Pool {
    pub(crate) fn new(members: Vec<Client>, random: Random) -> Self {
        Self {
            members,
            random: Mutex::new(random),
        }
    }

    /// Returns the members, in the order of their servers.
    pub fn members(&self) -> &[Client] {
        &self.members
    }

    /// Picks two members at random and returns the one with fewer calls in progress. Members that
    /// are up are preferred.
    ///
    /// # Panics
    ///
    /// Panics if the pool has no servers.
    pub fn pick(&self) -> &Client {
        let up = self.members.iter();
        let up: Vec<_> = up.filter(|member| member.state().get().is_up()).collect();
        let candidates = if up.is_empty() {
            self.members.iter().collect()
        } else {
            up
        };
        assert!(!candidates.is_empty(), "a pool has servers");
        let (first, second) = self.two(candidates.len());
        let (first, second) = (candidates[first], candidates[second]);
        if second.load() < first.load() {
            second
        } else {
            first
        }
    }

    /// Returns two random numbers below `len`, which differ unless `len` is 1.
    fn two(&self, len: usize) -> (usize, usize) {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut below = |bound: usize| {
            let bound = u64::try_from(bound).unwrap_or(u64::MAX);
            usize::try_from(random.below(bound)).unwrap_or_default()
        };
        let first = below(len);
        let second = (first + 1 + below(len - 1)) % len;
        (first, second)
    }

    /// Picks a member like [`pick`](Self::pick) and returns a lasting stub of its main object.
    ///
    /// # Panics
    ///
    /// Panics if the pool has no servers.
    pub fn main<S: StubType>(&self) -> S {
        self.pick().main()
    }

    /// Closes all members.
    pub fn close(&self) {
        self.members.iter().for_each(Client::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_members_are_compared() {
        let pool = Pool::new(Vec::new(), Random::new(Some(5)));
        let mut seen = [[0_u32; 3]; 3];
        for _ in 0..600 {
            let (first, second) = pool.two(3);
            assert_ne!(first, second);
            seen[first][second] += 1;
        }
        let pairs = seen.iter().flatten().filter(|count| **count > 50);
        assert_eq!(pairs.count(), 6, "{seen:?}");
        assert_eq!(pool.two(1), (0, 0));
    }
}

//! The servers that a client may connect to, in order of preference.

use std::{sync::Arc, time::Duration};

use capnweb_core::runtime::Instant;

use crate::{
    breaker::{Breaker, Circuit},
    random::Random,
};

/// The number of suspect ends in a row after which the client gives up on a server.
const SUSPECT_ENDS: u32 = 3;

/// The servers of a client, with their state.
#[derive(Debug)]
pub(crate) struct Servers {
    list: Vec<Server>,
    /// The index of the preferred server.
    first: usize,
    breaker: Breaker,
}

#[derive(Debug)]
struct Server {
    url: Arc<str>,
    circuit: Circuit,
    /// The time until which the server asked to be avoided.
    busy_until: Option<Instant>,
    /// The number of suspect ends in a row.
    suspect: u32,
    is_given_up: bool,
}

/// The server to connect to next, and the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) server: usize,
    pub(crate) url: Arc<str>,
    /// The earliest time for the attempt.
    pub(crate) not_before: Option<Instant>,
}

impl Server {
    /// Returns the earliest time for an attempt. An open circuit counts only if there are other
    /// servers; without one, the backoff's pauses are enough.
    fn not_before(&self, has_others: bool) -> Option<Instant> {
        let open_until = self.circuit.open_until().filter(|_| has_others);
        open_until.max(self.busy_until)
    }
}

impl Servers {
    pub(crate) fn new(urls: impl IntoIterator<Item = Arc<str>>, breaker: Breaker) -> Self {
        let server = |url| Server {
            url,
            circuit: Circuit::default(),
            busy_until: None,
            suspect: 0,
            is_given_up: false,
        };
        Self {
            list: urls.into_iter().map(server).collect(),
            first: 0,
            breaker,
        }
    }

    /// Returns the first server that is available at `when`, or otherwise the one that is available
    /// soonest. Returns `None` if the client gave up on all servers.
    pub(crate) fn choose(&self, when: Instant) -> Option<Choice> {
        let len = self.list.len();
        let has_others = self.usable() > 1;
        let order = (0..len).map(|place| (self.first + place) % len);
        let usable = order.filter(|index| !self.list[*index].is_given_up);
        // Several may be available at the same time: `min_by_key` returns the first.
        let server = usable.min_by_key(|index| {
            let time = self.list[*index].not_before(has_others);
            time.filter(|time| *time > when)
        })?;
        Some(Choice {
            server,
            url: self.list[server].url.clone(),
            not_before: self.list[server].not_before(has_others),
        })
    }

    /// Returns the number of servers that the client has not given up on.
    pub(crate) fn usable(&self) -> usize {
        let usable = self.list.iter().filter(|server| !server.is_given_up);
        usable.count()
    }

    /// Records a successful connection to `server`.
    pub(crate) fn connected(&mut self, server: usize) {
        self.first = server;
        if let Some(server) = self.list.get_mut(server) {
            server.circuit.close();
            server.busy_until = None;
        }
    }

    /// Records a failed attempt at `server`. Returns whether its circuit is now open.
    pub(crate) fn failed(&mut self, server: usize, now: Instant, random: &mut Random) -> bool {
        let breaker = self.breaker;
        let Some(server) = self.list.get_mut(server) else {
            return false;
        };
        let jitter = random.up_to(breaker.jitter());
        server.circuit.fail(&breaker, now, jitter)
    }

    /// Prefers the server after `server`.
    pub(crate) fn prefer_after(&mut self, server: usize) {
        self.first = (server + 1) % self.list.len().max(1);
    }

    /// Avoids `server` until `time`.
    pub(crate) fn leave_until(&mut self, server: usize, time: Instant) {
        if let Some(server) = self.list.get_mut(server) {
            server.busy_until = Some(time);
        }
    }

    /// Counts a suspect end. Returns whether the client gave up on the server.
    pub(crate) fn suspect(&mut self, server: usize) -> bool {
        let Some(server) = self.list.get_mut(server) else {
            return false;
        };
        server.suspect += 1;
        server.is_given_up |= server.suspect >= SUSPECT_ENDS;
        server.is_given_up
    }

    /// Resets the count of suspect ends.
    pub(crate) fn trust(&mut self, server: usize) {
        if let Some(server) = self.list.get_mut(server) {
            server.suspect = 0;
        }
    }

    /// Gives up on `server`.
    pub(crate) fn give_up(&mut self, server: usize) {
        if let Some(server) = self.list.get_mut(server) {
            server.is_given_up = true;
        }
    }

    /// Makes every server available at once.
    pub(crate) fn forgive(&mut self) {
        for server in &mut self.list {
            server.circuit.half_open();
            server.busy_until = None;
        }
    }
}

/// Returns the time for which to avoid a server that asked for `time`. Up to a tenth is added at
/// random, so that clients do not return together.
pub(crate) fn spread(time: Duration) -> Duration {
    (time / 10).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        let urls = ["a", "b", "c"].map(Arc::from);
        Servers::new(urls, Breaker::after(2))
    }

    fn chosen(servers: &Servers, now: Instant) -> (String, Option<Duration>) {
        let choice = servers.choose(now).unwrap();
        let wait = choice.not_before.map(|time| time - now);
        (choice.url.to_string(), wait)
    }

    #[test]
    fn the_order_decides_and_goes_round() {
        let now = Instant::now();
        let mut servers = servers();
        assert_eq!(chosen(&servers, now).0, "a");
        servers.prefer_after(0);
        assert_eq!(chosen(&servers, now).0, "b");
        servers.prefer_after(2);
        assert_eq!(chosen(&servers, now).0, "a");
        servers.connected(1);
        assert_eq!(chosen(&servers, now).0, "b");
    }

    #[test]
    fn open_circuits_and_busy_servers_are_passed_over() {
        let now = Instant::now();
        let mut servers = servers();
        let mut random = Random::new(Some(1));
        servers.failed(0, now, &mut random);
        assert_eq!(chosen(&servers, now).0, "a");
        assert!(servers.failed(0, now, &mut random));
        assert_eq!(chosen(&servers, now), ("b".to_owned(), None));
        let soon = now + Duration::from_secs(3);
        servers.leave_until(1, soon);
        servers.leave_until(2, now + Duration::from_secs(5));
        let wait = Some(Duration::from_secs(3));
        assert_eq!(chosen(&servers, now), ("b".to_owned(), wait));
        servers.forgive();
        assert_eq!(chosen(&servers, now), ("a".to_owned(), None));
        // The circuit is half-open: one more failure opens it again.
        assert!(servers.failed(0, now, &mut random));
        assert_eq!(chosen(&servers, now).0, "b");
    }

    #[test]
    fn an_open_circuit_does_not_hold_back_the_only_server() {
        let now = Instant::now();
        let mut servers = Servers::new([Arc::from("a")], Breaker::after(1));
        assert!(servers.failed(0, now, &mut Random::new(Some(1))));
        assert_eq!(chosen(&servers, now), ("a".to_owned(), None));
        let soon = now + Duration::from_secs(3);
        servers.leave_until(0, soon);
        assert_eq!(chosen(&servers, now).1, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_server_is_given_up_after_three_suspect_ends_in_a_row() {
        let now = Instant::now();
        let mut servers = servers();
        assert!(!servers.suspect(0) && !servers.suspect(0));
        servers.trust(0);
        assert!(!servers.suspect(0) && !servers.suspect(0));
        assert!(servers.suspect(0));
        assert_eq!(
            (chosen(&servers, now).0.as_str(), servers.usable()),
            ("b", 2)
        );
        servers.give_up(1);
        servers.give_up(2);
        assert_eq!(servers.choose(now), None);
    }
}

//! Pairing of peers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;

/// One end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The end whose main object the other end connects for.
    Server,
    Client,
}

/// Pairs of peers, by the ID that both ends provide.
#[derive(Debug)]
pub(crate) struct Pairs<T>(Mutex<HashMap<String, Pair<T>>>);

#[derive(Debug)]
struct Pair<T> {
    server: Seat<T>,
    client: Seat<T>,
}

#[derive(Debug)]
enum Seat<T> {
    Free,
    /// A peer is on its way, or has already met the other end.
    Taken,
    Waiting(T),
}

impl<T> Pairs<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pair<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves one end of a pair. Returns `None` if it is taken.
    pub(crate) fn reserve(self: &Arc<Self>, id: String, side: Side) -> Option<Reservation<T>> {
        let mut pairs = self.lock();
        let pair = pairs.entry(id.clone()).or_insert_with(|| Pair {
            server: Seat::Free,
            client: Seat::Free,
        });
        let seat = pair.seat(side);
        if !matches!(seat, Seat::Free) {
            return None;
        }
        *seat = Seat::Taken;
        Some(Reservation {
            pairs: self.clone(),
            id,
            side,
            seated: false,
        })
    }

    /// Makes the ID available again.
    fn part(&self, id: &str) {
        let pair = self.lock().remove(id);
        drop(pair);
    }
}

impl<T> Pair<T> {
    fn seat(&mut self, side: Side) -> &mut Seat<T> {
        match side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        }
    }
}

/// One end of a pair, reserved for a peer that is on its way. Dropping this cancels the
/// reservation.
#[derive(Debug)]
pub(crate) struct Reservation<T> {
    pairs: Arc<Pairs<T>>,
    id: String,
    side: Side,
    seated: bool,
}

impl<T> Reservation<T> {
    /// Registers the peer's arrival. The second peer to arrive receives both, to connect them.
    pub(crate) fn arrive(mut self, peer: T) -> Option<Couple<T>> {
        self.seated = true;
        let mut pairs = self.pairs.lock();
        let pair = pairs.get_mut(&self.id)?;
        *pair.seat(self.side) = Seat::Waiting(peer);
        let seats = (
            std::mem::replace(&mut pair.server, Seat::Taken),
            std::mem::replace(&mut pair.client, Seat::Taken),
        );
        match seats {
            (Seat::Waiting(server), Seat::Waiting(client)) => {
                drop(pairs);
                let meeting = Meeting {
                    pairs: self.pairs.clone(),
                    id: self.id.clone(),
                };
                Some(Couple {
                    server,
                    client,
                    meeting,
                })
            }
            (server, client) => {
                *pair = Pair { server, client };
                None
            }
        }
    }
}

impl<T> Drop for Reservation<T> {
    fn drop(&mut self) {
        if !self.seated
            && let Some(pair) = self.pairs.lock().get_mut(&self.id)
        {
            *pair.seat(self.side) = Seat::Free;
        }
    }
}

/// Two peers that have met.
#[derive(Debug)]
pub(crate) struct Couple<T> {
    pub(crate) server: T,
    pub(crate) client: T,
    /// Keep this as long as they are connected.
    pub(crate) meeting: Meeting<T>,
}

/// A meeting of two peers, during which their ID is taken.
#[derive(Debug)]
pub(crate) struct Meeting<T> {
    pairs: Arc<Pairs<T>>,
    id: String,
}

impl<T> Drop for Meeting<T> {
    fn drop(&mut self) {
        self.pairs.part(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reserve(pairs: &Arc<Pairs<u32>>, side: Side) -> Reservation<u32> {
        pairs
            .reserve("a".to_owned(), side)
            .expect("the end is free")
    }

    #[test]
    fn the_second_to_arrive_gets_both() {
        let pairs = Pairs::new();
        assert!(reserve(&pairs, Side::Client).arrive(1).is_none());
        let couple = reserve(&pairs, Side::Server)
            .arrive(2)
            .expect("both are there");
        assert_eq!((couple.server, couple.client), (2, 1));
    }

    #[test]
    fn an_end_has_room_for_one() {
        let pairs = Pairs::new();
        let first = reserve(&pairs, Side::Client);
        assert!(pairs.reserve("a".to_owned(), Side::Client).is_none());
        assert!(pairs.reserve("b".to_owned(), Side::Client).is_some());
        assert!(first.arrive(1).is_none());
        assert!(pairs.reserve("a".to_owned(), Side::Client).is_none());
    }

    #[test]
    fn a_reservation_given_up_is_free_again() {
        let pairs = Pairs::new();
        drop(reserve(&pairs, Side::Server));
        assert!(reserve(&pairs, Side::Server).arrive(1).is_none());
    }

    #[test]
    fn an_id_is_free_again_when_its_meeting_is_over() {
        let pairs = Pairs::new();
        assert!(reserve(&pairs, Side::Server).arrive(1).is_none());
        let couple = reserve(&pairs, Side::Client)
            .arrive(2)
            .expect("both are there");
        assert!(pairs.reserve("a".to_owned(), Side::Client).is_none());
        drop(couple);
        assert!(reserve(&pairs, Side::Client).arrive(3).is_none());
    }
}

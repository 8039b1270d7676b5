//! The examples in the TypeScript reference's documentation, as a user of this library writes them.
//! `node/checks/tour.mjs` contains them as a JavaScript user writes them.
//!
//! The reference warns of some mistakes that do not compile in Rust: an async closure, branching on
//! an element, computing with it, and formatting it as text. The macros' own tests cover these
//! (`crates/capnweb-macros/tests/ui/map_closures.rs`).

mod disposal;
mod map;
mod pipelining;
mod promises;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use capnweb::{Result, Session, SessionOptions, StubType, transport::Connection};

use super::{
    check::{Checks, Failure, Outcome, ensure},
    peer::{Peer, eventually},
};
use crate::{
    main_object::MainStub,
    tour::{Listener, TourStub},
};

pub(super) fn checks(checks: &mut Checks) {
    pipelining::checks(checks);
    promises::checks(checks);
    map::checks(checks);
    disposal::checks(checks);
}

/// The events that a listener received.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn add(&self, event: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }

    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A listener that records its events, and counts its own drop.
struct Writer {
    heard: Heard,
    dropped: Dropped,
}

impl Listener for Writer {
    fn on_event(&self, event: String) -> Result<()> {
        self.heard.add(event);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.dropped.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The number of writers that were dropped.
#[derive(Clone, Default)]
struct Dropped(Arc<AtomicUsize>);

impl Dropped {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    async fn ensure(&self, expected: usize) -> Outcome {
        let reached = eventually(async || Ok(self.count() == expected)).await?;
        ensure!(reached, self.count());
        Ok(())
    }
}

/// Waits until `expected` users are authenticated.
async fn ensure_authenticated(peer: &Peer, expected: usize) -> Outcome {
    let tour = peer.tour();
    if eventually(async || Ok(tour.authenticated().await? == expected)).await? {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected {expected} who are authenticated, found {}",
        tour.authenticated().await?
    )))
}

/// Creates a session whose peer is the check itself, to count the messages, and the tour at its
/// other end.
fn scripted() -> (Session, Connection, TourStub) {
    let (session, connection) = Session::client(SessionOptions::new());
    let tour = MainStub::from_stub(session.main()).tour();
    let tour = TourStub::clone(&tour);
    (session, connection, tour)
}

/// Returns the messages that the session wants to send.
fn sent(connection: &mut Connection) -> Vec<String> {
    let mut outgoing = connection.take_outgoing();
    std::iter::from_fn(|| outgoing.pop())
        .map(|message| String::from_utf8_lossy(&message).into_owned())
        .collect()
}

/// Returns the kinds of these messages, in order.
fn kinds(messages: &[String]) -> Vec<&str> {
    let kinds = messages.iter().map(|message| message.split('"').nth(1));
    kinds.map(Option::unwrap_or_default).collect()
}

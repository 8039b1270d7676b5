//! The state that the handles and the task of a client share.

use std::sync::atomic::AtomicUsize;

use capnweb_core::Error;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::{
    derivations::Derivations,
    notes::Note,
    settings::Settings,
    state::{Event, State},
};

/// The state that the handles and the task of a client share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) derivations: Derivations,
    pub(crate) state: watch::Sender<State>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) retry_now: Notify,
    /// The reason to close for.
    pub(crate) close: watch::Sender<Option<Error>>,
    /// True once the task of the client is over.
    pub(crate) done: watch::Sender<bool>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
    pub(crate) attempts: AtomicUsize,
}

impl Shared {
    /// Tells of an event those who listen.
    pub(crate) fn tell(&self, event: Event) {
        // An error says that nobody listens.
        let _ = self.events.send(event);
    }

    /// Has the task look after something.
    pub(crate) fn note(&self, note: Note) {
        // The receiver is gone with the task, and then the client is closed.
        let _ = self.notes.send(note);
    }
}

/// The error of a client whose task was ended by its runtime.
pub(crate) fn gone() -> Error {
    Error::disconnected("the client is gone: its runtime was shut down").with_may_have_run(false)
}

//! The state shared by the handles and the task of a client.

use std::sync::atomic::AtomicUsize;

use capnweb_core::Error;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::{
    derivations::Derivations,
    notes::Note,
    settings::Settings,
    state::{Event, State},
};

/// The state shared by the handles and the task of a client.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) derivations: Derivations,
    pub(crate) state: watch::Sender<State>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) retry_now: Notify,
    /// The reason for closing, once the application asked for it.
    pub(crate) close: watch::Sender<Option<Error>>,
    /// True once the client's task has ended.
    pub(crate) done: watch::Sender<bool>,
    pub(crate) notes: mpsc::UnboundedSender<Note>,
    pub(crate) attempts: AtomicUsize,
}

impl Shared {
    /// Sends an event to the listeners.
    pub(crate) fn tell(&self, event: Event) {
        // It fails if there are no listeners.
        let _ = self.events.send(event);
    }

    /// Sends a note to the task.
    pub(crate) fn note(&self, note: Note) {
        // It fails if the task has ended, and then the client is closed.
        let _ = self.notes.send(note);
    }
}

/// Returns the error of a client whose task was dropped by its runtime.
pub(crate) fn gone() -> Error {
    Error::disconnected("the client is gone: its runtime was shut down").with_may_have_run(false)
}

//! The task of a client, which keeps connecting.

use std::sync::Arc;

use capnweb_core::Error;
use tokio::sync::mpsc;

use crate::{
    keeper::Keeper,
    notes::Note,
    sessions::Sessions,
    shared::{Shared, gone},
    state::{Event, State},
};

/// The task of a client.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    is_finished: bool,
}

/// The reason why a client ends.
enum End {
    /// All handles and stubs were dropped.
    Dropped,
    /// It was closed.
    Closed(Error),
    /// It has given up.
    GivenUp(Error),
}

impl Supervisor {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            is_finished: false,
        }
    }

    pub(crate) async fn run(mut self, notes: mpsc::UnboundedReceiver<Note>) {
        let mut close = self.shared.close.subscribe();
        let mut keeper = Keeper::new(self.shared.clone(), notes);
        let mut sessions = Sessions::new(self.shared.clone());
        let end = {
            let closing = async {
                match close.wait_for(Option::is_some).await {
                    Ok(reason) => reason.clone().unwrap_or_else(gone),
                    Err(_) => gone(),
                }
            };
            tokio::select! {
                biased;
                reason = closing => End::Closed(reason),
                () = keeper.run() => End::Dropped,
                reason = sessions.run() => End::GivenUp(reason),
            }
        };
        let session = sessions.into_session();
        match end {
            End::Dropped => self.finish(Error::disconnected(
                "all handles of the client were dropped",
            )),
            End::GivenUp(reason) => self.finish(reason),
            End::Closed(reason) => {
                if let Some(session) = &session {
                    session.close_with(1000, reason.clone());
                }
                self.finish(reason);
                if let Some(session) = session {
                    session.closed().await;
                }
            }
        }
        self.shared.done.send_replace(true);
    }

    /// Breaks all stubs and publishes the end.
    fn finish(&mut self, error: Error) {
        self.is_finished = true;
        self.shared.derivations.close(&error);
        self.shared.tell(Event::Closed {
            error: error.clone(),
        });
        self.shared.state.send_replace(State::Closed { error });
    }
}

/// Closes the client when its runtime is shut down.
impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.is_finished {
            self.finish(gone());
        }
        self.shared.done.send_replace(true);
    }
}

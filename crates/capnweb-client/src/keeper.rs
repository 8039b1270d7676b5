//! The part of a client's task that tends derivations and retired sessions.

use std::{future::Future, pin::Pin, sync::Arc};

use capnweb_core::{Error, Payload, Result, WeakSession};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;

use crate::{
    derivations::{Derived, Key},
    notes::Note,
    shared::Shared,
    state::Event,
};

/// The outcome of a job.
enum Done {
    /// All stubs of the main object were dropped.
    RootDropped,
    /// All stubs of a derivation were dropped.
    Dropped(Key),
    /// A derivation has settled.
    Outcome {
        key: Key,
        generation: u64,
        session: WeakSession,
        outcome: Result<()>,
    },
    Retired,
}

type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Tends the derivations of a client and its retired sessions.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    notes: mpsc::UnboundedReceiver<Note>,
    jobs: FuturesUnordered<Job>,
    root_dropped: bool,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, notes: mpsc::UnboundedReceiver<Note>) -> Self {
        let dropped = shared.derivations.root().gone();
        let jobs = FuturesUnordered::<Job>::new();
        jobs.push(Box::pin(async move {
            dropped.await;
            Done::RootDropped
        }));
        Self {
            shared,
            notes,
            jobs,
            root_dropped: false,
        }
    }

    /// Runs until all stubs and handles of the client are dropped.
    pub(crate) async fn run(&mut self) {
        while !(self.root_dropped && self.shared.derivations.len() == 0) {
            tokio::select! {
                biased;
                note = self.notes.recv() => match note {
                    Some(note) => self.take(note),
                    None => return,
                },
                Some(done) = self.jobs.next() => self.done(done),
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Added(added) => {
                let (key, dropped) = (added.key, added.slot.gone());
                self.jobs.push(Box::pin(async move {
                    dropped.await;
                    Done::Dropped(key)
                }));
                self.watch(added.derived);
            }
            Note::Derived(derived) => self.watch(derived),
            Note::Retired(retired) => self.jobs.push(Box::pin(async move {
                retired.end().await;
                Done::Retired
            })),
        }
    }

    /// Starts waiting for the outcomes of derivations.
    fn watch(&mut self, derived: impl IntoIterator<Item = Derived>) {
        for derived in derived {
            let outcome = derived.stub.fetch::<Payload>();
            let (key, generation, session) = (derived.key, derived.generation, derived.session);
            self.jobs.push(Box::pin(async move {
                Done::Outcome {
                    key,
                    generation,
                    session,
                    outcome: outcome.await.map(drop),
                }
            }));
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::RootDropped => self.root_dropped = true,
            Done::Dropped(key) => self.shared.derivations.dropped(key),
            Done::Outcome {
                key,
                generation,
                session,
                outcome: Err(error),
            } => {
                // The end of the session is not a failure of the derivation, which runs again on
                // the next one.
                let is_over = session
                    .upgrade()
                    .is_none_or(|session| session.end_reason().is_some());
                if !is_over {
                    self.fail(key, generation, &error);
                }
            }
            Done::Outcome { .. } | Done::Retired => {}
        }
    }

    fn fail(&self, key: Key, generation: u64, error: &Error) {
        let broken = self.shared.derivations.fail(key, generation, error);
        if broken > 0 {
            let error = error.clone();
            self.shared.tell(Event::DerivationFailed { error, broken });
        }
    }
}

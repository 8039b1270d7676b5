//! The feed, which redacts, records and follows the messages of all sessions.

use std::{
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use capnweb_inspect::{
    Body, Entry, Event, Follower, Header, Options, Redactor, Side, TransportKind, Writer,
};
use tokio::sync::watch;

/// Everything that is known of the sessions.
#[derive(Debug)]
pub(crate) struct State {
    started: Instant,
    redactor: Option<Redactor>,
    recording: Option<Writer<File>>,
    /// The error that ended the recording.
    failed: Option<std::io::Error>,
    pub(crate) follower: Follower,
    sessions: u64,
}

/// A handle to it.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

impl Feed {
    /// Creates a feed that redacts, and follows with these options.
    pub(crate) fn new(redactor: Option<Redactor>, options: Options) -> Self {
        let state = State {
            started: Instant::now(),
            redactor,
            recording: None,
            failed: None,
            follower: Follower::new(options),
            sessions: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            changed: watch::Sender::new(0),
        }
    }

    /// Records from now on.
    pub(crate) fn record(&self, file: File, to: &str, started: String) -> std::io::Result<()> {
        let mut state = self.lock();
        let mut header = Header::default();
        header.started = Some(started);
        header.to = Some(to.to_owned());
        header.redacted = state.redactor.as_ref().map(Redactor::names);
        state.recording = Some(Writer::new(file, &header)?);
        Ok(())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is told of each change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins a session.
    pub(crate) fn open(&self, transport: TransportKind, path: &str) -> u64 {
        let mut state = self.lock();
        state.sessions += 1;
        let session = state.sessions;
        let path = path.to_owned();
        state.add(session, Event::Open { transport, path });
        drop(state);
        self.tell();
        session
    }

    pub(crate) fn message(&self, session: u64, from: Side, body: Body) {
        self.lock().add(session, Event::Message { from, body });
        self.tell();
    }

    pub(crate) fn close(&self, session: u64, reason: impl Into<String>) {
        let reason = reason.into();
        self.lock().add(session, Event::Close { reason });
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}

impl State {
    fn add(&mut self, session: u64, event: Event) {
        let t = self.started.elapsed().as_secs_f64() * 1000.0;
        let mut entry = Entry::new(t, session, event);
        if let Some(redactor) = &mut self.redactor {
            redactor.redact(&mut entry);
        }
        if let Some(recording) = &mut self.recording
            && let Err(error) = recording.write(&entry)
        {
            self.recording = None;
            self.failed = Some(error);
        }
        self.follower.follow(&entry);
    }

    /// Returns the time since the start, in milliseconds.
    pub(crate) fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1000.0
    }

    /// Returns why nothing is recorded any more, once.
    pub(crate) fn take_failure(&mut self) -> Option<std::io::Error> {
        self.failed.take()
    }
}

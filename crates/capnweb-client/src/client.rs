//! The handle on a client.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use capnweb_core::{
    Error, Pipelined, Promise, Result, Session, Stub, StubType,
    lasting::{SlotGroup, SlotOptions},
    runtime::spawn,
};
use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::{
    derivations::Derivations,
    notes::Note,
    settings::Settings,
    shared::{Shared, gone},
    state::{Events, State, States},
    supervisor::Supervisor,
};

/// The maximum number of events that wait for a slow reader.
const EVENTS: usize = 256;

/// A client that outlives its sessions.
///
/// It connects to one of several servers and, when the session is lost, to the next one. Its stubs
/// are lasting: they look like any other stub, but refer to the same object on each new session.
/// Clones are handles on the same client.
///
/// ```no_run
/// use std::time::Duration;
///
/// use capnweb_client::{Backoff, Client, Retry, WhileDown};
/// use capnweb_core::{Promise, Result, Stub};
///
/// # async fn bearer() -> Result<String> { Ok(String::new()) }
/// # async fn example() -> Result<()> {
/// let client = Client::to(["wss://a.example/api", "wss://b.example/api"])
///     .prepare(|attempt| async move { Ok(attempt.header("authorization", bearer().await?)) })
///     .call_timeout(Duration::from_secs(30))
///     .backoff(Backoff::full_jitter(Duration::from_millis(250), Duration::from_secs(30)))
///     .while_down(WhileDown::Queue { calls: 1024, bytes: 1 << 20, wait: Duration::from_secs(5) })
///     .retry(Retry::idempotent().attempts(3).budget(0.2))
///     .start();
///
/// let api: Stub = client.main();
/// // Run again on each new session.
/// let user: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
///     api.call("authenticate", ("token",)).cast()
/// });
/// match user.call("pay", (10,)).fetch::<()>().await {
///     Err(error) if error.may_have_run() => println!("ask the server what happened"),
///     other => other?,
/// }
/// # Ok(()) }
/// ```
///
/// # Lifetime
///
/// The client lives as long as one of its handles or stubs. When the last one is dropped, its
/// session ends, like any session without handles. [`close`](Self::close) ends it at once.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    /// Keeps the main slot alive.
    root: Stub,
}

impl Client {
    pub(crate) fn start(settings: Settings, options: SlotOptions) -> Self {
        let (derivations, root) = Derivations::new(SlotGroup::new(options));
        let (notes, noted) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            settings,
            derivations,
            state: watch::Sender::new(State::Connecting {
                attempt: 1,
                next: None,
            }),
            events: broadcast::Sender::new(EVENTS),
            retry_now: Notify::new(),
            close: watch::Sender::new(None),
            done: watch::Sender::new(false),
            notes,
            attempts: AtomicUsize::new(0),
        });
        spawn(Supervisor::new(shared.clone()).run(noted));
        Self {
            handle: Arc::new(Handle { shared, root }),
        }
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// Returns a lasting stub of the server's main object.
    ///
    /// The stub is available at once. Its calls wait for a session, as configured by
    /// [`while_down`](crate::ClientBuilder::while_down).
    pub fn main<S: StubType>(&self) -> S {
        S::from_stub(self.handle.root.clone())
    }

    /// Returns a lasting stub that `derive` makes from `parent`, now and again on each new session.
    ///
    /// The closure receives the parent on the new session. All derivations run before any waiting
    /// call is sent, parents first. They take one round trip together, since each is called on the
    /// promise of its parent. Callbacks that a closure passes to the server are exported again;
    /// [`Resume`](crate::Resume) remembers the position of a subscription.
    ///
    /// If a derivation fails, its stub and those derived from it break for good, and the client
    /// reports [`Event::DerivationFailed`](crate::Event::DerivationFailed). A derivation is no
    /// longer run once all of its stubs are dropped.
    ///
    /// A closure that holds the client or one of its stubs keeps the client alive: close such a
    /// client explicitly.
    ///
    /// If `parent` is not a lasting stub of this client, the returned stub is broken with a
    /// `TypeError`.
    pub fn derive<P, T, E, F>(&self, parent: &P, derive: F) -> T::Pipeline
    where
        P: StubType,
        T: Pipelined,
        F: Fn(P) -> Promise<T, E> + Send + Sync + 'static,
    {
        let derive = Arc::new(move |stub| Promise::into_stub(derive(P::from_stub(stub))));
        let shared = self.shared();
        let stub = match shared.derivations.add(parent.as_stub(), derive) {
            Ok((stub, added)) => {
                shared.note(Note::Added(added));
                stub
            }
            Err(error) => Stub::broken(error),
        };
        T::Pipeline::from_stub(stub)
    }

    /// Waits until there is a session.
    ///
    /// # Errors
    ///
    /// Returns the error of [`State::Refused`] or [`State::Closed`] if the client enters one of
    /// these states.
    pub async fn connected(&self) -> Result<()> {
        let mut states = self.state();
        let settled = states.wait_for(|state| !matches!(state, State::Connecting { .. }));
        match settled.await {
            Some(State::Refused { error } | State::Closed { error }) => Err(error),
            Some(_) => Ok(()),
            None => Err(gone()),
        }
    }

    /// Returns a handle on the state that also waits for changes.
    pub fn state(&self) -> States {
        States::new(self.shared().state.subscribe())
    }

    /// Returns the events from now on.
    pub fn events(&self) -> Events {
        Events::new(self.shared().events.subscribe())
    }

    /// Returns the current session, if there is one. Holding it keeps it alive.
    pub fn session(&self) -> Option<Session> {
        self.shared().derivations.session()
    }

    /// Returns the number of attempts to connect so far.
    pub fn attempts(&self) -> usize {
        self.shared().attempts.load(Ordering::Relaxed)
    }

    /// Returns the approximate number of calls in progress.
    pub(crate) fn load(&self) -> usize {
        let derived = self.shared().derivations.len();
        let imports = self.session().map(|session| session.stats().imports);
        imports.unwrap_or_default().saturating_sub(1 + derived)
    }

    /// Makes the next attempt now, for example because the user asked for it or the network is
    /// back.
    ///
    /// It ends a pause as well as [`State::Refused`]. While there is a session or an attempt is
    /// being made, it does nothing. Later calls wait for a session again.
    pub fn retry_now(&self) {
        let shared = self.shared();
        shared.derivations.end_refusal();
        // At once, so that `connected` waits for the attempt.
        shared.state.send_if_modified(|state| {
            let is_refused = matches!(state, State::Refused { .. });
            if is_refused {
                *state = State::Connecting {
                    attempt: 1,
                    next: None,
                };
            }
            is_refused
        });
        shared.retry_now.notify_waiters();
    }

    /// Ends the session, if there is one, and breaks all lasting stubs.
    ///
    /// Calls that were made before are still sent; [`closed`](Self::closed) waits for them.
    pub fn close(&self) {
        self.close_with(Error::disconnected("the client was closed"));
    }

    /// Closes the client like [`close`](Self::close), with a reason from the application.
    pub fn close_with(&self, reason: Error) {
        let shared = self.shared();
        // Done here and not by the task, so that a call after this one cannot get through.
        shared.derivations.close(&reason);
        shared.close.send_if_modified(|close| {
            let is_first = close.is_none();
            close.get_or_insert(reason);
            is_first
        });
    }

    /// Waits until the client was closed or has given up, and all earlier calls are sent. Returns
    /// the reason.
    ///
    /// The future does not keep the client alive.
    pub fn closed(&self) -> impl Future<Output = Error> + Send + use<> {
        let mut done = self.shared().done.subscribe();
        let state = self.state();
        async move {
            // An error means that the task is gone, so the client is closed too.
            let _ = done.wait_for(|done| *done).await;
            match state.get() {
                State::Closed { error } => error,
                _ => gone(),
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("urls", &self.shared().settings.urls)
            .field("state", &*self.shared().state.borrow())
            .field("derivations", &self.shared().derivations)
            .finish_non_exhaustive()
    }
}

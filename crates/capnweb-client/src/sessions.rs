//! The sessions of a client, one after another.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use capnweb_core::{
    ConnectFailure, Error, Result, Session,
    runtime::{self, Instant},
};
use futures_util::future::BoxFuture;

use crate::{
    clock::{JumpDetector, Ticks},
    ending::{Ending, Reaction, Stage},
    notes::{Note, Retired},
    random::Random,
    servers::{Choice, Servers, spread},
    shared::Shared,
    state::{Event, State},
};

/// The maximum jitter before connecting to another server when the current one goes away.
const MOVE_JITTER: Duration = Duration::from_secs(1);

/// Opens one session after another.
pub(crate) struct Sessions {
    shared: Arc<Shared>,
    servers: Servers,
    random: Random,
    jump: JumpDetector,
    /// The number of failures in a row.
    failures: u32,
    /// The number of refusals in a row.
    refusals: u32,
    /// The current session.
    session: Option<Live>,
    waiting: Waiting,
}

/// The event that the client waits for while there is no session.
enum Waiting {
    /// An attempt: at this time, or in progress if `None`.
    Attempt(Option<Instant>),
    /// The application, after a refusal.
    Application(Error),
}

/// A session and its server.
struct Live {
    session: Session,
    server: usize,
    url: Arc<str>,
    since: Instant,
    /// Resolves when the session ends.
    ended: BoxFuture<'static, Error>,
    /// The time at which the server goes away, once it has announced it.
    deadline: Option<Instant>,
}

/// The next step after a session or attempt.
enum Next {
    /// Makes another attempt after this time.
    Pause(Duration),
    /// Makes another attempt when the application asks for it.
    Refused(Error),
    /// Closes the client.
    Close(Error),
}

impl Sessions {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let settings = &shared.settings;
        Self {
            servers: Servers::new(settings.urls.iter().cloned(), settings.breaker),
            random: settings.backoff.random(),
            jump: JumpDetector::new(&*settings.clocks),
            failures: 0,
            refusals: 0,
            session: None,
            waiting: Waiting::Attempt(None),
            shared,
        }
    }

    /// Returns the current session.
    pub(crate) fn into_session(self) -> Option<Session> {
        Some(self.session?.session)
    }

    /// Runs until the client gives up, and returns the reason.
    pub(crate) async fn run(&mut self) -> Error {
        let mut pause = Duration::ZERO;
        loop {
            let live = match self.connect(pause).await {
                Ok(live) => live,
                Err(reason) => return reason,
            };
            self.start(live);
            pause = match self.serve().await {
                Next::Pause(pause) => pause,
                Next::Refused(error) => {
                    self.refused(error).await;
                    Duration::ZERO
                }
                Next::Close(error) => return error,
            };
        }
    }

    /// Makes attempts until there is a session.
    ///
    /// # Errors
    ///
    /// Returns the reason why the client gives up.
    async fn connect(&mut self, mut pause: Duration) -> Result<Live> {
        loop {
            let now = Instant::now();
            let earliest = now + pause;
            let choice = self.servers.choose(earliest).ok_or_else(no_servers)?;
            let at = choice.not_before.map_or(earliest, |at| at.max(earliest));
            if at > now {
                let hurries = self.sleep_until(at).await;
                if hurries {
                    self.servers.forgive();
                    pause = Duration::ZERO;
                    continue;
                }
            }
            let ending = match self.attempt(&choice).await {
                Ok(live) => return Ok(live),
                Err(ending) => ending,
            };
            pause = match self.react(ending, choice.server) {
                Next::Pause(pause) => pause,
                Next::Refused(error) => {
                    self.refused(error).await;
                    Duration::ZERO
                }
                Next::Close(error) => return Err(error),
            };
        }
    }

    async fn attempt(&mut self, choice: &Choice) -> Result<Live, Ending> {
        self.show(Waiting::Attempt(None));
        let number = self.failures + 1;
        self.shared.attempts.fetch_add(1, Ordering::Relaxed);
        let (server, url) = (choice.server, choice.url.clone());
        self.shared.tell(Event::Attempt {
            url: url.clone(),
            number,
        });
        let shared = self.shared.clone();
        let session = self.watch(attempt(&shared, url.clone(), number)).await?;
        self.servers.connected(server);
        let ended = session.main().closed();
        Ok(Live {
            session,
            server,
            url,
            since: Instant::now(),
            ended: Box::pin(ended),
            deadline: None,
        })
    }

    /// Waits until `time`. Returns whether the wait was cut short because the application asked for
    /// it or the machine slept.
    async fn sleep_until(&mut self, time: Instant) -> bool {
        let shared = self.shared.clone();
        let mut hurry = pin!(shared.retry_now.notified());
        hurry.as_mut().enable();
        self.show(Waiting::Attempt(Some(time)));
        self.watch(async {
            tokio::select! {
                () = runtime::sleep_until(time) => false,
                () = hurry => true,
            }
        })
        .await
    }

    /// Waits for `work` while the current session, if its server is going away, is still used.
    async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut ticks = Ticks::new();
        loop {
            let old = self.session.as_mut();
            let old_ends = async {
                match old {
                    Some(live) => (&mut live.ended).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                output = &mut work => return output,
                reason = old_ends => {
                    self.session = None;
                    self.shared.derivations.down();
                    match &self.waiting {
                        Waiting::Attempt(_) => self.shared.derivations.set_reason(&reason),
                        Waiting::Application(refusal) => self.shared.derivations.refuse(refusal),
                    }
                    self.publish();
                }
                () = ticks.next() => {
                    if self.has_slept() {
                        self.shared.retry_now.notify_waiters();
                    }
                }
            }
        }
    }

    /// Compares the clocks. A jump resets what is known about failures.
    fn has_slept(&mut self) -> bool {
        let Some(time) = self.jump.look(&*self.shared.settings.clocks) else {
            return false;
        };
        self.failures = 0;
        self.shared.tell(Event::ClockJump { time });
        true
    }

    /// Publishes the state while there is no session, or only one whose server is going away.
    fn show(&mut self, waiting: Waiting) {
        self.waiting = waiting;
        self.publish();
    }

    fn publish(&self) {
        let live = self.session.as_ref();
        let draining = live.and_then(|live| Some((live.url.clone(), live.deadline?)));
        let state = match (draining, &self.waiting) {
            (Some((url, deadline)), _) => State::Draining { url, deadline },
            (None, Waiting::Attempt(next)) => State::Connecting {
                attempt: self.failures + 1,
                next: *next,
            },
            (None, Waiting::Application(error)) => State::Refused {
                error: error.clone(),
            },
        };
        self.shared.state.send_replace(state);
    }

    /// Points all stubs at a new session.
    fn start(&mut self, live: Live) {
        let derived = self.shared.derivations.put(&live.session);
        self.shared.tell(Event::Connected {
            url: live.url.clone(),
            derived: derived.len(),
        });
        self.shared.note(Note::Derived(derived));
        let old = self.session.replace(live);
        if let Some(Live {
            session,
            deadline: Some(deadline),
            ..
        }) = old
        {
            self.shared
                .note(Note::Retired(Retired::new(&session, deadline)));
        }
    }

    /// Tends the session until it ends or its server announces that it is going away.
    async fn serve(&mut self) -> Next {
        let Some(live) = &self.session else {
            return Next::Pause(Duration::ZERO);
        };
        let (session, url) = (live.session.clone(), live.url.clone());
        let up = |rtt| State::Up {
            url: url.clone(),
            rtt,
        };
        self.shared.state.send_replace(up(None));
        let mut ticks = Ticks::new();
        let mut draining = pin!(session.draining());
        let mut is_drained = false;
        // The first ping measures the round trip, and so does one after each jump of the clocks.
        let mut ping: BoxFuture<'_, Result<Duration>> = Box::pin(session.round_trip());
        let mut is_pinging = true;
        loop {
            let Some(live) = &mut self.session else {
                return Next::Pause(Duration::ZERO);
            };
            tokio::select! {
                biased;
                reason = &mut live.ended => return self.ended(reason),
                time = &mut draining, if !is_drained => {
                    is_drained = true;
                    if let Some(time) = time {
                        return self.drain(time);
                    }
                }
                answer = &mut ping, if is_pinging => {
                    is_pinging = false;
                    match answer {
                        Ok(rtt) => {
                            self.shared.state.send_replace(up(Some(rtt)));
                        }
                        // If the session is over, `ended` has the reason.
                        Err(error) => session.close(error),
                    }
                }
                () = ticks.next() => {
                    if self.has_slept() {
                        ping = Box::pin(ping_within(session.clone(), self.shared.settings.ping_timeout));
                        is_pinging = true;
                    }
                }
            }
        }
    }

    /// Handles the end of the session.
    fn ended(&mut self, reason: Error) -> Next {
        self.shared.derivations.down();
        self.shared.derivations.set_reason(&reason);
        let Some(live) = self.session.take() else {
            return Next::Pause(Duration::ZERO);
        };
        let lasted = live.since.elapsed();
        let ending = Ending::new(live.url, Stage::Session, reason, lasted);
        self.react(ending, live.server)
    }

    /// Handles the announcement that the server is going away in `time`.
    fn drain(&mut self, time: Duration) -> Next {
        let Some(live) = &mut self.session else {
            return Next::Pause(Duration::ZERO);
        };
        let now = Instant::now();
        // A deadline too far to represent is replaced.
        let far = now + Duration::from_secs(24 * 60 * 60);
        live.deadline = Some(now.checked_add(time).unwrap_or(far));
        let (server, url, lasted) = (live.server, live.url.clone(), live.since.elapsed());
        self.shared.tell(Event::Draining { url, time });
        self.note_lasting(server, lasted);
        self.failures = self.failures.saturating_add(1);
        self.servers.prefer_after(server);
        Next::Pause(self.pause_to_move(MOVE_JITTER.min(time)))
    }

    /// Records how long a session lasted: a stable one resets the count of failures.
    fn note_lasting(&mut self, server: usize, lasted: Duration) {
        if self.shared.settings.backoff.is_reset_by(lasted) {
            self.failures = 0;
            self.refusals = 0;
            self.servers.trust(server);
        }
    }

    fn pause(&mut self) -> Duration {
        let backoff = self.shared.settings.backoff;
        backoff.pause(self.failures, &mut self.random)
    }

    /// Returns the pause before connecting to another server. Servers that go away one after
    /// another count as failures.
    fn pause_to_move(&mut self, jitter: Duration) -> Duration {
        let jitter = self.random.up_to(jitter);
        if self.failures > 1 {
            jitter.max(self.pause())
        } else {
            jitter
        }
    }

    /// Decides what to do after the end of an attempt or session.
    fn react(&mut self, mut ending: Ending, server: usize) -> Next {
        if ending.stage() == Stage::Session {
            self.note_lasting(server, ending.lasted());
        }
        self.failures = self.failures.saturating_add(1);
        let mut reaction = self.reaction(&ending, server);
        ending.set_reaction(reaction);
        let mut is_closed = false;
        if let Some(decide) = &self.shared.settings.reconnect_if {
            let wants = decide(&ending);
            is_closed = !wants;
            if wants && !ending.is_passing() {
                reaction = Reaction::Backoff;
                ending.set_reaction(reaction);
            }
        }
        let error = ending.error().clone();
        if self.session.is_none() {
            self.shared.derivations.set_reason(&error);
        }
        self.count(&ending, server);
        self.shared.tell(Event::Ended(ending));
        if is_closed {
            return Next::Close(error);
        }
        self.next(reaction, server, error)
    }

    /// Returns the reaction, taking earlier ends into account.
    fn reaction(&mut self, ending: &Ending, server: usize) -> Reaction {
        let reaction = ending.reaction();
        if reaction == Reaction::Renew {
            self.refusals = self.refusals.saturating_add(1);
        } else {
            self.refusals = 0;
        }
        if reaction != Reaction::Suspect {
            self.servers.trust(server);
        }
        match reaction {
            Reaction::Renew if self.refusals > 1 => Reaction::Refuse,
            Reaction::Suspect if self.servers.suspect(server) => Reaction::GiveUp,
            reaction => reaction,
        }
    }

    /// Counts the end as a failure in the server's breaker, unless it is an error of the
    /// application or a refusal.
    fn count(&mut self, ending: &Ending, server: usize) {
        let is_of_connection = match ending.stage() {
            Stage::Connect => matches!(ending.reaction(), Reaction::Backoff | Reaction::Suspect),
            Stage::Greet => ending.error().is_disconnected(),
            Stage::Prepare | Stage::Session => false,
        };
        if is_of_connection
            && self
                .servers
                .failed(server, Instant::now(), &mut self.random)
        {
            self.shared.tell(Event::CircuitOpen {
                url: ending.url().into(),
            });
        }
    }

    fn next(&mut self, reaction: Reaction, server: usize, error: Error) -> Next {
        match reaction {
            Reaction::Backoff | Reaction::Suspect => self.servers.prefer_after(server),
            Reaction::Move => {
                self.servers.prefer_after(server);
                return Next::Pause(self.pause_to_move(MOVE_JITTER));
            }
            Reaction::Wait(time) => {
                self.servers.prefer_after(server);
                let time = match time {
                    Some(time) => time.saturating_add(self.random.up_to(spread(time))),
                    None => self.pause(),
                };
                if let Some(until) = Instant::now().checked_add(time) {
                    self.servers.leave_until(server, until);
                }
                if self.servers.usable() == 1 {
                    return Next::Pause(Duration::ZERO);
                }
            }
            Reaction::Renew => {}
            Reaction::Refuse => return Next::Refused(error),
            Reaction::GiveUp => {
                self.servers.give_up(server);
                if self.servers.usable() == 0 {
                    return Next::Close(error);
                }
                self.servers.prefer_after(server);
            }
        }
        Next::Pause(self.pause())
    }

    /// Waits until the application asks for another attempt.
    async fn refused(&mut self, error: Error) {
        let shared = self.shared.clone();
        let mut asked = pin!(shared.retry_now.notified());
        asked.as_mut().enable();
        if self.session.is_none() {
            self.shared.derivations.refuse(&error);
        }
        self.show(Waiting::Application(error));
        self.watch(asked).await;
        self.shared.derivations.end_refusal();
        self.refusals = 0;
        self.failures = 0;
        self.servers.forgive();
    }
}

fn no_servers() -> Error {
    Error::type_error("the client has no server to connect to").with_may_have_run(false)
}

async fn ping_within(session: Session, timeout: Duration) -> Result<Duration> {
    match within(timeout, session.round_trip()).await {
        Some(answer) => answer,
        None => Err(Error::disconnected(format!(
            "the machine slept, and the peer has not answered a ping for {timeout:?} since"
        ))),
    }
}

/// Waits for a future for a limited time. Returns `None` if the time is up first.
async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let Some(deadline) = Instant::now().checked_add(limit) else {
        return Some(future.await);
    };
    runtime::timeout_at(deadline, future).await.ok()
}

/// Makes one attempt: prepares, connects and greets.
async fn attempt(shared: &Shared, url: Arc<str>, number: u32) -> Result<Session, Ending> {
    let settings = &shared.settings;
    let mut stage = Stage::Prepare;
    let mut opened = None;
    let work = async {
        let attempt = settings.attempt(url.clone(), number);
        let attempt = settings.prepare(attempt).await?;
        stage = Stage::Connect;
        let session = opened.insert(settings.connector.connect(attempt).await?);
        stage = Stage::Greet;
        let ended = session.main().closed();
        tokio::select! {
            biased;
            greeted = settings.greet(session.main()) => greeted.map_err(|error| {
                // If the session ended, that is why the greeting failed.
                session.end_reason().unwrap_or(error)
            })?,
            reason = ended => return Err(reason),
        }
        match session.end_reason() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    };
    let timeout = settings.connect_timeout;
    let outcome = match within(timeout, work).await {
        Some(outcome) => outcome,
        None => Err(
            Error::disconnected(format!("{url} did not answer within {timeout:?}"))
                .with_connect_failure(ConnectFailure::Timeout),
        ),
    };
    let error = match (outcome, opened.take()) {
        (Ok(()), Some(session)) => return Ok(session),
        (Ok(()), None) => Error::internal(),
        (Err(error), session) => {
            // End it before there is another one, even if the application kept a stub of it.
            if let Some(session) = session {
                session.close(error.clone());
            }
            error
        }
    };
    Err(Ending::new(url, stage, error, Duration::ZERO))
}

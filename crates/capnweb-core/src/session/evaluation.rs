//! The long work for a peer, and its distribution to threads.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Duration,
};

use super::{AbortNotice, inner::SessionInner, receive::Scratch};
use crate::{
    Attachment,
    graph::{
        engine::effort,
        error::{Error, Result},
        offload::{Job, Offloaded, permits},
    },
    limits::LimitExceeded,
    runtime::{self, Handle, SystemInstant},
    util::byte_budget::{ByteBudget, ByteCharge},
};

/// The time for which a session's jobs run before another session's turn.
const TURN: Duration = Duration::from_millis(5);

/// The long work of a session that is not done yet: see [`offload`](crate::graph::offload).
#[derive(Default)]
pub(super) struct Evaluation {
    jobs: VecDeque<Box<dyn Job>>,
    /// True while a task runs them.
    is_running: bool,
}

impl Evaluation {
    /// Returns whether there is work that is not done yet.
    pub(super) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Removes and returns all jobs that have not begun, at the end of the session.
    pub(super) fn take_all(&mut self) -> VecDeque<Box<dyn Job>> {
        std::mem::take(&mut self.jobs)
    }
}

impl SessionInner {
    /// Returns whether long work is moved to other threads, since a driver waits for it.
    pub(super) fn offloads(&self) -> bool {
        runtime::HAS_BLOCKING_POOL && self.driven.load(Ordering::Relaxed)
    }

    /// Returns whether there is work on another thread that is not done yet.
    pub(super) fn is_evaluating(&self) -> bool {
        self.evaluating.load(Ordering::Acquire)
    }

    /// Runs `job` on another thread, after all earlier jobs.
    ///
    /// # Errors
    ///
    /// Returns the job if no driver waits for it, or if there is no runtime.
    pub(super) fn offload(self: &Arc<Self>, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        if !self.offloads() {
            return Err(job);
        }
        let current = Handle::try_current().ok();
        let Some(runtime) = current.or_else(|| self.pump_runtime.get().cloned()) else {
            return Err(job);
        };
        let mut state = self.lock();
        if state.ended.is_some() {
            drop(state);
            job.cancel();
            return Ok(());
        }
        state.evaluation.jobs.push_back(job);
        let is_first = !std::mem::replace(&mut state.evaluation.is_running, true);
        self.evaluating.store(true, Ordering::Release);
        drop(state);
        effort::exhaust();
        if is_first {
            let evaluating = Evaluating {
                session: self.clone(),
                runtime: runtime.clone(),
                is_done: false,
            };
            runtime.spawn(evaluating.run());
        }
        Ok(())
    }

    fn take_job(&self) -> Option<Box<dyn Job>> {
        self.lock().evaluation.jobs.pop_front()
    }

    /// Returns the next job. If there is none, the session continues.
    fn next_job(&self) -> Option<Box<dyn Job>> {
        let mut state = self.lock();
        let next = state.evaluation.jobs.pop_front();
        if next.is_none() {
            state.evaluation.is_running = false;
            self.evaluating.store(false, Ordering::Release);
            state.wake_driver();
            state.check_drained();
        }
        next
    }
}

/// A task that runs a session's jobs on other threads, one after another.
struct Evaluating {
    session: Arc<SessionInner>,
    runtime: Handle,
    /// True once no job was left. Another task runs the jobs that were added since.
    is_done: bool,
}

impl Evaluating {
    async fn run(mut self) {
        loop {
            // Other sessions may take their turn between two jobs.
            let permit = permits().acquire_owned().await;
            let Some(job) = self.session.next_job() else {
                self.is_done = true;
                return;
            };
            let mut unfinished = Unfinished {
                job: Some(job),
                session: self.session.clone(),
            };
            let work = move || {
                let start = SystemInstant::now();
                unfinished.run();
                // Many individual jobs are short.
                while start.elapsed() < TURN {
                    unfinished.job = unfinished.session.take_job();
                    if unfinished.job.is_none() {
                        break;
                    }
                    unfinished.run();
                }
                drop(permit);
            };
            if !runtime::run_blocking(self.runtime.clone(), work).await {
                self.session.end(Error::internal(), AbortNotice::Sent);
            }
        }
    }
}

impl Drop for Evaluating {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // The runtime is shutting down.
        while let Some(job) = self.session.next_job() {
            job.cancel();
        }
    }
}

/// A job that is on its way to a thread.
struct Unfinished {
    job: Option<Box<dyn Job>>,
    session: Arc<SessionInner>,
}

impl Unfinished {
    fn run(&mut self) {
        let _offloaded = Offloaded::enter();
        if let Some(job) = self.job.take() {
            if self.session.over.load(Ordering::Acquire) {
                job.cancel();
            } else {
                job.run();
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.cancel();
        }
    }
}

/// Decodes messages into one text, with a line for each. Only a single message has attachments.
pub(crate) type Decode = Box<dyn FnOnce() -> Result<(String, Vec<Attachment>)> + Send>;

/// A message that takes long to read, or several.
pub(super) struct LongMessage {
    session: Arc<SessionInner>,
    content: Content,
    _charge: ByteCharge,
}

enum Content {
    /// A message that the observer knows already.
    Text(String, Vec<Attachment>),
    Encoded(Decode),
}

/// The maximum number of bytes of all sessions' messages that wait to be evaluated.
const MAX_WAITING_BYTES: usize = 512 << 20;

impl LongMessage {
    /// Copies a message.
    ///
    /// # Errors
    ///
    /// Returns an error if too many bytes already wait, because peers send faster than their
    /// messages are evaluated.
    pub(super) fn new(
        session: &Arc<SessionInner>,
        text: &str,
        attachments: &[Attachment],
    ) -> Result<Self, LimitExceeded> {
        let attached = attachments.iter().map(|attachment| attachment.bytes.len());
        let len = text.len() + attached.sum::<usize>();
        Self::charged(session, len, || {
            Content::Text(text.to_owned(), attachments.to_vec())
        })
    }

    /// Takes messages of `len` bytes that are decoded later.
    ///
    /// # Errors
    ///
    /// Returns the same error as [`new`](Self::new).
    pub(super) fn encoded(
        session: &Arc<SessionInner>,
        len: usize,
        decode: Decode,
    ) -> Result<Self, LimitExceeded> {
        Self::charged(session, len, || Content::Encoded(decode))
    }

    fn charged(
        session: &Arc<SessionInner>,
        len: usize,
        content: impl FnOnce() -> Content,
    ) -> Result<Self, LimitExceeded> {
        static WAITING: LazyLock<ByteBudget> = LazyLock::new(|| ByteBudget::new(MAX_WAITING_BYTES));
        let mut charge = WAITING.charge();
        if !charge.set(len) {
            return Err(LimitExceeded::unfinished());
        }
        Ok(Self {
            session: session.clone(),
            content: content(),
            _charge: charge,
        })
    }
}

impl Job for LongMessage {
    /// Handles the messages. If they end or abort the session, its driver notices.
    fn run(self: Box<Self>) {
        let session = &self.session;
        let mut scratch = Scratch::new(session);
        let decode = match self.content {
            Content::Text(text, attachments) => {
                scratch.is_reported = true;
                let _ = session.take_in(&text, &attachments, &mut scratch);
                return;
            }
            Content::Encoded(decode) => decode,
        };
        let (text, attachments) = match decode() {
            Ok(decoded) => decoded,
            Err(error) => return session.end(error, AbortNotice::Sent),
        };
        for line in text.split('\n').map(str::trim_ascii) {
            if !line.is_empty() && session.take_in(line, &attachments, &mut scratch).is_err() {
                return;
            }
        }
    }

    fn cancel(self: Box<Self>) {}
}

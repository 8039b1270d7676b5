//! Moves long work to threads that may be occupied, so that no poll takes long.
//!
//! A driver evaluates most messages where they arrive, since moving one to another thread would
//! cost more than evaluating it. Work that takes long is moved to Tokio's blocking pool as a whole,
//! since much of it cannot be interrupted: a scan, or an application's `Serialize` or
//! `Deserialize`. The size of the input, or the [`effort`](super::engine::effort) spent so far,
//! tells whether work takes long.
//!
//! A session's jobs run one after another, and nothing more is read from its peer until they are
//! done. So calls keep their order, and a peer that asks for much waits for it. There are fewer
//! threads for such work than processors, and sessions take turns. Where there is no blocking pool,
//! as in JavaScript hosts, all work is done where it arises.

use std::{
    cell::Cell,
    sync::{Arc, LazyLock},
};

use tokio::sync::Semaphore;

use super::peer_call::PeerCall;
use crate::runtime::{self, Handle};

/// The length of a text from which it is handled on another thread, in bytes.
pub(crate) const LONG_TEXT: usize = 512 * 1024;

/// The length of a value's text from which it is encoded on another thread, in bytes.
pub(crate) const LONG_VALUE: usize = 256 * 1024;

/// The number of capabilities from which they are handled on another thread.
pub(crate) const MANY_CAPABILITIES: usize = 2048;

/// The number of table entries from which they are dropped on another thread.
pub(crate) const MANY_ENTRIES: usize = 4096;

/// Returns whether reading `text` takes long, since it is long or contains very many values.
#[inline]
pub(crate) fn is_long_to_read(text: &str) -> bool {
    text.len() > MANY_TOKENS && has_many_tokens(text)
}

/// The number of values and calls that can be read in less than two milliseconds.
const MANY_TOKENS: usize = 12_000;

fn has_many_tokens(text: &str) -> bool {
    text.len() > LONG_TEXT
        || memchr::memchr2_iter(b',', b'[', text.as_bytes())
            .nth(MANY_TOKENS)
            .is_some()
}

/// Work that takes long.
pub(crate) trait Job: Send + 'static {
    /// Does the work.
    fn run(self: Box<Self>);

    /// Replaces [`run`](Self::run) if the session ends before the work has begun.
    fn cancel(self: Box<Self>);
}

thread_local! {
    static IS_OFFLOADED: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread may be occupied. If there are no others, it must be.
#[inline]
pub(crate) fn is_offloaded() -> bool {
    !runtime::HAS_BLOCKING_POOL || IS_OFFLOADED.get()
}

/// Marks this thread as one that may be occupied, until this guard is dropped.
pub(crate) struct Offloaded {
    was_offloaded: bool,
}

impl Offloaded {
    pub(crate) fn enter() -> Self {
        Self {
            was_offloaded: IS_OFFLOADED.replace(true),
        }
    }
}

impl Drop for Offloaded {
    fn drop(&mut self) {
        IS_OFFLOADED.set(self.was_offloaded);
    }
}

/// Runs `job` on another thread for the peer that made `call`, or here if that is not possible.
pub(crate) fn offload(call: &PeerCall, job: Box<dyn Job>) {
    if let Err(job) = call.offload(job) {
        // Do not move parts of work that runs here after all.
        let _offloaded = Offloaded::enter();
        job.run();
    }
}

/// Returns the permits for threads that long work occupies, in the whole process. One processor
/// remains for short work.
pub(crate) fn permits() -> Arc<Semaphore> {
    static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)))
    });
    PERMITS.clone()
}

/// Returns whether [`run_elsewhere`] finds another thread.
pub(crate) fn has_elsewhere() -> bool {
    runtime::HAS_BLOCKING_POOL && !is_offloaded() && Handle::try_current().is_ok()
}

/// Drops a value, on another thread if there is one: freeing very much memory takes long.
pub(crate) fn drop_elsewhere<T: Send + 'static>(value: T) {
    if has_elsewhere() {
        run_elsewhere(move || drop(value));
    }
}

/// Runs `work` on another thread, if there is a runtime. If the runtime is shut down, `work` runs
/// here, possibly inside a step of the work list. So it must not submit itself again.
pub(crate) fn run_elsewhere<F: FnOnce() + Send + 'static>(work: F) {
    /// Runs its work when it is dropped, on any thread.
    struct Certain<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Certain<F> {
        fn drop(&mut self) {
            let _offloaded = Offloaded::enter();
            if let Some(work) = self.0.take() {
                work();
            }
        }
    }

    let work = Certain(Some(work));
    let Some(runtime) = (Handle::try_current().ok()).filter(|_| runtime::HAS_BLOCKING_POOL) else {
        return drop(work);
    };
    let pool = runtime.clone();
    runtime.spawn(async move {
        let permit = permits().acquire_owned().await;
        let work = move || {
            drop(work);
            drop(permit);
        };
        runtime::run_blocking(pool, work).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_long_by_its_length_or_by_what_is_in_it() {
        let numbers = |n| format!("[[{}7]]", "7,".repeat(n));
        for (text, expected) in [
            (numbers(10), false),
            (numbers(11_000), false),
            (numbers(12_000), true),
            ("[".repeat(12_001), true),
            (format!("\"{}\"", "x".repeat(LONG_TEXT - 2)), false),
            (format!("\"{}\"", "x".repeat(LONG_TEXT)), true),
        ] {
            assert_eq!(is_long_to_read(&text), expected, "{} bytes", text.len());
        }
    }

    #[tokio::test]
    async fn work_is_done_elsewhere_or_here() {
        assert!(has_elsewhere());
        let here = std::thread::current().id();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        run_elsewhere(move || {
            let _ = sender.send((std::thread::current().id(), is_offloaded()));
        });
        let (elsewhere, offloaded) = receiver.await.unwrap();
        assert!(elsewhere != here && offloaded && !is_offloaded());
        // Without a runtime.
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            assert!(!has_elsewhere());
            run_elsewhere(move || sender.send(std::thread::current().id()).unwrap());
        })
        .join()
        .unwrap();
        assert!(receiver.recv().is_ok_and(|thread| thread != here));
    }
}

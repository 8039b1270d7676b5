//! Moves long work to threads that may be occupied, so that no poll takes long.
//!
//! A driver evaluates a message where it arrives: to hand it over would cost more than most messages
//! do. What takes long is moved to Tokio's blocking pool as a whole, since much of it cannot be
//! interrupted: a scan, an application's `Serialize` or `Deserialize`. Whether something takes long is
//! known from the size of what there is to work on, or from the [`effort`](super::engine::effort) that
//! was spent.
//!
//! A session's jobs run one after the other, and nothing more is read from its peer before they are
//! done. So calls keep their order, and a peer that asks for much waits for it. There are fewer
//! threads for such work than processors, and sessions take turns.

use std::{
    cell::Cell,
    sync::{Arc, LazyLock},
};

use tokio::{runtime::Handle, sync::Semaphore};

use super::peer_call::PeerCall;

/// Text longer than this is worked on elsewhere, in bytes.
pub(crate) const LONG_TEXT: usize = 512 * 1024;

/// The text of a value that is longer than this is written elsewhere, in bytes.
pub(crate) const LONG_VALUE: usize = 256 * 1024;

/// As many capabilities as this are worked on elsewhere.
pub(crate) const MANY_CAPABILITIES: usize = 2048;

/// As many entries of tables are dropped elsewhere.
pub(crate) const MANY_ENTRIES: usize = 4096;

/// Returns whether to read `text` takes long: there is much of it, or very much in it.
#[inline]
pub(crate) fn is_long_to_read(text: &str) -> bool {
    text.len() > MANY_TOKENS && has_many_tokens(text)
}

/// Values and calls that are read in less than two milliseconds.
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

    /// Takes the place of [`run`](Self::run) if the session ends before.
    fn cancel(self: Box<Self>);
}

thread_local! {
    static IS_OFFLOADED: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread may be occupied.
#[inline]
pub(crate) fn is_offloaded() -> bool {
    IS_OFFLOADED.get()
}

/// Marks this thread as one that may be occupied, until it is dropped.
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

/// Has `job` run on another thread for the peer that made `call`; or here, if that is not possible.
pub(crate) fn offload(call: &PeerCall, job: Box<dyn Job>) {
    if let Err(job) = call.offload(job) {
        // What runs here after all is not moved in parts.
        let _offloaded = Offloaded::enter();
        job.run();
    }
}

/// Returns the permits for threads that long work occupies, in the whole process. A processor is
/// left for what is short.
pub(crate) fn permits() -> Arc<Semaphore> {
    static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)))
    });
    PERMITS.clone()
}

/// Returns whether [`run_elsewhere`] finds another thread.
pub(crate) fn has_elsewhere() -> bool {
    !is_offloaded() && Handle::try_current().is_ok()
}

/// Runs `work` on another thread, if there is a runtime. It runs even if that is shut down: here,
/// possibly inside a step of the work list. So `work` must not submit itself again.
pub(crate) fn run_elsewhere<F: FnOnce() + Send + 'static>(work: F) {
    /// Runs what it holds when it is dropped, on whichever thread that is.
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
    let Ok(runtime) = Handle::try_current() else {
        return drop(work);
    };
    let pool = runtime.clone();
    runtime.spawn(async move {
        let permit = permits().acquire_owned().await;
        pool.spawn_blocking(move || {
            drop(work);
            drop(permit);
        });
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

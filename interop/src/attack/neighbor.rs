//! An honest client, and its waits for answers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::raw::Socket;

/// The pause between two calls.
const PAUSE: Duration = Duration::from_millis(2);

/// A client that makes one call after another.
pub(crate) struct Neighbor {
    stop: Arc<AtomicBool>,
    waits: Arc<Mutex<Vec<Duration>>>,
    thread: JoinHandle<io::Result<()>>,
}

/// The times within which half of the calls, and 99 percent of them, were answered. They are
/// [`Duration::MAX`] if no call was.
#[derive(Clone, Copy, Default)]
pub(crate) struct Waits {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Neighbor {
    pub(crate) fn new(server: SocketAddr) -> io::Result<Self> {
        let mut socket = Socket::open(server)?;
        let (stop, waits) = (
            Arc::<AtomicBool>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let thread = thread::spawn({
            let (stop, waits) = (stop.clone(), waits.clone());
            move || {
                let mut id = 0;
                while !stop.load(Ordering::Relaxed) {
                    id += 1;
                    let start = Instant::now();
                    socket.send(r#"["push",["pipeline",0,["square"],[3]]]"#)?;
                    socket.send(&format!(r#"["pull",{id}]"#))?;
                    socket.receive_that(&format!(r#"["resolve",{id},9]"#))?;
                    let wait = start.elapsed();
                    socket.send(&format!(r#"["release",{id},1]"#))?;
                    waits
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(wait);
                    thread::sleep(PAUSE);
                }
                Ok(())
            }
        });
        Ok(Self {
            stop,
            waits,
            thread,
        })
    }

    /// Returns the waits since the last call of this method.
    pub(crate) fn take(&self) -> Waits {
        let mut waits =
            std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner));
        waits.sort_unstable();
        let at = |part: usize| {
            let at = (waits.len() * part / 100).min(waits.len().saturating_sub(1));
            waits.get(at).copied().unwrap_or(Duration::MAX)
        };
        Waits {
            p50: at(50),
            p99: at(99),
        }
    }

    /// Stops the client. Fails if it was not served all the time.
    pub(crate) fn stop(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        let served = self.thread.join().map_err(|_| "the neighbor panicked")?;
        served.map_err(|error| format!("the neighbor was not served: {error}"))
    }
}

//! The task that watches all sessions of a runtime for silent peers.
//!
//! A timer per session would be a large part of the cost of an idle session. Instead, each session
//! has an entry in one agenda. When an entry is due, the watcher checks the flags that the driver
//! has set meanwhile, the session's `Life`. It wakes the driver only if there is something to do.
//!
//! Since it is awake now and then in any case, it also frees buffers that no session needs.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::{
    runtime::{Handle, Id, Instant, SHARES_TASKS, timeout_at},
    session::{Alarm, KeepAlive, SessionInner, Signs},
    util::{buffer_pool::BufferPool, lock::LockExt},
};

/// The watchers: one per runtime with sessions.
static WATCHERS: Mutex<Vec<(Id, Arc<Watcher>)>> = Mutex::new(Vec::new());

/// Watches a session until it is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    watcher: Arc<Watcher>,
    key: u64,
}

impl Registration {
    /// Registers `session` with the watcher of `runtime`, which is started if there is none.
    pub(super) fn new(runtime: &Handle, session: Weak<SessionInner>) -> Self {
        let id = runtime.id();
        let mut watchers = WATCHERS.acquire();
        let known = watchers.iter().find(|(of, _)| SHARES_TASKS && *of == id);
        let (watcher, is_new) = match known {
            Some((_, watcher)) => (watcher.clone(), false),
            None => {
                let watcher = Arc::new(Watcher::new());
                watchers.push((id, watcher.clone()));
                (watcher, true)
            }
        };
        // Still under the lock, since otherwise the task could find nothing to watch.
        let key = watcher.add(session);
        // A runtime that is shutting down drops the task at once, which takes the lock.
        drop(watchers);
        if is_new {
            runtime.spawn(Running(watcher.clone()).run());
        }
        Self { watcher, key }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.watcher.remove(self.key);
        if !SHARES_TASKS {
            // The task is to end now, and its timer with it.
            self.watcher.earlier.notify_one();
        }
    }
}

/// The state that the watcher's task shares with the sessions.
#[derive(Debug)]
struct Watcher {
    /// The origin of the grid to which times are rounded up, so that one turn serves many sessions.
    origin: Instant,
    agenda: Mutex<Agenda>,
    /// Notifies the task of an entry that is due before its next turn.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Agenda {
    entries: FxHashMap<u64, Entry>,
    /// The entries, ordered by the time at which they are due.
    due: BTreeSet<(Instant, u64)>,
    last_key: u64,
    /// The time of the task's next turn, or `None` if it is not asleep.
    sleeps_until: Option<Instant>,
}

/// A watched session.
#[derive(Debug)]
struct Entry {
    session: Weak<SessionInner>,
    due: Instant,
    watch: Watch,
}

/// The times at which a peer showed signs of life.
#[derive(Debug)]
struct Watch {
    /// The time of the last sign of life.
    heard: Instant,
    /// The time at which a message last arrived or continued, or at which the driver was asked
    /// about it.
    advanced: Instant,
    /// The time of a ping that is not followed by a sign of life.
    pinged: Option<Instant>,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            heard: now,
            advanced: now,
            pinged: None,
        }
    }

    /// Evaluates the signs of life since the last check.
    fn look(&mut self, now: Instant, signs: Signs, times: &KeepAlive) -> Option<Alarm> {
        if signs.heard {
            (self.heard, self.pinged) = (now, None);
        }
        if signs.advanced {
            self.advanced = now;
        }
        match self.pinged {
            None if now >= self.heard + times.interval() => {
                self.pinged = Some(now);
                Some(Alarm::Ping)
            }
            Some(pinged) if now >= pinged + times.timeout() => Some(Alarm::Silence),
            _ if now >= self.advanced + times.interval() + times.timeout() => {
                // Only the driver knows whether a message is incomplete.
                self.advanced = now;
                Some(Alarm::HalfMessage)
            }
            _ => None,
        }
    }

    /// Returns the time of the next check.
    fn next(&self, now: Instant, times: &KeepAlive) -> Instant {
        let due = match self.pinged {
            None => self.heard + times.interval(),
            Some(pinged) => pinged + times.timeout(),
        };
        let step = now + times.step();
        if due > now { due.min(step) } else { step }
    }
}

impl Watcher {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
            agenda: Mutex::default(),
            earlier: Notify::new(),
        }
    }

    /// Rounds a time up to the grid.
    fn on_grid(&self, at: Instant, times: &KeepAlive) -> Instant {
        let grid = (times.step() / 8).clamp(Duration::from_millis(1), Duration::from_secs(1));
        let since = at.saturating_duration_since(self.origin).as_nanos();
        let over = since % grid.as_nanos();
        match u64::try_from(over) {
            Ok(over @ 1..) => at + (grid - Duration::from_nanos(over)),
            _ => at,
        }
    }

    fn add(&self, session: Weak<SessionInner>) -> u64 {
        let now = Instant::now();
        let times = session.upgrade().and_then(|session| times(&session));
        let mut agenda = self.agenda.acquire();
        agenda.last_key += 1;
        let key = agenda.last_key;
        let Some(times) = times else { return key };
        // Spread the checks of sessions that start together.
        let first = now + times.step().mul_f64(fraction(key));
        let due = self.on_grid(first, &times);
        let watch = Watch::new(now);
        agenda.due.insert((due, key));
        agenda.entries.insert(
            key,
            Entry {
                session,
                due,
                watch,
            },
        );
        let is_earlier = agenda.sleeps_until.is_some_and(|until| due < until);
        drop(agenda);
        if is_earlier {
            self.earlier.notify_one();
        }
        key
    }

    fn remove(&self, key: u64) {
        let mut agenda = self.agenda.acquire();
        if let Some(entry) = agenda.entries.remove(&key) {
            agenda.due.remove(&(entry.due, key));
        }
    }

    /// Checks all sessions that are due. Returns the time at which the next one is due, or `None`
    /// if there is none.
    fn turn(&self) -> Option<Instant> {
        let now = Instant::now();
        // Drivers are woken and sessions dropped outside the lock.
        let mut seen = Vec::new();
        let mut agenda = self.agenda.acquire();
        let Agenda { entries, due, .. } = &mut *agenda;
        while let Some((at, key)) = due.first().copied().filter(|(at, _)| *at <= now) {
            due.remove(&(at, key));
            let Some(entry) = entries.get_mut(&key) else {
                continue;
            };
            let Some((session, times)) = entry
                .session
                .upgrade()
                .and_then(|session| times(&session).map(|times| (session, times)))
            else {
                entries.remove(&key);
                continue;
            };
            let alarm = entry.watch.look(now, session.life.take_signs(), &times);
            entry.due = self.on_grid(entry.watch.next(now, &times), &times);
            due.insert((entry.due, key));
            seen.push((session, alarm));
        }
        let next = due.first().map(|(at, _)| *at);
        agenda.sleeps_until = next;
        drop(agenda);
        for (session, alarm) in seen {
            if let Some(alarm) = alarm {
                session.raise(alarm);
            }
        }
        next
    }
}

fn times(session: &SessionInner) -> Option<KeepAlive> {
    session.options.keep_alive().copied()
}

/// Returns a number from 0 to 1. Consecutive keys have distant numbers.
fn fraction(key: u64) -> f64 {
    /// 2 to the power of 64, divided by the golden ratio.
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let high = u32::try_from(key.wrapping_mul(GOLDEN) >> 32).unwrap_or(u32::MAX);
    f64::from(high) / f64::from(u32::MAX)
}

/// The minimum time between two looks at the pool of buffers. A buffer that is not used in between
/// is freed.
const SWEEP: Duration = Duration::from_secs(1);

/// A watcher's task. It ends when there is nothing left to watch, or when its runtime is shut down.
struct Running(Arc<Watcher>);

impl Running {
    async fn run(self) {
        let Self(watcher) = &self;
        let mut swept = Instant::now();
        loop {
            match watcher.turn() {
                Some(next) => {
                    if swept.elapsed() >= SWEEP {
                        BufferPool::shared().free_idle();
                        swept = Instant::now();
                    }
                    // Both a timeout and a notification are reasons for another turn.
                    let _ = timeout_at(next, watcher.earlier.notified()).await;
                }
                None if self.retire() => return,
                None => {}
            }
        }
    }

    /// Removes the watcher from the list. Returns false if there is something to watch after all.
    fn retire(&self) -> bool {
        let mut watchers = WATCHERS.acquire();
        let is_needed = !self.0.agenda.acquire().entries.is_empty();
        if !is_needed {
            self.take_off(&mut watchers);
        }
        drop(watchers);
        if !is_needed {
            // Nobody looks at the pool from now on: free what is idle, and then the rest.
            BufferPool::shared().free_idle();
            BufferPool::shared().free_idle();
        }
        !is_needed
    }

    fn take_off(&self, watchers: &mut Vec<(Id, Arc<Watcher>)>) {
        watchers.retain(|(_, watcher)| !Arc::ptr_eq(watcher, &self.0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.take_off(&mut WATCHERS.acquire());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Session, SessionOptions};

    const SECOND: Duration = Duration::from_secs(1);
    const SILENT: Signs = Signs {
        heard: false,
        advanced: false,
    };

    fn times() -> KeepAlive {
        KeepAlive::new()
            .with_interval(20 * SECOND)
            .with_timeout(10 * SECOND)
    }

    /// Checks a peer with these signs once per second, and returns the alarms with their times.
    fn alarms(seconds: u32, signs: impl Fn(u32) -> Signs) -> Vec<(u32, Alarm)> {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        (1..=seconds)
            .filter_map(|second| {
                let now = start + second * SECOND;
                let alarm = watch.look(now, signs(second), &times())?;
                Some((second, alarm))
            })
            .collect()
    }

    #[test]
    fn a_silent_peer_is_asked_once() {
        let found = alarms(30, |_| SILENT);
        assert_eq!(found, [(20, Alarm::Ping), (30, Alarm::Silence)]);
    }

    #[test]
    fn an_answer_begins_the_interval_anew() {
        let found = alarms(50, |second| Signs {
            heard: second == 22,
            advanced: second == 22,
        });
        assert_eq!(found, [(20, Alarm::Ping), (42, Alarm::Ping)]);
        let talking = Signs {
            heard: true,
            advanced: true,
        };
        assert_eq!(alarms(100, |_| talking), []);
    }

    #[test]
    fn messages_are_asked_about_when_none_has_come_for_long() {
        let answering = |second| Signs {
            heard: true,
            advanced: second < 5,
        };
        let found = alarms(70, answering);
        assert_eq!(found, [(34, Alarm::HalfMessage), (64, Alarm::HalfMessage)]);
        let slow = |second| Signs {
            heard: true,
            advanced: second % 20 == 0,
        };
        assert_eq!(alarms(200, slow), []);
    }

    #[test]
    fn it_looks_four_times_in_the_shorter_time() {
        let now = Instant::now();
        let mut watch = Watch::new(now);
        assert_eq!(times().step(), Duration::from_millis(2500));
        assert_eq!(watch.next(now, &times()), now + times().step());
        let later = now + 19 * SECOND;
        assert_eq!(watch.next(later, &times()), now + 20 * SECOND);
        watch.pinged = Some(later);
        assert_eq!(
            watch.next(later + 9 * SECOND, &times()),
            later + 10 * SECOND
        );
        // The driver has not handled the alarm yet.
        let late = later + 10 * SECOND;
        assert_eq!(watch.next(late, &times()), late + times().step());
    }

    fn is_running(id: Id) -> bool {
        WATCHERS.acquire().iter().any(|(of, _)| *of == id)
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ends_with_the_last_session() {
        let runtime = Handle::current();
        let (_session, connection) = Session::client(SessionOptions::new());
        let first = Registration::new(&runtime, connection.downgrade());
        let second = Registration::new(&runtime, connection.downgrade());
        assert!(Arc::ptr_eq(&first.watcher, &second.watcher));
        tokio::time::sleep(100 * SECOND).await;
        drop(first);
        tokio::time::sleep(100 * SECOND).await;
        assert_eq!(second.watcher.agenda.acquire().entries.len(), 1);
        assert!(is_running(runtime.id()));
        drop(second);
        tokio::time::sleep(100 * SECOND).await;
        assert!(!is_running(runtime.id()));
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        // The watch starts again.
        let _third = Registration::new(&runtime, connection.downgrade());
        assert!(is_running(runtime.id()));
    }

    #[test]
    fn the_task_ends_with_its_runtime() {
        let (_session, connection) = Session::client(SessionOptions::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let registration = {
            let _in_runtime = runtime.enter();
            Registration::new(&handle, connection.downgrade())
        };
        assert!(is_running(handle.id()));
        drop(runtime);
        assert!(!is_running(handle.id()));
        // Nothing runs on that runtime any more.
        let late = Registration::new(&handle, connection.downgrade());
        assert!(!is_running(handle.id()));
        drop((registration, late));
    }

    #[tokio::test]
    async fn times_are_rounded_up() {
        let watcher = Watcher::new();
        let grid = times().step() / 8;
        for (at, expected) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_nanos(1), grid),
            (grid, grid),
            (grid * 3 / 2, grid * 2),
        ] {
            let rounded = watcher.on_grid(watcher.origin + at, &times());
            assert_eq!(rounded - watcher.origin, expected);
        }
    }

    #[test]
    fn sessions_in_sequence_are_spread() {
        let mut fractions: Vec<f64> = (1..=100).map(fraction).collect();
        fractions.sort_by(f64::total_cmp);
        assert!(fractions[0] >= 0.0 && fractions[99] <= 1.0);
        let gaps = fractions.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.max_by(f64::total_cmp).unwrap() < 0.02);
    }
}

//! Timers, on one of the host's for each scope.
//!
//! Hosts limit the number of running timers, and starting one is expensive. So all futures of a
//! scope wait for the same timer, which is started for the earliest of them. Scopes do not share a
//! timer, since a request of a Worker may not do the I/O of another one.

use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use js_sys::{Function, Reflect, global};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_time::Instant;

use super::Scope;

/// The longest time that `setTimeout` supports. With a longer one it fires at once.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// The time that stands for "never".
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Returns a future that waits for a duration.
pub fn sleep(time: Duration) -> Sleep {
    let now = Instant::now();
    sleep_until(now.checked_add(time).unwrap_or_else(|| now + FAR))
}

/// Returns a future that waits until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(SendWrapper::new(Timer {
        deadline,
        waiting: None,
    }))
}

/// A future that waits until a given time.
///
/// Every browser, Node and Worker has `setTimeout`. On a host without it, the future never
/// completes.
pub struct Sleep(SendWrapper<Timer>);

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

struct Timer {
    deadline: Instant,
    waiting: Option<Waiting>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = &mut *self.0;
        let waiting = match &timer.waiting {
            Some(waiting) => waiting,
            // The clock is not read again. In a Worker it stands still while code runs, and a timer
            // may fire slightly early.
            None if timer.deadline <= Instant::now() => return Poll::Ready(()),
            None => timer.waiting.insert(Waiting::new(timer.deadline)),
        };
        if waiting.fired.is_over.get() {
            return Poll::Ready(());
        }
        *waiting.fired.waker.borrow_mut() = Some(cx.waker().clone());
        waiting.group.start_timer();
        Poll::Pending
    }
}

/// A future's place in its group.
struct Waiting {
    group: Rc<Group>,
    fired: Rc<Fired>,
}

impl Waiting {
    fn new(deadline: Instant) -> Self {
        let group = Group::current();
        let fired = Rc::new(Fired::default());
        group.add(deadline, &fired);
        Self { group, fired }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.group.members.set(self.group.members.get() - 1);
    }
}

/// The state that a future shares with its group.
#[derive(Default)]
struct Fired {
    is_over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Fired {
    fn fire(&self) {
        self.is_over.set(true);
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

thread_local! {
    /// The groups with futures, by the numbers of their scopes, in ascending order.
    static GROUPS: RefCell<Vec<(u64, Weak<Group>)>> = const { RefCell::new(Vec::new()) };
}

/// The number of entries of dropped futures that is always acceptable.
const FEW: usize = 64;

/// The futures of a scope, which share a timer.
struct Group {
    /// The number of the scope.
    key: u64,
    /// The number of futures.
    members: Cell<usize>,
    /// The futures by time, the earliest first. Those that were dropped stay until they are many,
    /// or due.
    queue: RefCell<BinaryHeap<Entry>>,
    started: RefCell<Option<Started>>,
    /// The function that the host calls.
    callback: Closure<dyn FnMut()>,
}

/// A running timer of the host.
struct Started {
    id: JsValue,
    due: Instant,
}

impl Group {
    /// Returns the group of the code that is running.
    fn current() -> Rc<Self> {
        let key = Scope::current().id();
        GROUPS.with_borrow_mut(|groups| {
            let place = groups.binary_search_by_key(&key, |(key, _)| *key);
            let known = place.ok().and_then(|place| groups.get(place));
            if let Some(group) = known.and_then(|(_, group)| group.upgrade()) {
                return group;
            }
            let group = Self::new(key);
            let entry = (key, Rc::downgrade(&group));
            match place.map(|place| groups.get_mut(place)) {
                Ok(Some(outdated)) => *outdated = entry,
                Ok(None) => groups.push(entry),
                Err(place) => groups.insert(place, entry),
            }
            group
        })
    }

    fn new(key: u64) -> Rc<Self> {
        Rc::new_cyclic(|this: &Weak<Self>| {
            let this = this.clone();
            Self {
                key,
                members: Cell::default(),
                queue: RefCell::default(),
                started: RefCell::default(),
                callback: Closure::new(move || {
                    if let Some(group) = this.upgrade() {
                        group.fire();
                    }
                }),
            }
        })
    }

    fn add(&self, deadline: Instant, fired: &Rc<Fired>) {
        self.members.set(self.members.get() + 1);
        let mut queue = self.queue.borrow_mut();
        if queue.len() > FEW + 2 * self.members.get() {
            queue.retain(|Reverse(entry)| entry.fired.strong_count() > 0);
        }
        queue.push(Reverse(Deadline {
            at: deadline,
            fired: Rc::downgrade(fired),
        }));
    }

    /// Starts the host's timer for the earliest future, unless it is running for that one or an
    /// earlier one.
    fn start_timer(&self) {
        let mut queue = self.queue.borrow_mut();
        let at = loop {
            match queue.peek() {
                Some(Reverse(entry)) if entry.fired.strong_count() == 0 => queue.pop(),
                Some(Reverse(entry)) => break entry.at,
                None => return,
            };
        };
        let mut started = self.started.borrow_mut();
        if started.as_ref().is_some_and(|started| started.due <= at) {
            return;
        }
        if let Some(started) = started.take() {
            started.stop();
        }
        let now = Instant::now();
        let time = at.saturating_duration_since(now).min(LONGEST);
        *started = Started::new(&self.callback, now, time);
    }

    /// Wakes the futures whose time has come.
    fn fire(&self) {
        let started = self.started.borrow_mut().take();
        let now = Instant::now();
        let now = started.map_or(now, |started| started.due.max(now));
        loop {
            let mut queue = self.queue.borrow_mut();
            if queue.peek().is_none_or(|Reverse(entry)| entry.at > now) {
                break;
            }
            let due = queue.pop();
            drop(queue);
            if let Some(fired) = due.and_then(|Reverse(entry)| entry.fired.upgrade()) {
                fired.fire();
            }
        }
        self.start_timer();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(started) = self.started.take() {
            started.stop();
        }
        // At the end of the instance there may be no list anymore.
        let _ = GROUPS.try_with(|groups| {
            let mut groups = groups.borrow_mut();
            let place = groups.binary_search_by_key(&self.key, |(key, _)| *key);
            let is_gone = |place: &usize| {
                groups
                    .get(*place)
                    .is_some_and(|(_, group)| group.strong_count() == 0)
            };
            if let Some(place) = place.ok().filter(is_gone) {
                groups.remove(place);
            }
        });
    }
}

impl Started {
    /// Starts a timer. Returns `None` if the host has none, or none left.
    fn new(callback: &Closure<dyn FnMut()>, now: Instant, time: Duration) -> Option<Self> {
        // The host fires no earlier than after whole milliseconds.
        let part = u64::from(time.subsec_nanos().div_ceil(1_000_000));
        let millis = time.as_secs().saturating_mul(1000).saturating_add(part);
        let id = function("setTimeout")?
            .call2(
                &JsValue::UNDEFINED,
                callback.as_ref().unchecked_ref::<Function>(),
                &JsValue::from(i32::try_from(millis).unwrap_or(i32::MAX)),
            )
            .ok()?;
        Some(Self {
            id,
            due: now + time,
        })
    }

    fn stop(self) {
        if let Some(clear) = function("clearTimeout") {
            // `clearTimeout` never throws.
            let _ = clear.call1(&JsValue::UNDEFINED, &self.id);
        }
    }
}

fn function(name: &str) -> Option<Function> {
    Reflect::get(&global(), &JsValue::from_str(name))
        .ok()?
        .dyn_into()
        .ok()
}

/// An entry of a queue, the earliest first.
type Entry = Reverse<Deadline>;

/// A future by its time.
struct Deadline {
    at: Instant,
    fired: Weak<Fired>,
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Deadline {}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

//! Timers of the host.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
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
        rest: None,
        armed: None,
        queued: None,
    }))
}

/// A future that waits until a given time. Dropping it clears the timer.
///
/// Every browser, Node and Worker has `setTimeout`. On a host without it, the future never
/// completes. A Worker limits the number of running timers: beyond that, a future waits for another
/// one to complete, and may be late.
pub struct Sleep(SendWrapper<Timer>);

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

struct Timer {
    deadline: Instant,
    /// The time that remains after the armed timer, computed at the first poll.
    ///
    /// The clock is not read again. In a Worker it stands still while code runs, and a timer may
    /// fire slightly early.
    rest: Option<Duration>,
    armed: Option<Armed>,
    /// The place in the queue, if the host had no timer left.
    queued: Option<Queued>,
}

/// A running timer.
struct Armed {
    id: JsValue,
    fired: Rc<Fired>,
    /// The callback of the timer.
    _callback: Closure<dyn FnMut()>,
}

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
    /// The futures that wait for a timer to become free, in order.
    static QUEUE: RefCell<VecDeque<Weak<Fired>>> = const { RefCell::new(VecDeque::new()) };
}

/// A place in the queue for a free timer.
struct Queued(Rc<Fired>);

impl Queued {
    fn new() -> Self {
        let fired = Rc::new(Fired::default());
        QUEUE.with_borrow_mut(|queue| queue.push_back(Rc::downgrade(&fired)));
        Self(fired)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        // Its turn has come, but it does not need the timer anymore.
        if self.0.is_over.get() {
            wake_next();
        }
    }
}

/// Lets the first future of the queue start its timer, after one has become free.
fn wake_next() {
    let next = || QUEUE.try_with(|queue| queue.borrow_mut().pop_front());
    while let Ok(Some(queued)) = next() {
        if let Some(queued) = queued.upgrade() {
            return queued.fire();
        }
    }
}

impl Armed {
    /// Starts a timer. Returns `None` if the host has none, or none left.
    fn new(time: Duration) -> Option<Self> {
        let fired = Rc::new(Fired::default());
        let callback = Closure::new({
            let fired = fired.clone();
            move || {
                fired.fire();
                wake_next();
            }
        });
        // The host fires no earlier than after whole milliseconds.
        let part = u64::from(time.subsec_nanos().div_ceil(1_000_000));
        let millis = time.as_secs().saturating_mul(1000).saturating_add(part);
        let millis = i32::try_from(millis).unwrap_or(i32::MAX);
        let id = function("setTimeout")?
            .call2(
                &JsValue::UNDEFINED,
                callback.as_ref().unchecked_ref::<Function>(),
                &JsValue::from(millis),
            )
            .ok()?;
        Some(Self {
            id,
            fired,
            _callback: callback,
        })
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if !self.fired.is_over.get()
            && let Some(clear) = function("clearTimeout")
        {
            // `clearTimeout` never throws.
            let _ = clear.call1(&JsValue::UNDEFINED, &self.id);
            wake_next();
        }
    }
}

fn function(name: &str) -> Option<Function> {
    Reflect::get(&global(), &JsValue::from_str(name))
        .ok()?
        .dyn_into()
        .ok()
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = &mut *self.0;
        if let Some(Queued(queued)) = &timer.queued {
            if !queued.is_over.get() {
                *queued.waker.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            // The timer is armed below. This place is used up.
            queued.is_over.set(false);
            timer.queued = None;
        }
        let mut rest = timer
            .rest
            .unwrap_or_else(|| timer.deadline.saturating_duration_since(Instant::now()));
        loop {
            match &timer.armed {
                Some(armed) if !armed.fired.is_over.get() => {
                    *armed.fired.waker.borrow_mut() = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                _ if rest.is_zero() => {
                    timer.armed = None;
                    timer.rest = Some(rest);
                    return Poll::Ready(());
                }
                _ => {
                    let part = rest.min(LONGEST);
                    timer.armed = Armed::new(part);
                    if timer.armed.is_none() {
                        let queued = timer.queued.insert(Queued::new());
                        *queued.0.waker.borrow_mut() = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    rest -= part;
                    timer.rest = Some(rest);
                }
            }
        }
    }
}

//! Work queues instead of recursion.
//!
//! Settling a promise runs the calls that were queued on it, which settle other promises. Dropping
//! a result drops stubs, which drop targets, which drop results. A peer determines the length of
//! such chains, so they must not use the stack. Each step is put on a queue of the thread, and the
//! function that started the first step empties the queue.
//!
//! For the same reason, nothing here is called while a session is locked.

use std::{
    cell::RefCell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    vec,
};

use crate::graph::{
    cancellation::Cancellation,
    engine::{
        effort::Counting,
        resolve_args::{JoinAll, PendingCall},
        target::Target,
    },
    hook::{Hook, Waiter, Waiters},
    local_object::Job,
    offload,
    payload::Cap,
    promise_state::PromiseState,
    remote::TakeOutcome,
};

/// One step.
pub(crate) enum Work {
    /// Drop this hook, whose `Drop` may run any code.
    DropHook(Hook),
    DropCaps(vec::IntoIter<Cap>),
    DropTarget(Arc<dyn Target>),
    DropWaiters(Waiters),
    DropJobs(VecDeque<Job>),
    /// Settle a promise.
    Settle(Arc<PromiseState>, Hook),
    /// Run the queue that a promise waits for.
    Drive(Arc<PromiseState>),
    /// Notify a waiter.
    Notify(Waiter),
    /// Deliver the answer to a write to a peer's stream.
    TakeOutcome(Box<dyn TakeOutcome>, Hook),
    /// Give up a wait that nobody needs any more.
    GiveUp(Arc<JoinAll>),
    /// Notify a handler that nobody needs its result any more.
    Canceled(Arc<Cancellation>),
    /// Continue a message whose promises have settled.
    Deliver(PendingCall),
}

struct Queue {
    running: bool,
    items: VecDeque<Work>,
}

/// The number of capabilities that are dropped in one step.
const AT_A_TIME: usize = 256;

/// The number of steps up to which their work is not counted.
const FEW: usize = 16;

/// The capacity that an empty queue keeps, in steps.
const KEEP: usize = 1024;

thread_local! {
    static QUEUE: RefCell<Queue> = const {
        RefCell::new(Queue {
            running: false,
            items: VecDeque::new(),
        })
    };
}

/// Runs `work` and all resulting steps before it returns. If a step is already running on this
/// thread, they run after it instead.
pub(crate) fn submit(work: Work) {
    // While the thread is being torn down its queue is gone, so the step runs directly.
    let mut work = Some(work);
    let first = QUEUE.try_with(|queue| {
        let mut queue = queue.borrow_mut();
        queue.items.extend(work.take());
        !std::mem::replace(&mut queue.running, true)
    });
    match first {
        Ok(true) => run_all(),
        Ok(false) => {}
        Err(_) => {
            if let Some(work) = work {
                run(work);
            }
        }
    }
}

/// Submits many steps at once, in order. The resulting work is counted together.
pub(crate) fn submit_all(works: impl IntoIterator<Item = Work>) {
    let works = works.into_iter();
    if works.size_hint().0 > FEW {
        submit_many(works);
    } else {
        for work in works {
            submit(work);
        }
    }
}

#[cold]
fn submit_many(works: impl Iterator<Item = Work>) {
    let _counting = Counting::start();
    works.for_each(submit);
}

fn run_all() {
    let (mut steps, mut counting) = (0, None);
    loop {
        steps += 1;
        if steps > FEW && counting.is_none() {
            counting = Some(Counting::start());
        }
        let next = QUEUE.with(|queue| {
            let mut queue = queue.borrow_mut();
            let next = queue.items.pop_front();
            if next.is_none() {
                queue.running = false;
                // A large number of steps does not leave the queue large.
                if queue.items.capacity() > KEEP {
                    queue.items = VecDeque::new();
                }
            }
            next
        });
        let Some(work) = next else { return };
        // A panic in a destructor of the application must not stop the remaining steps.
        if catch_unwind(AssertUnwindSafe(|| run(work))).is_err() {
            tracing::error!(target: "capnweb", "a destructor or callback panicked");
        }
    }
}

fn run(work: Work) {
    match work {
        Work::DropHook(hook) => drop(hook),
        Work::DropCaps(caps)
            if caps.len() >= offload::MANY_CAPABILITIES && offload::has_elsewhere() =>
        {
            offload::run_elsewhere(move || caps.for_each(drop));
        }
        Work::DropCaps(mut caps) => {
            // Each drop can add a step to the queue, which should not get as long as the list.
            caps.by_ref().take(AT_A_TIME).for_each(drop);
            if caps.len() > 0 {
                submit(Work::DropCaps(caps));
            }
        }
        Work::DropTarget(target) => drop(target),
        Work::DropWaiters(waiters) => drop(waiters),
        Work::DropJobs(jobs) => drop(jobs),
        Work::Settle(deferred, outcome) => deferred.settle_now(outcome),
        Work::Drive(deferred) => deferred.drive(),
        Work::Notify(waiter) => waiter.notify(),
        Work::TakeOutcome(taker, outcome) => taker.take_outcome(&outcome),
        Work::GiveUp(join) => join.give_up(),
        Work::Canceled(cancellation) => cancellation.is_over(),
        Work::Deliver(delivery) => delivery.advance(),
    }
}

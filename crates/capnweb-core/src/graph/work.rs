//! Work queues in place of recursion.
//!
//! Settling a promise runs calls that were queued on it, which settle other promises; dropping a
//! result drops stubs, which drop targets, which drop results. A peer decides how long such chains
//! are, so none of them may use the stack: each step is put on a queue of the thread, and whoever
//! started the first step empties the queue.
//!
//! For the same reason nothing here is called while a session's lock is held.

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
    /// Drop these: their `Drop` may run anything.
    DropHook(Hook),
    DropCaps(vec::IntoIter<Cap>),
    DropTarget(Arc<dyn Target>),
    DropWaiters(Waiters),
    DropJobs(VecDeque<Job>),
    /// A promise has its outcome.
    Settle(Arc<PromiseState>, Hook),
    /// What a promise waits for is to be run.
    Drive(Arc<PromiseState>),
    /// Something that was waited for has settled.
    Notify(Waiter),
    /// What was written to a stream of the peer's has been answered.
    TakeOutcome(Box<dyn TakeOutcome>, Hook),
    /// Nobody wants what is waited for.
    GiveUp(Arc<JoinAll>),
    /// Nobody wants the result of a call.
    Canceled(Arc<Cancellation>),
    /// Everything a message waited for has settled: have another look.
    Deliver(PendingCall),
}

struct Queue {
    running: bool,
    items: VecDeque<Work>,
}

/// The number of capabilities that are dropped in one step.
const AT_A_TIME: usize = 256;

/// The number of steps whose work is not counted.
const FEW: usize = 16;

/// The room that an empty queue keeps, in steps.
const KEEP: usize = 1024;

thread_local! {
    static QUEUE: RefCell<Queue> = const {
        RefCell::new(Queue {
            running: false,
            items: VecDeque::new(),
        })
    };
}

/// Runs `work`, and all that comes of it, before it returns; or after the step that is running on
/// this thread, if there is one.
pub(crate) fn submit(work: Work) {
    // When the thread is being torn down its queue is gone, and the step is done where it stands.
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

/// Submits many at once, in order. The work that comes of them is counted together.
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
                // Many steps at once leave no room behind.
                if queue.items.capacity() > KEEP {
                    queue.items = VecDeque::new();
                }
            }
            next
        });
        let Some(work) = next else { return };
        // A destructor of the application that panics must not stop what is queued behind it.
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
            // Each can put a step on the queue, which is not to become as long as the list.
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

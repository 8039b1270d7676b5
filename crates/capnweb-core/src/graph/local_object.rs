//! Objects of this process.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    graph::{
        engine::{
            invoke::{Operation, Origin, invoke_at_target},
            target::{Answer, Call, Property, Target},
        },
        error::Error,
        hook::Hook,
        local_executor,
        payload::Path,
        promise_state::PromiseState,
        work,
        work::Work,
    },
    runtime::{Handle, Id},
    util::lock::LockExt,
};

/// An object of this process, the target of stubs.
///
/// Calls from within this process are queued, and run by a task or by whatever awaits their
/// results. They never run inside the call itself, so the order of events does not depend on where
/// an object lives.
pub(crate) struct LocalObject {
    /// The object. It is present until the drop.
    target: Option<Arc<dyn Target>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// The runtime whose task will run the queue.
    scheduled: Option<Id>,
    /// True while the queue is being run.
    running: bool,
}

/// A call from within this process.
pub(crate) struct Job {
    path: Path,
    operation: Operation,
    result: Arc<PromiseState>,
}

impl LocalObject {
    pub(crate) fn new(target: Arc<dyn Target>) -> Arc<Self> {
        Arc::new(Self {
            target: Some(target),
            queue: Mutex::default(),
        })
    }

    pub(crate) fn target(&self) -> Arc<dyn Target> {
        match &self.target {
            Some(target) => target.clone(),
            None => Arc::new(Gone),
        }
    }

    /// Returns a callable for a method of `this`.
    pub(crate) fn method_of(this: &Arc<Self>, name: &str) -> Hook {
        Hook::Target(Self::new(Arc::new(BoundMethod {
            target: this.clone(),
            name: name.into(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.acquire()
    }

    /// Queues a call, makes sure that it will run, and returns the promise of its result.
    pub(crate) fn enqueue(self: &Arc<Self>, path: Path, operation: Operation) -> Arc<PromiseState> {
        let result = PromiseState::queued(self.clone());
        let job = Job {
            path,
            operation,
            result: result.clone(),
        };
        // Without a runtime, the queue runs when a result is awaited.
        let runtime = Handle::try_current().ok();
        let id = runtime.as_ref().map(Handle::id);
        let mut queue = self.lock();
        queue.jobs.push_back(job);
        let schedule = id.is_some() && queue.scheduled != id;
        if schedule {
            queue.scheduled = id;
        }
        drop(queue);
        if schedule && let Some(runtime) = runtime {
            local_executor::schedule(self.clone(), &runtime);
        }
        result
    }

    /// Runs the queue, like [`run_queue`](Self::run_queue), for a task that awaits one of the
    /// results.
    ///
    /// A call that runs may await other results in turn. Beyond a few levels of nesting, the queue
    /// is left to the task that is assigned to it, in order to limit the depth of the stack.
    pub(crate) fn drive_queue(self: &Arc<Self>) {
        const MAX_NESTED: u32 = 16;
        thread_local! {
            static NESTED: Cell<u32> = const { Cell::new(0) };
        }
        /// Decrements the depth, even after a panic.
        struct Nested;
        impl Drop for Nested {
            fn drop(&mut self) {
                NESTED.set(NESTED.get() - 1);
            }
        }

        NESTED.set(NESTED.get() + 1);
        let _nested = Nested;
        if NESTED.get() <= MAX_NESTED {
            self.run_queue();
        }
    }

    /// Runs the queued calls in order, unless the queue is being run already.
    pub(crate) fn run_queue(self: &Arc<Self>) {
        /// Allows the queue to be run again after a panic.
        struct Running<'a>(Option<&'a LocalObject>);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                if let Some(target) = self.0 {
                    target.lock().running = false;
                }
            }
        }

        let mut job = {
            let mut queue = self.lock();
            if queue.running {
                return;
            }
            let Some(job) = queue.jobs.pop_front() else {
                return;
            };
            queue.running = true;
            job
        };
        let mut running = Running(Some(self));
        loop {
            let result = invoke_at_target(self, job.path, job.operation, &Origin::Local);
            job.result.settle(result);
            // This may be the last reference to the promise.
            PromiseState::keep_if_spent(job.result);
            let mut queue = self.lock();
            let Some(next) = queue.jobs.pop_front() else {
                queue.running = false;
                running.0 = None;
                return;
            };
            drop(queue);
            job = next;
        }
    }
}

impl local_executor::Queue for LocalObject {
    fn run_scheduled(self: Arc<Self>, runtime: Id) {
        let mut queue = self.lock();
        if queue.scheduled == Some(runtime) {
            queue.scheduled = None;
        }
        drop(queue);
        self.run_queue();
    }

    fn not_run(self: Arc<Self>, runtime: Id) {
        let jobs = {
            let mut queue = self.lock();
            if queue.scheduled != Some(runtime) {
                // A task of another runtime will run the queue.
                return;
            }
            queue.scheduled = None;
            std::mem::take(&mut queue.jobs)
        };
        for job in jobs {
            job.result.settle(Hook::Broken(Error::canceled(
                "the call was not made: the runtime it was waiting for was shut down",
            )));
        }
    }
}

impl Drop for LocalObject {
    fn drop(&mut self) {
        let queue = self.queue.data_mut();
        if !queue.jobs.is_empty() {
            work::submit(Work::DropJobs(std::mem::take(&mut queue.jobs)));
        }
        if let Some(target) = self.target.take() {
            work::submit(Work::DropTarget(target));
        }
    }
}

/// A method that was read as a property: a callable bound to its object.
struct BoundMethod {
    target: Arc<LocalObject>,
    name: String,
}

impl Target for BoundMethod {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        if !call.method().is_empty() {
            return Answer::not_found();
        }
        self.target
            .target()
            .call(call.of_method(&self.target, &self.name))
    }

    fn declares(&self, name: &str) -> bool {
        name == self.name && self.target.target().declares(name)
    }

    fn bound_method(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// A replacement for a target that has been dropped.
struct Gone;

impl Target for Gone {
    fn call(self: Arc<Self>, _: Call<'_>) -> Answer {
        Answer::not_found()
    }

    fn get(self: Arc<Self>, _: crate::graph::engine::target::Get<'_>) -> Property {
        Property::Undefined
    }
}

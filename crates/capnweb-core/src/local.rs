//! Objects of this process.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    deferred::Deferred,
    error::Error,
    hook::Hook,
    payload::Path,
    perform::{Origin, Request, perform_at_target},
    target::{Answer, Call, Property, Target},
    work::{self, Work},
};

/// An object of this process, as stubs refer to it.
///
/// Calls of this process's own are queued here, and run by whoever awaits a result or by a task:
/// never inside the call, so that it makes no difference where a target lives.
pub(crate) struct LocalTarget {
    /// Always there until the drop.
    target: Option<Arc<dyn Target>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// A task that will run the queue has been spawned.
    scheduled: bool,
    /// Someone is running the queue.
    running: bool,
}

/// A call of this process's own.
pub(crate) struct Job {
    pub(crate) path: Path,
    pub(crate) request: Request,
    pub(crate) result: Arc<Deferred>,
}

impl LocalTarget {
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

    /// A callable that is a method of `this`.
    pub(crate) fn method_of(this: &Arc<Self>, name: &str) -> Hook {
        Hook::Target(Self::new(Arc::new(BoundMethod {
            target: this.clone(),
            name: name.into(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job and sees to it that it is run.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        job: impl FnOnce(Arc<Deferred>) -> Job,
    ) -> Arc<Deferred> {
        let result = Deferred::queued(self.clone());
        let job = job(result.clone());
        let mut queue = self.lock();
        queue.jobs.push_back(job);
        let spawn = !std::mem::replace(&mut queue.scheduled, true);
        drop(queue);
        if spawn {
            // Without a runtime the queue is run by whoever awaits a result.
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => {
                    let scheduled = Scheduled(Some(self.clone()));
                    runtime.spawn(async move { scheduled.run() });
                }
                Err(_) => self.lock().scheduled = false,
            }
        }
        result
    }

    /// As [`run_queue`](Self::run_queue), for a task that awaits one of the results.
    ///
    /// What runs may await other results in turn. Deeper than a few of those the stack is not
    /// used: the task that is there for the queue runs it.
    pub(crate) fn drive_queue(self: &Arc<Self>) {
        const MAX_NESTED: u32 = 16;
        thread_local! {
            static NESTED: Cell<u32> = const { Cell::new(0) };
        }
        /// Counts down, also after a panic.
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

    /// Runs what is queued, in order, unless someone is at it already.
    pub(crate) fn run_queue(self: &Arc<Self>) {
        /// Lets others run the queue again, also after a panic.
        struct Running<'a>(&'a LocalTarget);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.lock().running = false;
            }
        }

        // A job that came between the last look and the end of `Running` found someone at it.
        while !self.lock().jobs.is_empty() {
            if std::mem::replace(&mut self.lock().running, true) {
                return;
            }
            let _running = Running(self);
            loop {
                let job = self.lock().jobs.pop_front();
                let Some(job) = job else { break };
                let result = perform_at_target(self, job.path, job.request, &Origin::Local);
                job.result.settle(result);
            }
        }
    }
}

impl Drop for LocalTarget {
    fn drop(&mut self) {
        let queue = self.queue.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !queue.jobs.is_empty() {
            work::submit(Work::DropJobs(std::mem::take(&mut queue.jobs)));
        }
        if let Some(target) = self.target.take() {
            work::submit(Work::DropTarget(target));
        }
    }
}

/// A task that will run a queue.
struct Scheduled(Option<Arc<LocalTarget>>);

impl Scheduled {
    fn run(mut self) {
        if let Some(target) = self.0.take() {
            target.lock().scheduled = false;
            target.run_queue();
        }
    }
}

impl Drop for Scheduled {
    /// The task goes without having run: its runtime is shut down, and nobody else may ever come.
    fn drop(&mut self) {
        let Some(target) = self.0.take() else { return };
        let jobs = {
            let mut queue = target.lock();
            queue.scheduled = false;
            std::mem::take(&mut queue.jobs)
        };
        for job in jobs {
            job.result.settle(Hook::Broken(Error::canceled(
                "the call was not made: the runtime it was waiting for was shut down",
            )));
        }
    }
}

/// A method read as a property: callable, and bound to its object.
struct BoundMethod {
    target: Arc<LocalTarget>,
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
}

/// Stands in where a target has been dropped.
struct Gone;

impl Target for Gone {
    fn call(self: Arc<Self>, _: Call<'_>) -> Answer {
        Answer::not_found()
    }

    fn get(self: Arc<Self>, _: crate::target::Get<'_>) -> Property {
        Property::Undefined
    }
}

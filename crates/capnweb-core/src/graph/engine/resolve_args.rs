//! Substitution of promises by their outcomes, before an application sees a message.
//!
//! Each promise in a payload is replaced by its outcome, which may contain promises in turn. If all
//! of them have settled, nothing waits: the call starts at once and in order.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{
    graph::{
        engine::{
            effort,
            invoke::{Operation, Origin, call_method, invoke},
        },
        error::{Error, Result},
        hook::{Hook, Settled, Waiter},
        local_object::LocalObject,
        offload::{self, Job, offload},
        payload::{Cap, Draft, Growth, Payload, Splice, Splicer, check_depth},
        peer_call::{OpenCall, RunningCall, Stop},
        promise_state::PromiseState,
        remote::Notify,
        work,
        work::Work,
    },
    limits::Limits,
    runtime::Handle,
    util::lock::LockExt,
};

/// The action to take once all promises have been substituted.
pub(crate) enum Then {
    /// Call a method. The payload is a bare array of arguments.
    Call {
        target: Arc<LocalObject>,
        method: String,
        origin: Origin,
        result: Arc<PromiseState>,
    },
    /// Settle a promise with the payload, if it is still referenced.
    Settle(Weak<PromiseState>),
}

impl Then {
    fn run(self, payload: Result<Payload>) {
        match self {
            Self::Call {
                target,
                method,
                origin,
                result,
            } => result.settle(match payload {
                Ok(args) => call_method(&target, &method, args.view(), &origin),
                Err(error) => Hook::Broken(error),
            }),
            Self::Settle(result) => {
                if let Some(result) = result.upgrade() {
                    result.settle(payload.map_or_else(Hook::Broken, Hook::Value));
                }
            }
        }
    }

    fn result(&self) -> Option<Arc<PromiseState>> {
        match self {
            Self::Call { result, .. } => Some(result.clone()),
            Self::Settle(result) => result.upgrade(),
        }
    }

    fn origin(&self) -> Origin {
        match self {
            Self::Call { origin, .. } => origin.clone(),
            Self::Settle(_) => Origin::Local,
        }
    }

    /// Continues with the content, once all of its promises have been filled in.
    fn filled(self, payload: Payload) {
        effort::spend(effort::CALL);
        if payload.is_long_to_read()
            && let Origin::Peer(call) = self.origin()
            && call.offloads()
        {
            return offload(
                &call,
                Box::new(Filled {
                    then: self,
                    payload,
                }),
            );
        }
        self.run(Ok(payload));
    }
}

/// A call with long arguments, whose promises have been filled in.
struct Filled {
    then: Then,
    payload: Payload,
}

impl Job for Filled {
    fn run(self: Box<Self>) {
        self.then.run(Ok(self.payload));
    }

    fn cancel(self: Box<Self>) {
        self.then.run(Err(Error::session_over()));
    }
}

/// Substitutes the promises in `payload` and then performs `then`, now or later. Returns the hook
/// for the result.
pub(crate) fn resolve_args(payload: Payload, then: impl FnOnce(Arc<PromiseState>) -> Then) -> Hook {
    let result = PromiseState::new();
    let delivery = PendingCall {
        payload,
        then: then(result.clone()),
        running: None,
    };
    delivery.advance();
    Hook::Promise(result)
}

/// A message that waits for the promises in it.
pub(crate) struct PendingCall {
    payload: Payload,
    then: Then,
    /// Counts the call as in flight while it waits.
    running: Option<RunningCall>,
}

impl PendingCall {
    /// Makes as much progress as possible without waiting.
    pub(crate) fn advance(self) {
        if effort::is_exhausted()
            && let Origin::Peer(call) = self.then.origin()
            && call.offloads()
        {
            return offload(&call, Box::new(self));
        }
        let Self {
            payload,
            then,
            running,
        } = self;
        drop(running);
        if !payload.view().has_promises() {
            return then.filled(payload);
        }
        Substituting {
            substitution: Substitution::new(&then.origin()),
            splice: Splice::new(payload),
            then,
        }
        .advance();
    }

    /// Continues once the settled promises are filled in. The others are `blocked`.
    fn substituted(payload: Payload, blocked: Vec<Hook>, then: Then) {
        if blocked.is_empty() {
            return then.filled(payload);
        }
        let running = match &then.origin() {
            Origin::Peer(call) => match call.admit() {
                Ok(()) => Some(RunningCall::retaining(call, payload.cost())),
                Err(error) => return then.run(Err(error.into())),
            },
            Origin::App | Origin::Local => None,
        };
        JoinAll::wait(
            Self {
                payload,
                then,
                running,
            },
            blocked,
        );
    }
}

impl Job for PendingCall {
    fn run(self: Box<Self>) {
        self.advance();
    }

    fn cancel(self: Box<Self>) {
        drop(self.running);
        self.then.run(Err(Error::session_over()));
    }
}

/// A message whose promises are being filled in.
struct Substituting {
    substitution: Substitution,
    splice: Splice,
    then: Then,
}

impl Substituting {
    /// Fills in the promises that have settled.
    fn advance(mut self) {
        match self.splice.advance(&mut self.substitution) {
            Ok(true) => match self.substitution.finish() {
                Ok((payload, blocked)) => PendingCall::substituted(payload, blocked, self.then),
                Err(error) => self.then.run(Err(error)),
            },
            Ok(false) => match self.then.origin() {
                Origin::Peer(call) => offload(&call, Box::new(self)),
                // These do not pause.
                Origin::App | Origin::Local => self.advance(),
            },
            Err(error) => self.then.run(Err(error)),
        }
    }
}

impl Job for Substituting {
    fn run(mut self: Box<Self>) {
        self.substitution.pauses = false;
        self.advance();
    }

    fn cancel(self: Box<Self>) {
        self.then.run(Err(Error::session_over()));
    }
}

/// A wait for several promises, or for the first rejection.
pub(crate) struct JoinAll {
    remaining: AtomicUsize,
    done: AtomicBool,
    waiting: Mutex<Option<Waiting>>,
}

struct Waiting {
    blocked: Vec<Hook>,
    delivery: PendingCall,
}

impl JoinAll {
    fn wait(delivery: PendingCall, blocked: Vec<Hook>) {
        let registration = delivery.running.as_ref().map(RunningCall::registration);
        let is_call = matches!(delivery.then, Then::Call { .. });
        let result = delivery.then.result();
        let join = Arc::new(Self {
            // Add one, so that the wait cannot end before all promises are registered.
            remaining: AtomicUsize::new(blocked.len() + 1),
            done: AtomicBool::new(false),
            waiting: Mutex::new(Some(Waiting {
                blocked: blocked.clone(),
                delivery,
            })),
        });
        if let Some(result) = &result {
            for hook in &blocked {
                result.needs(&hook.batches());
            }
            if !is_call {
                result.joins(&join);
            }
        }
        for (number, hook) in blocked.iter().enumerate() {
            if hook
                .subscribe(Waiter::Owned(join.clone(), number as u64))
                .is_some()
            {
                join.settled(number);
            } else if let Hook::Promise(deferred) = hook
                && Handle::try_current().is_err()
            {
                // There is no task to run the queue that the promise depends on.
                work::submit(Work::Drive(deferred.clone()));
            }
        }
        if let Some(registration) = registration {
            let join: Weak<dyn Stop> = Arc::<JoinAll>::downgrade(&join);
            registration.set(OpenCall::Waiting(join));
        }
        join.count_down();
    }

    fn take(&self) -> Option<Waiting> {
        self.done.store(true, Ordering::Release);
        self.waiting.acquire().take()
    }

    /// Stops waiting, because the result is no longer needed.
    pub(crate) fn give_up(&self) {
        drop(self.take());
    }

    /// Handles that the promise with index `number` has settled.
    fn settled(&self, number: usize) {
        let hook = {
            let waiting = self.waiting.acquire();
            waiting
                .as_ref()
                .and_then(|waiting| waiting.blocked.get(number).cloned())
        };
        let rejected =
            hook.is_some_and(|hook| matches!(hook.follow(), Settled::Yes(Hook::Broken(_))));
        if rejected {
            self.finish();
        } else {
            self.count_down();
        }
    }

    fn count_down(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish();
        }
    }

    fn finish(&self) {
        if self.done.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(Waiting { delivery, .. }) = self.take() {
            work::submit(Work::Deliver(delivery));
        }
    }
}

impl Stop for JoinAll {
    fn stop(&self) {
        if let Some(Waiting { delivery, .. }) = self.take() {
            let PendingCall { then, running, .. } = delivery;
            drop(running);
            then.run(Err(Error::canceled(
                "the call was not made: its session was over and its time was up before the \
                 promises in its arguments settled",
            )));
        }
    }
}

impl Notify for JoinAll {
    fn notify(self: Arc<Self>, token: u64) {
        // The tokens are indices into the list of promises.
        self.settled(usize::try_from(token).unwrap_or(usize::MAX));
    }
}

/// A payload whose promises are being substituted. Those that have not settled stay in place.
struct Substitution {
    limits: Arc<Limits>,
    out: Draft,
    growth: Growth,
    /// Promises that have not settled.
    blocked: Vec<Hook>,
    /// True if it pauses before it takes long.
    pauses: bool,
}

impl Substitution {
    fn new(origin: &Origin) -> Self {
        Self {
            limits: origin.limits(),
            out: Draft::default(),
            growth: Growth::default(),
            blocked: Vec::new(),
            pauses: matches!(origin, Origin::Peer(call) if call.offloads()),
        }
    }

    /// Returns the content, and its promises that have not settled.
    ///
    /// # Errors
    ///
    /// Returns an error if it is nested too deeply for a message.
    fn finish(self) -> Result<(Payload, Vec<Hook>)> {
        let Self {
            limits,
            mut out,
            blocked,
            ..
        } = self;
        check_depth(out.text(), 0, limits.max_depth())?;
        Ok((out.take_payload(), blocked))
    }
}

impl Splicer for Substitution {
    fn pauses(&self) -> bool {
        self.pauses && (self.out.text.len() > offload::LONG_VALUE || effort::is_exhausted())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.out.text.extend_from_slice(text.as_bytes());
        let extra = self.out.size_beside_text();
        self.growth.check(&self.out.text, extra, &self.limits)?;
        effort::spend(text.len() + effort::CAPABILITY);
        Ok(())
    }

    fn cap(&mut self, cap: &Cap, _: bool) -> Result<Option<Payload>> {
        let located = match cap {
            Cap::Promise(located) => located,
            Cap::Blob(content) => {
                match content.done().settle() {
                    Settled::Yes(Hook::Broken(error)) => return Err(error),
                    Settled::Yes(_) => {}
                    Settled::Not(hook) => self.blocked.push(hook),
                }
                self.out.push_cap(cap.clone())?;
                return Ok(None);
            }
            cap => {
                self.out.push_cap(cap.clone())?;
                return Ok(None);
            }
        };
        let hook = if located.path.is_empty() {
            located.hook.clone()
        } else {
            // Go through the queue of the object, behind the calls that were made earlier.
            invoke(
                located.hook.clone(),
                &located.path,
                Operation::Get,
                &Origin::App,
            )
        };
        match hook.settle() {
            Settled::Yes(Hook::Value(payload)) => return Ok(Some(payload)),
            Settled::Yes(Hook::Broken(error)) => return Err(error),
            Settled::Yes(stub) => self.out.push_cap(Cap::stub(stub))?,
            Settled::Not(hook) => {
                self.blocked.push(hook.clone());
                self.out.push_cap(Cap::promise(hook))?;
            }
        }
        Ok(None)
    }
}

//! Filling promises in: what a message must go through before an application sees it.
//!
//! Each promise in a payload is replaced by its outcome, which may hold promises in turn. Nothing of
//! this waits if all of them have settled: then a call starts at once, and in order.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{
    graph::{
        engine::invoke::{Operation, Origin, call_method, invoke},
        error::{Error, Result},
        hook::{Hook, Settled, Waiter},
        local_object::LocalObject,
        payload::{Cap, Draft, Payload, check_size, depth},
        peer_call::{OpenCall, RunningCall},
        promise_state::PromiseState,
        remote::Notify,
        work,
        work::Work,
    },
    limits::Limits,
    util::lock::LockExt,
};

/// What happens once all promises have been filled in.
pub(crate) enum Then {
    /// Call a method. The payload is a bare array of arguments.
    Call {
        target: Arc<LocalObject>,
        method: String,
        origin: Origin,
        result: Arc<PromiseState>,
    },
    /// Settle a promise with the payload, if anybody still holds it.
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
}

/// Fills the promises of `payload` in and does what `then` says, now or later. Gives the hook for
/// the result.
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

/// A message that waits for promises in it.
pub(crate) struct PendingCall {
    payload: Payload,
    then: Then,
    /// Counts the call among those in flight while it waits.
    running: Option<RunningCall>,
}

impl PendingCall {
    /// Does what can be done now.
    pub(crate) fn advance(self) {
        let Self {
            payload,
            then,
            running,
        } = self;
        drop(running);
        let origin = then.origin();
        let (payload, blocked) = match substitute(payload, &origin) {
            Ok(filled) => filled,
            Err(error) => return then.run(Err(error)),
        };
        if blocked.is_empty() {
            return then.run(Ok(payload));
        }
        let running = match &origin {
            Origin::Peer(call) => match call.admit() {
                Ok(()) => Some(RunningCall::retaining(call, payload.cost())),
                Err(error) => return then.run(Err(error)),
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

/// Waits for several promises, or for the first that is rejected.
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
            // One more, so that it is not done before all have been registered.
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
                && tokio::runtime::Handle::try_current().is_err()
            {
                // There is no task to run the queue that it waits for.
                work::submit(Work::Drive(deferred.clone()));
            }
        }
        if let Some(registration) = registration {
            registration.set(OpenCall::Waiting(Arc::downgrade(&join)));
        }
        join.count_down();
    }

    fn take(&self) -> Option<Waiting> {
        self.done.store(true, Ordering::Release);
        self.waiting.acquire().take()
    }

    /// Stops waiting: nobody wants the result.
    pub(crate) fn give_up(&self) {
        drop(self.take());
    }

    /// Stops waiting: what is waited for may never come.
    pub(crate) fn stop(&self) {
        if let Some(Waiting { delivery, .. }) = self.take() {
            let PendingCall { then, running, .. } = delivery;
            drop(running);
            then.run(Err(Error::canceled(
                "the call was not made: its session was over and its time was up before the \
                 promises in its arguments settled",
            )));
        }
    }

    /// Number `number` of the promises has settled.
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

impl Notify for JoinAll {
    fn notify(self: Arc<Self>, token: u64) {
        // The tokens are places in a list.
        self.settled(usize::try_from(token).unwrap_or(usize::MAX));
    }
}

/// A payload that is being copied, as far as it is.
struct Level {
    payload: Payload,
    /// The next capability.
    cap: usize,
    /// How much of the text has been copied.
    copied: usize,
}

/// Values inside values inside values, by way of promises.
const MAX_LEVELS: usize = 512;

/// Replaces the promises of `payload` that have settled by their outcomes. Gives those that have
/// not, which are left where they are.
///
/// # Errors
///
/// If one was rejected, or the whole gets larger or deeper than a message may be.
pub(crate) fn substitute(payload: Payload, origin: &Origin) -> Result<(Payload, Vec<Hook>)> {
    if !payload.view().has_promises() {
        return Ok((payload, Vec::new()));
    }
    let limits = origin.limits();
    let mut out = Draft::default();
    let mut blocked = Vec::new();
    let mut levels = vec![Level {
        payload,
        cap: 0,
        copied: 0,
    }];
    while let Some(level) = levels.last_mut() {
        let view = level.payload.view();
        let hole = view.spans.get(level.cap).zip(view.caps.get(level.cap));
        let until = hole.map_or(view.text.len(), |(span, _)| span.start as usize);
        let text = view.text.get(level.copied..until).unwrap_or_default();
        out.text.extend_from_slice(text.as_bytes());
        check_size(out.text_len(), out.holes.caps.len(), &limits)?;
        let Some((span, cap)) = hole else {
            levels.pop();
            continue;
        };
        level.copied = span.end as usize;
        level.cap += 1;
        let located = match cap {
            Cap::Promise(located) => located,
            Cap::Blob(content) => {
                match content.done().settle() {
                    Settled::Yes(Hook::Broken(error)) => return Err(error),
                    Settled::Yes(_) => {}
                    Settled::Not(hook) => blocked.push(hook),
                }
                out.push_cap(cap.clone())?;
                continue;
            }
            cap => {
                out.push_cap(cap.clone())?;
                continue;
            }
        };
        let hook = if located.path.is_empty() {
            located.hook.clone()
        } else {
            // By way of its object's queue, behind the calls that were made before.
            invoke(
                located.hook.clone(),
                &located.path,
                Operation::Get,
                &Origin::App,
            )
        };
        match hook.settle() {
            Settled::Yes(Hook::Value(payload)) => {
                if levels.len() >= MAX_LEVELS {
                    return Err(too_deep(&limits));
                }
                levels.push(Level {
                    payload,
                    cap: 0,
                    copied: 0,
                });
            }
            Settled::Yes(Hook::Broken(error)) => return Err(error),
            Settled::Yes(stub) => out.push_cap(Cap::stub(stub))?,
            Settled::Not(hook) => {
                blocked.push(hook.clone());
                out.push_cap(Cap::promise(hook))?;
            }
        }
    }
    check_depth(out.text(), &limits)?;
    Ok((out.take_payload(), blocked))
}

/// Whether content with promises filled in is nested no deeper than a message may be.
pub(crate) fn check_depth(text: &str, limits: &Limits) -> Result<()> {
    if is_less_deep(text, limits.max_depth()) {
        Ok(())
    } else {
        Err(too_deep(limits))
    }
}

/// Whether content is nested less than `levels` deep.
pub(crate) fn is_less_deep(text: &str, levels: usize) -> bool {
    // A level takes two bytes at the least, to open it and to close it.
    text.len() / 2 < levels || depth(text) < levels
}

fn too_deep(limits: &Limits) -> Error {
    Error::limit(format!(
        "a value with promises filled in exceeds the maximum depth of {}",
        limits.max_depth()
    ))
}

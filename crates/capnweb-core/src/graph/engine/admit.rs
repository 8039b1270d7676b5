//! Admission of calls by interceptors.

use std::sync::Arc;

use crate::graph::{
    engine::{
        handler,
        invoke::{Operation, Origin},
        target::{AnswerFuture, Encoded},
    },
    error::Result,
    hook::Hook,
    hooks::SessionHooks,
    intercept::VerdictKind,
    local_object::LocalObject,
    observe::{CallInfo, CallKind, Direction},
    payload::{Cap, Path, Payload, View},
};

/// Returns the interceptors of the session that the peer's call arrived through, if there are any.
#[inline]
pub(crate) fn interceptors(origin: &Origin) -> Option<Arc<SessionHooks>> {
    match origin {
        Origin::Peer(call) => SessionHooks::of(call).filter(|hooks| hooks.intercepts()),
        Origin::App | Origin::Local => None,
    }
}

/// Asks whether a peer may call a method of an object of this process. Returns `None` if the call
/// proceeds now. Otherwise returns its result: `proceed` makes the call later, unless it is
/// rejected.
pub(crate) fn call(
    hooks: &Arc<SessionHooks>,
    target: &Arc<LocalObject>,
    method: &str,
    args: View<'_>,
    origin: &Origin,
    proceed: fn(&Arc<LocalObject>, &str, View<'_>, &Origin) -> Hook,
) -> Option<Hook> {
    handler::with_info(target, CallKind::Call, method, |info| {
        decide(hooks, info, Some(args), origin, || {
            let (target, method) = (target.clone(), method.to_owned());
            let (args, origin) = (args.to_payload(), origin.clone());
            move || proceed(&target, &method, args.view(), &origin)
        })
    })
}

/// Asks whether a peer may read a property of an object of this process. Returns `None` if the read
/// proceeds now.
pub(crate) fn get(
    hooks: &Arc<SessionHooks>,
    target: &Arc<LocalObject>,
    name: &str,
    origin: &Origin,
    proceed: fn(&Arc<LocalObject>, &str, &Origin) -> Hook,
) -> Option<Hook> {
    handler::with_info(target, CallKind::Get, name, |info| {
        decide(hooks, info, None, origin, || {
            let (target, name, origin) = (target.clone(), name.to_owned(), origin.clone());
            move || proceed(&target, &name, &origin)
        })
    })
}

/// Asks whether a peer's operation may be forwarded to an object of another session. Returns the
/// operation if it proceeds now.
///
/// # Errors
///
/// Returns the operation's result if it waits or is rejected.
pub(crate) fn forward(
    hooks: &Arc<SessionHooks>,
    hook: &Hook,
    path: &Path,
    operation: Operation,
    origin: &Origin,
    proceed: fn(Hook, Path, Operation, &Origin) -> Hook,
) -> Result<Operation, Hook> {
    let method = path.dotted();
    let info = info(Direction::Incoming, &operation, &method, path.is_declared());
    let verdict = hooks.before(info, operation.args());
    let (hook, path, owned) = (hook.clone(), path.clone(), origin.clone());
    settle(hooks, info, verdict, origin, operation, move |operation| {
        proceed(hook, path, operation, &owned)
    })
}

/// Asks whether an operation may be sent to the peer. Returns the operation if it proceeds now.
///
/// # Errors
///
/// Returns the operation's result if it waits or is rejected. `proceed` sends the operation later,
/// unless it is rejected.
pub(crate) fn send(
    hooks: &Arc<SessionHooks>,
    path: &Path,
    operation: Operation,
    proceed: impl FnOnce(Operation) -> Hook + Send + 'static,
) -> Result<Operation, Hook> {
    let method = path.dotted();
    let info = info(Direction::Outgoing, &operation, &method, path.is_declared());
    let verdict = hooks.before(info, operation.args());
    settle(hooks, info, verdict, &Origin::App, operation, proceed)
}

/// Describes an operation on an object of a peer.
pub(crate) fn info<'a>(
    side: Direction,
    operation: &Operation,
    method: &'a str,
    is_declared: bool,
) -> CallInfo<'a> {
    CallInfo {
        side,
        kind: match operation {
            Operation::Call(_) => CallKind::Call,
            Operation::Get => CallKind::Get,
            Operation::Map(_) => CallKind::Map,
        },
        method,
        is_declared,
    }
}

fn decide<P: FnOnce() -> Hook + Send + 'static>(
    hooks: &Arc<SessionHooks>,
    info: &CallInfo<'_>,
    args: Option<View<'_>>,
    origin: &Origin,
    proceed: impl FnOnce() -> P,
) -> Option<Hook> {
    let verdict = hooks.before(*info, args);
    if matches!(verdict, VerdictKind::Proceed) {
        return None;
    }
    let proceed = proceed();
    settle(hooks, *info, verdict, origin, (), |()| proceed()).err()
}

/// Acts on a verdict. Returns `subject` if the call proceeds now.
fn settle<S: Send + 'static>(
    hooks: &Arc<SessionHooks>,
    info: CallInfo<'_>,
    verdict: VerdictKind,
    origin: &Origin,
    subject: S,
    proceed: impl FnOnce(S) -> Hook + Send + 'static,
) -> Result<S, Hook> {
    let wait = match verdict {
        VerdictKind::Proceed => return Ok(subject),
        VerdictKind::Reject(error) => {
            let error = error.with_may_have_run(false);
            hooks.start_report(&info).reject(&error);
            return Err(Hook::Broken(error));
        }
        VerdictKind::Wait(wait) => wait,
    };
    let report = hooks.start_report(&info);
    let admitted: AnswerFuture = Box::pin(async move {
        if let Err(error) = wait.await {
            let error = error.with_may_have_run(false);
            report.reject(&error);
            return Encoded::Now(Err(error));
        }
        Encoded::Now(outcome(proceed(subject)))
    });
    Err(handler::wait(admitted, info.method, origin))
}

/// Returns the settled result of a call that has waited.
fn outcome(hook: Hook) -> Result<Payload> {
    match hook {
        Hook::Value(payload) => Ok(payload),
        Hook::Broken(error) => Err(error),
        hook if hook.is_promise() => Ok(Payload::from_cap(Cap::promise(hook))),
        stub => Ok(Payload::from_cap(Cap::stub(stub))),
    }
}

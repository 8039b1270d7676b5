//! Performing calls, property reads and maps on any target.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use crate::{
    graph::{
        engine::{
            admit, handler, handler::Found, map, map::Mapping, resolve_args, resolve_args::Then,
        },
        error::Error,
        hook::{Hook, Hops, Settled},
        local_object::LocalObject,
        payload::{Cap, Followed, Path, Payload, View},
        peer_call::PeerCall,
        remote::Entered,
    },
    limits::Limits,
};

/// An operation on a target.
pub(crate) enum Operation {
    /// A call. The payload is a bare array of arguments.
    Call(Payload),
    Get,
    Map(Mapping),
}

impl Operation {
    /// Returns the arguments of a call.
    pub(crate) fn args(&self) -> Option<View<'_>> {
        match self {
            Self::Call(args) => Some(args.view()),
            Self::Get | Self::Map(_) => None,
        }
    }

    /// Returns the approximate cost of holding this for a peer, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Call(args) => args.cost(),
            Self::Get => 0,
            Self::Map(mapping) => mapping.instructions().len(),
        }
    }
}

/// The origin of an operation.
#[derive(Clone)]
pub(crate) enum Origin {
    /// The application. Its handlers never run within the call: they are queued.
    App,
    /// The application, through the queue of the target.
    Local,
    /// A peer. Its calls start when they are delivered.
    Peer(PeerCall),
}

impl Origin {
    /// Changes the origin to another call of the same peer.
    pub(crate) fn is_now_call(&mut self, id: i64) {
        if let Self::Peer(call) = self {
            call.set_id(id);
        }
    }

    /// Returns the limits on the values that an operation creates.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        static DEFAULT: LazyLock<Arc<Limits>> = LazyLock::new(Arc::default);
        match self {
            Self::App | Self::Local => DEFAULT.clone(),
            Self::Peer(call) => call.limits().clone(),
        }
    }
}

/// The result of one step towards the target.
enum Step {
    Done(Hook),
    /// The target is further on.
    Onward(Hook, Path, Operation),
    /// The target is further on, within the property that the first step of the path names.
    Inside(Hook, Path, Operation),
}

/// Performs `operation` at the end of `path` from `hook`, and returns a hook for the result.
pub(crate) fn invoke(hook: Hook, path: &Path, operation: Operation, origin: &Origin) -> Hook {
    if let (Hook::Target(target), Origin::App) = (&hook, origin) {
        return Hook::Promise(target.enqueue(path.clone(), operation));
    }
    continue_from(Step::Onward(hook, path.clone(), operation), origin)
}

/// Forwards a peer's operation to the object of another session, after it has been admitted.
fn forward_admitted(hook: Hook, path: Path, operation: Operation, origin: &Origin) -> Hook {
    follow_steps(Step::Onward(hook, path, operation), origin, true)
}

/// Takes the steps that follow `at`.
fn continue_from(at: Step, origin: &Origin) -> Hook {
    follow_steps(at, origin, false)
}

/// Takes the steps that follow `at`. `admitted` tells whether the operation may be forwarded.
fn follow_steps(mut at: Step, origin: &Origin, mut admitted: bool) -> Hook {
    let mut shorter = usize::MAX;
    let mut hops = Hops::default();
    loop {
        let (hook, path, operation, whole) = match at {
            Step::Done(result) => return result,
            Step::Onward(hook, path, operation) => (hook, path, operation, None),
            Step::Inside(hook, path, operation) => (hook, path.rest(1), operation, Some(path)),
        };
        if path.len() >= shorter
            && let Err(error) = hops.hop()
        {
            return Hook::Broken(error);
        }
        shorter = path.len();
        // Skip everything that has settled at once, which also shortens the chain for the next
        // time.
        let hook = match hook {
            Hook::Import(_) | Hook::Promise(_) | Hook::Call(_) | Hook::Value(_) => {
                match hook.follow() {
                    Settled::Yes(hook) | Settled::Not(hook) => hook,
                }
            }
            hook => hook,
        };
        let operation = match (&hook, admit::interceptors(origin)) {
            (Hook::Import(_) | Hook::Lasting(_) | Hook::Call(_), Some(hooks)) if !admitted => {
                admitted = true;
                match admit::forward(&hooks, &hook, &path, operation, origin, forward_admitted) {
                    Ok(operation) => operation,
                    Err(result) => return result,
                }
            }
            _ => operation,
        };
        at = step(hook, path, whole.as_ref(), operation, origin);
    }
}

/// Takes one step. `whole` is the path including the steps that have been followed, if there are
/// any. Errors name that path.
fn step(
    hook: Hook,
    path: Path,
    whole: Option<&Path>,
    operation: Operation,
    origin: &Origin,
) -> Step {
    match hook {
        Hook::Target(target) => match origin {
            Origin::App => Step::Done(Hook::Promise(target.enqueue(path, operation))),
            Origin::Local | Origin::Peer(_) => at_target(&target, path, operation, origin),
        },
        Hook::Import(import) => match import.resolution() {
            Some(resolution) => Step::Onward(resolution, path, operation),
            None => match import.send(&path, operation) {
                Ok(result) => Step::Done(result),
                // The import was resolved in the meantime.
                Err(operation) => Step::Onward(Hook::Import(import), path, operation),
            },
        },
        Hook::Promise(deferred) => match deferred.enqueue(&path, operation, origin) {
            Ok(result) => Step::Done(result),
            Err((operation, outcome)) => Step::Onward(outcome, path, operation),
        },
        Hook::Lasting(slot) => entered(slot.enter(&path, operation, origin), path),
        Hook::Call(call) => entered(call.enter(&path, operation, origin), path),
        Hook::Value(payload) => at_value(&payload, &path, whole, operation, origin),
        Hook::PipeWriter(pipe_writer) => Step::Done(pipe_writer.invoke(&path, &operation, origin)),
        Hook::Broken(error) => Step::Done(Hook::Broken(error)),
        Hook::Placeholder(_) => Step::Done(map::record(hook, &path, operation)),
        Hook::Starting => Step::Done(Hook::Broken(Error::internal())),
    }
}

fn entered(entered: Entered, path: Path) -> Step {
    match entered {
        Entered::Done(result) => Step::Done(result),
        Entered::Onward(hook, operation) => Step::Onward(hook, path, operation),
    }
}

fn at_value(
    payload: &Payload,
    path: &Path,
    whole: Option<&Path>,
    operation: Operation,
    origin: &Origin,
) -> Step {
    let not_a_function = || not_a_function(whole.unwrap_or(path));
    let (cap, from) = match operation {
        Operation::Get => match payload.get(path, 0) {
            Ok(result) => return Step::Done(result),
            Err(found) => found,
        },
        Operation::Call(_) | Operation::Map(_) => match payload.follow(path, 0) {
            Followed::Cap(cap, from) => (cap.clone(), from),
            Followed::Failed(error) => return Step::Done(Hook::Broken(error)),
            Followed::Value(span) => {
                return Step::Done(match operation {
                    Operation::Map(mapping) => map::apply(payload, span, mapping, origin),
                    _ => not_a_function(),
                });
            }
            Followed::Undefined => {
                return Step::Done(match operation {
                    Operation::Map(_) => Hook::Value(Payload::undefined()),
                    _ => not_a_function(),
                });
            }
        },
    };
    match cap {
        Cap::Stub(located) => {
            let rest = located.path.join_rest(path, from);
            let whole = rest.is_empty();
            match operation {
                // The property is a stub, which is the value.
                Operation::Get if whole => {
                    Step::Done(Hook::Value(Payload::from_cap(Cap::Stub(located))))
                }
                Operation::Map(mapping) if whole && !located.hook.is_promise() => {
                    let value = Payload::from_cap(Cap::Stub(located));
                    Step::Done(map::apply(&value, value.span(), mapping, origin))
                }
                operation => Step::Onward(located.hook, rest, operation),
            }
        }
        Cap::Promise(located) => {
            let rest = located.path.join_rest(path, from);
            if rest.is_empty() && matches!(operation, Operation::Get) {
                return Step::Done(located.hook);
            }
            Step::Onward(located.hook, rest, operation)
        }
        Cap::Error(_) | Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_) | Cap::Bytes(..) => {
            Step::Done(not_a_function())
        }
    }
}

pub(crate) fn not_a_function(path: &Path) -> Hook {
    Hook::Broken(Error::type_error(format!(
        "'{}' is not a function.",
        path.dotted()
    )))
}

/// Performs an operation that was queued for a local object.
pub(crate) fn invoke_at_target(
    target: &Arc<LocalObject>,
    path: Path,
    operation: Operation,
    origin: &Origin,
) -> Hook {
    continue_from(at_target(target, path, operation, origin), origin)
}

fn at_target(target: &Arc<LocalObject>, path: Path, operation: Operation, origin: &Origin) -> Step {
    let first = match path.as_name() {
        Some(name) => Some((Cow::Borrowed(name), true)),
        None => {
            let mut steps = path.steps();
            let first = steps.next();
            first.map(|step| (name(step), steps.next().is_none()))
        }
    };
    Step::Done(match (first, operation) {
        (None, Operation::Get) => {
            Hook::Broken(Error::new("Can't dup an RpcTarget stub as a promise."))
        }
        (None, Operation::Call(args)) => return call(target, "", args, origin),
        (None, Operation::Map(mapping)) => {
            let value = Payload::from_cap(Cap::stub(Hook::Target(target.clone())));
            map::apply(&value, value.span(), mapping, origin)
        }
        (Some((key, true)), Operation::Call(args)) => return call(target, &key, args, origin),
        (Some((key, true)), Operation::Get) => property(target, &key, origin),
        (Some((key, _)), operation) => {
            let value = property(target, &key, origin);
            drop(key);
            return Step::Inside(value, path, operation);
        }
    })
}

/// Returns the name of a property. It is only copied for a number.
fn name(step: capnweb_wire::Step<'_>) -> Cow<'_, str> {
    match step {
        capnweb_wire::Step::Key(key) => key,
        number => Cow::Owned(number.to_string()),
    }
}

/// Reads a property of a local object.
fn property(target: &Arc<LocalObject>, key: &str, origin: &Origin) -> Hook {
    if capnweb_wire::is_prototype_name(key) {
        return Hook::Value(Payload::undefined());
    }
    if let Some(hooks) = admit::interceptors(origin)
        && let Some(result) = admit::get(&hooks, target, key, origin, admitted_property)
    {
        return result;
    }
    admitted_property(target, key, origin)
}

/// Reads a property of a local object, after it has been admitted.
fn admitted_property(target: &Arc<LocalObject>, key: &str, origin: &Origin) -> Hook {
    match handler::get(target, key, origin) {
        Found::Undefined => Hook::Value(Payload::undefined()),
        Found::Method => Hook::Value(Payload::from_cap(Cap::stub(LocalObject::method_of(
            target, key,
        )))),
        Found::Value(value) => value,
    }
}

/// Calls a method, or the object itself if `method` is empty, once the promises in `args` have
/// settled.
fn call(target: &Arc<LocalObject>, method: &str, args: Payload, origin: &Origin) -> Step {
    if !args.view().has_promises() {
        return call_step(target, method, args.view(), origin);
    }
    Step::Done(resolve_args::resolve_args(args, |result| Then::Call {
        target: target.clone(),
        method: method.to_owned(),
        origin: origin.clone(),
        result,
    }))
}

/// Calls a method, or the object itself if `method` is empty. If there is no such method, calls a
/// property of that name that is a function.
pub(crate) fn call_method(
    target: &Arc<LocalObject>,
    method: &str,
    args: View<'_>,
    origin: &Origin,
) -> Hook {
    match call_step(target, method, args, origin) {
        Step::Done(result) => result,
        further => continue_from(further, origin),
    }
}

/// Calls a method like [`call_method`], after it has been admitted.
fn call_admitted(target: &Arc<LocalObject>, method: &str, args: View<'_>, origin: &Origin) -> Hook {
    match admitted_step(target, method, args, origin) {
        Step::Done(result) => result,
        further => continue_from(further, origin),
    }
}

fn call_step(target: &Arc<LocalObject>, method: &str, args: View<'_>, origin: &Origin) -> Step {
    if capnweb_wire::is_prototype_name(method) {
        return Step::Done(not_a_function(&Path::of(method)));
    }
    if let Some(hooks) = admit::interceptors(origin)
        && let Some(result) = admit::call(&hooks, target, method, args, origin, call_admitted)
    {
        return Step::Done(result);
    }
    admitted_step(target, method, args, origin)
}

fn admitted_step(target: &Arc<LocalObject>, method: &str, args: View<'_>, origin: &Origin) -> Step {
    if let Some(result) = handler::call(target, method, args, origin) {
        return Step::Done(result);
    }
    let path = Path::of(method);
    let found = match method {
        "" => Found::Undefined,
        _ => handler::get(target, method, origin),
    };
    match found {
        Found::Value(value) => Step::Inside(value, path, Operation::Call(args.to_payload())),
        Found::Undefined | Found::Method => Step::Done(not_a_function(&path)),
    }
}

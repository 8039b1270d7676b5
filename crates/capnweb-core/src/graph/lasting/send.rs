//! Sending calls from a slot to the session of its content.

use std::sync::Arc;

use crate::graph::{
    engine::invoke::{Operation, Origin, invoke},
    error::{Error, Kind},
    hook::{Hook, Hops, Settled},
    payload::{Cap, Path},
    remote::Peer,
};

/// The result of an attempt to send an operation.
pub(super) enum Attempt {
    /// It was sent, or failed for good.
    Sent(Hook),
    /// It belongs to this hook, which is not an import.
    Onward(Hook, Operation),
    /// The session was over.
    Over(Operation),
}

/// Sends an operation to the target of `hook`, which belongs to the session of `peer`.
pub(super) fn attempt(
    hook: Hook,
    peer: &Arc<dyn Peer>,
    path: &Path,
    mut operation: Operation,
) -> Attempt {
    let mut at = hook;
    let mut hops = Hops::default();
    loop {
        if let Err(error) = hops.hop() {
            return Attempt::Sent(Hook::Broken(error));
        }
        let (Settled::Yes(end) | Settled::Not(end)) = at.follow();
        match end {
            Hook::Import(import) => match import.resolution() {
                Some(resolution) => at = resolution,
                None => match import.send(path, operation) {
                    Ok(result) => return Attempt::Sent(result),
                    // It was resolved in the meantime.
                    Err(back) => {
                        operation = back;
                        at = Hook::Import(import);
                    }
                },
            },
            Hook::Broken(error) if is_lost(&error, peer) => return Attempt::Over(operation),
            end => match stub_in(&end) {
                Some(stub) => at = stub,
                None => return Attempt::Onward(end, operation),
            },
        }
    }
}

/// Sends an operation like [`attempt`], but invokes a target that is not an import.
pub(super) fn attempt_anywhere(
    hook: Hook,
    peer: &Arc<dyn Peer>,
    path: &Path,
    operation: Operation,
    origin: &Origin,
) -> Result<Hook, Operation> {
    let (mut hook, mut operation) = (hook, operation);
    let mut hops = Hops::default();
    loop {
        match attempt(hook, peer, path, operation) {
            Attempt::Sent(result) => return Ok(result),
            Attempt::Over(operation) => return Err(operation),
            Attempt::Onward(Hook::Lasting(slot), back) => {
                // Check this here instead of in the slot, which may lead back to this one.
                if let Err(error) = hops.hop() {
                    return Ok(Hook::Broken(error));
                }
                match slot.content_and_peer() {
                    Some((content, _)) => (hook, operation) = (content, back),
                    None => return Ok(invoke(Hook::Lasting(slot), path, back, origin)),
                }
            }
            Attempt::Onward(hook, back) => return Ok(invoke(hook, path, back, origin)),
        }
    }
}

/// Returns whether `error` is the reason for the end of this session.
pub(super) fn is_lost(error: &Error, peer: &Arc<dyn Peer>) -> bool {
    error.session_end().is_some() && peer.is_over()
}

/// Returns the stub that a value consists of.
pub(super) fn stub_in(hook: &Hook) -> Option<Hook> {
    let Hook::Value(payload) = hook else {
        return None;
    };
    match payload.view().root_cap() {
        Some(Cap::Stub(located)) if located.path.is_empty() => Some(located.hook.clone()),
        _ => None,
    }
}

/// Rejects capabilities of a session that is over. Another session could only make broken proxies
/// of them.
///
/// # Errors
///
/// Returns an error if there is one.
pub(crate) fn refuse_lost(caps: &[Cap]) -> Result<(), Error> {
    let is_lost = |cap: &Cap| {
        let (Cap::Stub(located) | Cap::Promise(located)) = cap else {
            return false;
        };
        match located.hook.follow() {
            Settled::Yes(Hook::Broken(error)) => error.session_end().is_some(),
            _ => false,
        }
    };
    if !caps.iter().any(is_lost) {
        return Ok(());
    }
    Err(Error::with_kind(
        Kind::Disconnected,
        "Error",
        "an argument of the call belongs to a session that is over; pass a lasting stub, or get it \
         anew on the next session",
    )
    .with_may_have_run(false))
}

/// Rejects [lost](refuse_lost) capabilities among the arguments of an operation.
pub(super) fn refuse_lost_arguments(operation: &Operation) -> Result<(), Error> {
    match operation {
        Operation::Call(args) => refuse_lost(args.view().caps),
        Operation::Get => Ok(()),
        Operation::Map(mapping) => refuse_lost(mapping.captures_as_payload().view().caps),
    }
}

/// Returns whether an operation can be repeated. A stream can be sent only once.
pub(super) fn is_repeatable(operation: &Operation) -> bool {
    match operation {
        Operation::Call(args) => args
            .view()
            .caps
            .iter()
            .all(|cap| !matches!(cap, Cap::Readable(_) | Cap::Writable(_))),
        Operation::Get | Operation::Map(_) => true,
    }
}

/// Returns a copy of an operation.
pub(super) fn copy_of(operation: &Operation) -> Operation {
    match operation {
        Operation::Call(args) => Operation::Call(args.clone()),
        Operation::Get => Operation::Get,
        Operation::Map(mapping) => Operation::Map(mapping.clone()),
    }
}

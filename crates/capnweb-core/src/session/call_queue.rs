//! The queue of calls that have arrived but are not started, because too many are in progress.

use std::{collections::VecDeque, sync::Arc};

use capnweb_wire::Hole;

use super::receive::evaluate_push;
use crate::{
    graph::{
        engine::{evaluate::ResolvedRef, invoke::Origin},
        error::Error,
        hook::{Hook, Settled},
        offload::{Job, LONG_TEXT, is_long_to_read},
        peer_call::PeerCall,
        promise_state::PromiseState,
    },
    util::seq_table::shrunk,
};

/// A call that waits for room.
pub(super) struct QueuedCall {
    expr: Box<str>,
    holes: Box<[Hole]>,
    refs: Vec<ResolvedRef>,
    call: PeerCall,
    result: Arc<PromiseState>,
    cost: usize,
}

impl QueuedCall {
    pub(super) fn new(
        expr: &str,
        holes: &[Hole],
        refs: Vec<ResolvedRef>,
        call: PeerCall,
    ) -> (Self, Arc<PromiseState>) {
        let of_refs: usize = refs.iter().map(ResolvedRef::cost).sum();
        let result = PromiseState::new();
        let queued = Self {
            cost: size_of::<Self>() + expr.len() + size_of_val(holes) + of_refs,
            expr: expr.into(),
            holes: holes.into(),
            refs,
            call,
            result: result.clone(),
        };
        (queued, result)
    }

    /// Returns whether evaluating it takes long.
    pub(super) fn takes_long(&self) -> bool {
        let size = |found: &ResolvedRef| match found {
            ResolvedRef::Export { hook, .. } => match hook.follow() {
                Settled::Yes(Hook::Value(payload)) => payload.size(),
                _ => 0,
            },
            _ => 0,
        };
        let expr = if is_long_to_read(&self.expr) {
            LONG_TEXT
        } else {
            self.expr.len()
        };
        expr + self.refs.iter().map(size).sum::<usize>() > LONG_TEXT
    }

    /// Evaluates the call.
    pub(super) fn start(self) {
        let origin = Origin::Peer(self.call);
        let result = evaluate_push(&self.expr, &self.holes, self.refs, &origin);
        self.result.settle(result);
    }

    /// Rejects the call.
    pub(super) fn cancel(self, reason: &Error) {
        self.result.settle(Hook::Broken(reason.clone()));
    }
}

impl Job for QueuedCall {
    fn run(self: Box<Self>) {
        self.start();
    }

    fn cancel(self: Box<Self>) {
        Self::cancel(*self, &Error::session_over());
    }
}

/// A first-in, first-out queue of calls that wait for room.
#[derive(Default)]
pub(super) struct CallQueue {
    calls: VecDeque<QueuedCall>,
    cost: usize,
}

impl CallQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Returns the cost of retaining the calls, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn push(&mut self, call: QueuedCall) {
        self.cost += call.cost;
        self.calls.push_back(call);
    }

    pub(super) fn pop(&mut self) -> Option<QueuedCall> {
        let call = self.calls.pop_front()?;
        self.cost -= call.cost;
        if let Some(room) = shrunk(self.calls.len(), self.calls.capacity()) {
            self.calls.shrink_to(room);
        }
        Some(call)
    }

    /// Removes all calls at the end of the session.
    pub(super) fn take_all(&mut self) -> VecDeque<QueuedCall> {
        self.cost = 0;
        std::mem::take(&mut self.calls)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::{
        SessionOptions,
        session::{Role, SessionInner},
    };

    #[test]
    fn calls_come_out_in_order_and_their_cost_with_them() {
        let session = SessionInner::new(Role::Server, SessionOptions::new(), Weak::new());
        let mut queue = CallQueue::default();
        let mut results = Vec::new();
        for expr in ["1", "22"] {
            let call = PeerCall::new(session.clone(), 1);
            let (call, result) = QueuedCall::new(expr, &[], Vec::new(), call);
            queue.push(call);
            results.push(result);
        }
        let both = queue.cost();
        assert!(queue.len() == 2 && both > 0);
        queue.pop().unwrap().start();
        assert!(queue.len() == 1 && queue.cost() < both);
        let Settled::Yes(Hook::Value(payload)) = Hook::Promise(results[0].clone()).follow() else {
            panic!("the first call has been started");
        };
        assert_eq!(payload.as_expression(), "1");
        let reason = Error::new("over");
        queue
            .take_all()
            .into_iter()
            .for_each(|call| call.cancel(&reason));
        assert!(queue.is_empty() && queue.cost() == 0);
        let second = Hook::Promise(results[1].clone()).follow();
        assert!(matches!(second, Settled::Yes(Hook::Broken(error)) if error.message() == "over"));
    }
}

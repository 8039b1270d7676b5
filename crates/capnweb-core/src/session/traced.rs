//! Calls that belong to a trace of the peer.

use std::{
    any::Any,
    sync::Arc,
    task::{Context, Poll},
};

use tracing::Span;

use super::SessionInner;
use crate::{
    graph::{
        offload::Job,
        peer_call::{CallScope, OpenCall, PeerCall, Resource},
        propagate::Propagator,
    },
    limits::{LimitExceeded, Limits},
    runtime::Handle,
};

/// Returns a call of the peer of `session`, with the context of the trace that came with it.
#[cold]
pub(super) fn call(
    session: &Arc<SessionInner>,
    propagator: &Propagator,
    context: Option<&str>,
) -> PeerCall {
    let Some(context) = context else {
        return PeerCall::new(session.clone(), 0);
    };
    let traced = Traced {
        session: session.clone(),
        propagator: propagator.clone(),
        context: context.into(),
    };
    PeerCall::new(Arc::new(traced), 0)
}

/// The session of a call that belongs to a trace of the peer.
///
/// Calls of other sessions hold their session itself, so that they hold no place for a trace.
struct Traced {
    session: Arc<SessionInner>,
    propagator: Propagator,
    context: Box<str>,
}

impl CallScope for Traced {
    fn set_parent(&self, span: &Span) {
        self.propagator.set_parent(span, &self.context);
    }

    fn session_number(&self) -> u64 {
        self.session.session_number()
    }

    fn limits(&self) -> &Arc<Limits> {
        CallScope::limits(&*self.session)
    }

    fn hooks(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.session.hooks()
    }

    fn span(&self) -> Option<&Span> {
        self.session.span()
    }

    #[cfg(feature = "describe")]
    fn is_introspectable(&self) -> bool {
        self.session.is_introspectable()
    }

    fn edges(&self) -> &(dyn Any + Send + Sync) {
        self.session.edges()
    }

    fn admit(&self) -> Result<(), LimitExceeded> {
        self.session.admit()
    }

    fn is_released(&self, id: i64) -> bool {
        self.session.is_released(id)
    }

    fn poll_released(&self, id: i64, cx: &Context<'_>) -> Poll<()> {
        self.session.poll_released(id, cx)
    }

    fn charge(&self, resource: Resource, amount: usize) {
        self.session.charge(resource, amount);
    }

    fn refund(&self, resource: Resource, amount: usize) {
        self.session.refund(resource, amount);
    }

    fn register_call(&self, call: OpenCall) -> (u64, bool) {
        self.session.register_call(call)
    }

    fn start_grace_period(&self) {
        self.session.start_grace_period();
    }

    fn unregister_call(&self, key: u64) {
        self.session.unregister_call(key);
    }

    fn runtime(&self) -> Option<Handle> {
        CallScope::runtime(&*self.session)
    }

    fn is_over(&self) -> bool {
        CallScope::is_over(&*self.session)
    }

    fn offloads(&self) -> bool {
        CallScope::offloads(&*self.session)
    }

    fn is_evaluating(&self) -> bool {
        CallScope::is_evaluating(&*self.session)
    }

    fn offload(self: Arc<Self>, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        CallScope::offload(self.session.clone(), job)
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        CallScope::into_any(self.session.clone())
    }
}

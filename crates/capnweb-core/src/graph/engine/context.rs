//! The context of a call, for its handler.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::graph::{
    cancellation::Cancellation, engine::invoke::Origin, hook::Hook, local_object::LocalObject,
    peer_call::PeerCall,
};

/// The context of a call: the session that it arrived by, the peer's main object, and whether the
/// caller still needs the result.
#[derive(Clone)]
pub struct Context {
    this: Arc<LocalObject>,
    call: Option<PeerCall>,
    cancellation: Arc<Cancellation>,
}

impl Context {
    pub(crate) fn new(
        this: &Arc<LocalObject>,
        origin: &Origin,
        cancellation: &OnceLock<Arc<Cancellation>>,
    ) -> Self {
        Self {
            this: this.clone(),
            cancellation: cancellation.get_or_init(Arc::default).clone(),
            call: match origin {
                Origin::Peer(call) => Some(call.clone()),
                Origin::App | Origin::Local => None,
            },
        }
    }

    pub(crate) fn this_hook(&self) -> Hook {
        Hook::Target(self.this.clone())
    }

    /// Returns the peer's call, or `None` for a call made within this process.
    pub(crate) fn peer_call(&self) -> Option<&PeerCall> {
        self.call.as_ref()
    }

    /// Returns whether the result is no longer needed: the caller has dropped the promise of this
    /// call, or is gone, and nothing else waits for it. A call that was made on the promise, or
    /// that has it among its arguments, still waits for it.
    ///
    /// A canceled handler still runs to its end, unless it checks this method and stops.
    pub fn is_canceled(&self) -> bool {
        self.cancellation.is_canceled(self.call.as_ref())
    }

    /// Waits until the result is no longer needed: see [`is_canceled`](Self::is_canceled).
    pub async fn canceled(&self) {
        self.cancellation.canceled(self.call.as_ref()).await;
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("call", &self.call)
            .field("canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

//! What a handler can know of the call it handles.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::graph::{
    cancellation::Cancellation, engine::invoke::Origin, hook::Hook, local_object::LocalObject,
    peer_call::PeerCall,
};

/// What a handler can know of the call it handles: the session it came by, the peer's main object,
/// and whether the caller still wants the result.
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

    /// Returns the call of a peer; `None` for a call made within this process.
    pub(crate) fn peer_call(&self) -> Option<&PeerCall> {
        self.call.as_ref()
    }

    /// Whether nobody wants the result any more: the caller has dropped the promise of this call, or is
    /// gone, and nothing else waits for it, such as a call that has the promise among its arguments or
    /// was made on it.
    ///
    /// A handler runs to its end all the same, unless it looks here and stops.
    pub fn is_canceled(&self) -> bool {
        self.cancellation.is_canceled(self.call.as_ref())
    }

    /// Waits until nobody wants the result any more: see [`is_canceled`](Self::is_canceled).
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

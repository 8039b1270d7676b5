//! What a handler can know of the call it handles.

use std::sync::Arc;

use crate::{
    perform::Origin,
    session::{PeerCall, Session},
    stub::Stub,
};

/// What a handler can know of the call it handles: the session it came by, the peer's main object,
/// and whether the caller still wants the result.
#[derive(Clone, Debug)]
pub struct Context {
    call: Option<Arc<PeerCall>>,
}

impl Context {
    pub(crate) fn new(origin: &Origin) -> Self {
        Self {
            call: match origin {
                Origin::Peer(call) => Some(call.clone()),
                Origin::App | Origin::Local => None,
            },
        }
    }

    /// The session that the call came by; `None` for a call made within this process.
    pub fn session(&self) -> Option<Session> {
        self.call.as_ref()?.session()
    }

    /// The caller's main object; `None` for a call made within this process.
    pub fn peer(&self) -> Option<Stub> {
        Some(self.session()?.main())
    }

    /// Whether the caller has dropped the promise of this call, or is gone.
    ///
    /// A handler runs to its end all the same, unless it looks here and stops.
    pub fn is_canceled(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.is_canceled())
    }

    /// Waits until the caller has dropped the promise of this call, or is gone. For a call made
    /// within this process that is never.
    pub async fn canceled(&self) {
        match &self.call {
            Some(call) => call.canceled().await,
            None => std::future::pending().await,
        }
    }
}

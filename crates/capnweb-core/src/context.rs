//! What a handler can know of the call it handles.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    hook::Hook,
    interest::Interest,
    local::LocalTarget,
    perform::Origin,
    session::{PeerCall, Session},
    stub::Stub,
};

/// What a handler can know of the call it handles: the session it came by, the peer's main object,
/// and whether the caller still wants the result.
#[derive(Clone)]
pub struct Context {
    this: Arc<LocalTarget>,
    call: Option<PeerCall>,
    interest: Arc<Interest>,
}

impl Context {
    pub(crate) fn new(
        this: &Arc<LocalTarget>,
        origin: &Origin,
        interest: &OnceLock<Arc<Interest>>,
    ) -> Self {
        Self {
            this: this.clone(),
            interest: interest.get_or_init(Arc::default).clone(),
            call: match origin {
                Origin::Peer(call) => Some(call.clone()),
                Origin::App | Origin::Local => None,
            },
        }
    }

    /// The object that is called: to hand itself out. A typed stub of it is
    /// `FooStub::from_stub(context.this())`.
    ///
    /// ```
    /// # use capnweb_core::{Context, Object, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let node = Object::new()
    ///     .method("itself", async |context: Context| Ok(context.this()))
    ///     .property("name", "Ada")
    ///     .into_stub();
    /// assert_eq!(node.call("itself", ()).get("name").fetch::<String>().await?, "Ada");
    /// # Ok(()) }
    /// ```
    pub fn this(&self) -> Stub {
        Stub::from_hook(Hook::Target(self.this.clone()))
    }

    /// The session that the call came by; `None` for a call made within this process.
    pub fn session(&self) -> Option<Session> {
        self.call.as_ref()?.session()
    }

    /// The caller's main object; `None` for a call made within this process.
    pub fn peer(&self) -> Option<Stub> {
        Some(self.session()?.main())
    }

    /// Whether nobody wants the result any more: the caller has dropped the promise of this call, or is
    /// gone, and nothing else waits for it, such as a call that has the promise among its arguments or
    /// was made on it.
    ///
    /// A handler runs to its end all the same, unless it looks here and stops.
    pub fn is_canceled(&self) -> bool {
        self.interest.is_canceled(self.call.as_ref())
    }

    /// Waits until nobody wants the result any more: see [`is_canceled`](Self::is_canceled).
    pub async fn canceled(&self) {
        self.interest.canceled(self.call.as_ref()).await;
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("session", &self.session())
            .field("canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

//! Hand-off: shortening the way to an object that another process has passed on.
//!
//! If process B passes A a stub that belongs to a session with C, then A's calls go through B. B
//! learns of such stubs by [`SessionOptions::on_relay`]. If A can get a stub of the same object
//! from C, it points its stub there by [`Session::redirect`], and B is not needed any more. How the
//! three agree is up to them; the crate `capnweb-cluster` does it for the nodes of a cluster.
//!
//! ```
//! # use std::sync::{Arc, Mutex};
//! # use capnweb_core::{Error, Object, Result, Session, SessionOptions, Stub, pair};
//! # fn connect(main: Stub, options: SessionOptions) -> Session {
//! #     let (left, right) = pair();
//! #     let (_, mut server) = Session::server(options);
//! #     server.set_main(main);
//! #     tokio::spawn(server.drive(left));
//! #     let (session, client) = Session::client(SessionOptions::new());
//! #     tokio::spawn(client.drive(right));
//! #     session
//! # }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
//! # let add = |a: i32, b: i32| async move { Ok(a + b) };
//! let c = Object::new().method("add", add).into_stub();
//!
//! // B passes on what it has from C.
//! let from_c = connect(c.clone(), SessionOptions::new()).main();
//! let passed_on = Arc::new(Mutex::new(Vec::new()));
//! let list = passed_on.clone();
//! let options = SessionOptions::new();
//! let options = options.on_relay(move |relay| list.lock().unwrap().push(relay.export));
//! let b = Object::new().method("getAdder", move || { let c = from_c.clone(); async { Ok(c) } });
//!
//! // A has a stub of B, and a session with C.
//! let a_to_b = connect(b.into_stub(), options);
//! let adder: Stub = a_to_b.main().call("getAdder", ()).fetch().await?;
//! let a_to_c = connect(c, SessionOptions::new());
//!
//! let export = passed_on.lock().unwrap()[0];
//! let redirection = a_to_b.redirect(export).expect("`adder` is held");
//! redirection.complete(a_to_c.main());
//! a_to_b.close(Error::new("B is not needed any more"));
//! assert_eq!(adder.call("add", (1, 2)).fetch::<i32>().await?, 3);
//! # Ok(()) }
//! ```

use std::{fmt, sync::Arc};

use super::{session::Session, stub::Stub};
use crate::{
    graph::{hook::Hook, import::Import, promise_state::PromiseState},
    session::SessionOptions,
};

/// A stub that a session has sent although its object belongs to another session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Relay {
    /// The ID under which the stub was sent, for [`Session::redirect`] at the peer.
    pub export: i64,
    /// The session that has sent it.
    pub session: Session,
    /// The stub. [`Stub::session`] returns the session that it belongs to, or `None` while that is
    /// not known, for example since the stub is being redirected.
    pub stub: Stub,
}

impl SessionOptions {
    /// Sets a function that is told of each stub that is sent to the peer although its object
    /// belongs to another session, or may do so later. Default: none.
    ///
    /// The function runs after the message was written, on the thread that has written it. Calls
    /// that it makes on the session are behind the message.
    #[must_use]
    pub fn on_relay(mut self, function: impl Fn(Relay) + Send + Sync + 'static) -> Self {
        self.set_on_relay(Arc::new(move |session, export, hook| {
            function(Relay {
                export,
                session: Session::from_guard(session),
                stub: Stub::from_hook(hook),
            });
        }));
        self
    }
}

impl Session {
    /// Begins to point a stub elsewhere: the one that the peer has sent under this ID, in all of
    /// its clones. Calls on it wait until the redirection is completed or dropped.
    ///
    /// Returns `None` if the stub is not held any more, was redirected before, or if the session is
    /// over.
    pub fn redirect(&self, export: i64) -> Option<Redirection> {
        let (promise, old) = self.guard().redirect(export)?;
        Some(Redirection { promise, old })
    }
}

/// A stub that is being pointed elsewhere, from [`Session::redirect`].
///
/// If it is dropped, the stub goes on as before, and the calls that have waited are sent in their
/// order.
pub struct Redirection {
    promise: Arc<PromiseState>,
    old: Arc<Import>,
}

impl Redirection {
    /// Returns a stub for calls that go the old way, behind those that were made before the
    /// redirection began.
    pub fn old_way(&self) -> Stub {
        Stub::from_hook(Hook::Import(self.old.clone()))
    }

    /// Points the stub at another one. The calls that have waited are sent there in their order,
    /// before later ones. The peer's export is released.
    pub fn complete(self, stub: Stub) {
        self.promise.settle(stub.into_hook());
    }
}

impl Drop for Redirection {
    fn drop(&mut self) {
        // It has no effect if the redirection is completed.
        self.promise.settle(Hook::Import(self.old.clone()));
    }
}

impl fmt::Debug for Redirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirection")
            .field("export", &self.old.id())
            .finish_non_exhaustive()
    }
}

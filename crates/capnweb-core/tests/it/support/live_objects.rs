//! Objects that a test counts.

use std::sync::{Arc, Mutex, Weak};

use capnweb_core::{Object, Stub};

use super::eventually;

/// The objects that an application has created, as weak references.
#[derive(Clone, Default)]
pub(crate) struct LiveObjects(Arc<Mutex<Vec<Weak<()>>>>);

impl LiveObjects {
    /// Returns a token that counts as alive until it is dropped.
    pub(crate) fn token(&self) -> Arc<()> {
        let token = Arc::new(());
        self.0.lock().unwrap().push(Arc::downgrade(&token));
        token
    }

    /// Returns an object that counts as alive until it is dropped.
    pub(crate) fn make(&self) -> Stub {
        let token = self.token();
        Object::new()
            .getter("alive", move |_| {
                let _token = &token;
                Ok(true)
            })
            .into_stub()
    }

    /// Returns the number of live objects.
    pub(crate) fn count(&self) -> usize {
        let tokens = self.0.lock().unwrap();
        let alive = |token: &&Weak<()>| token.strong_count() > 0;
        tokens.iter().filter(alive).count()
    }

    /// Waits until no object is alive. Fails the test if an object is never dropped.
    pub(crate) async fn expect_none(&self) {
        let what = || format!("{} objects are held for ever", self.count());
        eventually(what, || self.count() == 0).await;
    }
}

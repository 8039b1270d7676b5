//! Connections that are open at both ends but dead in between.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use capnweb_core::{EndCause, Error, KeepAlive, Object, SessionOptions, Stub};

use crate::{Relay, soon};

/// Returns options for sessions that notice a silent peer after little more than a second.
pub fn options() -> SessionOptions {
    let keep_alive = KeepAlive::new()
        .with_interval(Duration::from_millis(100))
        .with_timeout(Duration::from_secs(1));
    SessionOptions::new().with_keep_alive(keep_alive)
}

/// The objects that a server has returned.
#[derive(Clone, Default)]
pub struct Given(Arc<Mutex<Vec<Weak<()>>>>);

impl Given {
    /// Returns a server's main object.
    pub fn main(&self) -> Stub {
        let given = self.0.clone();
        Object::new()
            .sync_method("object", move || {
                let token = Arc::new(());
                given.lock().unwrap().push(Arc::downgrade(&token));
                let alive = move || {
                    let _token = &token;
                    Ok(true)
                };
                Ok(Object::new().sync_method("alive", alive).into_stub())
            })
            .method("hang", std::future::pending::<Result<(), Error>>)
            .into_stub()
    }

    fn alive(&self) -> usize {
        let given = self.0.lock().unwrap();
        given
            .iter()
            .filter(|token| token.strong_count() > 0)
            .count()
    }
}

/// Stops the relay between the server and a client, which has the server's main object as `api`.
///
/// # Panics
///
/// Panics if one of the two does not notice.
pub async fn assert_noticed(given: &Given, api: Stub, relay: &Relay) {
    let object = api.call("object", ());
    assert!(
        soon(object.call("alive", ()).fetch::<bool>())
            .await
            .unwrap()
    );
    assert_eq!(given.alive(), 1);
    // Both are idle for longer than they would wait for a silent peer, and stay connected.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(
        soon(object.call("alive", ()).fetch::<bool>())
            .await
            .unwrap()
    );

    let waiting = tokio::spawn(api.call("hang", ()).fetch::<()>());
    relay.stop_forwarding();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(
        error.session_end().unwrap().cause(),
        EndCause::Silence,
        "{error}"
    );
    // The client still holds the object, and cannot release it.
    let gone = async {
        while given.alive() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(gone).await;
    let error = soon(object.call("alive", ()).fetch::<bool>())
        .await
        .unwrap_err();
    assert_eq!(error.session_end().unwrap().cause(), EndCause::Silence);
}

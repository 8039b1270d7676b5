//! A connection that is dead, though neither end was told.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use capnweb_core::{EndCause, Error, KeepAlive, Object, SessionOptions, Stub};
use capnweb_test_support::Relay;
use capnweb_transport_webtransport::Connect;

use crate::support::{serve_with, soon};

fn options() -> SessionOptions {
    let keep_alive = KeepAlive::new()
        .with_interval(Duration::from_millis(100))
        .with_timeout(Duration::from_secs(1));
    SessionOptions::new().keep_alive(keep_alive)
}

#[tokio::test]
async fn both_ends_notice_it() {
    let given = Arc::new(Mutex::new(Weak::<()>::new()));
    let latest = given.clone();
    let served = serve_with(|server| {
        server.options(options()).route("/api", move |_| {
            let latest = latest.clone();
            let object = move || {
                let token = Arc::new(());
                *latest.lock().unwrap() = Arc::downgrade(&token);
                let alive = move || {
                    let _token = &token;
                    Ok(true)
                };
                Ok(Object::new().sync_method("alive", alive).into_stub())
            };
            Object::new()
                .sync_method("object", object)
                .method("hang", std::future::pending::<Result<(), Error>>)
                .into_stub()
        })
    });
    let relay = Relay::udp(served.addr).await;
    let url = format!("https://{}/api", relay.address());
    let connect = Connect::new(url)
        .certificate_hashes([served.hash])
        .options(options());
    let api: Stub = soon(connect.connect()).await.unwrap();
    let object = api.call("object", ());
    assert!(
        soon(object.call("alive", ()).fetch::<bool>())
            .await
            .unwrap()
    );
    // Both are idle for longer than they would wait for a silent peer, and stay.
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
    let gone = async {
        while given.lock().unwrap().strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(gone).await;
}

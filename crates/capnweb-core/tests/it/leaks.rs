//! Structures that a peer builds from its own exports are dropped with the session.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use capnweb_core::{Error, Object, Session, SessionOptions, Stub};
use tokio::time::sleep;

use crate::support::idle_on_paused_clock;

/// Returns a main object, and a weak reference that shows whether it still exists.
fn watched_main() -> (Stub, Weak<()>) {
    let object = Arc::new(());
    let watch = Arc::downgrade(&object);
    let main = Object::new()
        .sync_method("call", move || {
            let _object = &object;
            Ok(())
        })
        .into_stub();
    (main, watch)
}

/// Sends `messages` to the server of a batch, which then ends. Fails if the main object outlives
/// it.
async fn assert_dropped_after(messages: &[&str]) {
    let (main, watch) = watched_main();
    let options = SessionOptions::new().with_grace_period(Duration::ZERO);
    let (session, mut connection) = Session::server_batch(options);
    connection.set_main(main);
    for message in messages {
        // A message that violates the protocol ends the session early.
        let _ = connection.receive(message);
        idle_on_paused_clock().await;
    }
    connection.end(Error::new("over"));
    drop((connection, session));
    for _ in 0..1000 {
        if watch.strong_count() == 0 {
            return;
        }
        // The clock is paused, and advances when all tasks sleep. So all of them have run by then.
        sleep(Duration::from_millis(1)).await;
    }
    panic!("the main object is held for ever");
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_circle() {
    assert_dropped_after(&[
        r#"["push",["pipeline",0,["call"],[]]]"#,
        r#"["pull",1]"#,
        r#"["push",["pipeline",0,["call"],[["promise",-1]]]]"#,
        r#"["resolve",-1,{"a":["pipeline",0],"b":["writable",-2]}]"#,
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_promise_that_resolves_to_a_writable_of_itself() {
    assert_dropped_after(&[
        r#"["push",["pipeline",0,[],[["promise",-1]]]]"#,
        r#"["resolve",-1,{"a":["pipeline",0],"b":["writable",-1]}]"#,
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_main_object_resolves_to_a_writable_of_itself() {
    assert_dropped_after(&[
        r#"["pull",0]"#,
        r#"["push",["pipeline",0,[]]]"#,
        r#"["push",["pipeline",0,["call"],[]]]"#,
        r#"["push",["pipeline",0,["call"],[]]]"#,
        r#"["reject",0,["promise",-4]]"#,
        r#"["reject",0,0]"#,
        r#"["resolve",-1,{"a":["pipeline",0],"b":["writable",-1]}]"#,
        r#"["pull",0]"#,
    ])
    .await;
}

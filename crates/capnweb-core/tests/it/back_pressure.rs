//! Waiting for room to send, and for everything that is owed to the peer.

use capnweb_core::{Error, Object, Promise, Session, SessionOptions, pair};
use futures_util::FutureExt;

use crate::support::{Gate, ScriptedPeer, calculator, idle, within};

#[tokio::test]
async fn drain_waits_for_owed_answers() {
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new().method("slow", move || {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(1)
            }
        })
    };
    let mut peer = ScriptedPeer::server(main.into_stub());
    // Nobody pulls this call.
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    assert!(peer.session.drain().now_or_never().unwrap().is_ok());
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.send(r#"["pull",2]"#);
    let session = peer.session.clone();
    let drained = tokio::spawn(async move { session.drain().await });
    idle().await;
    assert!(!drained.is_finished());
    gate.open();
    idle().await;
    // It is answered, but the answer is not sent yet.
    assert!(!drained.is_finished());
    peer.expect(r#"["resolve",2,1]"#);
    within(drained).await.unwrap().unwrap();

    // An answer that is no longer needed is not owed.
    let gate = Gate::closed();
    let (session, waiting) = (peer.session.clone(), gate.clone());
    peer.connection.set_main(
        Object::new()
            .method("slow", move || {
                let gate = waiting.clone();
                async move {
                    gate.pass().await;
                    Ok(1)
                }
            })
            .into_stub(),
    );
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.send(r#"["pull",3]"#);
    let drained = tokio::spawn(async move { session.drain().await });
    idle().await;
    assert!(!drained.is_finished());
    peer.send(r#"["release",3,1]"#);
    within(drained).await.unwrap().unwrap();

    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.send(r#"["pull",4]"#);
    let session = peer.session.clone();
    let drained = tokio::spawn(async move { session.drain().await });
    idle().await;
    peer.session.close(Error::new("enough"));
    assert_eq!(
        within(drained).await.unwrap().unwrap_err().message(),
        "enough"
    );
}

#[tokio::test]
async fn ready_waits_while_the_peer_does_not_read() {
    let (left, right) = pair();
    let (client, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    let api = client.main();
    within(api.ready()).await.unwrap();
    let long = "x".repeat(1 << 18);
    let mut sent = 0;
    let mut waiting = loop {
        Promise::detach(api.call("echo", (&long,)));
        sent += 1;
        assert!(sent < 100, "nothing ever holds the sender up");
        // The pair takes as much as it can.
        idle().await;
        let mut ready = Box::pin(api.ready());
        if ready.as_mut().now_or_never().is_none() {
            break ready;
        }
    };
    assert!(client.ready().now_or_never().is_none());
    assert!(waiting.as_mut().now_or_never().is_none());
    let (server, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(calculator());
    tokio::spawn(connection.drive(left));
    within(waiting).await.unwrap();
    within(client.ready()).await.unwrap();
    // The wait ends with the session.
    server.close(Error::new("enough"));
    within(client.closed()).await;
    assert_eq!(within(api.ready()).await.unwrap_err().message(), "enough");
    // A local object is always ready.
    within(calculator().ready()).await.unwrap();
}

#[tokio::test]
async fn session_end_wakes_tasks_that_wait_to_send() {
    let (client, mut connection) = Session::client(SessionOptions::new());
    let api = client.main();
    Promise::detach(api.call("echo", ("x".repeat(1 << 21),)));
    let waiting = tokio::spawn(async move { api.ready().await });
    idle().await;
    assert!(!waiting.is_finished());
    connection.end(Error::disconnected("the cable was cut"));
    assert_eq!(
        within(waiting).await.unwrap().unwrap_err().message(),
        "the cable was cut"
    );
}

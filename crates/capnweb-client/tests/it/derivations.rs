//! Stubs that are derived again on each new session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb_client::{Client, Event};
use capnweb_core::{Error, Promise, Stub};

use crate::{
    counting::{self, Counting},
    network::{Network, Reply, soon},
    reconnecting::{client, up},
};

fn child(client: &Client, parent: &Stub, name: &str) -> Stub {
    let name = name.to_owned();
    client.derive(parent, move |parent: Stub| -> Promise<Stub> {
        parent.call("child", (&name,)).cast()
    })
}

async fn name(stub: &Stub) -> Result<String, Error> {
    soon(stub.get("name").fetch()).await
}

async fn cut(client: &Client, network: &Network) {
    network.line().cut();
    soon(client.state().wait_for(|state| !state.is_up())).await;
    up(client).await;
}

#[tokio::test(start_paused = true)]
async fn three_levels_come_back() {
    let (network, counting) = counting::network();
    let client = client(&network, &["a"]).start();
    let user = child(&client, &client.main(), "user");
    let room = child(&client, &user, "room");
    let seat = child(&client, &room, "seat");
    for _ in 0..3 {
        assert_eq!(name(&seat).await.unwrap(), "/user/room/seat");
        assert_eq!(name(&room).await.unwrap(), "/user/room");
        cut(&client, &network).await;
    }
    assert_eq!(name(&seat).await.unwrap(), "/user/room/seat");
    assert_eq!(counting.joins.load(Ordering::SeqCst), 12);
    assert_eq!(counting.alive(), 3);
}

#[tokio::test(start_paused = true)]
async fn derivations_before_the_first_session_are_run_on_it() {
    let (network, _) = counting::network();
    network.next("a", [Reply::Hang]);
    let client = client(&network, &["a"])
        .connect_timeout(Duration::from_secs(1))
        .start();
    let user = child(&client, &client.main(), "user");
    let room = child(&client, &user, "room");
    assert_eq!(name(&room).await.unwrap(), "/user/room");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_are_back_in_one_round_trip() {
    let (network, counting) = counting::network();
    let client = client(&network, &["a"]).start();
    up(&client).await;
    let main: Stub = client.main();
    let mut stubs: Vec<Stub> = Vec::new();
    for number in 0..1000 {
        // Makes a hundred chains of ten stubs.
        let parent = match number % 10 {
            0 => main.clone(),
            _ => stubs[number - 1].clone(),
        };
        stubs.push(child(&client, &parent, "x"));
    }
    for stub in &stubs {
        name(stub).await.unwrap();
    }
    cut(&client, &network).await;
    assert_eq!(name(&stubs[999]).await.unwrap(), "/x".repeat(10));
    assert_eq!(counting.alive(), 1000);
    let line = network.line();
    // All messages that the client sent before it received an answer: one call and one pull each.
    let sent = line.to_server();
    let pushes = sent.iter().filter(|message| message.contains("child"));
    assert_eq!(pushes.count(), 1000);
    let first_release = sent
        .iter()
        .position(|message| message.starts_with(r#"["release""#));
    let last_child = sent.iter().rposition(|message| message.contains("child"));
    // The client releases a result as soon as it receives it. The first one is that of the ping.
    assert!(
        last_child < first_release,
        "{last_child:?} {first_release:?}"
    );
    let pulls = sent
        .iter()
        .filter(|message| message.starts_with(r#"["pull""#));
    assert!(pulls.count() <= 1002);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_breaks_with_its_children_and_is_not_run_again() {
    let (network, counting) = counting::network();
    let client = client(&network, &["a"]).start();
    let mut events = client.events();
    let main: Stub = client.main();
    let user = child(&client, &main, "user");
    let missing = child(&client, &user, "no-such");
    let below = child(&client, &missing, "below");
    let other = child(&client, &user, "other");
    for stub in [&missing, &below] {
        let error = soon(stub.closed()).await;
        assert_eq!(error.code().as_deref(), Some("not_found"));
    }
    for stub in [&missing, &below] {
        let error = name(stub).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some("not_found"));
    }
    // Either both fail at once, or the lower one fails first.
    let mut failed = 0;
    while failed < 2 {
        if let Some(Event::DerivationFailed { broken, .. }) = soon(events.next()).await {
            failed += broken;
        }
    }
    assert_eq!(failed, 2);
    let joins = counting.joins.load(Ordering::SeqCst);
    cut(&client, &network).await;
    assert_eq!(name(&other).await.unwrap(), "/user/other");
    // These are `user` and `other`.
    assert_eq!(counting.joins.load(Ordering::SeqCst), joins + 2);
    // A stub derived from a broken one is broken with the same error.
    let late = child(&client, &missing, "late");
    let error = name(&late).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("not_found"));
}

#[tokio::test(start_paused = true)]
async fn the_middle_one_fails_on_a_later_session() {
    let network = Network::new();
    let (good, bad) = (Counting::new(), Counting::new());
    let main = good.clone();
    network.serve("a", move |_| main.main());
    let main = bad.clone();
    network.serve("b", move |_| {
        let main = main.main();
        capnweb_core::Object::new()
            .sync_method("child", move |name: String| {
                if name == "user" {
                    return Err(Error::permission_denied("not here"));
                }
                Ok(Promise::into_stub(main.call("child", (name,))))
            })
            .into_stub()
    });
    let client = client(&network, &["a", "b"]).start();
    let main: Stub = client.main();
    let account = child(&client, &main, "account");
    let user = child(&client, &main, "user");
    let room = child(&client, &user, "room");
    assert_eq!(name(&room).await.unwrap(), "/user/room");
    cut(&client, &network).await;
    assert_eq!(network.line().url, "b");
    for stub in [&user, &room] {
        let error = soon(stub.closed()).await;
        assert_eq!(error.code().as_deref(), Some("permission_denied"));
    }
    assert_eq!(name(&account).await.unwrap(), "/account");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_dropped_is_not_run_again() {
    let (network, counting) = counting::network();
    let client = client(&network, &["a"]).start();
    let main: Stub = client.main();
    let user = child(&client, &main, "user");
    let gone = child(&client, &main, "gone");
    name(&gone).await.unwrap();
    drop(gone);
    let room = child(&client, &user, "room");
    name(&room).await.unwrap();
    // Nobody holds the parent, but its child needs it.
    drop(user);
    let joins = counting.joins.load(Ordering::SeqCst);
    network.then("a", Reply::Fail(capnweb_core::ConnectFailure::Refused));
    network.line().cut();
    soon(client.state().wait_for(|state| !state.is_up())).await;
    // This one is dropped while the client connects.
    let late = child(&client, &main, "late");
    drop(late);
    tokio::time::sleep(Duration::from_secs(1)).await;
    network.then("a", Reply::Accept);
    up(&client).await;
    assert_eq!(name(&room).await.unwrap(), "/user/room");
    assert_eq!(counting.joins.load(Ordering::SeqCst), joins + 2);
    drop(room);
    let released = async {
        while counting.alive() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(released).await;
    cut(&client, &network).await;
    assert_eq!(counting.joins.load(Ordering::SeqCst), joins + 2);
}

#[tokio::test(start_paused = true)]
async fn a_cut_during_derivation_is_no_failure() {
    // Cut among the calls of the derivations and their answers.
    let mut cut = 0;
    for bytes in (0..700).step_by(13) {
        let (network, _) = counting::network();
        network.cut_next(Some(bytes));
        let client = client(&network, &["a"]).start();
        let mut stub: Stub = client.main();
        for _ in 0..5 {
            stub = child(&client, &stub, "x");
        }
        let found = loop {
            // A call that was in progress when the connection was cut fails.
            match name(&stub).await {
                Ok(found) => break found,
                Err(error) => assert!(error.is_disconnected(), "{error}"),
            }
        };
        assert_eq!(found, "/x/x/x/x/x", "cut after {bytes}");
        cut += usize::from(network.lines().len() > 1);
    }
    assert!(cut >= 20, "{cut}");
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_breaks_its_stub_alone() {
    let (network, _) = counting::network();
    let client = client(&network, &["a"]).start();
    let main: Stub = client.main();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let broken: Stub = client.derive(&main, move |_: Stub| -> Promise<Stub> {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("a mistake of the application's")
    });
    let fine = child(&client, &main, "fine");
    let error = soon(broken.closed()).await;
    assert_eq!(error.code().as_deref(), Some("internal"));
    assert_eq!(name(&fine).await.unwrap(), "/fine");
    cut(&client, &network).await;
    assert_eq!(name(&fine).await.unwrap(), "/fine");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stub_of_another_client_is_no_parent() {
    let (network, _) = counting::network();
    let (one, other) = (
        client(&network, &["a"]).start(),
        client(&network, &["a"]).start(),
    );
    let stub = child(&one, &other.main(), "x");
    assert!(name(&stub).await.unwrap_err().is_type_error());
}

#[tokio::test(start_paused = true)]
async fn closures_may_derive() {
    let (network, _) = counting::network();
    let client = client(&network, &["a"]).start();
    let main: Stub = client.main();
    let (inner, from) = (client.clone(), main.clone());
    let outer: Stub = client.derive(&main, move |main: Stub| -> Promise<Stub> {
        let stub = child(&inner, &from, "inner");
        drop(stub);
        main.call("child", ("outer",)).cast()
    });
    assert_eq!(name(&outer).await.unwrap(), "/outer");
    cut(&client, &network).await;
    assert_eq!(name(&outer).await.unwrap(), "/outer");
    // The closure holds the client, so the client must be closed explicitly.
    client.close();
    assert!(soon(outer.closed()).await.is_disconnected());
    soon(client.closed()).await;
}

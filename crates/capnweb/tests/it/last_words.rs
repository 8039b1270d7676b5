//! Programs that end right after their session: nothing that they said is lost.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::Router;
use capnweb::{Callback, EndCause, Error, Object, Promise, Session, Stub, axum::rpc, lines};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use crate::support::soon;

const ROUNDS: u32 = 200;

/// How a client ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Drop,
    Close,
    DrainAndClose,
}

const ENDINGS: [Ending; 3] = [Ending::Drop, Ending::Close, Ending::DrainAndClose];

fn runtime(threads: usize) -> Runtime {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build().unwrap()
}

/// A main object that counts the calls of `note`.
fn notes(count: &Arc<AtomicU32>) -> Stub {
    let count = count.clone();
    let note = move |_: String| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    Object::new().sync_method("note", note).into_stub()
}

/// Runs clients that call `note` without awaiting it and end, each in a runtime of its own.
fn end_all(threads: usize, ending: Ending, connect: impl AsyncFn() -> Session) {
    for _ in 0..ROUNDS {
        runtime(threads).block_on(async {
            let session = connect().await;
            Promise::<()>::detach(session.main().call("note", ("last words",)).cast());
            let closed = session.closed();
            match ending {
                Ending::Drop => {}
                Ending::Close => session.close(Error::new("done")),
                Ending::DrainAndClose => {
                    soon(session.drain()).await.unwrap();
                    session.close(Error::new("done"));
                }
            }
            drop(session);
            let end = *soon(closed).await.session_end().unwrap();
            assert_eq!(end.cause(), EndCause::Here);
        });
    }
}

/// Waits until the server has counted all notes: it may have them in its socket still.
fn all_arrive(count: &AtomicU32, expected: u32) {
    runtime(1).block_on(soon(async {
        while count.load(Ordering::Relaxed) < expected {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }));
    assert_eq!(count.load(Ordering::Relaxed), expected);
}

#[test]
fn calls_of_clients_that_end_arrive_over_tcp() {
    let (server, count) = (runtime(2), Arc::new(AtomicU32::new(0)));
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let counting = count.clone();
    server.spawn(capnweb::tcp::serve(listener, move |_| notes(&counting)));
    let mut expected = 0;
    for (threads, ending) in [1, 2].into_iter().flat_map(|n| ENDINGS.map(|e| (n, e))) {
        end_all(threads, ending, async || {
            let client = lines::Client::new();
            capnweb::tcp::connect_with(address, &client).await.unwrap()
        });
        expected += ROUNDS;
        all_arrive(&count, expected);
    }
}

#[test]
fn calls_of_clients_that_end_arrive_over_web_sockets() {
    let (server, count) = (runtime(2), Arc::new(AtomicU32::new(0)));
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let counting = count.clone();
    let app = Router::new().route("/", rpc(move || notes(&counting)));
    server.spawn(async move { capnweb::axum::serve(listener, app).await });
    let mut expected = 0;
    for (threads, ending) in [1, 2].into_iter().flat_map(|n| ENDINGS.map(|e| (n, e))) {
        end_all(threads, ending, async || {
            let main: Stub = capnweb::ws::connect(&url).await.unwrap();
            main.session().unwrap()
        });
        expected += ROUNDS;
        all_arrive(&count, expected);
    }
}

/// A server drains, closes with a code, waits and is gone, with its runtime: the client has the
/// answer that was owed, the call that nobody awaited, and the code.
#[test]
fn servers_that_drain_and_end_have_answered() {
    let client = runtime(2);
    for round in 0..100 {
        let server = runtime(1 + round % 2);
        let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let (called, mut calls) = mpsc::unbounded_channel();
        let app = Router::new().route(
            "/",
            rpc(move |peer: capnweb::axum::Peer| {
                let called = called.clone();
                let session = peer.0.session().unwrap();
                let work = move |tell: Callback<u32, ()>| {
                    called.send((session.clone(), tell)).unwrap();
                    async {
                        tokio::task::yield_now().await;
                        Ok(7)
                    }
                };
                Object::new().method("work", work).into_stub()
            }),
        );
        server.spawn(async move { capnweb::axum::serve(listener, app).await });

        let asked = client.spawn(async move {
            let (tell, mut told) = mpsc::unbounded_channel();
            let main: Stub = capnweb::ws::connect(&url).await.unwrap();
            let closed = main.session().unwrap().closed();
            let hear = Stub::function(move |n: u32| {
                let _ = tell.send(n);
                async { Ok(()) }
            });
            let answer = soon(main.call("work", (hear,)).fetch::<u32>()).await;
            let told = soon(told.recv()).await;
            let end = *soon(closed).await.session_end().unwrap();
            (answer, told, end)
        });
        server.block_on(async {
            let (session, tell) = soon(calls.recv()).await.unwrap();
            Promise::detach(tell.call(u32::try_from(round).unwrap()));
            soon(session.drain()).await.unwrap();
            session.close_with(1012, Error::new("restarting"));
            soon(session.closed()).await;
        });
        drop(server);
        let (answer, told, end) = client.block_on(asked).unwrap();
        assert_eq!(
            (answer.unwrap(), told),
            (7, Some(u32::try_from(round).unwrap()))
        );
        assert_eq!(end.cause(), EndCause::Peer);
    }
}

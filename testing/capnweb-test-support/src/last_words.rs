//! Programs that end right after their session, without losing any message.
//!
//! The same programs run over every transport. A test only provides a way to serve and to connect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use capnweb_core::{Callback, EndCause, Error, Object, Promise, Session, Stub};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use crate::soon;

/// The number of programs of each kind that run one after another.
const ROUNDS: u32 = 100;

/// The way in which a client ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Drop,
    Close,
    DrainAndClose,
}

const ENDINGS: [Ending; 3] = [Ending::Drop, Ending::Close, Ending::DrainAndClose];

/// Creates a runtime with one thread, the calling one, or with several.
///
/// # Panics
///
/// Panics if the system has no threads left.
pub fn runtime(threads: u32) -> Runtime {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build().unwrap()
}

/// Counts the calls of `note` that arrive at a server.
#[derive(Clone, Default)]
pub struct Notes(Arc<AtomicU32>);

impl Notes {
    /// Returns the server's main object.
    pub fn main(&self) -> Stub {
        let count = self.0.clone();
        let note = move |_: String| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        Object::new().sync_method("note", note).into_stub()
    }

    /// Waits until `expected` calls have arrived, since some may still be in the server's socket.
    fn all_arrive(&self, expected: u32) {
        runtime(1).block_on(soon(async {
            while self.0.load(Ordering::Relaxed) < expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }));
        assert_eq!(self.0.load(Ordering::Relaxed), expected);
    }

    /// Runs clients that call `note` without awaiting it, end in every possible way, and exit with
    /// their runtime, of either flavor.
    ///
    /// # Panics
    ///
    /// Panics if a call is lost.
    pub fn of_clients_that_end(&self, connect: impl AsyncFn() -> Session) {
        let mut expected = 0;
        for (threads, ending) in [1, 2].into_iter().flat_map(|n| ENDINGS.map(|e| (n, e))) {
            for _ in 0..ROUNDS {
                runtime(threads).block_on(end_client(&connect, ending));
            }
            expected += ROUNDS;
            self.all_arrive(expected);
        }
    }
}

async fn end_client(connect: impl AsyncFn() -> Session, ending: Ending) {
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
    assert_eq!(end.cause(), EndCause::Here, "{ending:?}");
}

/// The factory of main objects for a server that is about to end.
#[derive(Clone)]
pub struct Workplace {
    calls: mpsc::UnboundedSender<(Session, Callback<u32, ()>)>,
}

impl Workplace {
    /// Returns the main object of this session.
    pub fn main(&self, session: Session) -> Stub {
        let calls = self.calls.clone();
        let work = move |tell: Callback<u32, ()>| {
            // If the receiver is gone, the test has already failed.
            let _ = calls.send((session.clone(), tell));
            async {
                tokio::task::yield_now().await;
                Ok(7)
            }
        };
        Object::new().method("work", work).into_stub()
    }
}

/// Runs servers that drain during a call, close with a code, wait for the end, and exit with their
/// runtime. The client receives the pending answer, and the call that was not awaited.
///
/// # Panics
///
/// Panics if anything is lost, or if the client misinterprets the end.
pub fn of_servers_that_drain<A, C>(
    serve: impl AsyncFn(Workplace) -> A,
    connect: impl Fn(A) -> C + Clone + Send + 'static,
) where
    A: Send + 'static,
    C: Future<Output = Session> + Send,
{
    let client = runtime(2);
    for round in 0..ROUNDS {
        let server = runtime(1 + round % 2);
        let (sender, mut calls) = mpsc::unbounded_channel();
        let address = server.block_on(serve(Workplace { calls: sender }));
        let connect = connect.clone();
        let asked = client.spawn(async move { ask(connect(address).await).await });
        server.block_on(async {
            let (session, tell) = soon(calls.recv()).await.unwrap();
            Promise::detach(tell.call(round));
            soon(session.drain()).await.unwrap();
            session.close_with(1012, Error::new("restarting"));
            soon(session.closed()).await;
        });
        drop(server);
        let (answer, told, cause) = client.block_on(asked).unwrap();
        assert_eq!((answer.unwrap(), told), (7, Some(round)));
        assert_eq!(cause, EndCause::Peer);
    }
}

async fn ask(session: Session) -> (Result<u32, Error>, Option<u32>, EndCause) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let closed = session.closed();
    let hear = Stub::function(move |n: u32| {
        let _ = tell.send(n);
        async { Ok(()) }
    });
    let answer = soon(session.main().call("work", (hear,)).fetch::<u32>()).await;
    let told = soon(told.recv()).await;
    let end = *soon(closed).await.session_end().unwrap();
    (answer, told, end.cause())
}

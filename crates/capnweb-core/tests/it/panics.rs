//! Application code that panics: only its own call fails.

use std::sync::{Arc, Mutex};

use capnweb_core::{
    Answer, Call, Error, Get, Object, Promise, Property, Result, SessionOptions, Stub, Target,
    Value,
};
use tokio::sync::mpsc::unbounded_channel;

use crate::runtime_shutdown::runtime;
use crate::support::{ScriptedPeer, Witness, calculator, connect, connect_with, idle, within};

/// An object that panics wherever possible.
struct Clumsy {
    witness: Option<Witness>,
    panics_on_drop: bool,
}

impl Target for Clumsy {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match call.method() {
            "now" => panic!("in the call"),
            "inline" => Answer::future::<()>(async { panic!("in the first poll") }),
            "later" => Answer::future::<()>(async {
                tokio::task::yield_now().await;
                panic!("in a task");
            }),
            "serialize" => Answer::ready(Unwritable),
            "serialize later" => Answer::future(async {
                tokio::task::yield_now().await;
                Ok(Unwritable)
            }),
            "drop inline" => Answer::future(Careless { polls: 1 }),
            "drop later" => Answer::future(Careless { polls: 3 }),
            "ping" => Answer::ready("pong"),
            _ => Answer::not_found(),
        }
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match get.name() {
            "now" => panic!("in a getter"),
            "later" => {
                Property::Value(Answer::future::<()>(async { panic!("in a getter's poll") }))
            }
            _ => Property::Undefined,
        }
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        drop(self.witness.take());
        if self.panics_on_drop {
            panic!("in a drop");
        }
    }
}

/// A value that panics when it is serialized.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in a serialize")
    }
}

/// A future that panics when it is dropped, whether or not it has finished.
struct Careless {
    polls: u32,
}

impl Future for Careless {
    type Output = Result<u32, Error>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.polls -= 1;
        if self.polls == 0 {
            return std::task::Poll::Ready(Ok(1));
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        panic!("in the drop of a future");
    }
}

fn clumsy() -> Stub {
    Stub::new(Clumsy {
        witness: None,
        panics_on_drop: false,
    })
}

const PANICKING: [&str; 7] = [
    "now",
    "inline",
    "later",
    "serialize",
    "serialize later",
    "drop inline",
    "drop later",
];

#[tokio::test]
async fn a_panic_in_a_handler_rejects_its_call() {
    let connected = connect(clumsy());
    let local = clumsy();
    for method in PANICKING {
        for (place, stub) in [("at the peer", &connected.api), ("here", &local)] {
            let error = within(stub.call(method, ())).await.unwrap_err();
            assert_eq!(error.to_string(), "internal error", "{method}, {place}");
            let pong = within(stub.call("ping", ()).fetch::<String>())
                .await
                .unwrap();
            assert_eq!(pong, "pong", "after {method}, {place}");
        }
    }
    connected.settle().await;
}

#[tokio::test]
async fn a_panic_in_a_getter_rejects_its_read() {
    let connected = connect(clumsy());
    let local = clumsy();
    for stub in [&connected.api, &local] {
        for property in ["now", "later"] {
            let error = within(stub.get(property)).await.unwrap_err();
            assert_eq!(error.to_string(), "internal error", "{property}");
            let error = within(stub.get(property).get("x").call("y", ()))
                .await
                .unwrap_err();
            assert_eq!(error.to_string(), "internal error", "{property}");
            let pong = within(stub.call("ping", ()).fetch::<String>())
                .await
                .unwrap();
            assert_eq!(pong, "pong");
        }
    }
    connected.settle().await;
}

#[tokio::test]
async fn a_panic_in_the_drop_of_an_object_ends_nothing() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let main = {
        let made = made.clone();
        Object::new()
            .method("make", move || {
                let (witness, dropped) = Witness::new();
                made.lock().unwrap().push(dropped);
                let clumsy = Clumsy {
                    witness: Some(witness),
                    panics_on_drop: true,
                };
                async move { Ok(Stub::new(clumsy)) }
            })
            .method("ping", async || Ok("pong"))
    };
    let main = main.into_stub();
    let connected = connect(main.clone());
    for api in [&connected.api, &main] {
        let made_one = api.call("make", ());
        let pong = within(made_one.call("ping", ()).fetch::<String>())
            .await
            .unwrap();
        assert_eq!(pong, "pong");
        let stub: Stub = within(made_one.fetch()).await.unwrap();
        let again: Stub = within(api.call("make", ()).fetch()).await.unwrap();
        drop((made_one, stub, again));
        let dropped = std::mem::take(&mut *made.lock().unwrap());
        assert_eq!(dropped.len(), 2);
        for dropped in dropped {
            within(dropped).await.unwrap();
        }
        assert_eq!(
            within(api.call("ping", ()).fetch::<String>())
                .await
                .unwrap(),
            "pong"
        );
    }
    connected.settle().await;

    // At the end of the session all of them are dropped, even if one of them panics.
    let stubs: Vec<Stub> = {
        let mut stubs = Vec::new();
        for _ in 0..3 {
            stubs.push(
                within(connected.api.call("make", ()).fetch())
                    .await
                    .unwrap(),
            );
        }
        stubs
    };
    connected.server.close(Error::new("enough"));
    let dropped = std::mem::take(&mut *made.lock().unwrap());
    for dropped in dropped {
        within(dropped).await.unwrap();
    }
    assert_eq!(within(stubs[0].closed()).await.message(), "enough");
}

#[tokio::test]
async fn a_panic_in_an_on_broken_callback_does_not_stop_the_others() {
    let peer = ScriptedPeer::client();
    let main = peer.session.main();
    let (sender, mut told) = unbounded_channel();
    let again = sender.clone();
    let _guards = [
        main.on_broken(|_| panic!("in a callback")),
        main.on_broken(move |error| sender.send(error).unwrap()),
        main.on_broken(|_| panic!("in a callback")),
        main.on_broken(move |error| again.send(error).unwrap()),
    ];
    let pull = main.call("x", ()).fetch::<u32>();
    peer.session.close(Error::new("enough"));
    assert_eq!(within(told.recv()).await.unwrap().message(), "enough");
    assert_eq!(within(told.recv()).await.unwrap().message(), "enough");
    assert_eq!(within(pull).await.unwrap_err().message(), "enough");
    // Late callbacks run at once, and may panic as well.
    main.on_broken(|_| panic!("in a callback")).forget();
}

#[tokio::test]
async fn a_panic_in_on_send_error_hides_the_error() {
    let options = SessionOptions::new().on_send_error(|_| panic!("in on_send_error"));
    let connected = connect_with(options, calculator(), None);
    for _ in 0..2 {
        let error = within(connected.api.call("fail", ("secret",)))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "internal error");
    }
    let error = within(
        connected
            .api
            .call("callFunction", (Stub::broken(Error::new("x")), 1)),
    );
    assert_eq!(error.await.unwrap_err().to_string(), "internal error");
    connected.settle().await;
}

#[test]
fn a_handler_that_panics_while_it_is_dropped_has_an_outcome() {
    let first = runtime(0);
    let stub = Object::new()
        .method("run", || async {
            let _careless = Clumsy {
                witness: None,
                panics_on_drop: true,
            };
            std::future::pending::<Result<u32, Error>>().await
        })
        .into_stub();
    let pull = {
        let _entered = first.enter();
        stub.call("run", ()).fetch::<u32>()
    };
    first.block_on(idle());
    drop(first);
    let outcome = runtime(0).block_on(async { within(pull).await });
    assert!(outcome.unwrap_err().is_canceled());
}

#[tokio::test]
async fn a_panicking_future_cancels_its_promise() {
    let promise: Promise<Value> = Promise::from_future(async {
        tokio::task::yield_now().await;
        assert!(std::hint::black_box(false), "in a future");
        Ok(1)
    });
    let queued = promise.call("x", ());
    for promise in [promise, queued] {
        assert!(within(promise).await.unwrap_err().is_canceled());
    }
}

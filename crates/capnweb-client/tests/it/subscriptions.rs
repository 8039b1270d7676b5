//! Callbacks and our main object across sessions.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_client::Resume;
use capnweb_core::{Callback, Error, Object, Promise, Stub};

use crate::{
    network::{Network, soon},
    reconnecting::{client, up},
};

/// A log that grows while clients come and go.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    messages: Vec<u64>,
    subscribers: Vec<(u64, Callback<u64>)>,
    subscriptions: u64,
    /// The most subscriptions at a time on sessions that had not ended.
    most: usize,
}

impl Log {
    fn append(&self) {
        let (message, subscribers) = {
            let mut log = self.0.lock().unwrap();
            let message = log.messages.len() as u64 + 1;
            log.messages.push(message);
            (message, log.subscribers.clone())
        };
        for (_, subscriber) in subscribers {
            Promise::detach(subscriber.call(message));
        }
    }

    fn main(&self, session: &capnweb_core::Session) -> Stub {
        let (log, closed) = (self.clone(), session.downgrade());
        Object::new()
            .sync_method("follow", move |after: u64, subscriber: Callback<u64>| {
                let (missed, number) = {
                    let mut inside = log.0.lock().unwrap();
                    inside.subscriptions += 1;
                    let number = inside.subscriptions;
                    inside.subscribers.push((number, subscriber.clone()));
                    inside.most = inside.most.max(inside.subscribers.len());
                    let missed = inside.messages.iter().copied();
                    let missed: Vec<_> = missed.filter(|message| *message > after).collect();
                    (missed, number)
                };
                for message in missed {
                    Promise::detach(subscriber.call(message));
                }
                let ended = log.clone();
                if let Some(session) = closed.upgrade() {
                    let closed = session.closed();
                    tokio::spawn(async move {
                        closed.await;
                        let mut inside = ended.0.lock().unwrap();
                        inside.subscribers.retain(|(known, _)| *known != number);
                    });
                }
                Ok(Object::new().property("after", after).into_stub())
            })
            .into_stub()
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_goes_on_without_gaps_and_doubles() {
    let network = Network::new();
    let log = Log::default();
    let main = log.clone();
    network.serve("a", move |session| main.main(session));
    let client = client(&network, &["a"]).start();
    let seen = Resume::new(0_u64);
    let delivered: Arc<Mutex<Vec<u64>>> = Arc::default();
    let api: Stub = client.main();
    let (place, list) = (seen.clone(), delivered.clone());
    let _following: Stub = client.derive(&api, move |api: Stub| -> Promise<Stub> {
        let (place, list) = (place.clone(), list.clone());
        let after = place.get();
        let on_message: Callback<u64> = Callback::new(move |message: u64| {
            if place.advance(message) {
                list.lock().unwrap().push(message);
            }
        });
        api.call("follow", (after, on_message)).cast()
    });
    up(&client).await;
    for round in 0..20 {
        for _ in 0..10 {
            log.append();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Some entries are written while the connection is lost, and some are in flight at that
        // moment.
        log.append();
        if round % 2 == 0 {
            network.line().cut();
        } else {
            network.line().close(1012);
        }
        log.append();
        soon(client.state().wait_for(|state| !state.is_up())).await;
        log.append();
        up(&client).await;
    }
    let arrived = async {
        while seen.get() < 20 * 13 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(arrived).await;
    let expected: Vec<u64> = (1..=20 * 13).collect();
    assert_eq!(*delivered.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_callback_of_the_old_session_is_gone_before_the_new_one() {
    let network = Network::new();
    let log = Log::default();
    let main = log.clone();
    network.serve("a", move |session| main.main(session));
    let client = client(&network, &["a"]).start();
    let api: Stub = client.main();
    let alive: Arc<Mutex<(usize, usize)>> = Arc::default();

    /// Counts the callbacks that exist, and the most at a time.
    struct Held(Arc<Mutex<(usize, usize)>>);
    impl Held {
        fn new(alive: &Arc<Mutex<(usize, usize)>>) -> Self {
            let mut count = alive.lock().unwrap();
            count.0 += 1;
            count.1 = count.1.max(count.0);
            Self(alive.clone())
        }
    }
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.lock().unwrap().0 -= 1;
        }
    }

    let counted = alive.clone();
    let following: Stub = client.derive(&api, move |api: Stub| -> Promise<Stub> {
        let held = Held::new(&counted);
        let on_message: Callback<u64> = Callback::new(move |_: u64| {
            let _held = &held;
        });
        api.call("follow", (0, on_message)).cast()
    });
    for _ in 0..5 {
        up(&client).await;
        soon(following.get("after").fetch::<u64>()).await.unwrap();
        network.line().cut();
        soon(client.state().wait_for(|state| !state.is_up())).await;
    }
    assert_eq!(alive.lock().unwrap().1, 1);
}

#[tokio::test(start_paused = true)]
async fn our_main_object_is_there_on_each_session() {
    let network = Network::new();
    network.serve("a", |session| {
        let session = session.downgrade();
        Object::new()
            .method("ask", move || {
                let client = session.upgrade().map(|session| session.main());
                async move {
                    let client = client.ok_or_else(|| Error::new("gone"))?;
                    client.get("name").fetch::<String>().await
                }
            })
            .into_stub()
    });
    let client = client(&network, &["a"])
        .main(Object::new().property("name", "Ada").into_stub())
        .start();
    let api: Stub = client.main();
    for _ in 0..3 {
        up(&client).await;
        assert_eq!(
            soon(api.call("ask", ()).fetch::<String>()).await.unwrap(),
            "Ada"
        );
        network.line().cut();
        soon(client.state().wait_for(|state| !state.is_up())).await;
    }
}

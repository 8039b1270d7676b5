//! When a client connects, and which states and events it reports.

use std::{sync::atomic::Ordering, time::Duration};

use capnweb_client::{Backoff, Breaker, Client, ClientBuilder, Event, Stage, State};
use capnweb_core::{ConnectFailure, Error, Stub};
use tokio::time::Instant;

use crate::{
    counting::Counting,
    network::{Network, Reply, soon},
};

const REFUSED: Reply = Reply::Fail(ConnectFailure::Refused);

pub(crate) fn client(network: &Network, urls: &[&str]) -> ClientBuilder {
    Client::to(urls.iter().copied())
        .connector(network.clone())
        .backoff(Backoff::default().seed(1))
}

fn server(network: &Network, url: &str) -> Counting {
    let counting = Counting::new();
    let main = counting.clone();
    network.serve(url, move |_| main.main());
    counting
}

pub(crate) async fn up(client: &Client) -> State {
    soon(client.state().wait_for(State::is_up)).await.unwrap()
}

async fn count(api: &Stub, id: u32) -> Result<u32, Error> {
    soon(api.call("count", (id,)).fetch()).await
}

#[tokio::test(start_paused = true)]
async fn stubs_go_on_after_the_server_was_killed() {
    let network = Network::new();
    let counting = server(&network, "a");
    let client = client(&network, &["a"]).start();
    let api: Stub = client.main();
    for id in 0..10 {
        assert_eq!(count(&api, id).await.unwrap(), 1);
        network.line().cut();
        soon(client.state().wait_for(|state| !state.is_up())).await;
        up(&client).await;
    }
    assert_eq!(counting.totals(), (10, 1));
    assert!(network.lines().len() >= 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_killed_before_during_and_after_the_handshake_is_asked_again() {
    let network = Network::new();
    let counting = server(&network, "a");
    network.next(
        "a",
        [
            REFUSED,
            Reply::Fail(ConnectFailure::Disconnected),
            Reply::Hang,
            Reply::Accept,
        ],
    );
    network.cut_next(Some(0));
    let client = client(&network, &["a"])
        .on_connect(|main: Stub| async move { main.call("hello", ()).fetch::<String>().await })
        .start();
    let mut events = client.events();
    soon(client.connected()).await.unwrap();
    assert_eq!(count(&client.main(), 1).await.unwrap(), 1);
    assert_eq!(counting.hellos.load(Ordering::SeqCst), 1);
    let mut stages = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::Ended(ending) = event {
            stages.push(ending.stage());
        }
    }
    use Stage::{Connect, Greet};
    assert_eq!(stages, [Connect, Connect, Connect, Greet]);
    assert_eq!(network.attempts().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn on_connect_comes_before_everything_that_waits() {
    let network = Network::new();
    let _counting = server(&network, "a");
    network.next("a", [REFUSED]);
    let client = client(&network, &["a"])
        .on_connect(|main: Stub| async move { main.call("hello", ()).fetch::<String>().await })
        .start();
    let api: Stub = client.main();
    let calls: Vec<_> = (0..3)
        .map(|id| api.call("count", (id,)).fetch::<u32>())
        .collect();
    for call in calls {
        assert_eq!(soon(call).await.unwrap(), 1);
    }
    let sent = network.line().to_server();
    assert!(sent[0].contains("hello"), "{sent:?}");
    let place = |word: &str| sent.iter().position(|message| message.contains(word));
    assert!(place("hello") < place("count"), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_is_cut_or_fails_is_said_again() {
    let network = Network::new();
    let counting = server(&network, "a");
    // After this many bytes the server has received the call but has not answered it.
    network.cut_next(Some(20));
    let client = client(&network, &["a"])
        .on_connect(|main: Stub| async move { main.call("hello", ()).fetch::<String>().await })
        .start();
    soon(client.connected()).await.unwrap();
    assert_eq!(network.lines().len(), 2);
    assert_eq!(counting.hellos.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_never_answers_is_left() {
    let network = Network::new();
    let _never = server(&network, "never");
    network.then("never", Reply::Hang);
    let _counting = server(&network, "good");
    let start = Instant::now();
    let client = client(&network, &["never", "good"])
        .connect_timeout(Duration::from_secs(3))
        .start();
    soon(client.connected()).await.unwrap();
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_millis(3300),
        "{took:?}"
    );
    assert_eq!(network.asked(), ["never", "good"]);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_while_all_servers_are_down_and_stay_below_the_cap() {
    let network = Network::new();
    for url in ["a", "b"] {
        server(&network, url);
        network.then(url, REFUSED);
    }
    let cap = Duration::from_secs(4);
    let client = client(&network, &["a", "b"])
        .backoff(Backoff::full_jitter(Duration::from_millis(500), cap).seed(7))
        .breaker(Breaker::after(1_000_000))
        .start();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let attempts = network.attempts();
    // The average is half of the cap.
    assert!((100..250).contains(&attempts.len()), "{}", attempts.len());
    for (number, pair) in attempts.windows(2).enumerate() {
        let pause = pair[1].at - pair[0].at;
        let window = Duration::from_millis(500) * 2_u32.pow(u32::try_from(number.min(10)).unwrap());
        assert!(
            pause <= cap.min(window) + Duration::from_millis(2),
            "{number}: {pause:?}"
        );
        assert_ne!(pair[0].url, pair[1].url);
    }
    network.then("b", Reply::Accept);
    soon(client.connected()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flapping_server_is_not_asked_ever_faster() {
    let network = Network::new();
    server(&network, "a");
    for _ in 0..1000 {
        network.cut_next(Some(10));
    }
    let client = client(&network, &["a"]).start();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let attempts = network.attempts().len();
    assert!((6..40).contains(&attempts), "{attempts}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_spares_a_server() {
    let network = Network::new();
    server(&network, "bad");
    network.then("bad", REFUSED);
    server(&network, "good");
    let client = client(&network, &["bad", "good"])
        .breaker(Breaker::after(2).open_for(Duration::from_secs(1000)))
        .backoff(Backoff::full_jitter(Duration::from_millis(10), Duration::from_millis(10)).seed(2))
        .start();
    let mut events = client.events();
    up(&client).await;
    // After each loss of the good server the client tries the bad one, until the circuit is open.
    for _ in 0..6 {
        network.line().cut();
        soon(client.state().wait_for(|state| !state.is_up())).await;
        up(&client).await;
    }
    let bad = network.asked().iter().filter(|url| *url == "bad").count();
    assert_eq!(bad, 2);
    let mut opened = 0;
    while let Some(event) = events.try_next() {
        opened += usize::from(matches!(event, Event::CircuitOpen { url, .. } if &*url == "bad"));
    }
    assert_eq!(opened, 1);
    // The circuit is half-open: it allows one attempt, and opens again.
    tokio::time::sleep(Duration::from_secs(1501)).await;
    for _ in 0..3 {
        network.line().cut();
        soon(client.state().wait_for(|state| !state.is_up())).await;
        up(&client).await;
    }
    let bad = network.asked().iter().filter(|url| *url == "bad").count();
    assert_eq!(bad, 3);
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_application_open_no_circuit() {
    let network = Network::new();
    server(&network, "a");
    let client = client(&network, &["a"]).breaker(Breaker::after(1)).start();
    let mut events = client.events();
    let api: Stub = client.main();
    for _ in 0..20 {
        soon(api.call("fail", ()).fetch::<()>()).await.unwrap_err();
    }
    assert_eq!(network.attempts().len(), 1);
    while let Some(event) = events.try_next() {
        assert!(
            !matches!(event, Event::CircuitOpen { .. } | Event::Ended(_)),
            "{event:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn prepare_runs_before_each_attempt() {
    let network = Network::new();
    server(&network, "a");
    network.next("a", [REFUSED, REFUSED]);
    let tokens = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let client = client(&network, &["a"])
        .prepare(move |attempt| {
            let token = tokens.fetch_add(1, Ordering::SeqCst);
            async move { Ok(attempt.header("authorization", format!("Bearer {token}"))) }
        })
        .start();
    soon(client.connected()).await.unwrap();
    network.line().cut();
    soon(client.state().wait_for(|state| !state.is_up())).await;
    up(&client).await;
    let tokens: Vec<_> = network
        .attempts()
        .into_iter()
        .map(|seen| seen.headers[0].1.clone())
        .collect();
    assert_eq!(tokens, ["Bearer 0", "Bearer 1", "Bearer 2", "Bearer 3"]);
}

#[tokio::test(start_paused = true)]
async fn states_tell_of_attempts_and_the_way_to_the_server() {
    let network = Network::new();
    server(&network, "a");
    network.next("a", [REFUSED]);
    let client = client(&network, &["a"]).start();
    let mut states = client.state();
    let waits = |state: &State| matches!(state, State::Connecting { next: Some(_), .. });
    let Some(State::Connecting { attempt, .. }) = soon(states.wait_for(waits)).await else {
        panic!("it connects");
    };
    assert_eq!(attempt, 2);
    let measured = |state: &State| matches!(state, State::Up { rtt: Some(_), .. });
    let Some(State::Up { url, .. }) = soon(states.wait_for(measured)).await else {
        panic!("it is up");
    };
    assert_eq!(&*url, "a");
    client.close();
    let Some(State::Closed { error, .. }) = soon(states.wait_for(State::is_closed)).await else {
        panic!("it is closed");
    };
    assert!(error.is_disconnected());
}

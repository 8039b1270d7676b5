//! Reactions to each kind of end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use capnweb_client::{Backoff, Event, State};
use capnweb_core::{ConnectFailure, EndCause, Error, Promise, SessionEnd, Stub};
use tokio::time::Instant;

use crate::{
    counting::Counting,
    network::{Network, Reply, soon},
    reconnecting::{client, up},
};

fn network(urls: &[&str]) -> Network {
    let network = Network::new();
    for url in urls {
        let counting = Counting::new();
        network.serve(url, move |_| counting.main());
    }
    network
}

fn status(code: u16, retry_after: Option<u64>) -> Reply {
    Reply::Fail(ConnectFailure::status(
        code,
        retry_after.map(Duration::from_secs),
    ))
}

async fn down(client: &capnweb_client::Client) {
    let lost = |state: &State| !matches!(state, State::Up { .. });
    soon(client.state().wait_for(lost)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_is_left_for_another_within_a_second() {
    for code in [1001, 1012] {
        let network = network(&["a", "b"]);
        let client = client(&network, &["a", "b"])
            .backoff(Backoff::full_jitter(
                Duration::from_secs(60),
                Duration::from_secs(60),
            ))
            .start();
        up(&client).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let start = Instant::now();
        network.line().close(code);
        down(&client).await;
        up(&client).await;
        assert!(start.elapsed() <= Duration::from_secs(1), "{code}");
        assert_eq!(network.asked(), ["a", "b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn losses_are_followed_by_a_pause_and_the_next_server() {
    let lost = Error::disconnected("lost").with_session_end(SessionEnd::new(EndCause::Network));
    for code in [Some(1000), Some(1006), Some(1011), None] {
        let network = network(&["a", "b"]);
        let client = client(&network, &["a", "b"]).start();
        up(&client).await;
        match code {
            Some(code) => network.line().close(code),
            None => network.line().end(lost.clone()),
        }
        down(&client).await;
        up(&client).await;
        assert_eq!(network.asked(), ["a", "b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_on_one_server_and_passed_over_with_two() {
    for code in [429, 503] {
        let network = network(&["a", "b"]);
        network.next("a", [status(code, Some(30))]);
        let start = Instant::now();
        let alone = client(&network, &["a"]).start();
        up(&alone).await;
        let took = start.elapsed();
        assert!(
            took >= Duration::from_secs(30) && took < Duration::from_secs(34),
            "{took:?}"
        );

        network.next("a", [status(code, Some(30))]);
        let start = Instant::now();
        let two = client(&network, &["a", "b"]).start();
        up(&two).await;
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!(network.line().url, "b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_for_a_pause() {
    let network = network(&["a"]);
    let client = client(&network, &["a"]).start();
    up(&client).await;
    network.line().close(1013);
    down(&client).await;
    up(&client).await;
    assert_eq!(network.asked(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let tokens = Arc::new(AtomicU32::new(0));
    for code in [401, 403] {
        let network = network(&["a"]);
        network.next("a", [status(code, None)]);
        tokens.store(0, Ordering::SeqCst);
        let made = tokens.clone();
        let client = client(&network, &["a"])
            .prepare(move |attempt| {
                let token = made.fetch_add(1, Ordering::SeqCst);
                async move { Ok(attempt.header("authorization", token.to_string())) }
            })
            .start();
        soon(client.connected()).await.unwrap();
        assert_eq!(tokens.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn refused_for_good_waits_for_the_application() {
    let network = network(&["a"]);
    network.then("a", status(401, None));
    let client = client(&network, &["a"]).start();
    let error = soon(client.connected()).await.unwrap_err();
    let failure = error.connect_failure().unwrap();
    assert!(matches!(failure, ConnectFailure::Status { code: 401, .. }));
    assert!(matches!(client.state().get(), State::Refused { .. }));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(network.attempts().len(), 2);
    // Nothing waits for what only the user can do, nor what is derived now.
    let api: Stub = client.main();
    let derived: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
        api.call("child", ("a",)).cast()
    });
    let start = Instant::now();
    for stub in [&api, &derived] {
        let error = soon(stub.call("count", (1,)).fetch::<u32>())
            .await
            .unwrap_err();
        assert!(matches!(
            error.connect_failure(),
            Some(ConnectFailure::Status { code: 401, .. })
        ));
        assert!(!error.may_have_run());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);

    // The user signs in again.
    network.then("a", Reply::Accept);
    client.retry_now();
    up(&client).await;
    assert_eq!(network.attempts().len(), 3);
    for (times, stub) in [(1, &api), (2, &derived)] {
        let counted = stub.call("count", (2,)).fetch::<u32>();
        assert_eq!(soon(counted).await.unwrap(), times);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_fails_at_once_when_a_client_is_refused() {
    let network = network(&["a"]);
    let client = client(&network, &["a"]).start();
    let api: Stub = client.main();
    up(&client).await;
    network.then("a", status(403, None));
    network.line().close(1006);
    down(&client).await;
    let waiting = api.call("count", (1,)).fetch::<u32>();
    let start = Instant::now();
    let error = soon(waiting).await.unwrap_err();
    assert!(matches!(client.state().get(), State::Refused { .. }));
    // It would have waited for five seconds.
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert!(matches!(
        error.connect_failure(),
        Some(ConnectFailure::Status { code: 403, .. })
    ));
    assert!(!error.may_have_run());

    // Calls wait again as soon as the application asks for an attempt.
    network.then("a", Reply::Accept);
    client.retry_now();
    assert_eq!(
        soon(api.call("count", (2,)).fetch::<u32>()).await.unwrap(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn closes_for_a_bad_token_are_refusals() {
    for code in [1008, 4401, 4403] {
        let network = network(&["a"]);
        let client = client(&network, &["a"]).start();
        up(&client).await;
        network.line().close(code);
        down(&client).await;
        up(&client).await;
        network.line().close(code);
        let refused = |state: &State| matches!(state, State::Refused { .. });
        soon(client.state().wait_for(refused)).await.unwrap();
        assert_eq!(network.attempts().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_is_turned_away_is_a_refusal() {
    for code in ["unauthenticated", "permission_denied"] {
        let network = network(&["a"]);
        let greetings = Arc::new(AtomicU32::new(0));
        let greeted = greetings.clone();
        let client = client(&network, &["a"])
            .on_connect(move |_: Stub| {
                greeted.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Err::<(), _>(Error::new("who?").with_code(code)))
            })
            .start();
        let error = soon(client.connected()).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some(code));
        assert!(matches!(client.state().get(), State::Refused { .. }));
        assert_eq!(greetings.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lasted_makes_up_for_a_refusal() {
    let network = network(&["a"]);
    let client = client(&network, &["a"]).start();
    for _ in 0..4 {
        up(&client).await;
        // The token has expired.
        tokio::time::sleep(Duration::from_secs(60)).await;
        network.line().close(4401);
        down(&client).await;
    }
    up(&client).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_closes_the_client() {
    for failure in [
        ConnectFailure::status(404, None),
        ConnectFailure::Certificate,
        ConnectFailure::InvalidRequest,
    ] {
        let network = network(&["a"]);
        network.then("a", Reply::Fail(failure.clone()));
        let client = client(&network, &["a"]).start();
        let api: Stub = client.main();
        let waiting = api.call("count", (1,)).fetch::<u32>();
        let broken = api.closed();
        let error = soon(client.connected()).await.unwrap_err();
        assert_eq!(error.connect_failure(), Some(&failure));
        assert_eq!(network.attempts().len(), 1);
        // Waiting calls, later calls and `closed()` of stubs all report the reason.
        for error in [
            soon(waiting).await.unwrap_err(),
            soon(api.call("count", (2,)).fetch::<u32>())
                .await
                .unwrap_err(),
            soon(broken).await,
            soon(client.closed()).await,
        ] {
            assert_eq!(error.connect_failure(), Some(&failure));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_given_up_leaves_the_others() {
    let network = network(&["a", "b"]);
    network.then("a", status(404, None));
    let client = client(&network, &["a", "b"]).start();
    up(&client).await;
    for _ in 0..5 {
        network.line().cut();
        down(&client).await;
        up(&client).await;
    }
    let asked = network.asked();
    assert_eq!(asked.iter().filter(|url| *url == "a").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_not_there_closes_the_client() {
    let network = network(&["a"]);
    let client = client(&network, &["a"])
        .on_connect(|main: Stub| async move { main.call("no_such_method", ()).fetch::<()>().await })
        .start();
    let error = soon(client.connected()).await.unwrap_err();
    assert!(error.is_type_error());
    assert_eq!(network.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn three_breaches_of_the_protocol_in_a_row_close_the_client() {
    for code in [1002, 1007, 1009] {
        let network = network(&["a"]);
        let client = client(&network, &["a"]).start();
        for round in 0..3 {
            up(&client).await;
            network.line().close(code);
            if round < 2 {
                down(&client).await;
            }
        }
        let error = soon(client.closed()).await;
        assert_eq!(error.session_end().unwrap().close_code(), Some(code));
        assert_eq!(network.attempts().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn another_end_in_between_forgives_breaches() {
    let network = network(&["a"]);
    let client = client(&network, &["a"]).start();
    for code in [1002, 1009, 1006, 1002, 1007] {
        up(&client).await;
        network.line().close(code);
        down(&client).await;
    }
    up(&client).await;
}

#[tokio::test(start_paused = true)]
async fn breaches_seen_here_and_limits_count_too() {
    for cause in [EndCause::Protocol, EndCause::Limit] {
        let network = network(&["a"]);
        let client = client(&network, &["a"]).start();
        for round in 0..3 {
            up(&client).await;
            let error = Error::new("broken").with_session_end(SessionEnd::new(cause));
            network.line().end(error);
            if round < 2 {
                down(&client).await;
            }
        }
        soon(client.closed()).await;
        assert_eq!(network.attempts().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn reconnect_if_overrides() {
    // It can stop a client that would continue.
    let network = network(&["a"]);
    let stopped = client(&network, &["a"])
        .reconnect_if(|end| end.close_code() != Some(4999) && end.is_passing())
        .start();
    up(&stopped).await;
    network.line().close(4000);
    down(&stopped).await;
    up(&stopped).await;
    network.line().close(4999);
    let error = soon(stopped.closed()).await;
    assert_eq!(error.session_end().unwrap().close_code(), Some(4999));

    // It can continue a client that would stop.
    network.next(
        "a",
        [status(404, None), status(401, None), status(401, None)],
    );
    let goes_on = client(&network, &["a"]).reconnect_if(|_| true).start();
    let mut events = goes_on.events();
    up(&goes_on).await;
    let mut ends = 0;
    while let Some(event) = events.try_next() {
        ends += usize::from(matches!(event, Event::Ended(_)));
    }
    assert_eq!(ends, 3);
}

#[tokio::test(start_paused = true)]
async fn without_servers_it_closes() {
    let network = Network::new();
    let client = client(&network, &[]).start();
    let error = soon(client.connected()).await.unwrap_err();
    assert!(error.is_type_error());
}

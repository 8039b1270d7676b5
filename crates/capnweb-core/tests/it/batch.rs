//! Batches: all messages in one request and one response, without a transport.

use capnweb_core::{
    Bytes, Connection, Error, Object, Promise, Readable, Session, SessionOptions, Stub, Value,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::join_all, stream};
use tokio::{sync::mpsc::unbounded_channel, task::JoinHandle};

use crate::{
    streams::streams,
    support::{Gate, Witness, calculator, idle, within},
};

/// A client's batch that is being assembled. A task holds the connection and sends the batch when
/// it is time.
struct Batch {
    session: Session,
    /// The messages once they are sent, and the connection for the answer.
    sent: JoinHandle<(Vec<String>, Connection)>,
}

fn batch() -> Batch {
    let (session, mut connection) = Session::client_batch(SessionOptions::new());
    let sent = tokio::spawn(async move {
        connection.flush_requested().await;
        (take(&mut connection), connection)
    });
    Batch { session, sent }
}

fn take(connection: &mut Connection) -> Vec<String> {
    let mut outgoing = connection.take_outgoing();
    std::iter::from_fn(|| outgoing.pop())
        .map(|message| String::from_utf8(message.to_vec()).unwrap())
        .collect()
}

/// Returns the answers of a server with the main object `main` to `messages`.
async fn answer(main: Stub, messages: &[String]) -> Vec<String> {
    let (_session, mut connection) = Session::server_batch(SessionOptions::new());
    connection.set_main(main);
    for message in messages {
        connection.receive(message).unwrap();
    }
    connection.end_of_input();
    within(connection.answered()).await;
    take(&mut connection)
}

/// Sends `sent` to a server with this main object, and passes its answer back.
async fn exchange(sent: JoinHandle<(Vec<String>, Connection)>, main: Stub) -> Vec<String> {
    let (messages, mut connection) = within(sent).await.unwrap();
    for message in answer(main, &messages).await {
        connection.receive(&message).unwrap();
    }
    connection.end_of_input();
    connection.end(Error::disconnected("Batch RPC request ended."));
    messages
}

// ---------------------------------------------------------------- the client

#[tokio::test]
async fn a_batch_goes_out_when_something_is_awaited() {
    let Batch { session, sent } = batch();
    let api = session.main();
    let user = api.call("user", ());
    let square = api.call("square", (user.get("id"),));
    Promise::detach(api.call("square", (1,)));
    idle().await;
    assert!(!sent.is_finished());
    let pull = tokio::spawn(square.fetch::<f64>());
    let messages = exchange(sent, calculator()).await;
    assert_eq!(
        messages,
        [
            r#"["push",["pipeline",0,["user"],[]]]"#,
            r#"["push",["pipeline",0,["square"],[["pipeline",1,["id"]]]]]"#,
            r#"["push",["pipeline",0,["square"],[1]]]"#,
            r#"["release",3,1]"#,
            r#"["pull",2]"#,
        ]
    );
    assert_eq!(within(pull).await.unwrap().unwrap(), 49.0);
}

#[tokio::test]
async fn a_batch_goes_out_at_the_second_poll() {
    let (session, mut connection) = Session::client_batch(SessionOptions::new());
    let square = session.main().call("square", (3,));
    let requested = connection.flush_requested();
    tokio::pin!(requested);
    // The pull exists from the beginning.
    let pull = square.fetch::<f64>();
    assert_eq!(
        take(&mut connection),
        [r#"["push",["pipeline",0,["square"],[3]]]"#, r#"["pull",1]"#]
    );
    assert!(requested.as_mut().now_or_never().is_none());
    tokio::pin!(pull);
    assert!(pull.as_mut().now_or_never().is_none());
    assert!(requested.as_mut().now_or_never().is_none());
    assert!(pull.as_mut().now_or_never().is_none());
    assert!(requested.as_mut().now_or_never().is_some());
    assert!(connection.flush_requested().now_or_never().is_some());
    connection.receive(r#"["resolve",1,9]"#).unwrap();
    assert_eq!(pull.as_mut().now_or_never().unwrap().unwrap(), 9.0);
}

#[tokio::test]
async fn joined_calls_travel_in_one_batch() {
    let Batch { session, sent } = batch();
    let api = session.main();
    async fn square_of_id(api: &Stub) -> f64 {
        let id = api.call("user", ()).get("id");
        api.call("square", (id,)).fetch().await.unwrap()
    }
    async fn sum(api: Stub, a: u32, b: u32) -> f64 {
        // Nobody requests these before this is polled.
        let (a, b) = (api.call("square", (a,)), api.call("square", (b,)));
        let (a, b) = tokio::join!(a.fetch::<f64>(), b.fetch::<f64>());
        a.unwrap() + b.unwrap()
    }
    let all = {
        let api = api.clone();
        tokio::spawn(async move {
            tokio::join!(
                square_of_id(&api),
                sum(api.clone(), 2, 3),
                join_all((0..50).map(|n| {
                    let api = api.clone();
                    async move { api.call("square", (n,)).fetch::<f64>().await.unwrap() }
                })),
                api.call("square", (5,)),
            )
        })
    };
    let messages = exchange(sent, calculator()).await;
    assert_eq!(
        messages
            .iter()
            .filter(|message| message.starts_with(r#"["pull""#))
            .count(),
        54
    );
    let (squared, summed, squares, last) = within(all).await.unwrap();
    assert_eq!((squared, summed), (49.0, 13.0));
    assert_eq!(
        squares,
        (0..50).map(|n| f64::from(n * n)).collect::<Vec<_>>()
    );
    assert_eq!(last.unwrap().as_f64(), Some(25.0));
}

#[tokio::test]
async fn a_batch_can_be_sent_without_awaiting_anything() {
    let Batch { session, sent } = batch();
    Promise::detach(session.main().call("note", (1,)));
    idle().await;
    assert!(!sent.is_finished());
    session.send_batch();
    let (messages, _connection) = within(sent).await.unwrap();
    assert_eq!(
        messages,
        [
            r#"["push",["pipeline",0,["note"],[1]]]"#,
            r#"["release",1,1]"#
        ]
    );
    // In any other session it has no effect.
    let (session, _connection) = Session::client(SessionOptions::new());
    session.send_batch();
}

#[tokio::test]
async fn awaiting_a_dependent_promise_sends_the_batch() {
    // A local call that needs a result, content with a promise in it, and a future behind a
    // promise.
    for way in 0..4 {
        let Batch { session, sent } = batch();
        let api = session.main();
        let square = api.call("square", (3,));
        let pull = match way {
            0 => calculator().call("add", (&square, 1)).fetch::<f64>(),
            1 => calculator()
                .call("echo", ((square.clone(), 1),))
                .get(0u64)
                .fetch(),
            2 => {
                let square = square.clone();
                let promise: Promise<Value> =
                    Promise::from_future(async move { square.fetch::<f64>().await });
                promise.fetch()
            }
            _ => Promise::<Value>::ready((&square, 1)).get(0u64).fetch(),
        };
        drop(square);
        // Use a separate task, so that nothing else polls it.
        let pull = tokio::spawn(pull);
        exchange(sent, calculator()).await;
        let result = within(pull).await.unwrap().unwrap();
        assert_eq!(result, if way == 0 { 10.0 } else { 9.0 }, "way {way}");
    }
}

#[tokio::test]
async fn dependent_and_joined_calls_travel_in_one_batch() {
    let Batch { session, sent } = batch();
    let api = session.main();
    let joined = tokio::spawn(async move {
        let indirect = async {
            calculator()
                .call("add", (api.call("square", (3,)), 1))
                .fetch::<f64>()
                .await
        };
        let direct = async { api.call("square", (4,)).fetch::<f64>().await };
        tokio::join!(indirect, direct)
    });
    let messages = exchange(sent, calculator()).await;
    assert_eq!(
        messages
            .iter()
            .filter(|message| message.starts_with(r#"["pull""#))
            .count(),
        2
    );
    let (indirect, direct) = within(joined).await.unwrap();
    assert_eq!((indirect.unwrap(), direct.unwrap()), (10.0, 16.0));
}

#[tokio::test]
async fn calls_on_a_spent_batch_fail() {
    let Batch { session, sent } = batch();
    let api = session.main();
    let unawaited = api.call("makeCounter", ());
    let awaited = tokio::spawn(api.call("makeCounter", ()).fetch::<Stub>());
    exchange(sent, calculator()).await;
    let stub = within(awaited).await.unwrap().unwrap();
    let ended = "Batch RPC request ended.";
    let errors = [
        within(unawaited).await.unwrap_err(),
        within(stub.call("increment", ())).await.unwrap_err(),
        within(api.call("square", (2,))).await.unwrap_err(),
        within(session.main().call("square", (2,)))
            .await
            .unwrap_err(),
        within(session.closed()).await,
    ];
    for error in errors {
        assert_eq!(error.message(), ended);
        assert!(error.is_disconnected());
    }
}

#[tokio::test]
async fn results_outlive_a_spent_batch() {
    let Batch { session, sent } = batch();
    let user = session.main().call("user", ());
    let pull = tokio::spawn(user.fetch::<Value>());
    exchange(sent, calculator()).await;
    within(pull).await.unwrap().unwrap();
    assert_eq!(
        within(user.get("name").fetch::<String>()).await.unwrap(),
        "Ada"
    );
}

#[tokio::test]
async fn session_end_wakes_tasks_that_wait_to_send_a_batch() {
    let (session, mut connection) = Session::client_batch(SessionOptions::new());
    let waiting = tokio::spawn(connection.flush_requested());
    idle().await;
    assert!(!waiting.is_finished());
    connection.end(Error::disconnected("no network"));
    within(waiting).await.unwrap();
    assert_eq!(session.end_reason().unwrap().message(), "no network");

    // Dropping the session has the same effect.
    let (session, connection) = Session::client_batch(SessionOptions::new());
    let waiting = tokio::spawn(connection.flush_requested());
    idle().await;
    drop(session);
    within(waiting).await.unwrap();
}

// ---------------------------------------------------------------- the server

/// Creates a server whose connection has received these messages of a client.
fn server(main: Stub, messages: &[&str]) -> (Session, Connection) {
    let (session, mut connection) = Session::server_batch(SessionOptions::new());
    connection.set_main(main);
    for message in messages {
        connection.receive(message).unwrap();
    }
    connection.end_of_input();
    (session, connection)
}

/// Returns `slow(n)`, and the gate that it waits for.
fn gated() -> (Object, Gate) {
    let gate = Gate::closed();
    let waits = gate.clone();
    let object = Object::new().method("slow", move |n: u32| {
        let gate = waits.clone();
        async move {
            gate.pass().await;
            Ok(n)
        }
    });
    (object, gate)
}

#[tokio::test]
async fn a_batch_answer_waits_for_pulled_calls() {
    let (main, gate) = gated();
    let (_session, mut connection) = server(
        main.into_stub(),
        &[
            r#"["push",["pipeline",0,["slow"],[1]]]"#,
            r#"["push",["pipeline",0,["slow"],[2]]]"#,
            r#"["pull",2]"#,
        ],
    );
    let answered = tokio::spawn(connection.answered());
    idle().await;
    assert!(!answered.is_finished());
    gate.open();
    within(answered).await.unwrap();
    assert_eq!(take(&mut connection), [r#"["resolve",2,2]"#]);
}

#[tokio::test]
async fn a_batch_answer_waits_for_promises_in_results() {
    let (slow, gate) = gated();
    let slow = slow.into_stub();
    let main = Object::new().sync_method("both", move || {
        Ok((slow.call("slow", (1,)), slow.call("fail", ())))
    });
    let (_session, mut connection) = server(
        main.into_stub(),
        &[r#"["push",["pipeline",0,["both"],[]]]"#, r#"["pull",1]"#],
    );
    let answered = tokio::spawn(connection.answered());
    idle().await;
    assert!(!answered.is_finished());
    gate.open();
    within(answered).await.unwrap();
    assert_eq!(
        take(&mut connection),
        [
            r#"["resolve",1,[[["promise",-1],["promise",-2]]]]"#,
            r#"["reject",-2,["error","TypeError","'fail' is not a function."]]"#,
            r#"["resolve",-1,1]"#,
        ]
    );
}

#[tokio::test]
async fn a_batch_answer_may_be_empty() {
    let (_session, mut connection) = server(calculator(), &[]);
    within(connection.answered()).await;
    assert!(take(&mut connection).is_empty());
    let (_session, mut connection) =
        server(calculator(), &[r#"["push",["pipeline",0,["square"],[1]]]"#]);
    within(connection.answered()).await;
    assert!(take(&mut connection).is_empty());
}

#[tokio::test]
async fn unpulled_calls_run_on_after_the_batch_answer() {
    let (sender, mut events) = unbounded_channel();
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new().method("log", move |n: u32| {
            let (gate, sender) = (gate.clone(), sender.clone());
            async move {
                sender.send(format!("started {n}")).unwrap();
                gate.pass().await;
                sender.send(format!("finished {n}")).unwrap();
                Ok(())
            }
        })
    };
    let (session, connection) = server(
        main.into_stub(),
        &[
            r#"["push",["pipeline",0,["log"],[1]]]"#,
            r#"["push",["pipeline",0,["log"],[2]]]"#,
            r#"["release",2,1]"#,
        ],
    );
    within(connection.answered()).await;
    // The answer has been given, and the session is dropped.
    drop((session, connection));
    idle().await;
    assert_eq!(events.try_recv().unwrap(), "started 1");
    assert_eq!(events.try_recv().unwrap(), "started 2");
    assert!(events.try_recv().is_err());
    gate.open();
    let mut finished = [
        within(events.recv()).await.unwrap(),
        within(events.recv()).await.unwrap(),
    ];
    finished.sort_unstable();
    assert_eq!(finished, ["finished 1", "finished 2"]);
}

#[track_caller]
fn assert_needs_websocket(message: &str) {
    assert!(message.contains("WebSocket"), "{message}");
    assert!(message.contains("HTTP batch"), "{message}");
}

#[tokio::test]
async fn calls_that_wait_for_the_batch_client_fail_at_once() {
    let (sender, mut errors) = unbounded_channel();
    let main = {
        let sender = sender.clone();
        Object::new()
            .method("callFunction", |f: Stub, n: f64| async move {
                f.invoke((n,)).fetch::<f64>().await
            })
            .method("later", |f: Stub| async move {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                f.call("x", ()).get("y").fetch::<f64>().await
            })
            .method("tell", move |f: Stub| {
                // Not awaited: the call is part of the answer.
                Promise::detach(f.invoke(("news",)));
                async { Ok(1) }
            })
            .method("square", async |n: f64| Ok(n * n))
            .method("keep", move |f: Stub| {
                let sender = sender.clone();
                async move {
                    let error = f.invoke(()).fetch::<f64>().await.unwrap_err();
                    sender.send(error).unwrap();
                    Ok(())
                }
            })
    };
    let (_session, mut connection) = server(
        main.into_stub(),
        &[
            r#"["push",["pipeline",0,["callFunction"],[["export",-1],3]]]"#,
            r#"["pull",1]"#,
            r#"["push",["pipeline",0,["later"],[["export",-2]]]]"#,
            r#"["pull",2]"#,
            r#"["push",["pipeline",0,["tell"],[["export",-3]]]]"#,
            r#"["pull",3]"#,
            // A promise that the client does not resolve.
            r#"["push",["pipeline",0,["square"],[["promise",-4]]]]"#,
            r#"["pull",4]"#,
            r#"["push",["pipeline",0,["keep"],[["export",-5]]]]"#,
            r#"["push",["pipeline",0,["callFunction"],[["pipeline",0,["square"]],5]]]"#,
            r#"["pull",6]"#,
        ],
    );
    within(connection.answered()).await;
    let said = take(&mut connection);
    for id in [1, 2, 4] {
        let answer = said
            .iter()
            .find(|message| message.starts_with(&format!(r#"["reject",{id},"#)))
            .unwrap_or_else(|| panic!("no rejection of {id} in {said:#?}"));
        assert_needs_websocket(answer);
    }
    assert!(said.contains(&r#"["resolve",3,1]"#.to_owned()), "{said:#?}");
    assert!(
        said.contains(&r#"["push",["pipeline",-3,[],["news"]]]"#.to_owned()),
        "{said:#?}"
    );
    assert!(
        said.contains(&r#"["resolve",6,25]"#.to_owned()),
        "{said:#?}"
    );
    let error = within(errors.recv()).await.unwrap();
    assert_needs_websocket(error.message());
    assert!(error.is_disconnected());
}

#[tokio::test]
async fn on_broken_fires_for_results_that_cannot_come_back() {
    let (sender, mut told) = unbounded_channel();
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new().method("ask", move |f: Stub| {
            let (gate, sender) = (gate.clone(), sender.clone());
            async move {
                let call = f.invoke(());
                let guard = call.on_broken(move |error| sender.send(error).unwrap());
                gate.pass().await;
                let outcome = call.fetch::<f64>().await;
                drop(guard);
                outcome
            }
        })
    };
    let (_session, mut connection) = server(
        main.into_stub(),
        &[
            r#"["push",["pipeline",0,["ask"],[["export",-1]]]]"#,
            r#"["pull",1]"#,
        ],
    );
    idle().await;
    // Nobody has requested it yet.
    assert!(told.try_recv().is_err());
    gate.open();
    assert_needs_websocket(within(told.recv()).await.unwrap().message());
    within(connection.answered()).await;
    let said = take(&mut connection);
    let answer = said.iter().find(|said| said.starts_with(r#"["reject",1,"#));
    assert_needs_websocket(answer.unwrap());
}

#[tokio::test]
async fn promises_resolved_in_the_same_batch_are_filled_in() {
    let (_session, mut connection) = server(
        calculator(),
        &[
            r#"["push",["pipeline",0,["square"],[["promise",-1]]]]"#,
            r#"["pull",1]"#,
            r#"["resolve",-1,4]"#,
        ],
    );
    within(connection.answered()).await;
    assert_eq!(
        take(&mut connection),
        [r#"["release",-1,1]"#, r#"["resolve",1,16]"#]
    );
}

#[tokio::test]
async fn callbacks_run_at_the_client_though_their_results_cannot_come_back() {
    let Batch { session, sent } = batch();
    let (sender, mut told) = unbounded_channel();
    let callback = Stub::function(move |news: String| {
        sender.send(news).unwrap();
        async { Ok(()) }
    });
    let api = session.main();
    let call = tokio::spawn(api.call("tell", (&callback,)).fetch::<String>());
    let main = Object::new().method("tell", |f: Stub| async move {
        match f.invoke(("news",)).await {
            Ok(_) => Ok("it came back".to_owned()),
            Err(error) => Ok(error.message().to_owned()),
        }
    });
    let (messages, mut connection) = within(sent).await.unwrap();
    for message in answer(main.into_stub(), &messages).await {
        connection.receive(&message).unwrap();
    }
    // The callback runs when the answer is read.
    assert_eq!(told.try_recv().unwrap(), "news");
    connection.end(Error::disconnected("Batch RPC request ended."));
    assert_needs_websocket(&within(call).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_malformed_message_ends_a_batch_with_the_answers_so_far() {
    let (_session, mut connection) = Session::server_batch(SessionOptions::new());
    let (witness, mut dropped) = Witness::new();
    connection.set_main(
        Object::new()
            .sync_method("square", move |n: f64| {
                let _ = &witness;
                Ok(n * n)
            })
            .into_stub(),
    );
    connection
        .receive(r#"["push",["pipeline",0,["square"],[3]]]"#)
        .unwrap();
    connection.receive(r#"["pull",1]"#).unwrap();
    connection.receive("").unwrap_err();
    connection
        .receive(r#"["push",["pipeline",0,["square"],[3]]]"#)
        .unwrap_err();
    connection.end_of_input();
    within(connection.answered()).await;
    let said = take(&mut connection);
    assert_eq!(said[0], r#"["resolve",1,9]"#);
    assert!(said[1].starts_with(r#"["abort",["error","#), "{said:?}");
    assert_eq!(said.len(), 2);
    assert!(dropped.try_recv().is_ok());
}

#[tokio::test]
async fn parked_calls_run_before_the_batch_answer() {
    let limits = capnweb_core::Limits::default().with_soft_calls(1);
    let (_session, mut connection) =
        Session::server_batch(SessionOptions::new().with_limits(limits));
    let (main, gate) = gated();
    connection.set_main(main.into_stub());
    for id in 1..=5 {
        connection
            .receive(&format!(r#"["push",["pipeline",0,["slow"],[{id}]]]"#))
            .unwrap();
        connection.receive(&format!(r#"["pull",{id}]"#)).unwrap();
    }
    connection.end_of_input();
    let answered = tokio::spawn(connection.answered());
    idle().await;
    assert!(!answered.is_finished());
    gate.open();
    within(answered).await.unwrap();
    let expected: Vec<_> = (1..=5)
        .map(|id| format!(r#"["resolve",{id},{id}]"#))
        .collect();
    assert_eq!(take(&mut connection), expected);
}

// ---------------------------------------------------------------- streams

#[tokio::test]
async fn batch_streams_arrive_whole_in_both_directions() {
    let Batch { session, sent } = batch();
    let api = session.main();
    let numbers = Readable::from_stream(stream::iter(0..1000u32).then(|n| async move {
        // Some chunks are not ready at once, so the batch waits for them.
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
        n
    }));
    let sum = api.call("sum", (numbers,)).fetch::<u32>();
    let counted = api.call("count", (1000,)).fetch::<Readable<u32>>();
    let asked = tokio::spawn(async move { tokio::join!(sum, counted) });
    let messages = exchange(sent, streams()).await;
    let writes = messages
        .iter()
        .filter(|message| message.starts_with(r#"["stream""#));
    assert_eq!(writes.count(), 1001);
    // The request releases nothing, since that would lose what has not been read.
    assert!(
        !messages
            .iter()
            .any(|message| message.starts_with(r#"["release""#))
    );
    let (sum, counted) = within(asked).await.unwrap();
    assert_eq!(sum.unwrap(), 499_500);
    // The session is over, but everything that has arrived can still be read.
    let counted: Vec<u32> = within(counted.unwrap().try_collect()).await.unwrap();
    assert_eq!(counted, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_stream_may_exceed_the_window() {
    let Batch { session, sent } = batch();
    let chunk = Bytes::from(vec![7; 100_000]);
    let chunks = Readable::from_stream(stream::iter(std::iter::repeat_n(chunk, 30)));
    let echoed = session.main().call("echo", (chunks,));
    let asked = tokio::spawn(echoed.fetch::<Readable<Bytes>>());
    exchange(sent, streams()).await;
    let echoed = within(asked).await.unwrap().unwrap();
    let length = echoed.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) });
    assert_eq!(within(length).await.unwrap(), 3_000_000);
}

#[tokio::test]
async fn an_unclosed_stream_in_a_batch_is_aborted() {
    let messages = [
        r#"["pipe"]"#,
        r#"["push",["pipeline",0,["sum"],[["readable",1]]]]"#,
        r#"["pull",2]"#,
        r#"["stream",["pipeline",1,["write"],[1]]]"#,
    ];
    let answer = answer(streams(), &messages.map(String::from)).await;
    let rejected = answer
        .iter()
        .find(|said| said.starts_with(r#"["reject",2,"#))
        .unwrap();
    assert!(rejected.contains("HTTP batch"), "{rejected}");
}

#[tokio::test]
async fn a_batch_stream_is_bounded() {
    let limits = capnweb_core::Limits::default().with_max_held_bytes(1_000_000);
    let options = SessionOptions::new().with_limits(limits);
    let (_session, mut connection) = Session::server_batch(options);
    connection.set_main(
        Object::new()
            .sync_method("endless", || {
                Ok(Readable::from_stream(stream::repeat("x".repeat(1000))))
            })
            .into_stub(),
    );
    connection
        .receive(r#"["push",["pipeline",0,["endless"],[]]]"#)
        .unwrap();
    connection.receive(r#"["pull",1]"#).unwrap();
    connection.end_of_input();
    within(connection.answered()).await;
    let said = take(&mut connection);
    let last = said.last().unwrap();
    assert!(
        last.starts_with(r#"["stream",["pipeline",1,["abort"],"#),
        "{last}"
    );
    assert!(last.contains("max_held_bytes"), "{last}");
    assert!(said.iter().map(String::len).sum::<usize>() < 1_100_000);
}

#[tokio::test]
async fn a_batch_answer_writes_to_the_clients_writable() {
    let Batch { session, sent } = batch();
    let (to, numbers) = capnweb_core::pipe::<u32>();
    let written = tokio::spawn(session.main().call("writeTo", (to, 10)).fetch::<()>());
    let read = tokio::spawn(numbers.try_collect::<Vec<u32>>());
    exchange(sent, streams()).await;
    within(written).await.unwrap().unwrap();
    assert_eq!(
        within(read).await.unwrap().unwrap(),
        (0..10).collect::<Vec<_>>()
    );
}

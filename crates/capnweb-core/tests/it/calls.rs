//! Calls, results and pipelining, each as a scripted conversation and between two sessions.

use capnweb_core::{Error, Object, Promise, Stub, Value};

use crate::support::{ScriptedPeer, calculator, connect, counter};

#[tokio::test]
async fn a_pulled_call_is_answered() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[4]]]"#);
    peer.expect_silence();
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,16]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_client_pushes_pulls_and_releases() {
    let mut peer = ScriptedPeer::client();
    let api = peer.session.main();
    let counter = api.call("makeCounter", (1,));
    let value = counter.call("increment", ()).fetch::<f64>();
    peer.expect(r#"["push",["pipeline",0,["makeCounter"],[1]]]"#);
    peer.expect(r#"["push",["pipeline",1,["increment"],[]]]"#);
    peer.expect(r#"["pull",2]"#);
    drop(counter);
    peer.expect(r#"["release",1,1]"#);
    peer.send(r#"["resolve",2,7]"#);
    peer.expect(r#"["release",2,1]"#);
    assert_eq!(value.await.unwrap(), 7.0);
    peer.expect_empty();
}

#[tokio::test]
async fn calls_can_be_pipelined_on_results() {
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["user"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["square"],[["pipeline",1,["id"]]]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,49]"#);
    peer.send(r#"["push",["pipeline",1,["tags",0]]]"#);
    peer.send(r#"["pull",3]"#);
    peer.expect(r#"["resolve",3,"x"]"#);
    peer.send(r#"["push",["pipeline",1,["name","nothing","more"]]]"#);
    peer.send(r#"["pull",4]"#);
    peer.expect(
        r#"["reject",4,["error","TypeError","Cannot read properties of undefined (reading 'more')"]]"#,
    );
}

#[tokio::test]
async fn capabilities_work_in_results_and_arguments() {
    let connected = connect(calculator());
    let api = &connected.api;
    let counter = api.call("makeCounter", (5,));
    assert_eq!(
        counter
            .call("increment", (2,))
            .fetch::<f64>()
            .await
            .unwrap(),
        7.0
    );
    assert_eq!(counter.get("value").fetch::<f64>().await.unwrap(), 7.0);
    let stub: Stub = counter.fetch().await.unwrap();
    assert_eq!(
        stub.call("increment", ()).fetch::<f64>().await.unwrap(),
        8.0
    );

    let double = Stub::function(|n: f64| async move { Ok(2.0 * n) });
    let doubled = api
        .call("callFunction", (&double, 21))
        .fetch::<f64>()
        .await
        .unwrap();
    assert_eq!(doubled, 42.0);
    drop((counter, stub, double));
    connected.settle().await;
}

#[tokio::test]
async fn an_echoed_stub_is_the_original_object() {
    let connected = connect(calculator());
    let mine = counter(1.0);
    let back: Stub = connected.api.call("echo", (&mine,)).fetch().await.unwrap();
    assert_eq!(
        back.call("increment", ()).fetch::<f64>().await.unwrap(),
        2.0
    );
    assert_eq!(mine.get("value").fetch::<f64>().await.unwrap(), 2.0);
    let nested: Value = connected.api.call("echo", ((&mine, 1),)).await.unwrap();
    let stub = nested[0].as_stub().unwrap();
    assert_eq!(
        stub.call("increment", ()).fetch::<f64>().await.unwrap(),
        3.0
    );
    drop((back, nested, mine));
    connected.settle().await;
}

#[tokio::test]
async fn errors_reach_the_caller() {
    let connected = connect(calculator());
    let error = connected.api.call("fail", ("no",)).await.unwrap_err();
    assert_eq!((error.name(), error.message()), ("RangeError", "no"));
    let error = connected.api.call("nothing", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "TypeError: 'nothing' is not a function.");
    let error = connected
        .api
        .call("fail", ("no",))
        .get("x")
        .call("y", ())
        .await
        .unwrap_err();
    assert_eq!(error.message(), "no");
    let error = connected.api.call("square", ("four",)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "TypeError: square: argument 1: expected f64, got a string"
    );
    connected.settle().await;
}

#[tokio::test]
async fn map_applies_a_function_to_each_element() {
    let connected = connect(calculator());
    let api = &connected.api;
    let squares = api.call("list", (5,)).map(|n| api.call("square", (n,)));
    assert_eq!(
        squares.fetch::<Vec<f64>>().await.unwrap(),
        [0.0, 1.0, 4.0, 9.0, 16.0]
    );
    let nested = api.call("list", (3,)).map(|n| {
        let list = api.call("list", (n.clone(),));
        (n.clone(), list.map(|m| api.call("add", (n, m))))
    });
    assert_eq!(
        nested.fetch::<Vec<(f64, Vec<f64>)>>().await.unwrap(),
        [(0.0, vec![]), (1.0, vec![1.0]), (2.0, vec![2.0, 3.0])],
    );
    drop(squares);
    drop(nested);
    connected.settle().await;
}

#[tokio::test]
async fn promises_resolve_anywhere_in_arguments() {
    let connected = connect(calculator());
    let api = &connected.api;
    let slow = api.call("wait", (5,));
    let echoed = api.call("echo", (vec![(slow, api.call("square", (3,)))],));
    assert_eq!(
        echoed.fetch::<Vec<(f64, f64)>>().await.unwrap(),
        [(5.0, 9.0)]
    );
    drop(echoed);
    connected.settle().await;
}

#[tokio::test]
async fn a_local_future_can_be_an_argument() {
    let connected = connect(calculator());
    let promise: Promise<f64> = Promise::from_future(async {
        tokio::task::yield_now().await;
        Ok(6.0)
    });
    assert_eq!(
        connected
            .api
            .call("square", (promise,))
            .fetch::<f64>()
            .await
            .unwrap(),
        36.0
    );
    let rejected: Promise<f64> = Promise::rejected(Error::new("no"));
    let error = connected.api.call("square", (rejected,)).await.unwrap_err();
    assert_eq!(error.message(), "no");
    connected.settle().await;
}

#[tokio::test]
async fn local_stubs_need_no_session() {
    let api = calculator();
    let user = api.call("user", ());
    assert_eq!(
        api.call("square", (user.get("id"),))
            .fetch::<f64>()
            .await
            .unwrap(),
        49.0
    );
    let squares = api.call("list", (3,)).map(|n| api.call("square", (n,)));
    assert_eq!(squares.fetch::<Vec<f64>>().await.unwrap(), [0.0, 1.0, 4.0]);
    let method: Stub = api.get("square").fetch().await.unwrap();
    assert_eq!(method.invoke((5,)).fetch::<f64>().await.unwrap(), 25.0);
    let object = Object::new().property("nested", [counter(3.0)]).into_stub();
    let value = object.get("nested").get(0u64).get("value");
    assert_eq!(value.fetch::<f64>().await.unwrap(), 3.0);
}

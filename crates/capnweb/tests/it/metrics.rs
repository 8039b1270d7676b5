//! Metrics of a server and a client, in the text format of Prometheus.

use std::collections::BTreeMap;

use capnweb::{
    Error, Object, Session, SessionOptions, Sessions,
    axum::{Prometheus, Rpc, monitoring},
    http::client_builder,
    stream::Readable,
    ws,
};
use futures_util::StreamExt;

use crate::support::{Server, soon};

/// The samples of a text: name and labels, and the value.
fn samples(prometheus: &Prometheus) -> BTreeMap<String, f64> {
    let text = prometheus.render();
    let lines = text
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn shows(prometheus: &Prometheus, sample: &str, value: f64) {
    let found = async {
        while samples(prometheus).get(sample) != Some(&value) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(std::time::Duration::from_secs(20), found)
        .await
        .is_err()
    {
        panic!("{sample} is not {value}:\n{}", prometheus.render());
    }
}

fn api() -> Object {
    Object::new()
        .method("greet", async || Ok("hello"))
        .method("fail", async || Err::<(), _>(Error::new("no")))
        .method("count", |chunks: Readable<u32>| async move {
            Ok(chunks.count().await)
        })
}

#[tokio::test]
async fn sessions_calls_and_streams_are_counted_on_both_sides() {
    let (at_server, at_client) = (Prometheus::new().unwrap(), Prometheus::new().unwrap());
    let options = SessionOptions::new().with_observer(at_server.observer());
    let server = Server::of(Rpc::new(|| api().into_stub()).options(options).route()).await;
    let options = SessionOptions::new().with_observer(at_client.observer());
    let session: Session = ws::Connect::new(server.ws())
        .options(options)
        .session()
        .await
        .unwrap();
    let api = session.main();
    api.call("greet", ()).await.unwrap();
    api.call("fail", ()).await.unwrap_err();
    api.call("made up", ()).await.unwrap_err();
    let chunks = Readable::<u32>::from_stream(futures_util::stream::iter([1, 2]));
    let count = api.call("count", (chunks,)).fetch::<u32>().await.unwrap();
    assert_eq!(count, 2);
    let duration = "capnweb_call_duration_seconds_count";
    for (sample, value) in [
        (
            r#"capnweb_sessions{transport="websocket",role="server"}"#.to_owned(),
            1.0,
        ),
        (
            format!(r#"{duration}{{side="in",method="greet",outcome="ok"}}"#),
            1.0,
        ),
        (
            format!(r#"{duration}{{side="in",method="fail",outcome="error"}}"#),
            1.0,
        ),
        (
            format!(r#"{duration}{{side="in",method="other",outcome="error"}}"#),
            1.0,
        ),
        (
            r#"capnweb_calls_in_flight{side="in",method="greet"}"#.to_owned(),
            0.0,
        ),
        (r#"capnweb_streams{direction="in"}"#.to_owned(), 0.0),
        ("capnweb_exports".to_owned(), 1.0),
        ("capnweb_unsent_bytes".to_owned(), 0.0),
    ] {
        shows(&at_server, &sample, value).await;
    }
    for (sample, value) in [
        (
            r#"capnweb_sessions{transport="websocket",role="client"}"#.to_owned(),
            1.0,
        ),
        // The names in untyped calls are not declared.
        (
            format!(r#"{duration}{{side="out",method="other",outcome="ok"}}"#),
            2.0,
        ),
        (
            format!(r#"{duration}{{side="out",method="other",outcome="error"}}"#),
            2.0,
        ),
        (r#"capnweb_streams{direction="out"}"#.to_owned(), 0.0),
    ] {
        shows(&at_client, &sample, value).await;
    }
    // What one sends the other receives.
    let bytes = |prometheus: &Prometheus, direction| {
        samples(prometheus)[&format!(r#"capnweb_bytes_total{{direction="{direction}"}}"#)]
    };
    assert!(bytes(&at_client, "out") > 0.0);
    assert_eq!(bytes(&at_client, "out"), bytes(&at_server, "in"));

    drop((api, session));
    shows(
        &at_server,
        r#"capnweb_sessions{transport="websocket",role="server"}"#,
        0.0,
    )
    .await;
    shows(
        &at_server,
        r#"capnweb_sessions_ended_total{reason="normal"}"#,
        1.0,
    )
    .await;
    shows(&at_server, "capnweb_exports", 0.0).await;
}

#[tokio::test]
async fn a_batch_is_a_session_too() {
    let prometheus = Prometheus::new().unwrap();
    let options = SessionOptions::new().with_observer(prometheus.observer());
    let server = Server::of(Rpc::new(|| api().into_stub()).options(options).route()).await;
    server.batch().call("greet", ()).await.unwrap();
    let opened = r#"capnweb_sessions_opened_total{transport="batch",role="server"}"#;
    shows(&prometheus, opened, 1.0).await;
    shows(
        &prometheus,
        r#"capnweb_sessions{transport="batch",role="server"}"#,
        0.0,
    )
    .await;
}

#[tokio::test]
async fn one_router_answers_operators() {
    let sessions = Sessions::new();
    let prometheus = Prometheus::new().unwrap();
    let _session = Session::client(SessionOptions::new().with_observer(prometheus.observer()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app: axum::Router = monitoring(&sessions, &prometheus);
    tokio::spawn(capnweb::axum::serve(listener, app).into_future());
    let client = client_builder().build().unwrap();
    for (path, content) in [
        ("healthz", "alive"),
        ("readyz", "ready"),
        (
            "metrics",
            r#"capnweb_sessions{transport="other",role="client"} 1"#,
        ),
    ] {
        let url = format!("http://{address}/{path}");
        let answer = soon(client.get(url).send()).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let text = soon(answer.text()).await.unwrap();
        assert!(text.contains(content), "{path}: {text}");
    }
}

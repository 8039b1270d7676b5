//! The registry of sessions: its entries, and draining a server.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
};
use capnweb::{
    Drain, Drained, Error, Object, Session, Sessions, Stub, TransportKind,
    axum::{Rpc, Tracked, health, serve},
    http::{client_builder, reqwest::Method},
    lines, tcp,
};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Server, api, soon};

/// Returns a drain that waits only for running calls.
fn at_once() -> Drain {
    Drain::new().lb_delay(Duration::ZERO).spread(Duration::ZERO)
}

/// Returns the registry's entry as its session sees it.
fn describe(Tracked(tracked): Tracked) -> Stub {
    Object::new()
        .method("transport", {
            let tracked = tracked.clone();
            move || {
                let transport = tracked.transport().as_str();
                async move { Ok(transport) }
            }
        })
        .method("host", move || {
            let host = tracked.remote_ip().map(|address| address.to_string());
            async move { Ok(host) }
        })
        .into_stub()
}

#[tokio::test]
async fn the_factory_and_the_application_see_the_same_entry() {
    let sessions = Sessions::new();
    let server = Server::of(Rpc::new(describe).tracked(&sessions).route()).await;
    let [batch, web_socket] = server.both().await;
    for (api, transport) in [(&batch, "batch"), (&web_socket, "websocket")] {
        let (seen, host) = tokio::join!(
            api.call("transport", ()).fetch::<String>(),
            api.call("host", ()).fetch::<String>(),
        );
        assert_eq!(
            (seen.unwrap().as_str(), host.unwrap().as_str()),
            (transport, "127.0.0.1")
        );
    }
    let listed = sessions.list_by(|tracked| tracked.transport() == TransportKind::WebSocket);
    let [tracked] = listed.as_slice() else {
        panic!("one WebSocket is open, not {listed:?}");
    };
    let ended = tracked.session().closed();
    tracked.session().close_with(4403, Error::new("banned"));
    let reason = soon(web_socket.closed()).await;
    assert!(reason.to_string().contains("banned"), "{reason}");
    soon(ended).await;
    assert!(sessions.is_empty(), "{:?}", sessions.list());
}

/// Returns an API that keeps the user's name with the session.
fn accounts(Tracked(tracked): Tracked) -> Stub {
    let sign_in = move |user: String| {
        tracked.attach(user);
        async { Ok(()) }
    };
    Object::new()
        .method("signIn", sign_in)
        .method("wait", std::future::pending::<capnweb::Result<()>>)
        .into_stub()
}

#[tokio::test]
async fn sessions_of_a_user_are_counted_messaged_and_ended() {
    let sessions = Sessions::new();
    let server = Server::of(Rpc::new(accounts).tracked(&sessions).route()).await;
    let of = |user: &'static str| {
        sessions.list_by(move |tracked| tracked.get::<String>().as_deref() == Some(user))
    };
    let mut web_sockets = Vec::new();
    let mut batches = Vec::new();
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    for user in ["ada", "bob"] {
        let heard = heard.clone();
        let hear = move |text: String| {
            heard.send((user, text)).unwrap();
            async { Ok(()) }
        };
        let web_socket: Stub = capnweb::ws::Connect::new(server.ws())
            .main(Object::new().method("hear", hear).into_stub())
            .connect()
            .await
            .unwrap();
        soon(web_socket.call("signIn", (user,))).await.unwrap();
        web_sockets.push(web_socket);
        let batch = server.batch();
        batches.push(tokio::spawn(async move {
            let signed_in = batch.call("signIn", (user,));
            let waiting = batch.call("wait", ()).fetch::<()>();
            let (signed_in, waited) = tokio::join!(signed_in, waiting);
            drop(signed_in);
            waited
        }));
    }
    soon(async {
        while of("ada").len() + of("bob").len() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(sessions.len(), 4);
    let kinds: Vec<_> = of("ada")
        .iter()
        .map(|tracked| tracked.transport())
        .collect();
    assert!(kinds.contains(&TransportKind::WebSocket), "{kinds:?}");
    assert!(kinds.contains(&TransportKind::Batch), "{kinds:?}");

    for tracked in of("ada") {
        if tracked.transport() == TransportKind::WebSocket {
            let told = tracked.session().main().call("hear", ("hello",));
            soon(told).await.unwrap();
        }
    }
    assert_eq!(hears.try_recv().unwrap(), ("ada", "hello".to_owned()));
    assert!(hears.try_recv().is_err());

    let is_ada =
        |tracked: &capnweb::TrackedSession| tracked.get::<String>().as_deref() == Some("ada");
    assert_eq!(sessions.close_by(is_ada, 4403, Error::new("banned")), 2);
    let failed = soon(batches.remove(0)).await.unwrap().unwrap_err();
    assert!(failed.to_string().contains("banned"), "{failed}");
    let reason = soon(web_sockets[0].closed()).await;
    let code = reason.session_end().and_then(|end| end.close_code());
    assert_eq!(code, Some(4403));
    assert!(of("ada").is_empty());
    // The other user's sessions go on.
    assert_eq!(of("bob").len(), 2);
    let nothing = soon(web_sockets[1].call("signIn", ("bob",))).await;
    nothing.unwrap();
    assert!(!batches[0].is_finished());
    assert_eq!(sessions.close_by(|_| true, 4403, Error::new("all")), 2);
    assert!(soon(batches.remove(0)).await.unwrap().is_err());
    assert!(sessions.is_empty());
}

#[tokio::test]
async fn an_entry_outside_a_tracked_route_is_an_error_that_says_so() {
    let server = Server::of(Rpc::new(describe).route()).await;
    let (status, _, text) = server.request(Method::POST, &[], "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("Rpc::tracked"), "{text}");
}

#[tokio::test]
async fn a_session_that_the_factory_refuses_is_not_kept() {
    let sessions = Sessions::new();
    let refuse = || Err::<Stub, _>(StatusCode::UNAUTHORIZED);
    let server = Server::of(Rpc::new(refuse).tracked(&sessions).route()).await;
    let (status, ..) = server.request(Method::POST, &[], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(
        soon(capnweb::ws::connect::<Stub>(server.ws()))
            .await
            .is_err()
    );
    assert!(sessions.is_empty());
}

#[tokio::test]
async fn a_server_that_drains_answers_what_runs_and_refuses_the_rest() {
    let sessions = Sessions::new();
    let (finish, finished) = oneshot::channel::<()>();
    let finished = std::sync::Arc::new(std::sync::Mutex::new(Some(finished)));
    let slow = move || {
        let finished = finished.clone();
        let wait = move || {
            let finished = finished.lock().unwrap().take().unwrap();
            async {
                finished
                    .await
                    .map(|()| "done")
                    .map_err(|_| Error::new("dropped"))
            }
        };
        Object::new().method("slow", wait).into_stub()
    };
    let app = Router::new()
        .route("/", Rpc::new(slow).tracked(&sessions).route())
        .merge(health(&sessions));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(listener, app).drain_on(
        async {
            let _ = stopped.await;
        },
        &sessions,
        at_once(),
    );
    let serving = tokio::spawn(serving);
    let get = async |path: &str| {
        let client = client_builder().build().unwrap();
        let response = soon(client.get(format!("http://{address}{path}")).send()).await;
        response.unwrap().status()
    };
    assert_eq!(get("/healthz").await, StatusCode::OK);
    assert_eq!(get("/readyz").await, StatusCode::OK);

    // A peer that only knows WebSockets receives its answer and the close code.
    let (mut peer, _) = soon(tokio_tungstenite::connect_async(format!("ws://{address}/")))
        .await
        .unwrap();
    for text in [r#"["push",["pipeline",0,["slow"],[]]]"#, r#"["pull",1]"#] {
        soon(peer.send(Message::text(text))).await.unwrap();
    }
    soon(async {
        while sessions
            .list()
            .iter()
            .all(|tracked| tracked.session().stats().exports == 1)
        {
            tokio::task::yield_now().await;
        }
    })
    .await;

    stop.send(()).unwrap();
    soon(async {
        while !sessions.is_refusing() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(get("/healthz").await, StatusCode::OK);
    assert_eq!(get("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    let late = Server::at(address);
    let (status, headers, _) = late.request(Method::POST, &[], "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key(header::RETRY_AFTER));
    let refused = soon(capnweb::ws::connect::<Stub>(late.ws()))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");

    finish.send(()).unwrap();
    let mut seen = Vec::new();
    let mut code = None;
    while let Some(message) = soon(peer.next()).await {
        match message.unwrap() {
            Message::Text(text) => seen.push(text.to_string()),
            Message::Close(frame) => code = frame.map(|frame| u16::from(frame.code)),
            _ => {}
        }
    }
    assert_eq!(code, Some(1012));
    let announced = seen
        .iter()
        .position(|text| text.contains("$draining"))
        .unwrap();
    let answered = seen
        .iter()
        .position(|text| text == r#"["resolve",1,"done"]"#)
        .unwrap();
    assert!(announced < answered, "{seen:?}");
    soon(serving).await.unwrap().unwrap();
    assert!(sessions.is_empty());
}

#[tokio::test]
async fn tcp_is_drained_like_the_rest() {
    let sessions = Sessions::new();
    let (address, server) = tcp_server(&sessions).await;
    let client: Stub = soon(tcp::connect(address)).await.unwrap();
    let nine = soon(client.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(nine.unwrap(), 9.0);
    let [tracked] = &sessions.list()[..] else {
        panic!("one client is connected");
    };
    assert_eq!(tracked.transport(), TransportKind::Stream);
    assert!(tracked.remote_addr().is_some());
    let mut whole = Drained::default();
    whole.idle = 1;
    assert_eq!(soon(sessions.drain(at_once())).await, whole);
    soon(client.closed()).await;
    let late: Stub = soon(tcp::connect(address)).await.unwrap();
    let refused = soon(late.call("square", (3,)).fetch::<f64>()).await;
    assert!(refused.unwrap_err().is_disconnected());
    server.abort();
}

async fn tcp_server(sessions: &Sessions) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = lines::Server::new(|_: &Session| api()).tracked(sessions);
    let serving = tokio::spawn(async move {
        lines::serve_with(listener, server).await;
    });
    (address, serving)
}

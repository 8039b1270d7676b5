//! Factories of main objects.

use std::convert::Infallible;

use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, Method, StatusCode, request::Parts},
    routing::post,
};
use capnweb::{
    Object, Stub,
    axum::{Peer, rpc},
    http::Batch,
    ws::Connect,
};

use crate::support::{Server, api, soon};

fn object(name: &str) -> Stub {
    Object::new().property("name", name).into_stub()
}

async fn names(server: &Server) -> [String; 2] {
    let [batch, socket] = server.both().await;
    [
        soon(batch.get("name").fetch()).await.unwrap(),
        soon(socket.get("name").fetch()).await.unwrap(),
    ]
}

#[tokio::test]
async fn a_factory_may_be_of_any_shape() {
    async fn later() -> Stub {
        object("a")
    }
    async fn later_or_never() -> Result<Stub, StatusCode> {
        Ok(object("a"))
    }
    let shared = object("a");
    for route in [
        rpc(|| object("a")),
        rpc(move || shared.clone()),
        rpc(|| Ok::<_, StatusCode>(object("a"))),
        rpc(|| async { object("a") }),
        rpc(async || Ok::<_, (StatusCode, String)>(object("a"))),
        rpc(later),
        rpc(later_or_never),
        rpc(|_: HeaderMap| object("a")),
        rpc(async |_: HeaderMap, _: Method| object("a")),
    ] {
        let server = Server::of(route).await;
        assert_eq!(names(&server).await, ["a", "a"]);
    }
}

#[tokio::test]
async fn a_factory_sees_the_request_and_the_state() {
    struct Path(String);
    impl<S: Sync> FromRequestParts<S> for Path {
        type Rejection = Infallible;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
            Ok(Self(parts.uri.path().to_owned()))
        }
    }
    async fn main(State(greeting): State<&'static str>, headers: HeaderMap, path: Path) -> Stub {
        let who = headers["x-who"].to_str().unwrap();
        object(&format!("{greeting}, {who} at {}!", path.0))
    }
    let router = Router::new().route("/", rpc(main)).with_state("Hello");
    let server = Server::start(router).await;

    let api: Stub = Batch::new(server.http()).header("x-who", "Ada").start();
    assert_eq!(
        soon(api.get("name").fetch::<String>()).await.unwrap(),
        "Hello, Ada at /!"
    );
    let api: Stub = Connect::new(server.ws())
        .header("x-who", "Eve")
        .connect()
        .await
        .unwrap();
    assert_eq!(
        soon(api.get("name").fetch::<String>()).await.unwrap(),
        "Hello, Eve at /!"
    );
}

#[tokio::test]
async fn a_factory_may_refuse() {
    async fn main(headers: HeaderMap) -> Result<Stub, (StatusCode, &'static str)> {
        match headers.get("authorization") {
            Some(token) if token == "Bearer 1234" => Ok(api()),
            _ => Err((StatusCode::UNAUTHORIZED, "no such token")),
        }
    }
    let server = Server::of(rpc(main)).await;
    let error = soon(server.batch().call("square", (3,))).await.unwrap_err();
    let expected = "RPC request failed: 401 Unauthorized: no such token";
    assert!(error.message().starts_with(expected), "{error}");
    let error = soon(Connect::new(server.ws()).session()).await.unwrap_err();
    assert!(
        error.message().contains("401 Unauthorized: no such token"),
        "{error}"
    );

    let token = ("authorization", "Bearer 1234");
    let api: Stub = Batch::new(server.http()).header(token.0, token.1).start();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
    let connect = Connect::new(server.ws()).header(token.0, token.1);
    let api: Stub = soon(connect.connect()).await.unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
}

#[tokio::test]
async fn an_extractor_may_refuse() {
    #[derive(Debug)]
    struct Teapot;
    impl<S: Sync> FromRequestParts<S> for Teapot {
        type Rejection = StatusCode;

        async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
            Err(StatusCode::IM_A_TEAPOT)
        }
    }
    let server = Server::of(rpc(|_: Teapot| api())).await;
    let error = soon(server.batch().call("square", (3,))).await.unwrap_err();
    assert!(error.message().contains("418"), "{error}");
}

/// Returns the server's object for a client's main object. It asks the client's object for its
/// name.
fn greeter(Peer(client): Peer) -> Stub {
    let greet = move || {
        let name = client.get("name");
        async move { Ok(format!("Hello, {}!", name.fetch::<String>().await?)) }
    };
    Object::new().method("greet", greet).into_stub()
}

#[tokio::test]
async fn a_factory_sees_the_clients_main_object() {
    let server = Server::of(rpc(greeter)).await;
    let connect = Connect::new(server.ws()).main(object("Ada"));
    let api: Stub = soon(connect.connect()).await.unwrap();
    assert_eq!(
        soon(api.call("greet", ()).fetch::<String>()).await.unwrap(),
        "Hello, Ada!"
    );

    // In a batch the answer could not arrive.
    let api: Stub = Batch::new(server.http()).main(object("Ada")).start();
    let error = soon(api.call("greet", ())).await.unwrap_err();
    assert!(error.message().contains("WebSocket"), "{error}");
}

#[tokio::test]
async fn a_factory_may_call_the_client_before_the_client_calls() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::of(rpc(move |Peer(client): Peer| {
        let (tell, name) = (tell.clone(), client.get("name"));
        tokio::spawn(async move { tell.send(name.fetch::<String>().await).unwrap() });
        api()
    }))
    .await;
    let _session = Connect::new(server.ws())
        .main(object("Ada"))
        .session()
        .await
        .unwrap();
    assert_eq!(soon(told.recv()).await.unwrap().unwrap(), "Ada");
}

#[tokio::test]
async fn the_peer_is_known_nowhere_else() {
    let server = Server::of(post(|_: Peer| async { "never" })).await;
    let error = soon(server.batch().call("square", (3,))).await.unwrap_err();
    assert!(error.message().contains("capnweb::axum::Peer"), "{error}");
}

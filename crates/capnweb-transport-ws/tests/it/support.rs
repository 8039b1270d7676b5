//! A server, and peers that speak WebSocket but know nothing about sessions.

use axum::{Router, response::Response, routing::any};
use capnweb_core::{Error, Object, Session, SessionOptions, Stub};
use capnweb_test_support::TlsServer;
pub(crate) use capnweb_test_support::soon;
use capnweb_transport_ws::{Upgrade, WebSocketTransport};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{Message, protocol::CloseFrame},
};

/// The server's main object.
pub(crate) fn api() -> Stub {
    Object::new()
        .method("square", |n: f64| async move { Ok(n * n) })
        .method("echo", |text: String| async move { Ok(text) })
        .method("callBack", |f: Stub, n: u32| async move {
            f.invoke((n,)).fetch::<u32>().await
        })
        .method("hang", async || {
            std::future::pending::<Result<(), Error>>().await
        })
        .into_stub()
}

/// Starts a server, and returns the URL of its WebSocket.
pub(crate) async fn serve(options: SessionOptions) -> String {
    serve_router(Router::new().route(
        "/",
        any(async move |upgrade: Upgrade| -> Response {
            let (_session, mut connection) = Session::server(options);
            connection.set_main(api());
            upgrade.protocols(["capnweb", "other"]).serve(connection)
        }),
    ))
    .await
}

pub(crate) async fn serve_router(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("ws://{addr}/")
}

/// Returns the host and port of such a URL.
pub(crate) fn host(url: &str) -> &str {
    url.trim_start_matches("ws://").trim_end_matches('/')
}

/// A peer whose messages are written and read by the test.
pub(crate) struct Raw(pub(crate) WebSocketStream<TcpStream>);

impl Raw {
    /// Connects to a server as a client.
    pub(crate) async fn connect(url: &str) -> Self {
        let socket = TcpStream::connect(host(url)).await.unwrap();
        Self(client_async(url, socket).await.unwrap().0)
    }

    /// Accepts a client.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (socket, _) = soon(listener.accept()).await.unwrap();
        Self(accept_async(socket).await.unwrap())
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    /// Returns the text of the next frame, which must be a text frame.
    pub(crate) async fn text(&mut self) -> String {
        match soon(self.0.next()).await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("expected text, got {other:?}"),
        }
    }

    /// Returns the code and reason of the next frame, which must be a close frame.
    pub(crate) async fn close_frame(&mut self) -> (u16, String) {
        match soon(self.0.next()).await {
            Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                (code.into(), reason.to_string())
            }
            other => panic!("expected a close frame, got {other:?}"),
        }
    }
}

/// Starts a server with TLS for `localhost`. Another library performs the handshake, as with a
/// custom HTTP server.
pub(crate) async fn serve_tls() -> TlsServer {
    TlsServer::start(async |socket| {
        let socket = accept_async(socket).await.unwrap().into_inner();
        let options = SessionOptions::new();
        let transport = WebSocketTransport::server(socket, options.limits());
        let (_, mut connection) = Session::server(options);
        connection.set_main(api());
        connection.drive(transport).await;
    })
    .await
}

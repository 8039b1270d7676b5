//! WebSockets over HTTP/2: the extended CONNECT of RFC 8441.

use bytes::Bytes;
use capnweb_core::SessionOptions;
use h2::{Reason, RecvStream, SendStream, client, ext::Protocol};
use http::{Method, Request, StatusCode};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketContext},
};

use crate::support::{host, serve, soon};

/// Connects to a server of this library over HTTP/2, without an upgrade.
async fn connect(url: &str) -> client::SendRequest<Bytes> {
    let stream = TcpStream::connect(host(url)).await.unwrap();
    let (sender, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    // The server's settings arrive with its first answer at the latest.
    let request = Request::get("http://localhost/none").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    soon(response).await.unwrap();
    assert!(sender.is_extended_connect_protocol_enabled());
    sender
}

fn request(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri("http://localhost/")
        .extension(Protocol::from_static("websocket"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// Returns a client's frame with this text.
fn frame(text: &str) -> Bytes {
    let mut bytes = Vec::new();
    let mut socket =
        WebSocket::from_raw_socket(std::io::Cursor::new(&mut bytes), Role::Client, None);
    socket.send(Message::text(text)).unwrap();
    drop(socket);
    bytes.into()
}

/// Returns the text of the next frame from the server.
async fn text(receive: &mut RecvStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut context = WebSocketContext::from_partially_read(bytes.clone(), Role::Client, None);
        let mut rest = std::io::Cursor::new(Vec::new());
        if let Ok(Message::Text(text)) = context.read(&mut rest) {
            return text.to_string();
        }
        let data = soon(receive.data()).await.unwrap().unwrap();
        let _ = receive.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
}

async fn call(send: &mut SendStream<Bytes>, receive: &mut RecvStream) -> String {
    let messages = r#"["push",["pipeline",0,["square"],[3]]]"#;
    send.send_data(frame(messages), false).unwrap();
    send.send_data(frame(r#"["pull",1]"#), false).unwrap();
    text(receive).await
}

#[tokio::test]
async fn a_connect_opens_a_web_socket() {
    let url = serve(SessionOptions::new()).await;
    let mut sender = connect(&url).await;
    let headers = [
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "unknown, other, capnweb"),
    ];
    // Open two sessions on one connection.
    for _ in 0..2 {
        let (response, mut send) = sender.send_request(request(&headers), false).unwrap();
        let response = soon(response).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["sec-websocket-protocol"], "other");
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut receive = response.into_body();
        assert_eq!(call(&mut send, &mut receive).await, r#"["resolve",1,9]"#);
        send.send_reset(Reason::CANCEL);
    }
}

#[tokio::test]
async fn a_connect_that_is_not_for_a_web_socket_is_refused() {
    let url = serve(SessionOptions::new()).await;
    let mut sender = connect(&url).await;
    for (headers, status) in [(&[("sec-websocket-version", "8")][..], 426), (&[], 405)] {
        let (response, _) = sender.send_request(request(headers), false).unwrap();
        let response = soon(response).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        // HTTP/2 does not have these headers.
        assert!(!response.headers().contains_key("upgrade"));
        assert!(!response.headers().contains_key("connection"));
    }
}

//! Requests whose client disconnects, or whose body stalls.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response, routing::post};
use capnweb_core::{Connection, Session, SessionOptions, Stub};
use capnweb_test_support::soon;
use capnweb_transport_http::{answer, answer_within, batch};
use futures_util::future::{Either, join_all, select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{Semaphore, mpsc},
};

use crate::{api, post_raw, serve_router};

#[tokio::test]
async fn batches_that_are_given_up_leave_nothing_behind() {
    const BATCHES: u32 = 20;
    // A server that never answers, and counts its open connections.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (opened, gone) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (open, go) = (opened.clone(), gone.clone());
    let accepting = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (open, go) = (open.clone(), go.clone());
            tokio::spawn(async move {
                let mut request = [0; 4096];
                assert_ne!(stream.read(&mut request).await.unwrap(), 0);
                open.add_permits(1);
                while stream.read(&mut request).await.is_ok_and(|len| len > 0) {}
                go.add_permits(1);
            });
        }
    });
    let tasks = Handle::current().metrics().num_alive_tasks();
    {
        let calls = (0..BATCHES).map(|_| async {
            let api: Stub = batch(&url);
            api.call("hang", ()).await
        });
        let calls = pin!(join_all(calls));
        let all_sent = soon(opened.acquire_many(BATCHES));
        match select(calls, pin!(all_sent)).await {
            Either::Left(_) => panic!("nobody answers these"),
            Either::Right((sent, _)) => sent.unwrap().forget(),
        }
    }
    soon(gone.acquire_many(BATCHES)).await.unwrap().forget();
    // The last of their tasks may still be ending.
    let ended = async {
        while Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    };
    soon(ended).await;
    accepting.abort();
}

fn connection() -> Connection {
    let (_session, mut connection) = Session::server_batch(SessionOptions::new());
    connection.set_main(api());
    connection
}

#[tokio::test]
async fn a_body_that_pauses_is_refused() {
    let handler = async |body: Body| -> Response {
        answer_within(Duration::from_millis(100), body, connection()).await
    };
    let url = serve_router(Router::new().route("/", post(handler))).await;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    for body in [
        "content-length: 100\r\n\r\n[\"push\"",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\n[\"pu",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{body}");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_refused() {
    let handler = async |body: Body| -> Response {
        answer_within(Duration::from_millis(400), body, connection()).await
    };
    let url = serve_router(Router::new().route("/", post(handler))).await;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n";
    write.write_all(head.as_bytes()).await.unwrap();
    // No pause is as long as the timeout.
    let trickling = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut begin = [0; 13];
    soon(read.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 408 ");
    trickling.abort();
}

#[tokio::test]
async fn a_body_in_many_pieces_is_read_whole() {
    let url = serve_router(Router::new().route(
        "/",
        post(async |body: Body| answer(body, connection()).await),
    ))
    .await;
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let body = "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";
    let head =
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in body.as_bytes().chunks(7) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains(r#"["resolve",1,9]"#), "{answer}");
}

#[tokio::test]
async fn a_byte_order_mark_is_no_message() {
    let url = serve_router(Router::new().route(
        "/",
        post(async |body: Body| answer(body, connection()).await),
    ))
    .await;
    let body = "\u{feff}[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";
    let answer = post_raw(&url, body).await;
    assert_eq!(answer, (200, r#"["resolve",1,9]"#.to_owned()));
    assert_eq!(post_raw(&url, "\u{feff}").await, (200, String::new()));

    // The same in a response.
    let url =
        serve_router(Router::new().route("/", post(async || "\u{feff}[\"resolve\",1,9]"))).await;
    let api: Stub = batch(url);
    let square = api.call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);
}

#[tokio::test]
async fn a_batch_that_was_answered_ends_well() {
    let (ended, mut end) = mpsc::unbounded_channel();
    let url = serve_router(Router::new().route(
        "/",
        post(async move |body: Body| {
            let (session, mut connection) = Session::server_batch(SessionOptions::new());
            connection.set_main(api());
            tokio::spawn(async move { ended.send(session.closed().await) });
            answer(body, connection).await
        }),
    ))
    .await;
    let api: Stub = batch(url);
    let square = api.call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);
    let reason = soon(end.recv()).await.unwrap();
    assert_eq!(reason.message(), "the batch has been answered");
}

//! Streams from and to files.

use crate::support::{Server, ok, run_with_input, temporary};

const LEN: usize = 300_000;

#[tokio::test]
async fn a_file_is_sent_as_a_stream() {
    let server = Server::start().await;
    let path = temporary("upload");
    std::fs::write(&path, vec![7; LEN]).unwrap();
    let arg = format!("file:stream=@{}", path.display());
    let length = ok(&["call", &server.ws(), "length($file)", "--arg", &arg]).await;
    assert_eq!(length, format!("{LEN}\n"));
}

#[tokio::test]
async fn the_standard_input_is_sent_as_a_stream() {
    let server = Server::start().await;
    let args = ["call", &server.ws(), "length($x)", "--arg", "x:stream=@-"];
    let run = run_with_input(&args, "hello").await;
    assert_eq!((run.code, run.out.as_str()), (0, "5\n"), "{run:?}");
}

#[tokio::test]
async fn a_stream_is_written_to_a_file() {
    let server = Server::start().await;
    let path = temporary("download");
    let to = path.to_str().unwrap();
    let expression = format!("bytes({LEN})");
    for url in server.both() {
        ok(&["call", &url, &expression, "-o", to]).await;
        assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; LEN], "{url}");
    }
}

#[tokio::test]
async fn a_stream_is_printed() {
    let server = Server::start().await;
    assert_eq!(
        ok(&["call", &server.ws(), "count(3)", "--json"]).await,
        "0\n1\n2\n"
    );
    assert_eq!(ok(&["call", &server.ws(), "bytes(5)"]).await, "xxxxx");
}

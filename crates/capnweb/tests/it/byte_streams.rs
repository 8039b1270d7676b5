//! Sessions over TCP, Unix sockets, and the standard streams of a child process.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use capnweb::{
    ConnectFailure, Error, Limits, Object, SessionOptions, Stub, lines, stdio, tcp, unix,
};
use capnweb_test_support::SilentListener;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, UnixListener},
    process::Command,
};

use crate::support::{api, soon};

#[tokio::test]
async fn tcp_carries_calls_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tcp::serve(listener, |session| {
        // The client's main object, and the result of calling it.
        let client = session.main();
        Object::new()
            .method("yourName", move || {
                let client = client.clone();
                async move { client.get("name").fetch::<String>().await }
            })
            .into_stub()
    }));
    for name in ["Ada", "Eve"] {
        let main = Object::new().property("name", name).into_stub();
        let client = lines::Client::new().main(main);
        let session = soon(tcp::connect_with(address, &client)).await.unwrap();
        let answer = session.main().call("yourName", ()).fetch::<String>();
        assert_eq!(soon(answer).await.unwrap(), name);
    }
}

#[tokio::test]
async fn a_server_outlives_its_clients_and_bounds_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits::default().with_max_message_size(100);
    let server = lines::Server::new(|_| api()).options(SessionOptions::new().with_limits(limits));
    tokio::spawn(tcp::serve_with(listener, server));

    let mut rude = TcpStream::connect(address).await.unwrap();
    rude.write_all("x".repeat(1000).as_bytes()).await.unwrap();
    let mut words = String::new();
    soon(rude.read_to_string(&mut words)).await.unwrap();
    assert!(
        words.starts_with(r#"["abort","#) && words.contains("100 UTF-16"),
        "{words}"
    );
    drop(TcpStream::connect(address).await.unwrap());

    let api: Stub = soon(tcp::connect(address)).await.unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<u32>()).await.unwrap(),
        9
    );
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = soon(tcp::connect::<Stub>(address)).await.unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Refused));
    assert!(
        error.message().starts_with("TCP connection failed: "),
        "{error}"
    );
    let error = tcp::connect::<Stub>("no-such-host.invalid:1")
        .await
        .unwrap_err();
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Dns));
    let error = unix::connect::<Stub>("/no/such/socket").await.unwrap_err();
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Unreachable));
}

#[tokio::test]
async fn a_silent_address_does_not_hold_up_the_next() {
    let silent = SilentListener::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tcp::serve(listener, |_| api()));
    let start = Instant::now();
    let addresses = [silent.address(), address];
    let api: Stub = soon(tcp::connect(&addresses[..])).await.unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<u32>()).await.unwrap(),
        9
    );
    let client = lines::Client::new().timeout(Duration::from_millis(300));
    let error = tcp::connect_with(silent.address(), &client).await;
    let error = error.unwrap_err();
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Timeout));
    assert!(error.message().contains("300ms"), "{error}");
}

/// Returns an unused path in the temporary folder.
fn socket() -> PathBuf {
    let path = std::env::temp_dir().join(format!("capnweb-test-{}", std::process::id()));
    std::fs::remove_file(&path).ok();
    path
}

#[tokio::test]
async fn unix_sockets_carry_calls() {
    let path = socket();
    let error = soon(unix::connect::<Stub>(&path)).await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("Unix socket connection failed: "),
        "{error}"
    );

    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(unix::serve(listener, |_| api()));
    let api: Stub = soon(unix::connect(&path)).await.unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<u32>()).await.unwrap(),
        9
    );
    std::fs::remove_file(path).unwrap();
}

/// Returns a command that runs an example. The example is built along with the tests, unless only
/// some of them are built.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    Command::new(folder.join("examples").join(name))
}

#[tokio::test]
async fn a_child_process_is_called_and_ends_with_its_session() {
    let (api, mut child) = stdio::spawn::<Stub>(&mut example("child")).unwrap();
    let sum = api.call("add", (1, 2)).fetch::<f64>();
    assert_eq!(soon(sum).await.unwrap(), 3.0);
    drop(api);
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_child_process_calls_back() {
    let main = Object::new().property("name", "Ada").into_stub();
    let client = lines::Client::new().main(main);
    let (session, mut child) = stdio::spawn_with(&mut example("child"), &client).unwrap();
    // The child returns the parent's own object.
    let name = session.main().get("parent").get("name").fetch::<String>();
    assert_eq!(soon(name).await.unwrap(), "Ada");
    session.close(Error::new("enough"));
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_child_process_that_dies_breaks_its_session() {
    let (api, mut child) = stdio::spawn::<Stub>(&mut example("child")).unwrap();
    let sum = api.call("add", (1, 2)).fetch::<f64>();
    assert_eq!(soon(sum).await.unwrap(), 3.0);
    child.kill().await.unwrap();
    let error = soon(api.call("add", (1, 2)).fetch::<f64>())
        .await
        .unwrap_err();
    assert!(error.is_disconnected(), "{error}");

    let error = stdio::spawn::<Stub>(&mut Command::new("/no/such/program")).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("the child process was not started: "),
        "{error}"
    );
}

#[tokio::test]
async fn standard_streams_carry_lines() {
    let mut child = example("child")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let lines = b"\n[\"push\",[\"pipeline\",0,[\"add\"],[1,2]]]\r\n[\"pull\",1]\n";
    stdin.write_all(lines).await.unwrap();
    let mut line = String::new();
    soon(stdout.read_line(&mut line)).await.unwrap();
    assert_eq!(line, "[\"resolve\",1,3]\n");
    stdin.write_all(b"rubbish\n").await.unwrap();
    drop(stdin);
    // The last output arrives before the end of the stream.
    line.clear();
    soon(stdout.read_line(&mut line)).await.unwrap();
    assert!(line.starts_with(r#"["abort",["error","#), "{line}");
    assert!(soon(child.wait()).await.unwrap().success());
}

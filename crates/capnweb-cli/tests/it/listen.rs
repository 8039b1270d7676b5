//! `capnweb listen`.

use std::sync::Arc;

use capnweb::{Object, Stub};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::Notify,
};

use crate::support::{Server, command, ok, run};

#[tokio::test]
async fn each_call_is_a_line_until_the_server_lets_go() {
    let server = Server::start().await;
    assert_eq!(
        ok(&["listen", &server.ws(), "countDown(3, $cb)"]).await,
        "3\n2\n1\n"
    );
}

#[tokio::test]
async fn a_number_of_calls_is_enough() {
    let server = Server::start().await;
    assert_eq!(
        ok(&["listen", &server.ws(), "countDown(1000000, $cb)", "-n", "2"]).await,
        "1000000\n999999\n"
    );
}

#[tokio::test]
async fn a_stream_is_listened_to() {
    let server = Server::start().await;
    assert_eq!(ok(&["listen", &server.ws(), "count(2)"]).await, "0\n1\n");
}

#[tokio::test]
async fn an_error_of_the_server_ends_it() {
    let server = Server::start().await;
    let failed = run(&["listen", &server.ws(), "nope($cb)"]).await;
    assert_eq!(failed.code, 1, "{failed:?}");
}

/// Notifies the test when it is dropped.
struct Subscription(Arc<Notify>);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_drops_the_subscription() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let dropped = Arc::<Notify>::default();
    let (told, kept) = (
        dropped.clone(),
        Arc::new(std::sync::Mutex::new(None::<Stub>)),
    );
    let server = Server::of(move || {
        let (told, kept) = (told.clone(), kept.clone());
        Object::new()
            .method("onEvent", move |callback: Stub| {
                let subscription = Subscription(told.clone());
                kept.lock().unwrap().replace(callback.clone());
                async move {
                    callback.invoke(("first", 1)).await?;
                    let keep = Arc::new(subscription);
                    Ok(Object::new()
                        .method("alive", move || {
                            let keep = keep.clone();
                            async move { Ok(Arc::strong_count(&keep) > 0) }
                        })
                        .into_stub())
                }
            })
            .into_stub()
    })
    .await;
    let mut child = command(&["listen", &server.ws(), "onEvent($cb)"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(
        lines.next_line().await.unwrap().as_deref(),
        Some("[\"first\",1]")
    );
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    let ends = async {
        dropped.notified().await;
        child.wait().await.unwrap()
    };
    let status = tokio::time::timeout(std::time::Duration::from_secs(20), ends)
        .await
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

//! Connections through proxies.

use std::{env, process::Command};

use capnweb_core::{ConnectFailure, SessionOptions, Stub};
use capnweb_test_support::{HttpProxy, trusting};
use capnweb_transport_ws::Connect;
use tokio::net::TcpListener;

use crate::support::{host, serve, serve_tls, soon};

async fn works(connect: Connect) {
    let api: Stub = soon(connect.connect()).await.unwrap();
    let square = api.call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);
}

#[tokio::test]
async fn a_proxy_opens_a_tunnel() {
    let url = serve(SessionOptions::new()).await;
    let proxy = HttpProxy::start().await;
    works(Connect::new(&url).proxy(format!("http://{}", proxy.address()))).await;
    let expected = format!("CONNECT {} HTTP/1.1", host(&url));
    assert_eq!(proxy.requests(), [expected]);
}

#[tokio::test]
async fn a_proxy_is_told_who_asks() {
    let url = serve(SessionOptions::new()).await;
    // This is `x:y` in base64.
    let proxy = HttpProxy::start_for("Basic eDp5").await;
    works(Connect::new(&url).proxy(format!("http://x:y@{}", proxy.address()))).await;
    for login in ["", "x:z@"] {
        let connect = Connect::new(&url).proxy(format!("http://{login}{}", proxy.address()));
        let error = soon(connect.session()).await.unwrap_err();
        let failure = error.connect_failure().unwrap();
        assert_eq!(*failure, ConnectFailure::proxy(Some(407)), "{error}");
    }
}

#[tokio::test]
async fn tls_goes_through_the_tunnel() {
    let server = serve_tls().await;
    let proxy = HttpProxy::start().await;
    let connect = Connect::new(format!("wss://localhost:{}/", server.port))
        .tls_config(trusting(server.certificate))
        .proxy(format!("http://{}", proxy.address()));
    works(connect).await;
    let expected = format!("CONNECT localhost:{} HTTP/1.1", server.port);
    assert_eq!(proxy.requests(), [expected]);
}

#[tokio::test]
async fn a_proxy_that_fails_is_named() {
    // A port that was free a moment ago, so nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = free.local_addr().unwrap();
    drop(free);
    let url = serve(SessionOptions::new()).await;
    let connect = Connect::new(&url).proxy(format!("http://{gone}"));
    let error = soon(connect.session()).await.unwrap_err();
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::proxy(None)));
    assert!(error.message().contains("proxy"), "{error}");

    // A proxy that cannot reach the server.
    let proxy = HttpProxy::start().await;
    let connect =
        Connect::new(format!("ws://{gone}/")).proxy(format!("http://{}", proxy.address()));
    let error = soon(connect.session()).await.unwrap_err();
    let failure = error.connect_failure();
    assert_eq!(failure, Some(&ConnectFailure::proxy(Some(502))), "{error}");

    let error = Connect::new(&url).proxy("proxy:3128").session().await;
    let error = error.unwrap_err();
    assert!(error.is_type_error(), "{error}");
}

/// Runs `connects_by_the_environment` in a separate process with these environment variables.
fn run_with(url: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([
        "--exact",
        "--ignored",
        "proxies::connects_by_the_environment",
    ]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("URL_OF_THE_TEST", url);
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
#[ignore = "run by the others, with an environment of its own"]
async fn connects_by_the_environment() {
    works(Connect::new(env::var("URL_OF_THE_TEST").unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_the_proxy() {
    let url = serve(SessionOptions::new()).await;
    let proxy = HttpProxy::start().await;
    let address = format!("http://{}", proxy.address());
    let host = host(&url).split(':').next().unwrap();
    for (variables, used) in [
        (&[("HTTP_PROXY", address.as_str())][..], true),
        (&[("http_proxy", &address)], true),
        (&[("ALL_PROXY", &address)], true),
        (&[("HTTPS_PROXY", &address)], false),
        (&[("HTTP_PROXY", &address), ("NO_PROXY", host)], false),
        (&[("HTTP_PROXY", &address), ("NO_PROXY", "*")], false),
        (&[("ALL_PROXY", &address), ("NO_PROXY", "a.example")], true),
        (&[], false),
    ] {
        let before = proxy.requests().len();
        run_with(&url, variables);
        let was_used = proxy.requests().len() > before;
        assert_eq!(was_used, used, "{variables:?}");
    }
}

//! Every kind of failure, with its message and exit code.

use axum::{
    Router,
    extract::ws::{Message, WebSocketUpgrade},
    http::StatusCode,
    response::Html,
    routing::any,
};
use capnweb::{Context, Error, Object, Stub};
use tokio::net::TcpListener;

use crate::support::{Server, command, finish, run};

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address.to_string()
}

/// Runs a call that waits for an answer, and checks how it fails.
async fn fails(url: &str, more: &[&str], code: i32, texts: &[&str]) {
    let mut args = vec!["call", url, "add(1, 2)", "--timeout", "10s"];
    args.extend(more);
    let run = run(&args).await;
    assert_eq!(run.code, code, "{url}: {run:?}");
    assert_eq!(run.out, "");
    for text in texts {
        assert!(
            run.err.contains(text),
            "{url}: {text} is not in:\n{}",
            run.err
        );
    }
}

#[tokio::test]
async fn errors_of_the_server_are_1() {
    let server = Server::start().await;
    for url in server.both() {
        let failed = run(&["call", &url, "fail()"]).await;
        assert_eq!(failed.code, 1);
        assert_eq!(
            failed.err,
            "error: RangeError: too far\n  { code: \"far\" }\n"
        );
        let failed = run(&["call", &url, "fail()", "--json"]).await;
        assert_eq!(
            failed.err,
            "{\"error\":{\"name\":\"RangeError\",\"message\":\"too far\",\"props\":{\"code\":\"far\"}},\"code\":1}\n"
        );
    }
}

#[tokio::test]
async fn the_nearest_name_is_suggested() {
    let server = Server::start().await;
    for url in server.both() {
        let failed = run(&["call", &url, "autenticate('t').getId()"]).await;
        assert_eq!(failed.code, 1);
        assert_eq!(
            failed.err,
            "error: TypeError: 'autenticate' is not a function.\nhelp: did you mean `authenticate`?\n"
        );
    }
}

#[tokio::test]
async fn mistakes_are_2_and_nothing_is_sent() {
    let server = Server::start().await;
    let url = server.http();
    for (args, text) in [
        (
            &["call", &url, "add(1, 2"][..],
            "error: expected `)`\n  add(1, 2\n          ^\nhelp: it closes the `(` of the arguments\n",
        ),
        (
            &["call", &url, "echo($x)"],
            "help: give it a value: --arg x=…",
        ),
        (
            &["call", "localhost:1/api", "x"],
            "did you mean `ws://localhost:1/api`?",
        ),
        (
            &["call", &url, "x", "-H", "nonsense"],
            "the header `nonsense` has no `:`",
        ),
        (
            &["call", &url, "x", "--token-env", "CAPNWEB_UNSET"],
            "CAPNWEB_UNSET is not set",
        ),
        (
            &["call", &url, "x", "--insecure"],
            "there are no certificates",
        ),
        (&["call", &url, "x", "--arg", "x"], "there is no `=`"),
        (
            &["call", &url, "x", "--arg", "x:json=["],
            "EOF while parsing",
        ),
        (
            &["call", "tcp://127.0.0.1:1", "x", "-H", "a: b"],
            "this transport has no headers",
        ),
        (&["listen", &url, "f($cb)"], "listen over a session: ws://"),
        (&["repl", &url], "use a session: ws://"),
        (&["call", &url], "EXPR"),
        (&["nope"], "unrecognized subcommand"),
    ] {
        let failed = run(args).await;
        assert_eq!(failed.code, 2, "{args:?}: {failed:?}");
        assert!(failed.err.contains(text), "{args:?}:\n{}", failed.err);
    }
    assert_eq!(server.take_requests(), 0);
}

#[tokio::test]
async fn no_connection_is_3() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for scheme in ["ws", "http", "tcp"] {
        let url = format!("{scheme}://{address}");
        fails(&url, &[], 3, &["help: nothing listens there"]).await;
    }
    fails(
        "unix:/nonexistent/socket",
        &[],
        3,
        &["the path of its socket"],
    )
    .await;
    fails(
        "exec:/nonexistent/program",
        &[],
        3,
        &["can `/nonexistent/program` be run"],
    )
    .await;
}

#[tokio::test]
async fn no_answer_in_time_is_4() {
    let server = Server::start().await;
    for url in server.both() {
        let failed = run(&["call", &url, "hang()", "--timeout", "200ms"]).await;
        assert_eq!(failed.code, 4, "{failed:?}");
        assert!(
            failed.err.contains("no answer within 200ms"),
            "{}",
            failed.err
        );
    }
}

#[tokio::test]
async fn a_broken_session_is_5() {
    let server = Server::of(|| {
        Object::new()
            .method("add", |context: Context, _: f64| async move {
                if let Some(session) = context.session() {
                    session.close(Error::new("going down"));
                }
                std::future::pending::<Result<(), Error>>().await
            })
            .into_stub()
    })
    .await;
    fails(&server.ws(), &[], 5, &["the session is over", "going down"]).await;
}

#[tokio::test]
async fn a_batch_that_awaits_is_explained() {
    let server = Server::start().await;
    let failed = run(&["call", &server.http(), "add(await add(1, 2), 3)"]).await;
    assert_eq!(failed.code, 5, "{failed:?}");
    assert!(
        failed.err.contains("need ws:// or wss://"),
        "{}",
        failed.err
    );
}

#[tokio::test]
async fn a_token_is_asked_for_and_sent() {
    let app = Router::new().route(
        "/api",
        any(async |headers: axum::http::HeaderMap| {
            match headers
                .get("authorization")
                .and_then(|value| value.to_str().ok())
            {
                Some("Bearer secret") => StatusCode::NOT_FOUND,
                _ => StatusCode::UNAUTHORIZED,
            }
        }),
    );
    let address = serve(app).await;
    for scheme in ["ws", "http"] {
        let url = format!("{scheme}://{address}/api");
        fails(&url, &[], 3, &["401", "--token-env NAME"]).await;
        let mut with_token = command(&["call", &url, "add(1, 2)", "--token-env", "CLI_TOKEN"]);
        with_token.env("CLI_TOKEN", "secret\n");
        let failed = finish(with_token).await;
        assert_eq!(failed.code, 3, "{failed:?}");
        assert!(failed.err.contains("404") && failed.err.contains("often it is /api"));
        let header = "Authorization: Bearer secret";
        fails(&url, &["-H", header], 3, &["404"]).await;
    }
}

#[tokio::test]
async fn a_page_is_not_a_server() {
    let page = any(async || Html("<!doctype html><title>Hello</title>"));
    let address = serve(Router::new().fallback(page)).await;
    let texts = ["<!doctype html>", "this is not a Cap'n Web server"];
    fails(&format!("http://{address}/"), &[], 3, &texts).await;
    let texts = ["200", "this is not a Cap'n Web server"];
    fails(&format!("ws://{address}/"), &[], 3, &texts).await;
}

#[tokio::test]
async fn an_echo_is_not_a_server() {
    let echo = any(async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    });
    let address = serve(Router::new().fallback(echo)).await;
    let texts = ["this is not a Cap'n Web server: it echoes"];
    fails(&format!("ws://{address}/"), &[], 3, &texts).await;
}

#[tokio::test]
async fn a_server_of_other_messages_is_explained() {
    let chat = any(async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            // The connection may already be closed.
            let _ = socket.send(Message::text("{\"hello\":\"world\"}")).await;
            while socket.recv().await.is_some() {}
        })
    });
    let address = serve(Router::new().fallback(chat)).await;
    let texts = ["the session is over", "--peer-version 0.5"];
    fails(&format!("ws://{address}/"), &[], 5, &texts).await;
}

#[tokio::test]
async fn an_old_server_gets_only_what_it_knows() {
    let server = Server::of(|| {
        Object::new()
            .method("see", |url: capnweb::Value| async move {
                Ok(matches!(url, capnweb::Value::String(_)))
            })
            .into_stub()
    })
    .await;
    let expression = "see(new URL('https://a.example/'))";
    let call = async |more: &[&str]| {
        let mut args = vec!["call"];
        let url = server.ws();
        args.extend([url.as_str(), expression]);
        args.extend(more);
        run(&args).await.out
    };
    assert_eq!(call(&[]).await, "false\n");
    assert_eq!(call(&["--peer-version", "0.5"]).await, "true\n");
}

#[tokio::test]
async fn terminals_are_safe_from_servers() {
    let server = Server::of(|| -> Stub {
        Object::new()
            .method("evil", async || Err::<(), _>(Error::new("\u{1b}[2Jgone")))
            .into_stub()
    })
    .await;
    let failed = run(&["call", &server.ws(), "evil()"]).await;
    assert_eq!(failed.err, "error: \u{fffd}[2Jgone\n");
}

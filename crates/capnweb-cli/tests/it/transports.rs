//! Every transport.

use axum::Router;
use capnweb::{
    axum::{TlsListener, rpc},
    webtransport,
};
use tokio::net::TcpListener;

use crate::inspect::Inspector;
use crate::support::{api, ok, run, temporary};

const EXPRESSION: &str = "authenticate('t').getFriendIds().map(id => getUserName(id))";
const RESULT: &str = "[\"user 4\", \"user 5\", \"user 6\"]\n";

#[tokio::test]
async fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(capnweb::tcp::serve(listener, |_| api()));
    assert_eq!(ok(&["call", &url, EXPRESSION]).await, RESULT);
}

#[cfg(unix)]
#[tokio::test]
async fn unix() {
    let path = temporary("socket");
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(capnweb::unix::serve(listener, |_| api()));
    let url = format!("unix:{}", path.display());
    assert_eq!(ok(&["call", &url, EXPRESSION]).await, RESULT);
}

/// Tests a child process that is this program itself. A shell script that passes lines on to a TCP
/// server would need tools that are not on every system.
#[cfg(unix)]
#[tokio::test]
async fn a_child_process() {
    // The lines answer `["push",["pipeline",0,["add"],[1,2]]]` and `["pull",1]`.
    let script = temporary("child.sh");
    std::fs::write(
        &script,
        "while read -r line; do case \"$line\" in '[\"pull\",1]') echo '[\"resolve\",1,3]';; esac; done\n",
    )
    .unwrap();
    let url = format!("exec:sh '{}'", script.display());
    assert_eq!(ok(&["call", &url, "add(1, 2)"]).await, "3\n");
}

#[tokio::test]
async fn webtransport() {
    let identity = webtransport::Identity::self_signed(["127.0.0.1"]).unwrap();
    let listener = webtransport::Server::new(&identity)
        .route("/api", |_| api())
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("webtransport://{}/api", listener.local_addr());
    let hash = identity.certificate_hash().to_string();
    tokio::spawn(listener.serve());
    assert_eq!(
        ok(&["call", &url, EXPRESSION, "--cert-hash", &hash]).await,
        RESULT
    );
    let refused = run(&["call", &url, EXPRESSION, "--insecure"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = TlsListener::from_pem(listener, pem.as_bytes(), key.as_bytes()).unwrap();
    let app: Router = Router::new().route("/api", rpc(api));
    tokio::spawn(async { capnweb::axum::serve(listener, app).await });
    let path = temporary("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let path = path.to_str().unwrap();
    for scheme in ["wss", "https"] {
        let url = format!("{scheme}://localhost:{port}/api");
        assert_eq!(
            ok(&["call", &url, EXPRESSION, "--cacert", path]).await,
            RESULT
        );
        assert_eq!(ok(&["call", &url, EXPRESSION, "--insecure"]).await, RESULT);
        let refused = run(&["call", &url, EXPRESSION]).await;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refused.err.contains("--cacert FILE"), "{}", refused.err);
    }
    let plain = run(&["call", &format!("ws://localhost:{port}/api"), "x"]).await;
    assert_eq!(plain.code, 3, "{plain:?}");

    // The inspector before such a server.
    let to = format!("wss://localhost:{port}/api");
    let trusts = Inspector::start(&to, &["--cacert", path, "--quiet"]).await;
    let mut refuses = Inspector::start(&to, &["--quiet"]).await;
    for scheme in ["ws", "http"] {
        assert_eq!(ok(&["call", &trusts.url(scheme), EXPRESSION]).await, RESULT);
        let refused = run(&["call", &refuses.url(scheme), EXPRESSION]).await;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refuses.line().await.contains("certificate"));
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_address_is_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app: Router = Router::new().route("/api", rpc(api));
    tokio::spawn(capnweb::axum::serve(listener, app));
    for scheme in ["wss", "https"] {
        let refused = run(&["call", &format!("{scheme}://127.0.0.1:{port}/api"), "x"]).await;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(
            refused.err.contains("does this port use TLS?"),
            "{}",
            refused.err
        );
    }
}

//! The registry of a server's sessions.

use std::{net::Ipv4Addr, time::Duration};

use capnweb_core::ConnectFailure;
use capnweb_transport_webtransport::{Drain, Request, Sessions, TransportKind};

use crate::support::{api, failure, serve_with, soon};

#[tokio::test]
async fn a_session_is_in_the_registry_and_is_drained() {
    let sessions = Sessions::new();
    let served = serve_with(|server| {
        let factory = |request: Request| {
            request.tracked().unwrap().attach("from the factory");
            api()
        };
        server.route("/api", factory).tracked(&sessions)
    });
    let client = served.api().await;
    let [tracked] = &sessions.list()[..] else {
        panic!("one session is open");
    };
    assert_eq!(tracked.get(), Some("from the factory"));
    assert_eq!(tracked.transport(), TransportKind::WebTransport);
    assert_eq!(tracked.remote_ip(), Some(Ipv4Addr::LOCALHOST.into()));

    let drain = Drain::new().lb_delay(Duration::ZERO).spread(Duration::ZERO);
    assert_eq!(soon(sessions.drain(drain)).await.idle, 1);
    let reason = soon(client.closed()).await;
    assert!(reason.to_string().contains("restarting"), "{reason}");
    assert!(sessions.is_empty());

    let url = served.url("/api");
    let (refused, _) = failure(served.at("/api"), &url).await;
    // The client cannot see the status, since wtransport does not expose it.
    assert_eq!(refused, ConnectFailure::Rejected);
}

//! A client whose address changes during the session.

use std::{net::SocketAddr, sync::Arc};

use capnweb_core::Stub;
use capnweb_transport_webtransport::Connect;
use tokio::{net::UdpSocket, sync::watch};

use crate::support::{serve, soon};

/// Forwards datagrams like a router. When told to forget, it changes its port towards the server.
async fn route(server: SocketAddr, mut forget: watch::Receiver<bool>) -> SocketAddr {
    let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let addr = inside.local_addr().unwrap();
    tokio::spawn(async move {
        let mut client = None;
        let mut outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (mut there, mut back) = ([0; 65_536], [0; 65_536]);
        loop {
            tokio::select! {
                received = inside.recv_from(&mut there) => {
                    let (len, from) = received.unwrap();
                    client = Some(from);
                    outside.send_to(&there[..len], server).await.unwrap();
                }
                received = outside.recv_from(&mut back) => {
                    let (len, _) = received.unwrap();
                    if let Some(client) = client {
                        inside.send_to(&back[..len], client).await.unwrap();
                    }
                }
                changed = forget.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                }
            }
        }
    });
    addr
}

#[tokio::test]
async fn the_session_goes_on() {
    let served = serve();
    let (forget, forgetting) = watch::channel(false);
    let router = route(served.addr, forgetting).await;
    let connect = Connect::new(format!("https://{router}/api")).certificate_hashes([served.hash]);
    let api: Stub = soon(connect.connect()).await.unwrap();
    for n in 0..5 {
        let square = api.call("square", (n,)).fetch::<f64>();
        assert_eq!(soon(square).await.unwrap(), f64::from(n * n));
        forget.send_replace(true);
    }
}

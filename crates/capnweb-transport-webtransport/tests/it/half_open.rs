//! A connection that is dead although both ends consider it open.

use capnweb_core::Stub;
use capnweb_test_support::{
    Relay,
    half_open::{Given, assert_noticed, options},
};
use capnweb_transport_webtransport::Connect;

use crate::support::{serve_with, soon};

#[tokio::test]
async fn both_ends_notice_it() {
    let given = Given::default();
    let mains = given.clone();
    let served = serve_with(|server| {
        let server = server.options(options());
        server.route("/api", move |_| mains.main())
    });
    let relay = Relay::udp(served.addr).await;
    let url = format!("https://{}/api", relay.address());
    let connect = Connect::new(url)
        .certificate_hashes([served.hash])
        .options(options());
    let api: Stub = soon(connect.connect()).await.unwrap();
    assert_noticed(&given, api, &relay).await;
}

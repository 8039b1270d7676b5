//! Programs that exit right after their session.

use std::net::SocketAddr;

use capnweb_core::Session;
use capnweb_test_support::last_words::{Notes, Workplace, of_servers_that_drain, runtime};
use capnweb_transport_webtransport::{CertificateHash, Connect, Identity, Server};

use crate::support::identity;

/// A server in the current runtime.
struct Serving {
    address: SocketAddr,
    hash: CertificateHash,
}

impl Serving {
    fn start(identity: &Identity, settings: impl FnOnce(Server) -> Server) -> Self {
        let listener = settings(Server::new(identity)).bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr();
        tokio::spawn(listener.serve());
        Self {
            address,
            hash: identity.certificate_hash(),
        }
    }

    async fn connect(&self) -> Session {
        let connect = Connect::new(format!("https://{}/", self.address));
        connect
            .certificate_hashes([self.hash])
            .session()
            .await
            .unwrap()
    }
}

#[test]
fn calls_of_clients_that_end_arrive() {
    let (server, notes) = (runtime(2), Notes::default());
    let serving = {
        let _inside = server.enter();
        let notes = notes.clone();
        Serving::start(&identity(), |server| {
            server.route("/", move |_| notes.main())
        })
    };
    notes.of_clients_that_end(async || serving.connect().await);
}

#[test]
fn answers_of_servers_that_end_arrive() {
    let identity = identity();
    of_servers_that_drain(
        async |workplace: Workplace| {
            Serving::start(&identity, |server| {
                server.route("/", move |request| {
                    workplace.main(request.peer().session().unwrap())
                })
            })
        },
        async |serving: Serving| serving.connect().await,
    );
}

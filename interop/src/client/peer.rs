//! The server under test, for use in checks.

use std::{future::Future, time::Duration};

use capnweb::{Callback, Error, Result, Session, SessionOptions, StubType};

use super::{
    check::{Failure, Outcome, Over},
    connect::{self, CertificateHash},
};
use crate::{
    main_object::MainStub,
    probe::{Live, ProbeStub, Tables},
    tour::TourStub,
};

/// The time for which a check waits for a condition.
const PATIENCE: Duration = Duration::from_secs(3);

/// The addresses of the server.
#[derive(Clone, Debug)]
pub(super) struct Address {
    http: String,
    ws: String,
    webtransport: Option<(String, CertificateHash)>,
}

impl Address {
    pub(super) fn new(url: &str) -> std::result::Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("--url starts with http://, which {url} does not"))?;
        Ok(Self {
            http: format!("http://{rest}"),
            ws: format!("ws://{rest}"),
            webtransport: None,
        })
    }

    /// Adds the server's WebTransport address, with a certificate of this hash.
    pub(super) fn with_webtransport(mut self, url: String, hash: CertificateHash) -> Self {
        self.webtransport = Some((url, hash));
        self
    }

    pub(super) fn http(&self) -> &str {
        &self.http
    }

    pub(super) fn ws(&self) -> &str {
        &self.ws
    }
}

/// The server under test, over the check's own session or in batches.
pub(super) struct Peer {
    pub(super) address: Address,
    over: Over,
    session: Option<Session>,
}

impl Peer {
    pub(super) async fn new(address: Address, over: Over) -> Result<Self> {
        let mut peer = Self {
            address,
            over,
            session: None,
        };
        if over != Over::Batch {
            peer.session = Some(peer.connect().await?);
        }
        Ok(peer)
    }

    /// Returns the main object, over the check's own session or for one new batch.
    pub(super) fn api(&self) -> MainStub {
        match &self.session {
            Some(session) => MainStub::from_stub(session.main()),
            None => connect::batch(&self.address.http),
        }
    }

    /// Returns the object that lets the check observe the server.
    pub(super) fn probe(&self) -> ProbeStub {
        ProbeStub::clone(&self.api().probe())
    }

    /// Returns the object for the examples in the reference's documentation.
    pub(super) fn tour(&self) -> TourStub {
        TourStub::clone(&self.api().tour())
    }

    /// Returns the check's own session. A batch has none.
    pub(super) fn session(&self) -> Result<&Session> {
        self.session
            .as_ref()
            .ok_or_else(|| Error::new("a batch has no lasting session"))
    }

    /// Opens a further persistent session.
    pub(super) async fn connect(&self) -> Result<Session> {
        self.connect_with(SessionOptions::default()).await
    }

    pub(super) async fn connect_with(&self, options: SessionOptions) -> Result<Session> {
        if self.over == Over::WebTransport {
            let (url, hash) = self
                .address
                .webtransport
                .as_ref()
                .ok_or_else(|| Error::new("--webtransport does not say where the server is"))?;
            let main = ClientMainStub::new(Client);
            return connect::webtransport(url, *hash, options, main).await;
        }
        connect::web_socket(&self.address.ws, options, ClientMainStub::new(Client)).await
    }

    /// Fails unless the server answers a call. Otherwise, a check that expects errors would pass
    /// without any server.
    pub(super) async fn ensure_answers(&self) -> Outcome {
        match self.api().square(2.0).await {
            Ok(4.0) => Ok(()),
            Ok(other) => Err(Failure::new(format!("the server says that 2² is {other}"))),
            Err(error) => Err(Failure::new(format!("the server does not answer: {error}"))),
        }
    }

    /// Returns the objects that are alive on the server.
    pub(super) async fn live(&self) -> Result<Live> {
        self.probe().live().await
    }

    /// Checks after a check that both tables contain only the main objects.
    pub(super) async fn ensure_nothing_leaked(&self) -> Outcome {
        let Some(session) = &self.session else {
            return Ok(());
        };
        if session.end_reason().is_some() {
            return Ok(());
        }
        let clean = eventually(async || {
            let theirs = self.probe().stats().await?;
            let ours = session.stats();
            // The peer counts this very call.
            let clean = (ours.imports, ours.exports) == (1, 1)
                && theirs
                    == Tables {
                        imports: 1,
                        exports: 2,
                    };
            Ok(clean)
        });
        if clean.await? {
            return Ok(());
        }
        let theirs = self.probe().stats().await?;
        Err(Failure::new(format!(
            "the tables hold more than the mains: ours {:?}, theirs {theirs:?}, one call included",
            session.stats(),
        )))
    }
}

/// Returns whether the condition becomes true within the time limit.
pub(super) async fn eventually<Fut>(condition: impl Fn() -> Fut) -> Result<bool>
where
    Fut: Future<Output = Result<bool>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await? {
        if tokio::time::Instant::now() > deadline {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(true)
}

/// The main object that the client offers to the peer.
#[capnweb::interface]
trait ClientMain {
    #[rpc(get)]
    fn title(&self) -> Result<String>;
    fn greet(&self, name: String) -> Result<String>;
    fn add(&self, a: f64, b: f64) -> Result<f64>;
    fn fail(&self, message: String) -> Result<()>;
    fn make_tally(&self) -> Result<Callback<f64, f64>>;
}

struct Client;

impl ClientMain for Client {
    fn title(&self) -> Result<String> {
        Ok("a client".to_owned())
    }

    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("hello {name}"))
    }

    fn add(&self, a: f64, b: f64) -> Result<f64> {
        Ok(a + b)
    }

    fn fail(&self, message: String) -> Result<()> {
        Err(Error::type_error(message))
    }

    fn make_tally(&self) -> Result<Callback<f64, f64>> {
        Ok(super::capabilities::tally())
    }
}

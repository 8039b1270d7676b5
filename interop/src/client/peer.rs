//! The server under test, as a check sees it.

use std::{future::Future, time::Duration};

use capnweb::{
    Callback, Error, Result, Session, SessionOptions, StubType, http,
    webtransport::{self, CertificateHash},
    ws,
};

use super::check::{Failure, Outcome, Over};
use crate::{
    main_object::MainStub,
    probe::{Live, ProbeStub, Tables},
    tour::TourStub,
};

/// How long a check waits for what becomes true by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the server is.
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

    /// The server is there too, with a certificate of this hash.
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

/// The server under test: with a session of the check's own, or in batches.
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

    /// The main object: over the check's own session, or for one new batch.
    pub(super) fn api(&self) -> MainStub {
        match &self.session {
            Some(session) => MainStub::from_stub(session.main()),
            None => http::batch(&self.address.http),
        }
    }

    /// What lets the check look behind the main object.
    pub(super) fn probe(&self) -> ProbeStub {
        ProbeStub::clone(&self.api().probe())
    }

    /// What the reference's documentation shows.
    pub(super) fn tour(&self) -> TourStub {
        TourStub::clone(&self.api().tour())
    }

    /// The check's own session. A batch has none.
    pub(super) fn session(&self) -> Result<&Session> {
        self.session
            .as_ref()
            .ok_or_else(|| Error::new("a batch has no lasting session"))
    }

    /// A further session that lasts.
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
            return webtransport::Connect::new(url)
                .certificate_hashes([*hash])
                .options(options)
                .main(ClientMainStub::new(Client))
                .session()
                .await;
        }
        ws::Connect::new(&self.address.ws)
            .options(options)
            .main(ClientMainStub::new(Client))
            .session()
            .await
    }

    /// Fails unless the server answers a call: without that, a check which expects errors would pass
    /// with no server at all.
    pub(super) async fn ensure_answers(&self) -> Outcome {
        match self.api().square(2.0).await {
            Ok(4.0) => Ok(()),
            Ok(other) => Err(Failure::new(format!("the server says that 2² is {other}"))),
            Err(error) => Err(Failure::new(format!("the server does not answer: {error}"))),
        }
    }

    /// What is alive over there.
    pub(super) async fn live(&self) -> Result<Live> {
        self.probe().live().await
    }

    /// After a check: both tables hold the main objects and nothing else.
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
            // The peer counts the very call that asks.
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

/// Whether the condition becomes true, by itself, before our patience ends.
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

/// What our side of a session offers to the peer as its main object.
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

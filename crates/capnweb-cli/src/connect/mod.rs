//! Connecting to a server, over any transport.

mod echo;
mod endpoint;
mod tls;

use std::time::Duration;

use capnweb::{
    Error, PeerVersion, Session, SessionOptions, Stub, http, lines, stdio, tcp, webtransport, ws,
};
use tokio::process::{Child, Command};

use self::echo::Guard;
pub(crate) use self::{
    endpoint::Endpoint,
    tls::{Trust, parse_hash},
};
use crate::failure::{Code, Failure};

/// The time limit for ending a session.
const FAREWELL: Duration = Duration::from_secs(2);

/// The settings for connecting.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) trust: Trust,
    pub(crate) timeout: Option<Duration>,
    pub(crate) peer_version: PeerVersion,
}

/// A connection, or a batch that has not been sent.
#[derive(Debug)]
pub(crate) struct Link {
    session: Session,
    guard: Guard,
    child: Option<Child>,
}

impl Settings {
    /// Connects. A batch sends nothing yet.
    pub(crate) async fn open(&self) -> Result<Link, Failure> {
        let guard = Guard::default();
        match self.connect(&guard).await {
            Ok((session, child)) => Ok(Link {
                session,
                guard,
                child,
            }),
            Err(error) => Err(self.explain(error)),
        }
    }

    fn explain(&self, error: Error) -> Failure {
        let failure = Failure::of(error);
        match (&self.endpoint, failure.code) {
            (Endpoint::Exec(command), Code::Connect) => {
                let program = command.first().map_or("", String::as_str);
                failure.help(format!("can `{program}` be run from here?"))
            }
            (Endpoint::Unix(_), Code::Connect) => {
                failure.help("is the server running, and the path of its socket right?")
            }
            _ => failure,
        }
    }

    async fn connect(&self, guard: &Guard) -> Result<(Session, Option<Child>), Error> {
        let options = SessionOptions::new().with_peer_version(self.peer_version);
        let lines_client = || {
            let client = lines::Client::new()
                .options(options.clone())
                .main(guard.stub());
            match self.timeout {
                Some(timeout) => client.timeout(timeout),
                None => client,
            }
        };
        let session = match &self.endpoint {
            Endpoint::WebSocket(url) => {
                let mut connect = ws::Connect::new(url).options(options).main(guard.stub());
                for (name, value) in &self.headers {
                    connect = connect.header(name, value);
                }
                if let Some(timeout) = self.timeout {
                    connect = connect.timeout(timeout);
                }
                if let Some(config) = self.trust.config() {
                    connect = connect.tls_config(config);
                }
                connect.session().await?
            }
            Endpoint::Batch(url) => {
                let mut batch = http::Batch::new(url).options(options).main(guard.stub());
                for (name, value) in &self.headers {
                    batch = batch.header(name, value);
                }
                if let Some(config) = self.trust.config() {
                    let client = http::client_builder().tls_backend_preconfigured(config);
                    let client = client.build().map_err(|error| {
                        Error::disconnected(format!("there is no HTTP client: {error}"))
                    })?;
                    batch = batch.client(client);
                }
                batch.session()
            }
            Endpoint::WebTransport(url) => {
                let mut connect = webtransport::Connect::new(url)
                    .options(options)
                    .main(guard.stub());
                for (name, value) in &self.headers {
                    connect = connect.header(name, value);
                }
                if let Some(timeout) = self.timeout {
                    connect = connect.timeout(timeout);
                }
                connect = match &self.trust {
                    Trust::Platform | Trust::Anything => connect,
                    Trust::Roots(roots) => connect.roots(roots.clone()),
                    Trust::Hashes(hashes) => connect.certificate_hashes(hashes.clone()),
                };
                connect.session().await?
            }
            Endpoint::Tcp(address) => tcp::connect_with(address, &lines_client()).await?,
            #[cfg(unix)]
            Endpoint::Unix(path) => capnweb::unix::connect_with(path, &lines_client()).await?,
            #[cfg(not(unix))]
            Endpoint::Unix(_) => {
                return Err(Error::type_error("there are no Unix sockets here"));
            }
            Endpoint::Exec(command) => {
                let mut words = command.iter();
                let mut command = Command::new(words.next().map_or("", String::as_str));
                command.args(words).kill_on_drop(true);
                let (session, child) = stdio::spawn_with(&mut command, &lines_client())?;
                return Ok((session, Some(child)));
            }
        };
        Ok((session, None))
    }
}

impl Link {
    pub(crate) fn main(&self) -> Stub {
        self.session.main()
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Turns the error of a call into a failure with an explanation.
    pub(crate) fn explain(&self, error: Error) -> Failure {
        if self.guard.was_called() && error.connect_failure().is_none() {
            return Failure::new(
                Code::Connect,
                "this is not a Cap'n Web server: it echoes messages, or calls this program unprompted",
            )
            .help("is it a server of plain WebSockets, such as an echo? check the path");
        }
        Failure::of(error)
    }

    /// Ends the session and waits until everything is sent.
    pub(crate) async fn close(self) {
        let Self {
            session,
            guard,
            child,
        } = self;
        let closed = session.closed();
        drop((session, guard));
        // If this takes longer, the remaining output is lost when the program ends.
        let _ = tokio::time::timeout(FAREWELL, closed).await;
        if let Some(mut child) = child {
            let _ = tokio::time::timeout(FAREWELL, child.wait()).await;
        }
    }
}

//! Sending a batch.

use std::{fmt, time::Duration};

use bytes::Bytes;
use capnweb_core::{
    ConnectFailure, Connection, EndCause, Error, Session, SessionEnd, SessionOptions, StubType,
};
use capnweb_net::{ClientSettings, ConnectError, proxy::ProxyChoice};
use tokio::runtime::Handle;

use crate::{body, exchange::Exchange};

/// The error of promises that the answer has not settled: the words of the TypeScript library, and
/// a way out.
const ENDED: &str = "Batch RPC request ended. (A batch is one exchange: await together what belongs together, \
                     with `join!` for instance, or connect over a WebSocket.)";

/// Begins a batch for the server at `url` and returns the server's main object.
///
/// Nothing is sent yet. Once a promise is awaited, all calls made so far go in one request, with
/// everything that is awaited together with it (by `join!`, for instance). The answers settle the
/// promises; then the batch is spent, and a promise that it has not answered fails with "Batch RPC
/// request ended. …". A batch of which nothing is awaited is never sent: for that there is
/// [`Session::send_batch`].
///
/// When nothing of a batch is held any more, its request is given up, sent or not, unless it was
/// [sent by hand](Session::send_batch).
///
/// If the request fails, the promises fail with the same error.
/// [`Error::connect_failure`] tells the causes apart.
///
/// ```no_run
/// use capnweb_core::Stub;
///
/// # async fn example() -> capnweb_core::Result<()> {
/// let api: Stub = capnweb_transport_http::batch("https://example.com/api");
/// // Three calls that depend on one another, one request.
/// let user = api.call("authenticate", ("token",));
/// let profile = api.call("getProfile", (user.get("id"),));
/// let friends = api.call("getFriends", (profile.get("name"),));
/// let friends: Vec<String> = friends.fetch().await?;
/// # Ok(()) }
/// ```
pub fn batch<S: StubType>(url: impl AsRef<str>) -> S {
    Batch::new(url).start()
}

/// A batch to be sent.
///
/// ```no_run
/// use std::time::Duration;
///
/// use capnweb_core::Stub;
/// use capnweb_transport_http::Batch;
///
/// # async fn example() -> capnweb_core::Result<()> {
/// let api: Stub = Batch::new("https://example.com/api")
///     .header("authorization", "Bearer 1234")
///     .timeout(Duration::from_secs(10))
///     .start();
/// let greeting: String = api.call("greet", ("Ada",)).fetch().await?;
/// # Ok(()) }
/// ```
#[must_use = "a batch begins when `start` or `session` is called"]
pub struct Batch {
    url: String,
    settings: ClientSettings,
    proxy: ProxyChoice,
    client: Option<reqwest::Client>,
}

impl Batch {
    /// A batch for the server at `url`, which is `http:` or `https:`; `ws:` and `wss:` mean the
    /// same.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: ClientSettings::default(),
            proxy: ProxyChoice::default(),
            client: None,
        }
    }

    /// Sets the options of the session, its limits among them.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets our main object. The server can call it, though not wait for results.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.set_main(&main);
        self
    }

    /// Adds a header to the request. It takes the place of one that would be sent by itself, such
    /// as `Host` or `Content-Type`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.add_header(name, value);
        self
    }

    /// Sends through a proxy: `http:`, `https:` or `socks5:`, with a user and password in the URL
    /// if the proxy asks for them.
    ///
    /// By default the environment decides: `HTTP_PROXY` for `http:`, `HTTPS_PROXY` for `https:`,
    /// `ALL_PROXY` for either, and `NO_PROXY` for hosts that are connected to directly. A
    /// [`client`](Self::client) of one's own has its own proxies.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Sends directly, whatever proxy the environment names.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
        self
    }

    /// Sends with an HTTP client of one's own: other certificates, cookies or pools. It is best
    /// begun with [`client_builder`](crate::client_builder). By default all batches share one
    /// client.
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets how long the request and its answer may take in all. By default there is no bound.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Begins the batch and returns the server's main object.
    ///
    /// The batch is a task of the current Tokio runtime; if there is none, the promises fail with
    /// an error that says so.
    pub fn start<S: StubType>(self) -> S {
        S::from_stub(self.session().main())
    }

    /// Begins the batch and returns the session. Something of it has to be held until the batch has
    /// been answered.
    pub fn session(self) -> Session {
        let (session, mut connection) = self.settings.create(Session::client_batch);
        let exchange = Exchange {
            url: self.url,
            settings: self.settings,
            proxy: self.proxy,
            client: self.client,
        };
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(run(connection, exchange));
            }
            Err(_) => {
                let error = ConnectError::new(
                    ConnectFailure::NoRuntime,
                    "there is no Tokio runtime here; begin batches from within one",
                );
                connection.end(error.into_error(str::to_owned));
            }
        }
        session
    }
}

async fn run(mut connection: Connection, exchange: Exchange) {
    connection.flush_requested().await;
    let is_by_hand = connection.is_sent_by_hand();
    if connection.end_reason().is_some() && !is_by_hand {
        return;
    }
    let messages = connection.take_outgoing();
    if messages.is_empty() {
        connection.end(ended());
        return;
    }
    let unwanted = connection.ended();
    tokio::select! {
        reason = exchanged(&mut connection, &exchange, body::join(messages)) => {
            connection.end(reason);
        }
        // Nobody is left whom an answer could reach. To drop the exchange closes its connection.
        _ = unwanted, if !is_by_hand => {}
    }
}

/// Returns the reason of a batch that went well.
fn ended() -> Error {
    Error::disconnected(ENDED).with_session_end(SessionEnd::new(EndCause::Here).normal())
}

/// Sends a batch and does what the answer says as it comes. Returns the reason why no more will
/// come.
async fn exchanged(connection: &mut Connection, exchange: &Exchange, body: Bytes) -> Error {
    let mut answer = match exchange.perform(body).await {
        Ok(answer) => answer,
        Err(error) => return error,
    };
    loop {
        let lines = match answer.next().await {
            Ok(Some(lines)) => lines,
            Ok(None) => return ended(),
            Err(error) => return error,
        };
        for message in body::messages(&lines) {
            if let Err(error) = connection.receive_in_turn(message).await {
                return error;
            }
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

//! Sending a batch.

use std::{fmt, time::Duration};

use bytes::Bytes;
use capnweb_core::{
    ConnectFailure, Connection, EndCause, Error, Session, SessionEnd, SessionOptions, StubType,
};
use capnweb_net::{ClientSettings, ConnectError, proxy::ProxyChoice};
use tokio::runtime::Handle;

use crate::{body, exchange::Exchange};

/// The error of promises that the answer has not settled: the text of the TypeScript library, and
/// advice.
const ENDED: &str = "Batch RPC request ended. (A batch is one exchange: await together what belongs together, \
                     with `join!` for instance, or connect over a WebSocket.)";

/// Starts a batch for the server at `url` and returns the server's main object.
///
/// Nothing is sent at first. Once a promise is awaited, all calls so far are sent in one request,
/// together with everything that is awaited at the same time, for instance with `join!`. The answer
/// settles the promises. Then the batch is used up, and promises without an answer fail with "Batch
/// RPC request ended. …". A batch is not sent if none of its promises is awaited; use
/// [`Session::send_batch`] to send it anyway.
///
/// When the last handle of a batch is dropped, its request is abandoned, whether sent or not,
/// unless it was [sent manually](Session::send_batch).
///
/// If the request fails, the promises fail with the same error. [`Error::connect_failure`]
/// distinguishes the causes.
///
/// ```no_run
/// use capnweb::Stub;
///
/// # async fn example() -> capnweb::Result<()> {
/// let api: Stub = capnweb::http::batch("https://example.com/api");
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
/// use capnweb::Stub;
/// use capnweb::http::Batch;
///
/// # async fn example() -> capnweb::Result<()> {
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
    /// Creates a batch for the server at `url`, which is `http:` or `https:`. `ws:` and `wss:` mean
    /// the same.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: ClientSettings::default(),
            proxy: ProxyChoice::default(),
            client: None,
        }
    }

    /// Sets the options of the session, including its limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets the client's main object. The server can call it but cannot await the results.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.set_main(&main);
        self
    }

    /// Adds a header to the request. It replaces a header that is sent by default, such as `Host`
    /// or `Content-Type`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.add_header(name, value);
        self
    }

    /// Sends through a proxy: `http:`, `https:` or `socks5:`, with user and password in the URL if
    /// the proxy requires them.
    ///
    /// By default, the environment determines the proxy: `HTTP_PROXY` for `http:`, `HTTPS_PROXY`
    /// for `https:`, and `ALL_PROXY` for either, except for the hosts in `NO_PROXY`. A custom
    /// [`client`](Self::client) has its own proxies.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into());
        self
    }

    /// Sends directly, ignoring proxies of the environment.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Direct;
        self
    }

    /// Sends with a custom HTTP client, for instance with its own certificates, cookies or pool.
    /// Create it with [`client_builder`](crate::client_builder). By default, all batches share one
    /// client.
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the time limit for the request and its answer together. There is none by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Starts the batch and returns the server's main object.
    ///
    /// The batch is a task of the current Tokio runtime. Without a runtime, the promises fail with
    /// an error that says so.
    pub fn start<S: StubType>(self) -> S {
        S::from_stub(self.session().main())
    }

    /// Starts the batch and returns the session. Keep a handle of it until the batch has been
    /// answered.
    pub fn session(mut self) -> Session {
        self.settings.add_trace_context();
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
        // The last handle was dropped. Dropping the exchange closes its connection.
        _ = unwanted, if !is_by_hand => {}
    }
}

/// Returns the reason for the end of a successful batch.
fn ended() -> Error {
    Error::disconnected(ENDED).with_session_end(SessionEnd::new(EndCause::Here).normal())
}

/// Sends a batch and processes the answer as it arrives. Returns the reason for the end of the
/// session.
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

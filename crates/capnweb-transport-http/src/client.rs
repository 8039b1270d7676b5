//! Sending a batch.

use std::{fmt, time::Duration};

use bytes::Bytes;
use capnweb_core::{Connection, Error, Session, SessionOptions, Stub, StubType};
use tokio::runtime::Handle;

use crate::{body, exchange::Exchange};

/// What fails that the answer did not settle: the words of the TypeScript library, and a way out.
const ENDED: &str = "Batch RPC request ended. (A batch is one exchange: await together what belongs together, \
                     with `join!` for instance, or connect over a WebSocket.)";

/// Begins a batch for the server at `url` and gives the server's main object.
///
/// Nothing is sent yet. Once a promise is awaited, all calls made so far go in one request, with
/// everything that is awaited together with it (by `join!`, for instance). The answers settle the
/// promises; then the batch is spent, and what it has not answered fails with "Batch RPC request
/// ended. …". A batch of which nothing is awaited is never sent: for that there is
/// [`Session::send_batch`].
///
/// Whatever goes wrong, the promises fail with it.
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
    options: SessionOptions,
    main: Option<Stub>,
    headers: Vec<(String, String)>,
    client: Option<reqwest::Client>,
    timeout: Option<Duration>,
}

impl Batch {
    /// A batch for the server at `url`, which is `http:` or `https:`; `ws:` and `wss:` mean the same.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            options: SessionOptions::default(),
            main: None,
            headers: Vec::new(),
            client: None,
            timeout: None,
        }
    }

    /// Sets the options of the session, its limits among them.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets our main object. The server can call it, though not wait for results.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.main = Some(main.as_stub().clone());
        self
    }

    /// Adds a header to the request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends with an HTTP client of one's own: other proxies, certificates or cookies. It is best begun
    /// with [`client_builder`](crate::client_builder). By default all batches share one client.
    pub fn client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets how long the request and its answer may take in all. By default there is no bound.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Begins the batch and gives the server's main object.
    ///
    /// The batch is a task of the current Tokio runtime; if there is none, the promises fail with an
    /// error that says so.
    pub fn start<S: StubType>(self) -> S {
        S::from_stub(self.session().main())
    }

    /// Like [`start`](Self::start), and gives the session. Something of it has to be held until the
    /// batch has been sent.
    pub fn session(self) -> Session {
        let max_bytes = self.options.limits_ref().max_held_bytes();
        let (session, mut connection) = Session::client_batch(self.options);
        if let Some(main) = self.main {
            connection.set_main(main);
        }
        let exchange = Exchange {
            url: self.url,
            headers: self.headers,
            client: self.client,
            timeout: self.timeout,
            max_bytes,
        };
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(run(connection, exchange));
            }
            Err(_) => connection.end(Error::disconnected(
                "there is no Tokio runtime here; begin batches from within one",
            )),
        }
        session
    }
}

async fn run(mut connection: Connection, exchange: Exchange) {
    connection.flush_requested().await;
    if connection.ended().is_some() {
        return;
    }
    let messages = connection.take_outgoing();
    let reason = if messages.is_empty() {
        Error::disconnected(ENDED)
    } else {
        exchanged(&mut connection, &exchange, body::join(messages)).await
    };
    connection.end(reason);
}

/// Sends a batch, does what the answer says as it comes, and says why there is no more to come.
async fn exchanged(connection: &mut Connection, exchange: &Exchange, body: Bytes) -> Error {
    let mut answer = match exchange.perform(body).await {
        Ok(answer) => answer,
        Err(error) => return error,
    };
    loop {
        let lines = match answer.next().await {
            Ok(Some(lines)) => lines,
            Ok(None) => return Error::disconnected(ENDED),
            Err(error) => return error,
        };
        for message in body::messages(&lines) {
            if let Err(error) = connection.receive(message) {
                return error;
            }
        }
    }
}

impl fmt::Debug for Batch {
    // Headers hold secrets: only their names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Batch")
            .field("url", &self.url)
            .field("options", &self.options)
            .field("main", &self.main)
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

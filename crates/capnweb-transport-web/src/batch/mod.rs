//! HTTP batches.

mod answer;
mod exchange;

use std::{fmt, time::Duration};

use capnweb_core::{
    Connection, EndCause, Error, Session, SessionEnd, SessionOptions, StubType, runtime::spawn,
};

use self::exchange::Exchange;
use crate::{
    either::{Either, either},
    settings::Settings,
};

/// The error of promises that the answer has not settled.
const ENDED: &str = "Batch RPC request ended. (A batch is one exchange: await together what belongs together, \
                     with `join!` for instance, or connect over a WebSocket.)";

/// Starts a batch for the server at `url` and returns the server's main object.
///
/// In a page the URL may be relative, such as `/api`. Nothing is sent at first. When a promise is
/// awaited, all calls made so far are sent in one request. Promises that are awaited at the same
/// time, for instance with `join!`, share that request. The answer settles the promises. Afterwards
/// the batch is finished, and promises without an answer fail with "Batch RPC request ended. …".
/// Use [`Session::send_batch`] to send a batch without awaiting anything.
///
/// Dropping the last handle of a batch aborts its request, unless it was [sent
/// manually](Session::send_batch).
///
/// ```ignore
/// let api: Stub = capnweb::web::batch("/api");
/// let user = api.call("authenticate", ("token",));
/// let profile: Profile = api.call("getProfile", (user.get("id"),)).fetch().await?;
/// ```
pub fn batch<S: StubType>(url: impl AsRef<str>) -> S {
    Batch::new(url).start()
}

/// The policy for sending cookies and other credentials with a batch: see [`Batch::credentials`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// Sends credentials only to the page's own origin.
    #[default]
    SameOrigin,
    /// Sends credentials to servers of any origin. The server has to allow it.
    Include,
    /// Sends no credentials.
    Omit,
}

/// A batch that has not started.
///
/// ```ignore
/// let api: Stub = Batch::new("https://example.com/api")
///     .header("authorization", "Bearer 1234")
///     .timeout(Duration::from_secs(10))
///     .start();
/// let greeting: String = api.call("greet", ("Ada",)).fetch().await?;
/// ```
#[must_use = "a batch begins when `start` or `session` is called"]
pub struct Batch {
    url: String,
    settings: Settings,
    headers: Vec<(String, String)>,
    credentials: Credentials,
}

impl Batch {
    /// Creates a batch for the server at `url`, as for [`batch`].
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: Settings::default(),
            headers: Vec::new(),
            credentials: Credentials::default(),
        }
    }

    /// Sets the options of the session, including its limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets the client's main object. The server can call it but cannot await the results.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.main = Some(main.as_stub().clone());
        self
    }

    /// Adds a header to the request.
    ///
    /// For a server of another origin, the browser first asks the server for permission.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets whether cookies and other credentials are sent, and whether other origins receive them.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets the total time limit for the request and its answer. By default there is none.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Starts the batch and returns the server's main object.
    pub fn start<S: StubType>(self) -> S {
        S::from_stub(self.session().main())
    }

    /// Starts the batch and returns the session. Keep a handle to the session until the batch has
    /// been answered.
    pub fn session(self) -> Session {
        let (session, connection) = self.settings.create(Session::client_batch);
        let exchange = Exchange {
            url: self.url,
            headers: self.headers,
            credentials: self.credentials,
            timeout: self.settings.timeout,
            max_bytes: self.settings.options.limits().max_held_bytes(),
        };
        spawn(run(connection, exchange));
        session
    }
}

async fn run(mut connection: Connection, exchange: Exchange) {
    connection.flush_requested().await;
    let is_by_hand = connection.is_sent_by_hand();
    if connection.end_reason().is_some() && !is_by_hand {
        return;
    }
    let mut messages = connection.take_outgoing();
    if messages.is_empty() {
        connection.end(ended());
        return;
    }
    let lines = messages.take_lines();
    // The TypeScript library would read an empty last line as a message.
    let body = lines.strip_suffix(b"\n").unwrap_or(&lines);
    let unwanted = connection.ended();
    let exchanged = exchanged(&mut connection, &exchange, body);
    let reason = if is_by_hand {
        exchanged.await
    } else {
        match either(exchanged, unwanted).await {
            Either::First(reason) => reason,
            // The last handle was dropped. Dropping the exchange aborts the request.
            Either::Second(_) => return,
        }
    };
    connection.end(reason);
}

/// Returns the end reason of a successful batch.
fn ended() -> Error {
    Error::disconnected(ENDED).with_session_end(SessionEnd::new(EndCause::Here).normal())
}

/// Sends a batch and processes the answer as it arrives. Returns the reason for the end of the
/// session.
async fn exchanged(connection: &mut Connection, exchange: &Exchange, body: &[u8]) -> Error {
    let read = exchange
        .perform(body, |lines| {
            lines
                .lines()
                .map(str::trim_ascii)
                .filter(|message| !message.is_empty())
                .try_for_each(|message| connection.receive(message))
        })
        .await;
    match read {
        Ok(()) => ended(),
        Err(error) => error,
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

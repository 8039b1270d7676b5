//! The connector for the transports of this library.

use std::fmt;
#[cfg(any(feature = "ws", feature = "webtransport"))]
use std::sync::Arc;

use capnweb_core::{ConnectFailure, Error};
#[cfg(any(feature = "ws", feature = "webtransport"))]
use capnweb_core::{Result, Session};

use crate::{Attempt, Connecting, Connector};

/// Changes the settings of one transport.
#[cfg(any(feature = "ws", feature = "webtransport"))]
type Adjust<C> = Arc<dyn Fn(C) -> C + Send + Sync>;

/// Connects over the transport that the URL's scheme selects.
///
/// | URL | transport | feature |
/// |---|---|---|
/// | `ws:`, `wss:`, `http:`, `https:` | WebSocket | `ws` |
/// | `webtransport:`, `https+h3:` | WebTransport, over HTTP/3 | `webtransport` |
/// | `tcp://host:port` | TCP, one message per line | `tcp` |
/// | `unix:/path` | a Unix socket, one message per line | `unix` |
///
/// To change the settings of one transport, such as certificates or proxies, adjust its own
/// builder.
#[cfg_attr(
    feature = "ws",
    doc = "
```
use capnweb_client::Transports;

let transports = Transports::new().ws(|connect| connect.no_proxy());
```"
)]
#[derive(Clone, Default)]
pub struct Transports {
    #[cfg(feature = "ws")]
    ws: Option<Adjust<capnweb_transport_ws::Connect>>,
    #[cfg(feature = "webtransport")]
    webtransport: Option<Adjust<capnweb_transport_webtransport::Connect>>,
}

impl Transports {
    /// Creates a connector with the default settings of each transport.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a closure that adjusts the settings of each WebSocket.
    #[cfg(feature = "ws")]
    #[must_use]
    pub fn ws(
        mut self,
        adjust: impl Fn(capnweb_transport_ws::Connect) -> capnweb_transport_ws::Connect
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.ws = Some(Arc::new(adjust));
        self
    }

    /// Sets a closure that adjusts the settings of each WebTransport session.
    #[cfg(feature = "webtransport")]
    #[must_use]
    pub fn webtransport(
        mut self,
        adjust: impl Fn(
            capnweb_transport_webtransport::Connect,
        ) -> capnweb_transport_webtransport::Connect
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.webtransport = Some(Arc::new(adjust));
        self
    }

    #[cfg(feature = "ws")]
    async fn over_ws(&self, attempt: &Attempt) -> Result<Session> {
        let mut connect = capnweb_transport_ws::Connect::new(attempt.url());
        for (name, value) in attempt.headers() {
            connect = connect.header(name, value);
        }
        configured!(connect, attempt, &self.ws).session().await
    }

    #[cfg(feature = "webtransport")]
    async fn over_webtransport(&self, attempt: &Attempt) -> Result<Session> {
        let url = format!("https:{}", split(attempt).1);
        let mut connect = capnweb_transport_webtransport::Connect::new(url);
        for (name, value) in attempt.headers() {
            connect = connect.header(name, value);
        }
        let connect = configured!(connect, attempt, &self.webtransport);
        connect.session().await
    }
}

fn no_transport(url: &str) -> Error {
    let message = format!(
        "no transport for {url:?}: `ws:`, `wss:`, `webtransport:`, `tcp:` and `unix:` URLs are known, each by \
         the feature of its name"
    );
    Error::type_error(message).with_connect_failure(ConnectFailure::InvalidRequest)
}

impl Connector for Transports {
    fn connect(&self, attempt: Attempt) -> Connecting<'_> {
        #[cfg(feature = "ws")]
        if has_scheme(&attempt, &["ws", "wss", "http", "https"]) {
            return Box::pin(async move { self.over_ws(&attempt).await });
        }
        #[cfg(feature = "webtransport")]
        if has_scheme(&attempt, &["webtransport", "https+h3"]) {
            return Box::pin(async move { self.over_webtransport(&attempt).await });
        }
        #[cfg(feature = "tcp")]
        if has_scheme(&attempt, &["tcp"]) {
            return Box::pin(lines::over_tcp(attempt));
        }
        #[cfg(all(feature = "unix", unix))]
        if has_scheme(&attempt, &["unix"]) {
            return Box::pin(lines::over_unix(attempt));
        }
        let error = no_transport(attempt.url());
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Returns the part of a URL after its scheme.
#[cfg(any(
    feature = "ws",
    feature = "webtransport",
    feature = "tcp",
    all(feature = "unix", unix)
))]
fn split(attempt: &Attempt) -> (&str, &str) {
    attempt.url().split_once(':').unwrap_or_default()
}

#[cfg(any(
    feature = "ws",
    feature = "webtransport",
    feature = "tcp",
    all(feature = "unix", unix)
))]
fn has_scheme(attempt: &Attempt, schemes: &[&str]) -> bool {
    schemes.contains(&split(attempt).0)
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transports").finish_non_exhaustive()
    }
}

/// Byte streams with one message per line.
#[cfg(any(feature = "tcp", all(feature = "unix", unix)))]
mod lines {
    use capnweb_core::{LinesTransport, Result, Session};
    use capnweb_net::ConnectError;
    use tokio::io::{AsyncRead, AsyncWrite};

    use super::split;
    use crate::Attempt;

    fn over(
        attempt: &Attempt,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Session {
        let (session, mut connection) =
            Session::client(attempt.options().clone().with_transport("stream"));
        if let Some(main) = attempt.main() {
            connection.set_main(main.clone());
        }
        let transport = LinesTransport::new(io, attempt.options().limits());
        capnweb_core::runtime::spawn(async move {
            connection.drive(transport).await;
        });
        session
    }

    #[cfg(feature = "tcp")]
    pub(super) async fn over_tcp(attempt: Attempt) -> Result<Session> {
        use capnweb_net::{
            dial::{dial, resolve},
            socket::KEEP_ALIVE,
        };

        let address = split(&attempt).1.trim_matches('/').to_owned();
        let dialing = async { dial(resolve(address).await?, Some(KEEP_ALIVE)).await };
        let stream = dialing.await.map_err(|error: ConnectError| {
            let url = attempt.url();
            error.into_error(|cause| format!("TCP connection failed: {url}: {cause}"))
        })?;
        Ok(over(&attempt, stream))
    }

    #[cfg(all(feature = "unix", unix))]
    pub(super) async fn over_unix(attempt: Attempt) -> Result<Session> {
        let path = split(&attempt).1;
        // Accepts `unix:///path` as well as `unix:/path`.
        let path = path.strip_prefix("//").unwrap_or(path);
        let stream = tokio::net::UnixStream::connect(path).await;
        let stream = stream.map_err(|error| {
            let url = attempt.url();
            let describe = |cause: &str| format!("Unix socket connection failed: {url}: {cause}");
            ConnectError::io(&error).into_error(describe)
        })?;
        Ok(over(&attempt, stream))
    }
}

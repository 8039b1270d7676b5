//! The connector for the transports of JavaScript hosts.

use std::fmt;
#[cfg(feature = "web")]
use std::sync::Arc;

use capnweb_core::{ConnectFailure, Error};
#[cfg(feature = "web")]
use capnweb_core::{Result, Session};
#[cfg(feature = "web")]
use capnweb_transport_web::{Connect, local, webtransport};

use crate::{Attempt, Connecting, Connector};

/// Changes the settings of one transport.
#[cfg(feature = "web")]
type Adjust<C> = Arc<dyn Fn(C) -> C + Send + Sync>;

/// Connects over the transport that the URL's scheme selects.
///
/// | URL | transport | feature |
/// |---|---|---|
/// | `ws:`, `wss:`, `http:`, `https:`, or relative to the page | WebSocket | `web` |
/// | `webtransport:`, `https+h3:` | WebTransport, over HTTP/3 | `web` |
///
/// Hosts do not let programs set headers of these requests. An attempt to which
/// [`prepare`](crate::ClientBuilder::prepare) added a header fails: put a token into the URL, or
/// pass it to a method.
#[derive(Clone, Default)]
pub struct Transports {
    #[cfg(feature = "web")]
    ws: Option<Adjust<Connect>>,
    #[cfg(feature = "web")]
    webtransport: Option<Adjust<webtransport::Connect>>,
}

impl Transports {
    /// Creates a connector with the default settings of each transport.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a closure that adjusts the settings of each WebSocket.
    #[cfg(feature = "web")]
    #[must_use]
    pub fn ws(mut self, adjust: impl Fn(Connect) -> Connect + Send + Sync + 'static) -> Self {
        self.ws = Some(Arc::new(adjust));
        self
    }

    /// Sets a closure that adjusts the settings of each WebTransport session.
    #[cfg(feature = "web")]
    #[must_use]
    pub fn webtransport(
        mut self,
        adjust: impl Fn(webtransport::Connect) -> webtransport::Connect + Send + Sync + 'static,
    ) -> Self {
        self.webtransport = Some(Arc::new(adjust));
        self
    }

    #[cfg(feature = "web")]
    async fn over_ws(&self, attempt: &Attempt) -> Result<Session> {
        let connect = Connect::new(attempt.url());
        configured!(connect, attempt, &self.ws).open().await
    }

    #[cfg(feature = "web")]
    async fn over_webtransport(&self, attempt: &Attempt, rest: &str) -> Result<Session> {
        let connect = webtransport::Connect::new(format!("https:{rest}"));
        let connect = configured!(connect, attempt, &self.webtransport);
        connect.open().await
    }
}

fn invalid(message: String) -> Error {
    Error::type_error(message).with_connect_failure(ConnectFailure::InvalidRequest)
}

impl Connector for Transports {
    fn connect(&self, attempt: Attempt) -> Connecting<'_> {
        if let Some((name, _)) = attempt.headers().next() {
            let error = invalid(format!(
                "this host does not let programs set the header {name:?}: put a token into the URL"
            ));
            return Box::pin(std::future::ready(Err(error)));
        }
        #[cfg(feature = "web")]
        return Box::pin(local(async move {
            match attempt.url().split_once(':') {
                Some(("webtransport" | "https+h3", rest)) => {
                    self.over_webtransport(&attempt, rest).await
                }
                // The transport refuses other schemes.
                _ => self.over_ws(&attempt).await,
            }
        }));
        #[cfg(not(feature = "web"))]
        {
            let error = invalid(format!(
                "no transport for {:?}: the feature `web` is off",
                attempt.url()
            ));
            Box::pin(std::future::ready(Err(error)))
        }
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transports").finish_non_exhaustive()
    }
}

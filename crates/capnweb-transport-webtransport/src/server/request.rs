//! Requests for a session.

use std::{fmt, net::SocketAddr};

use capnweb_core::Stub;
use capnweb_net::TrackedSession;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use wtransport::endpoint::SessionRequest;

/// A client's request for a session, which the application accepts or refuses.
pub struct Request {
    path: String,
    authority: String,
    headers: HeaderMap,
    remote_address: SocketAddr,
    peer: Stub,
    tracked: Option<TrackedSession>,
}

impl Request {
    pub(super) fn new(
        request: &SessionRequest,
        peer: Stub,
        tracked: Option<TrackedSession>,
    ) -> Self {
        Self {
            path: request.path().to_owned(),
            authority: request.authority().to_owned(),
            headers: headers(request),
            remote_address: request.remote_address(),
            peer,
            tracked,
        }
    }

    /// Returns the path, without the query.
    pub fn path(&self) -> &str {
        path_of(&self.path)
    }

    /// Returns the query behind the `?`, undecoded.
    pub fn query(&self) -> Option<&str> {
        self.path.split_once('?').map(|(_, query)| query)
    }

    /// Returns the host that the client requested, with the port unless it is 443.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the headers. If several have the same name, only the last one is included. Requests
    /// with more than 4 KiB of headers, in HTTP/3's compression, are not answered.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the origin of the page, if the client is a browser.
    pub fn origin(&self) -> Option<&str> {
        self.headers.get(header::ORIGIN)?.to_str().ok()
    }

    /// Returns the current address of the client, which may change while the client stays
    /// connected.
    pub fn remote_address(&self) -> SocketAddr {
        self.remote_address
    }

    /// Returns the client's main object.
    pub fn peer(&self) -> &Stub {
        &self.peer
    }

    /// Returns the session's entry in the registry, if the server is
    /// [tracked](super::Server::tracked).
    pub fn tracked(&self) -> Option<&TrackedSession> {
        self.tracked.as_ref()
    }
}

/// Returns the path of a `:path`.
pub(super) fn path_of(path_and_query: &str) -> &str {
    path_and_query
        .split_once('?')
        .map_or(path_and_query, |(path, _)| path)
}

/// Returns the headers of a request. Invalid values are omitted, as are names with a colon, which
/// are not headers.
fn headers(request: &SessionRequest) -> HeaderMap {
    request
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name).ok()?;
            let value = HeaderValue::try_from(value).ok()?;
            Some((name, value))
        })
        .collect()
}

impl fmt::Debug for Request {
    // Headers may contain secrets, so only show their names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Request")
            .field("path", &self.path())
            .field("authority", &self.authority)
            .field("headers", &headers)
            .field("remote_address", &self.remote_address)
            .finish_non_exhaustive()
    }
}

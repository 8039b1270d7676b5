//! From a connection to a session.

use std::time::Duration;

use capnweb_core::{Connection, LinesTransport, Session};
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use wtransport::{
    endpoint::{IncomingSessionFuture, SessionRequest},
    error::ConnectionError,
    quinn::Incoming,
};

use super::{
    Shared,
    request::{Request, path_of},
};
use crate::stream::SessionStream;

/// A session that only needs to be driven.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) connection: Connection,
    pub(super) transport: LinesTransport<SessionStream>,
    /// For what else the client does on its connection.
    pub(super) carrier: wtransport::Connection,
    /// Its place among the sessions.
    pub(super) place: OwnedSemaphorePermit,
}

/// How long a client that was refused has for reading so.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Shakes hands, has the application decide, and waits for the client's stream. `None` if nothing
/// comes of it; the client knows why as far as it can be told.
pub(super) async fn open(incoming: Incoming, shared: &Shared) -> Option<Opened> {
    let remote = incoming.remote_address();
    match try_open(incoming, shared).await {
        Ok(Ok(opened)) => Some(opened),
        Ok(Err(status)) => {
            tracing::debug!(target: "capnweb", %remote, %status, "a session was refused");
            None
        }
        Err(error) => {
            tracing::debug!(target: "capnweb", %remote, %error, "a session was not opened");
            None
        }
    }
}

async fn try_open(
    incoming: Incoming,
    shared: &Shared,
) -> Result<Result<Opened, StatusCode>, ConnectionError> {
    let request = IncomingSessionFuture::with_quic_incoming(incoming).await?;
    let place = match shared.sessions.clone().try_acquire_owned() {
        Ok(place) => place,
        Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
            return refuse(request, StatusCode::TOO_MANY_REQUESTS).await;
        }
    };
    if shared.is_foreign(&request) {
        return refuse(request, StatusCode::FORBIDDEN).await;
    }
    let path = path_of(request.path());
    let Some(make) = shared.routes.get(path).or(shared.fallback.as_ref()) else {
        return refuse(request, StatusCode::NOT_FOUND).await;
    };
    let (session, mut connection) = Session::server(shared.options.clone());
    match make(Request::new(&request, session.main())).await {
        Ok(main) => connection.set_main(main),
        Err(status) => return refuse(request, status).await,
    }
    let carrier = request.accept().await?;
    // Clients may open it before they have our answer; then it waits for us here.
    let stream = carrier.accept_bi().await?;
    let transport = LinesTransport::new(
        SessionStream::new(carrier.clone(), stream),
        shared.options.limits_ref(),
    );
    Ok(Ok(Opened {
        session,
        connection,
        transport,
        carrier,
        place,
    }))
}

impl Shared {
    /// Whether the request comes from a page that may not connect.
    fn is_foreign(&self, request: &SessionRequest) -> bool {
        match (&self.only_from, request.origin()) {
            (Some(allowed), Some(origin)) => !allowed.iter().any(|allowed| allowed == origin),
            _ => false,
        }
    }
}

/// Answers a request with a status that is not success.
async fn refuse<T>(
    request: SessionRequest,
    status: StatusCode,
) -> Result<Result<T, StatusCode>, ConnectionError> {
    // A refusal with success would leave the client waiting.
    let status = if status.is_success() || status.is_informational() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        status
    };
    // The library refuses with three statuses only. But the answer is made of headers, and one that
    // is given takes the place of the one that is there.
    let carrier = request
        .accept_with_headers([(":status", status.as_str())])
        .await?;
    // A connection that is closed forgets what is still under way. Clients close it when they know.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, carrier.closed()).await;
    Ok(Err(status))
}

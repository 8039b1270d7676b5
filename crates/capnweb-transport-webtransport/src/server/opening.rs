//! Opening of sessions.

use std::{fmt, time::Duration};

use capnweb_core::{Connection, Error, Session};
use capnweb_net::{RETRY_AFTER, SessionPermit, Sessions, TransportKind};
use http::StatusCode;
use tokio::time::{Instant, error::Elapsed, timeout, timeout_at};
use wtransport::{
    Connection as Carrier, RecvStream, SendStream,
    endpoint::{IncomingSessionFuture, SessionRequest},
    error::ConnectionError,
    quinn::Incoming,
};

use super::{
    request::{Request, path_of},
    shared::Shared,
};
use crate::{stream::SessionStream, transport::SessionTransport};

/// A session that is ready to be driven.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) connection: Connection,
    pub(super) transport: SessionTransport,
    /// The connection, for further streams of the client.
    pub(super) carrier: Carrier,
    /// The session's permit.
    pub(super) place: SessionPermit,
}

/// The time that a client has to read its refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// The reason why a session was not opened.
enum Failure {
    Refused(StatusCode),
    Lost(ConnectionError),
    Late,
}

impl From<ConnectionError> for Failure {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error)
    }
}

impl From<Elapsed> for Failure {
    fn from(_: Elapsed) -> Self {
        Self::Late
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "it was refused with {status}"),
            Self::Lost(error) => error.fmt(f),
            Self::Late => f.write_str("the client took too long (Server::open_timeout)"),
        }
    }
}

/// Performs the handshakes, asks the application, and waits for the client's stream. Returns `None`
/// if there is no session. The client is told the reason if possible.
pub(super) async fn open(incoming: Incoming, shared: &Shared) -> Option<Opened> {
    let remote = incoming.remote_address();
    match try_open(incoming, shared).await {
        Ok(opened) => Some(opened),
        Err(failure) => {
            tracing::debug!(target: "capnweb", %remote, %failure, "a session was not opened");
            None
        }
    }
}

async fn try_open(incoming: Incoming, shared: &Shared) -> Result<Opened, Failure> {
    let deadline = Instant::now() + shared.open_timeout;
    let request = IncomingSessionFuture::with_quic_incoming(incoming);
    let request = timeout_at(deadline, request).await??;
    if shared.sessions.as_ref().is_some_and(Sessions::is_refusing) {
        return Err(refuse(request, StatusCode::SERVICE_UNAVAILABLE).await);
    }
    let client = request.remote_address();
    let place = match shared.limits.admit_session(Some(client.ip())) {
        Ok(place) => place,
        Err(limit) => {
            tracing::debug!(target: "capnweb", %client, %limit, "a session was refused");
            return Err(refuse(request, StatusCode::SERVICE_UNAVAILABLE).await);
        }
    };
    if shared.is_foreign(request.origin()) {
        return Err(refuse(request, StatusCode::FORBIDDEN).await);
    }
    let Some(factory) = shared.factory(path_of(request.path())) else {
        return Err(refuse(request, StatusCode::NOT_FOUND).await);
    };
    let (session, mut connection) =
        Session::server(shared.options.clone().with_transport("webtransport"));
    let tracked = shared
        .sessions
        .as_ref()
        .map(|sessions| sessions.track(&session, TransportKind::WebTransport, Some(client)));
    let making = factory(Request::new(&request, session.main(), tracked));
    match timeout_at(deadline, making).await {
        Ok(Ok(main)) => connection.set_main(main),
        Ok(Err(status)) => return Err(refuse(request, status).await),
        Err(_) => return Err(refuse(request, StatusCode::SERVICE_UNAVAILABLE).await),
    }
    let (carrier, stream) = match accept(request, deadline).await {
        Ok(accepted) => accepted,
        Err(failure) => {
            // This tells the holders of the client's main object.
            let reason = format!("the session was not opened: {failure}");
            connection.end(Error::disconnected(reason));
            return Err(failure);
        }
    };
    let stream = SessionStream::new(carrier.clone(), stream);
    Ok(Opened {
        session,
        connection,
        transport: SessionTransport::new(stream, shared.options.limits())
            .budget(shared.limits.unfinished()),
        carrier,
        place,
    })
}

async fn accept(
    request: SessionRequest,
    deadline: Instant,
) -> Result<(Carrier, (SendStream, RecvStream)), Failure> {
    let carrier = timeout_at(deadline, request.accept()).await??;
    // Clients may open the stream before they have received the response. It waits here until then.
    let stream = timeout_at(deadline, carrier.accept_bi()).await??;
    Ok((carrier, stream))
}

/// Answers a request with a status that is not success.
async fn refuse(request: SessionRequest, status: StatusCode) -> Failure {
    // The client would wait for ever if it were refused with a success status.
    let status = if status.is_success() || status.is_informational() {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        status
    };
    // The library only supports three statuses for refusals. But the response consists of headers,
    // and an explicit `:status` header replaces the library's.
    let retry_after = RETRY_AFTER.as_secs().to_string();
    let mut headers = vec![(":status", status.as_str())];
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.push(("retry-after", &retry_after));
    }
    let refused = async {
        let carrier = request.accept_with_headers(headers).await?;
        // Closing a connection drops data in flight. Clients close it once they have read the
        // response.
        carrier.closed().await;
        Ok::<_, ConnectionError>(())
    };
    match timeout(REFUSAL_TIMEOUT, refused).await {
        Ok(Err(lost)) => Failure::Lost(lost),
        Ok(Ok(())) | Err(_) => Failure::Refused(status),
    }
}

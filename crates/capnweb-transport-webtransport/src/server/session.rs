//! A session from its opening to its end.

use std::{future::pending, pin::pin, sync::Arc};

use capnweb_core::Error;
use capnweb_net::Handshake;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use wtransport::{proto::error::ErrorCode, quinn::Incoming};

use super::{
    opening::{self, Opened},
    shared::Shared,
};

/// The deadline of a server that is stopping, or `None` while it is not.
pub(super) type Stop = watch::Receiver<Option<Instant>>;

/// Serves one connection. The permit covers the time until the session is open.
pub(super) async fn attend(
    incoming: Incoming,
    shared: Arc<Shared>,
    handshake: Handshake,
    mut stop: Stop,
) {
    let opened = tokio::select! {
        opened = opening::open(incoming, &shared) => opened,
        () = async { handshake.evicted().notified().await } => {
            tracing::debug!(target: "capnweb", "a connection without a session made way for another");
            None
        }
        // A client whose session is not open yet is not accepted any more.
        _ = deadline(&mut stop) => None,
    };
    drop(handshake);
    if let Some(opened) = opened {
        serve(opened, stop).await;
    }
}

async fn serve(opened: Opened, mut stop: Stop) {
    let Opened {
        session,
        connection,
        transport,
        carrier,
        place: _place,
    } = opened;
    let mut driver = pin!(connection.drive(transport));
    let deadline = tokio::select! {
        _ = &mut driver => return,
        () = turn_streams_away(&carrier) => return,
        deadline = deadline(&mut stop) => deadline,
    };
    // Only this task polls the driver. So any call that has arrived by the time that everything is
    // answered has been answered too.
    tokio::select! {
        _ = &mut driver => return,
        _ = session.drain() => {}
        () = sleep_until(deadline) => {}
    }
    session.close(Error::disconnected("the server is shutting down"));
    driver.await;
}

/// Waits until the server stops, and returns the deadline for sessions.
async fn deadline(stop: &mut Stop) -> Instant {
    let stopped = stop.wait_for(Option::is_some).await.map(|at| *at);
    match stopped {
        Ok(deadline) => deadline.unwrap_or_else(Instant::now),
        // The server can no longer be stopped.
        Err(_) => pending().await,
    }
}

/// Rejects all further streams, since a session has only one. Unread streams would fill the
/// connection's window.
async fn turn_streams_away(carrier: &wtransport::Connection) {
    let gone = ErrorCode::BufferedStreamRejected.to_code();
    loop {
        tokio::select! {
            stream = carrier.accept_bi() => match stream {
                Ok((mut send, receive)) => {
                    let _ = send.reset(gone);
                    receive.stop(gone);
                }
                Err(_) => pending().await,
            },
            stream = carrier.accept_uni() => match stream {
                Ok(receive) => receive.stop(gone),
                Err(_) => pending().await,
            },
        }
    }
}

//! The driver with transports that make it wait.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use capnweb_core::{
    EndCause, Error, Outgoing, Received, Session, SessionEnd, SessionOptions, Transport,
};

use crate::support::{idle, idle_on_paused_clock, within};

/// A transport that the test controls.
#[derive(Clone, Default)]
struct Manual(Arc<Mutex<ManualState>>);

#[derive(Default)]
struct ManualState {
    incoming: VecDeque<String>,
    taken: Vec<String>,
    flushed: usize,
    /// True if the transport accepts messages.
    takes: bool,
    /// True if the transport flushes accepted messages.
    flushes: bool,
    closed_with: Option<String>,
    /// The reason with which the peer closes, after all messages.
    peer_closed: Option<Error>,
    has_close_codes: bool,
    wakers: Vec<Waker>,
}

impl Manual {
    fn with<R>(&self, change: impl FnOnce(&mut ManualState) -> R) -> R {
        let mut state = self.0.lock().unwrap();
        let result = change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        result
    }
}

/// The driver's end of the transport.
struct End(Manual, String);

impl Transport for End {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let mut state = self.0.0.lock().unwrap();
        match state.incoming.pop_front() {
            Some(message) => {
                drop(state);
                self.1 = message;
                Poll::Ready(Received::Message(&self.1))
            }
            None => match state.peer_closed.take() {
                Some(reason) => Poll::Ready(Received::Closed(reason)),
                None => {
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            },
        }
    }

    fn has_close_codes(&self) -> bool {
        self.0.0.lock().unwrap().has_close_codes
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.0.0.lock().unwrap();
        while state.takes
            && let Some(message) = outgoing.pop()
        {
            state
                .taken
                .push(String::from_utf8(message.to_vec()).unwrap());
        }
        if outgoing.is_empty() && state.flushes {
            state.flushed = state.taken.len();
            return Poll::Ready(Ok(()));
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(&mut self, _: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        let mut state = self.0.0.lock().unwrap();
        state.closed_with = reason.map(|reason| reason.message().to_owned());
        Poll::Ready(())
    }
}

fn client() -> (Manual, Session) {
    let manual = Manual::default();
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(End(manual.clone(), String::new())));
    (manual, session)
}

#[tokio::test]
async fn messages_that_the_transport_took_are_flushed() {
    let (transport, session) = client();
    transport.with(|state| state.takes = true);
    let call = session.main().call("x", ()).fetch::<u32>();
    idle().await;
    assert_eq!(
        transport.with(|state| (state.taken.len(), state.flushed)),
        (2, 0)
    );
    // The transport wakes the driver, which has no more messages but must flush.
    transport.with(|state| state.flushes = true);
    idle().await;
    assert_eq!(transport.with(|state| state.flushed), 2);
    transport.with(|state| state.incoming.push_back(r#"["resolve",1,7]"#.to_owned()));
    assert_eq!(within(call).await.unwrap(), 7);
}

#[tokio::test]
async fn a_driver_that_cannot_send_still_receives() {
    let (transport, session) = client();
    let call = session.main().call("x", ()).fetch::<u32>();
    idle().await;
    transport.with(|state| state.incoming.push_back(r#"["resolve",1,7]"#.to_owned()));
    assert_eq!(within(call).await.unwrap(), 7);
    assert_eq!(transport.with(|state| state.taken.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_cannot_send_notices_the_end() {
    let (transport, session) = client();
    let call = session.main().call("x", ()).fetch::<u32>();
    idle_on_paused_clock().await;
    session.close(Error::new("enough"));
    assert_eq!(within(call).await.unwrap_err().message(), "enough");
    // The peer has some time for the last messages, and then the transport is dropped.
    let gone = Arc::downgrade(&transport.0);
    drop(transport);
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert!(gone.upgrade().is_none());
}

#[tokio::test]
async fn the_abort_is_sent_before_the_transport_closes() {
    let (transport, session) = client();
    transport.with(|state| (state.takes, state.flushes) = (true, true));
    session.close(Error::range_error("enough"));
    idle().await;
    let (taken, closed) = transport.with(|state| (state.taken.clone(), state.closed_with.clone()));
    assert_eq!(taken, [r#"["abort",["error","RangeError","enough"]]"#]);
    assert_eq!(closed.as_deref(), Some("enough"));
}

const ABORT: &str = r#"["abort",["error","Error","enough"]]"#;

/// Starts a session over a transport with close codes.
fn coded() -> (Manual, Session) {
    let manual = Manual::default();
    manual.with(|state| (state.takes, state.flushes, state.has_close_codes) = (true, true, true));
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(End(manual.clone(), String::new())));
    (manual, session)
}

fn closed_with(code: u16) -> Error {
    let end = SessionEnd::new(EndCause::Peer).with_close_code(code);
    Error::disconnected("the peer closed").with_session_end(end)
}

#[tokio::test(start_paused = true)]
async fn an_abort_has_the_code_with_which_the_transport_is_closed() {
    for is_late in [false, true] {
        let (transport, session) = coded();
        let call = session.main().call("x", ()).fetch::<u32>();
        idle_on_paused_clock().await;
        transport.with(|state| state.incoming.push_back(ABORT.to_owned()));
        if is_late {
            idle_on_paused_clock().await;
            assert!(session.end_reason().is_none());
            // Messages after an abort are ignored.
            transport.with(|state| state.incoming.push_back(r#"["resolve",1,7]"#.to_owned()));
        }
        transport.with(|state| state.peer_closed = Some(closed_with(4403)));
        let reason = within(session.closed()).await;
        let end = reason.session_end().unwrap();
        assert_eq!(
            (end.cause(), end.close_code()),
            (EndCause::Peer, Some(4403))
        );
        assert_eq!(reason.message(), "enough");
        let error = within(call).await.unwrap_err();
        assert_eq!(error.message(), "enough");
        assert!(error.may_have_run());
    }
}

#[tokio::test]
async fn a_long_abort_has_the_code_with_which_the_transport_is_closed() {
    for is_followed in [false, true] {
        let (transport, session) = coded();
        let call = session.main().call("x", ()).fetch::<u32>();
        // It is evaluated on another thread.
        let message = "x".repeat(600_000);
        transport.with(|state| {
            let abort = format!(r#"["abort",["error","Error","{message}"]]"#);
            state.incoming.push_back(abort);
            if is_followed {
                // Messages after an abort are ignored.
                state.incoming.push_back(r#"["resolve",1,7]"#.to_owned());
            }
            state.peer_closed = Some(closed_with(4403));
        });
        let reason = within(session.closed()).await;
        let end = reason.session_end().unwrap();
        assert_eq!(
            (end.cause(), end.close_code()),
            (EndCause::Peer, Some(4403))
        );
        assert_eq!(reason.message(), message);
        assert_eq!(within(call).await.unwrap_err().message(), message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_is_awaited_for_a_moment() {
    let (transport, session) = coded();
    let start = tokio::time::Instant::now();
    transport.with(|state| state.incoming.push_back(ABORT.to_owned()));
    idle_on_paused_clock().await;
    // Nobody reads this call any more.
    let call = session.main().call("x", ()).fetch::<u32>();
    let error = within(call).await.unwrap_err();
    let waited = start.elapsed();
    assert!(
        waited.as_millis() >= 100 && waited.as_millis() < 200,
        "{waited:?}"
    );
    assert_eq!(error.message(), "enough");
    assert!(!error.may_have_run());
    let end = *error.session_end().unwrap();
    assert_eq!((end.cause(), end.close_code()), (EndCause::Peer, None));
    assert!(transport.with(|state| state.taken.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_after_an_abort_has_no_code() {
    let (transport, session) = coded();
    let lost = SessionEnd::new(EndCause::Network).with_close_code(1006);
    let lost = Error::disconnected("lost").with_session_end(lost);
    transport.with(|state| {
        state.incoming.push_back(ABORT.to_owned());
        state.peer_closed = Some(lost);
    });
    let reason = within(session.closed()).await;
    let end = reason.session_end().unwrap();
    assert_eq!((end.cause(), end.close_code()), (EndCause::Peer, None));
    assert_eq!(reason.message(), "enough");
}

#[tokio::test(start_paused = true)]
async fn an_application_can_close_while_a_code_is_awaited() {
    let (transport, session) = coded();
    transport.with(|state| state.incoming.push_back(ABORT.to_owned()));
    idle_on_paused_clock().await;
    session.close(Error::new("here"));
    assert_eq!(session.end_reason().unwrap().message(), "here");
    assert_eq!(within(session.closed()).await.message(), "here");
}

#[tokio::test(start_paused = true)]
async fn an_abort_ends_a_session_at_once_over_a_transport_without_codes() {
    let (transport, session) = client();
    transport.with(|state| state.incoming.push_back(ABORT.to_owned()));
    idle_on_paused_clock().await;
    assert_eq!(session.end_reason().unwrap().message(), "enough");
}

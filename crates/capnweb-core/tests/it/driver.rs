//! The driver and transports that make it wait.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use capnweb_core::{Error, Outgoing, Received, Session, SessionOptions, Transport};

use crate::support::{idle, idle_on_paused_clock, within};

/// A transport in the hands of a test.
#[derive(Clone, Default)]
struct Manual(Arc<Mutex<ManualState>>);

#[derive(Default)]
struct ManualState {
    incoming: VecDeque<String>,
    taken: Vec<String>,
    flushed: usize,
    /// True if messages are taken.
    takes: bool,
    /// True if messages that were taken are flushed.
    flushes: bool,
    closed_with: Option<String>,
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

/// One end of it: the driver's.
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
            None => {
                state.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
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
    // The transport wakes the driver, which has nothing more to hand over, but must flush.
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
    // The peer has some time for the last words, and then the transport is dropped.
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

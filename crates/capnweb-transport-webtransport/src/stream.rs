//! The one stream of a session, as bytes.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wtransport::{
    Connection, RecvStream, SendStream,
    proto::error::ErrorCode,
    quinn::{self, ConnectionError},
};

/// The session's stream, and the connection that goes with it.
///
/// Shutting it down waits until the peer has everything that was written: a connection that is
/// closed forgets the bytes that are still under way.
pub(crate) struct SessionStream {
    connection: Connection,
    send: Sending,
    receive: RecvStream,
}

enum Sending {
    Open(SendStream),
    /// Our end is marked, and the peer has not acknowledged everything.
    Finishing(Pin<Box<dyn Future<Output = ()> + Send>>),
    Finished,
}

impl SessionStream {
    pub(crate) fn new(connection: Connection, stream: (SendStream, RecvStream)) -> Self {
        Self {
            connection,
            send: Sending::Open(stream.0),
            receive: stream.1,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl AsyncRead for SessionStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.receive)
            .poll_read(cx, buf)
            .map(|read| match read {
                Err(error) => match Loss::of(&error) {
                    // A peer that closes the connection ends its stream by it.
                    Loss::Closed => Ok(()),
                    Loss::Words(words) => Err(io::Error::new(error.kind(), words)),
                },
                Ok(()) => Ok(()),
            })
    }
}

impl AsyncWrite for SessionStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.send {
            Sending::Open(send) => Pin::new(send).poll_write(cx, buf).map_err(in_words),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task sends the bytes that were written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.send = match std::mem::replace(&mut self.send, Sending::Finished) {
                Sending::Open(mut send) => Sending::Finishing(Box::pin(async move {
                    // If this fails there is nobody left to tell.
                    let _ = send.finish().await;
                })),
                Sending::Finishing(mut finishing) => {
                    if finishing.as_mut().poll(cx).is_pending() {
                        self.send = Sending::Finishing(finishing);
                        return Poll::Pending;
                    }
                    Sending::Finished
                }
                Sending::Finished => return Poll::Ready(Ok(())),
            };
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        // The connection has other owners, who would keep it open.
        self.connection.close(ErrorCode::NoError.to_code(), b"");
    }
}

impl fmt::Debug for SessionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStream")
            .field("remote_address", &self.connection.remote_address())
            .finish_non_exhaustive()
    }
}

/// The reason why nothing more comes or goes.
enum Loss {
    /// The peer has closed the connection in good order.
    Closed,
    Words(String),
}

impl Loss {
    fn of(error: &io::Error) -> Self {
        let inner = error.get_ref();
        let read = inner.and_then(|inner| inner.downcast_ref::<quinn::ReadError>());
        let write = inner.and_then(|inner| inner.downcast_ref::<quinn::WriteError>());
        match (read, write) {
            (Some(quinn::ReadError::ConnectionLost(lost)), _)
            | (_, Some(quinn::WriteError::ConnectionLost(lost))) => Self::of_connection(lost),
            (Some(quinn::ReadError::Reset(code)), _) => {
                Self::Words(format!("the peer broke off its stream with code {code}"))
            }
            (_, Some(quinn::WriteError::Stopped(code))) => {
                Self::Words(format!("the peer stopped reading, with code {code}"))
            }
            _ => Self::Words(error.to_string()),
        }
    }

    fn of_connection(lost: &ConnectionError) -> Self {
        match lost {
            ConnectionError::ApplicationClosed(close) => {
                let code = close.error_code.into_inner();
                // Some say good-bye with HTTP/3's code for it, and some with none.
                if code == 0 || code == ErrorCode::NoError.to_code().into_inner() {
                    Self::Closed
                } else {
                    Self::Words(format!("closed by the peer: {close}"))
                }
            }
            // The library does so when the peer has closed the CONNECT stream, as browsers do.
            // (When it is we who close, nobody reads any more.)
            ConnectionError::LocallyClosed => Self::Closed,
            ConnectionError::TimedOut => {
                Self::Words("nothing was heard of the peer for too long".to_owned())
            }
            lost => Self::Words(lost.to_string()),
        }
    }
}

fn in_words(error: io::Error) -> io::Error {
    let words = match Loss::of(&error) {
        Loss::Closed => "the peer has closed the connection".to_owned(),
        Loss::Words(words) => words,
    };
    io::Error::new(error.kind(), words)
}

//! The stream of a session, as bytes.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wtransport::{
    Connection, RecvStream, SendStream,
    proto::error::ErrorCode,
    quinn::{self, ConnectionError},
};

/// The session's stream, with its connection.
///
/// Closing a connection drops data that was written but not read, wherever it is by then. So a
/// shutdown finishes the sending side of the stream, and waits until the peer has finished its own,
/// which it does once it has read everything. Then the connection is closed. The shutdown completes
/// only after the peer has been told, since the program may end right afterwards.
pub(crate) struct SessionStream {
    connection: Connection,
    send: Sending,
    receive: RecvStream,
    /// True once nothing more can be received.
    received_all: bool,
}

enum Sending {
    Open(SendStream),
    /// The sending side is finished, and the peer has not acknowledged everything.
    Finishing(Task),
    /// The peer has received everything, and has yet to finish its side.
    Finished,
    /// The connection is closed, and the peer is being told.
    Closing(Task),
    Closed,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl SessionStream {
    pub(crate) fn new(connection: Connection, stream: (SendStream, RecvStream)) -> Self {
        Self {
            connection,
            send: Sending::Open(stream.0),
            receive: stream.1,
            received_all: false,
        }
    }

    /// Reads and discards everything up to the peer's end.
    fn poll_receive_all(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        /// The number of reads before other tasks get their turn.
        const READS: u32 = 32;

        for _ in 0..READS {
            if self.received_all {
                return Poll::Ready(());
            }
            let mut space = [0; 1024];
            // A failure counts as the end too.
            let _ = ready!(Pin::new(&mut *self).poll_read(cx, &mut ReadBuf::new(&mut space)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
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
        let (before, has_room) = (buf.filled().len(), buf.remaining() > 0);
        let read = ready!(Pin::new(&mut self.receive).poll_read(cx, buf));
        self.received_all |= read.is_err() || has_room && buf.filled().len() == before;
        Poll::Ready(match read {
            Err(error) => match Loss::of(&error) {
                // A peer that closes the connection thereby ends its stream.
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
        // The connection's own task sends the written bytes.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let next = match &mut self.send {
                Sending::Open(_) => match std::mem::replace(&mut self.send, Sending::Finished) {
                    Sending::Open(send) => Sending::Finishing(Box::pin(finish(send))),
                    other => other,
                },
                Sending::Finishing(finishing) => {
                    ready!(finishing.as_mut().poll(cx));
                    Sending::Finished
                }
                Sending::Finished => {
                    ready!(self.poll_receive_all(cx));
                    Sending::Closing(Box::pin(close(self.connection.clone())))
                }
                Sending::Closing(closing) => {
                    ready!(closing.as_mut().poll(cx));
                    Sending::Closed
                }
                Sending::Closed => return Poll::Ready(Ok(())),
            };
            self.send = next;
        }
    }
}

/// Finishes the sending side of the stream, and waits until the peer has received everything.
async fn finish(mut send: SendStream) {
    // If this fails, the peer is gone.
    let _ = send.finish().await;
}

/// Closes the connection, and waits until the datagram that reports it has been sent, as far as
/// this can be observed: another task sends it without any notification.
async fn close(connection: Connection) {
    /// The number of checks. One turn of the other task is enough, unless the machine is busy.
    const LOOKS: u32 = 20;

    connection.close(ErrorCode::NoError.to_code(), b"");
    for _ in 0..LOOKS {
        if connection
            .quic_connection()
            .stats()
            .frame_tx
            .connection_close
            > 0
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        // The connection has other owners, which would keep it open.
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

/// The reason why the stream has ended.
enum Loss {
    /// The peer closed the connection properly.
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
                // Some peers close with HTTP/3's code, and some with none.
                if code == 0 || code == ErrorCode::NoError.to_code().into_inner() {
                    Self::Closed
                } else {
                    Self::Words(format!("closed by the peer: {close}"))
                }
            }
            // The library reports this when the peer closes the CONNECT stream, as browsers do. (It
            // also does when this side closes it, but then nothing reads any more.)
            ConnectionError::LocallyClosed => Self::Closed,
            ConnectionError::TimedOut => {
                Self::Words("nothing was received from the peer for too long".to_owned())
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

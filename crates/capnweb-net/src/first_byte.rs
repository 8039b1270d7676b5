//! Connections that have sent nothing yet.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Handshake, SessionPermit};

/// The byte stream of a session without a handshake. It fails if the peer sends nothing for too
/// long after connecting, or has to make way for another connection before it has sent anything.
pub struct FirstByte<S> {
    io: S,
    /// The failure of the stream, until the first byte has arrived.
    late: Option<Pin<Box<dyn Future<Output = io::Error> + Send>>>,
    _permit: SessionPermit,
}

impl<S> FirstByte<S> {
    /// Creates a stream that waits for the first byte of `io` for at most `timeout`. The session is
    /// counted until the stream is dropped.
    pub fn new(io: S, permit: SessionPermit, handshake: Handshake, timeout: Duration) -> Self {
        let late = async move {
            tokio::select! {
                () = tokio::time::sleep(timeout) => io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("the peer sent nothing within {timeout:?}"),
                ),
                () = async { handshake.evicted().notified().await } => io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "the peer sent nothing, and made way for another (limit max_handshakes)",
                ),
            }
        };
        Self {
            io,
            late: Some(Box::pin(late)),
            _permit: permit,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstByte<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        let Some(late) = &mut self.late else {
            return read;
        };
        if read.is_ready() {
            self.late = None;
            return read;
        }
        let failed = late.as_mut().poll(cx);
        if failed.is_ready() {
            self.late = None;
        }
        failed.map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstByte<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<S: fmt::Debug> fmt::Debug for FirstByte<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstByte")
            .field("io", &self.io)
            .field("is_late", &self.late.is_none())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::ServerLimits;

    const TIMEOUT: Duration = Duration::from_secs(60);

    async fn connect(limits: &ServerLimits) -> (FirstByte<DuplexStream>, DuplexStream) {
        let (io, other) = tokio::io::duplex(16);
        let permit = limits.admit_session(None).unwrap();
        let handshake = limits.handshake(None).await.unwrap();
        (FirstByte::new(io, permit, handshake, TIMEOUT), other)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_has_an_end() {
        let limits = ServerLimits::new();
        let (mut io, _other) = connect(&limits).await;
        let failed = io.read_u8().await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert_eq!(limits.sessions(), 1);
        drop(io);
        assert_eq!((limits.sessions(), limits.handshakes()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_began_may_be_silent() {
        let limits = ServerLimits::new().with_max_handshakes(1);
        let (mut io, mut other) = connect(&limits).await;
        other.write_u8(7).await.unwrap();
        assert_eq!(io.read_u8().await.unwrap(), 7);
        assert_eq!(limits.handshakes(), 0);
        let reading = tokio::time::timeout(10 * TIMEOUT, io.read_u8()).await;
        assert!(reading.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_makes_way() {
        let limits = ServerLimits::new().with_max_handshakes(1);
        let (mut silent, _one) = connect(&limits).await;
        let reading = tokio::spawn(async move { silent.read_u8().await.unwrap_err() });
        let (_io, _two) = connect(&limits).await;
        let failed = reading.await.unwrap();
        assert_eq!(failed.kind(), io::ErrorKind::ConnectionAborted);
    }
}

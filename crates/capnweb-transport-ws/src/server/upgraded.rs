//! The byte stream under a WebSocket of a server.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A connection that was HTTP before.
///
/// Behind `axum::serve` on a TCP listener it is the socket itself, and `TCP_NODELAY` is set on it.
#[derive(Debug)]
pub struct Upgraded(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Other(TokioIo<hyper::upgrade::Upgraded>),
}

impl Upgraded {
    /// The stream, and what has been read of it already.
    pub(super) fn new(upgraded: hyper::upgrade::Upgraded) -> (Self, Bytes) {
        match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                let socket = parts.io.into_inner();
                // Without it calls are slower, which is no reason to refuse them.
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(target: "capnweb", %error, "TCP_NODELAY was not set");
                }
                (Self(Inner::Tcp(socket)), parts.read_buf)
            }
            Err(upgraded) => (Self(Inner::Other(TokioIo::new(upgraded))), Bytes::new()),
        }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            Inner::Other(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Tcp(io) => Pin::new(io).poll_write(cx, buf),
            Inner::Other(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Tcp(io) => Pin::new(io).poll_flush(cx),
            Inner::Other(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Inner::Other(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

//! Byte streams beneath a server's WebSockets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use capnweb_net::{StallGuard, socket};
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A connection that was upgraded from HTTP.
///
/// On a TCP listener, behind `axum::serve` or `capnweb::axum::serve`, it is the socket itself, with
/// `TCP_NODELAY` and keep-alive set.
#[derive(Debug)]
pub struct Upgraded(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Other(TokioIo<hyper::upgrade::Upgraded>),
}

impl Upgraded {
    /// Returns the stream, and the bytes that have already been read from it.
    pub(super) fn new(
        upgraded: hyper::upgrade::Upgraded,
        tcp_keep_alive: Option<Duration>,
    ) -> (Self, Bytes) {
        let downcast = auto::upgrade::downcast::<TokioIo<TcpStream>>;
        let downcast_guarded = auto::upgrade::downcast::<TokioIo<StallGuard<TcpStream>>>;
        let (stream, already_read) = match downcast(upgraded).map_err(downcast_guarded) {
            Ok(parts) => (parts.io.into_inner(), parts.read_buf),
            Err(Ok(parts)) => (parts.io.into_inner().into_inner(), parts.read_buf),
            Err(Err(upgraded)) => {
                return (Self(Inner::Other(TokioIo::new(upgraded))), Bytes::new());
            }
        };
        socket::configure(&stream, tcp_keep_alive);
        (Self(Inner::Tcp(stream)), already_read)
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

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Request, routing::get};
    use hyper::upgrade::OnUpgrade;
    use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc};

    use super::*;

    #[tokio::test]
    async fn an_upgraded_stream_behind_axum_is_the_socket() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let route = get(async move |mut request: Request| {
            let on_upgrade = request.extensions_mut().remove::<OnUpgrade>().unwrap();
            tokio::spawn(async move { sender.send(on_upgrade.await.unwrap()).unwrap() });
            http::StatusCode::SWITCHING_PROTOCOLS
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(route)).await });
        let request =
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nearly";
        client.write_all(request).await.unwrap();

        let (upgraded, already_read) = Upgraded::new(receiver.recv().await.unwrap(), None);
        match upgraded.0 {
            Inner::Tcp(socket) => assert!(socket.nodelay().unwrap()),
            Inner::Other(_) => panic!("the socket was not found under the upgraded connection"),
        }
        assert_eq!(already_read, "early");
    }
}

//! The HTTP request that opens a WebSocket.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use capnweb_core::ConnectFailure;
use capnweb_core::invariant::Invariant;
use capnweb_net::{ConnectError, parse_retry_after};
use http::{Request, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        self,
        error::ProtocolError,
        handshake::{client::Response, machine::TryParse},
    },
};

/// The number of characters to quote of a refusal's text.
const QUOTED: usize = 100;

/// Requests a WebSocket and checks the response. Returns the stream, and the bytes that were read
/// beyond the response.
pub(super) async fn shake_hands<S>(
    request: Request<()>,
    io: S,
) -> Result<(S, Vec<u8>), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let recorder = Recorder {
        io,
        read: Vec::new(),
    };
    let (socket, _) = client_async(request, recorder)
        .await
        .map_err(|error| refusal(&error))?;
    let Recorder { io, mut read } = socket.into_inner();
    // The library does not return the bytes that it has read beyond the response, so find the end
    // of the response again.
    match Response::try_parse(&read) {
        Ok(Some((answer, _))) => Ok((io, read.split_off(answer.min(read.len())))),
        Ok(None) => Err(not_capnweb("the server's answer is not whole")),
        Err(error) => Err(not_capnweb(error.to_string())),
    }
}

/// A stream that records what is read. This is little, since the library stops at 64 KiB.
struct Recorder<S> {
    io: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorder<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, into))?;
        let read = into.filled().get(before..).or_bug("a read only fills");
        self.read.extend_from_slice(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorder<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Returns the reason for a failed handshake.
fn refusal(error: &tungstenite::Error) -> ConnectError {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status();
            let failure = if status.is_success() {
                // The server does not support upgrades.
                ConnectFailure::NotCapnWeb
            } else {
                let retry_after = parse_retry_after(response.headers());
                ConnectFailure::status(status.as_u16(), retry_after)
            };
            ConnectError::new(failure, describe(response))
        }
        tungstenite::Error::Io(error) => ConnectError::io(error),
        tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete)
        | tungstenite::Error::ConnectionClosed => {
            ConnectError::new(ConnectFailure::Disconnected, error.to_string())
        }
        error => not_capnweb(error.to_string()),
    }
}

fn not_capnweb(cause: impl Into<String>) -> ConnectError {
    ConnectError::new(ConnectFailure::NotCapnWeb, cause)
}

/// Describes a response that does not open a WebSocket.
fn describe(response: &Response) -> String {
    let mut text = format!("the server answered {}", response.status());
    if let Some(location) = response.headers().get(header::LOCATION) {
        text.push_str(&format!(", redirecting to {location:?}"));
    }
    let body = response.body().as_deref().unwrap_or_default();
    let chunked = response
        .headers()
        .get(header::TRANSFER_ENCODING)
        .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let body = if chunked {
        join_chunks(body)
    } else {
        body.to_vec()
    };
    let body = String::from_utf8_lossy(&body);
    let body = body.trim();
    if !body.is_empty() {
        text.push_str(": ");
        text.extend(body.chars().take(QUOTED));
        if body.chars().nth(QUOTED).is_some() {
            text.push('…');
        }
    }
    text
}

/// Returns the content of a chunked HTTP body, as far as it has arrived.
fn join_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    while let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let size = String::from_utf8_lossy(&body[..end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else {
            break;
        };
        let rest = &body[end + 2..];
        let (chunk, rest) = rest.split_at(size.min(rest.len()));
        joined.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    joined
}

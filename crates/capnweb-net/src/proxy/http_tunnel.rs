//! Tunnels through HTTP proxies, by CONNECT.

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Host;

use super::refused;
use crate::ConnectError;

/// The maximum length of the head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

pub(super) async fn open<S>(
    stream: &mut S,
    host: &Host<&str>,
    port: u16,
    authorization: Option<&HeaderValue>,
) -> Result<(), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let failed = |error: std::io::Error| refused(None, format_args!("hung up: {error}"));
    stream.write_all(&request).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut head = Vec::new();
    let end = loop {
        if stream.read_buf(&mut head).await.map_err(failed)? == 0 {
            return Err(refused(None, "hung up"));
        }
        if let Some(end) = head.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        if head.len() > MAX_HEAD {
            return Err(refused(None, "sent too long an answer"));
        }
    };
    let code =
        status(&head).ok_or_else(|| refused(None, "does not answer as an HTTP proxy would"))?;
    match code {
        // The client has to send first in a tunnel.
        200..=299 if end < head.len() => Err(refused(None, "sent more than its answer")),
        200..=299 => Ok(()),
        407 => Err(refused(
            Some(407),
            "asks for a user and password, or for others (407)",
        )),
        code => Err(refused(Some(code), format_args!("answered {code}"))),
    }
}

/// Returns the status in the first line of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = str::from_utf8(line).ok()?.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))?;
    let code = words.next()?;
    (code.len() == 3).then(|| code.parse().ok())?
}

#[cfg(test)]
mod tests {
    use capnweb_core::ConnectFailure;
    use tokio::io::duplex;

    use super::*;

    /// Returns the outcome of a tunnel whose proxy sends `answer`, and the request.
    async fn open_with(answer: &[u8]) -> (Result<(), ConnectError>, String) {
        let (mut here, mut there) = duplex(1 << 16);
        there.write_all(answer).await.unwrap();
        let authorization = HeaderValue::from_static("Basic eA==");
        let opening = open(
            &mut here,
            &Host::Domain("a.example"),
            80,
            Some(&authorization),
        );
        let hang_up = async {
            let mut request = vec![0; 1024];
            let len = there.read(&mut request).await.unwrap();
            drop(there);
            String::from_utf8_lossy(&request[..len]).into_owned()
        };
        tokio::join!(opening, hang_up)
    }

    #[tokio::test]
    async fn the_request_names_the_target() {
        let (outcome, request) = open_with(b"HTTP/1.0 200 Connected\r\nx: y\r\n\r\n").await;
        outcome.unwrap();
        assert_eq!(
            request,
            "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\
             Proxy-Authorization: Basic eA==\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn refusals_have_their_code() {
        for (answer, code) in [
            ("HTTP/1.1 407 Who are you\r\n\r\n", Some(407)),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", Some(502)),
            ("HTTP/1.1 200 OK\r\n\r\nearly", None),
            ("HTTP/1.1 200", None),
            ("HTTP/2 200\r\n\r\n", None),
            ("HTTP/1.1 20\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            let (outcome, _) = open_with(answer.as_bytes()).await;
            let failure = outcome.unwrap_err().failure;
            assert_eq!(failure, ConnectFailure::proxy(code), "{answer:?}");
        }
        let endless = "HTTP/1.1 200 OK\r\nx: ".to_owned() + &"x".repeat(2 * MAX_HEAD);
        let (outcome, _) = open_with(endless.as_bytes()).await;
        assert!(outcome.unwrap_err().cause.contains("too long"));
    }
}

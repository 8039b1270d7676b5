//! The WebSocket handshake.

use std::io::{Read, Write};

use crate::Result;

/// The key of RFC 6455's example, whose answer need not be computed.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The maximum length of a head.
const MOST: usize = 8 * 1024;

/// Performs the client's side.
pub(crate) fn ask(stream: &mut (impl Read + Write), host: &str) -> Result {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let head = read_head(stream)?;
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
        return Err(format!("no WebSocket: {head}").into());
    }
    Ok(())
}

/// Performs the server's side, for the client above.
pub(crate) fn answer(stream: &mut (impl Read + Write)) -> Result {
    read_head(stream)?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    Ok(stream.write_all(response.as_bytes())?)
}

/// Reads byte by byte, so that nothing beyond the head is consumed.
fn read_head(stream: &mut impl Read) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
        if head.len() > MOST {
            return Err("the head of the handshake does not end".into());
        }
    }
    Ok(String::from_utf8(head)?)
}

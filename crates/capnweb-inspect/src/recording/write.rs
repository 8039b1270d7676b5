//! Writing recordings.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Body, Entry, Event, Header, Side, VERSION,
    line::{Close, Direction, Encoding, FirstLine, Line, Open},
};

/// Writes a recording, one entry at a time.
#[derive(Debug)]
pub struct Writer<W: Write> {
    to: W,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// Returns the error of the writer.
    pub fn new(to: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self { to };
        writer.line(&FirstLine {
            capnweb: "recording".to_owned(),
            version: VERSION,
            header: header.clone(),
        })?;
        Ok(writer)
    }

    /// Writes an entry.
    ///
    /// # Errors
    ///
    /// Returns the error of the writer.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = Line {
            // Microseconds are precise enough.
            t: (entry.t * 1000.0).round() / 1000.0,
            session: entry.session,
            open: None,
            dir: None,
            msg: None,
            raw: None,
            base64: None,
            encoding: None,
            close: None,
        };
        match &entry.event {
            Event::Open { transport, path } => {
                line.open = Some(Open {
                    transport: *transport,
                    path: path.clone(),
                });
            }
            Event::Close { reason } => {
                line.close = Some(Close {
                    reason: reason.clone(),
                })
            }
            Event::Message { from, body } => {
                line.dir = Some(match from {
                    Side::Client => Direction::ClientToServer,
                    Side::Server => Direction::ServerToClient,
                });
                line.encoding = match body {
                    Body::BinaryText(_) => Some(Encoding::Binary),
                    Body::MessagePack(_) => Some(Encoding::MessagePack),
                    Body::Text(_) | Body::Opaque(_) => None,
                };
                match (body, body.text()) {
                    (Body::Opaque(bytes), _) => line.base64 = Some(STANDARD.encode(bytes)),
                    (_, Some(text)) => match as_json(text) {
                        Some(json) => line.msg = Some(json),
                        None => line.raw = Some(text.to_owned()),
                    },
                    (_, None) => {}
                }
            }
        }
        self.line(&line)
    }

    /// Flushes the writer.
    ///
    /// # Errors
    ///
    /// Returns the error of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Returns the writer.
    pub fn into_inner(self) -> W {
        self.to
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        // One write per line, so that a concurrent reader of the file sees whole lines.
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.to.write_all(&text)
    }
}

/// Returns a text that can be embedded in a line unchanged.
fn as_json(text: &str) -> Option<&RawValue> {
    // White space around the text would be lost, and a line break in it would end the line.
    let is_bare = text.starts_with('[') && text.ends_with(']') && !text.contains(['\n', '\r']);
    match is_bare {
        true => serde_json::from_str(text).ok(),
        false => None,
    }
}

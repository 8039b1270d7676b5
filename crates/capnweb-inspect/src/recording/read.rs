//! Reading recordings.

use std::io::{self, BufRead};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Body, Entry, Event, Header, Side, VERSION,
    line::{Direction, Encoding, FirstLine, Line},
};

/// The reason why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The first line is not a recording's header.
    #[error(
        "this is no recording: its first line is not {{\"capnweb\":\"recording\",\"version\":1}}"
    )]
    NotARecording,
    /// The recording uses a later version of the format.
    #[error(
        "this recording is of version {found} of the format, and this program reads up to {VERSION}"
    )]
    Version {
        /// The version of the recording.
        found: u32,
    },
    /// A line is not an entry.
    #[error("line {line}: {why}")]
    Line {
        /// The line's number, from 1.
        line: u64,
        /// The problem with the line.
        why: String,
    },
}

/// Reads a recording, one entry at a time.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    header: Header,
    buffer: String,
    line: u64,
    is_cut: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// Returns an error if `from` is not a recording, or uses a later version of the format.
    pub fn new(mut from: R) -> Result<Self, ReadError> {
        let mut buffer = String::new();
        match from.read_line(&mut buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(ReadError::NotARecording);
            }
            Err(error) => return Err(error.into()),
        }
        let first: FirstLine =
            serde_json::from_str(&buffer).map_err(|_| ReadError::NotARecording)?;
        if first.capnweb != "recording" {
            return Err(ReadError::NotARecording);
        }
        if first.version > VERSION {
            return Err(ReadError::Version {
                found: first.version,
            });
        }
        Ok(Self {
            from,
            header: first.header,
            buffer,
            line: 1,
            is_cut: false,
        })
    }

    /// Returns the first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns true if the last line was cut off, as happens when the recording program is killed.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn read(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            self.buffer.clear();
            self.line += 1;
            if self.from.read_line(&mut self.buffer)? == 0 {
                return Ok(None);
            }
            if self.buffer.trim().is_empty() {
                continue;
            }
            return match entry(self.buffer.trim_end()) {
                Ok(entry) => Ok(Some(entry)),
                Err(_) if !self.buffer.ends_with('\n') => {
                    self.is_cut = true;
                    Ok(None)
                }
                Err(why) => Err(ReadError::Line {
                    line: self.line,
                    why,
                }),
            };
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn entry(line: &str) -> Result<Entry, String> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let event = match (line.dir, line.open, line.close) {
        (Some(dir), None, None) => {
            let from = match dir {
                Direction::ClientToServer => Side::Client,
                Direction::ServerToClient => Side::Server,
            };
            let text = match (line.msg, line.raw) {
                (Some(msg), None) => Some(msg.get().to_owned()),
                (None, raw) => raw,
                (Some(_), Some(_)) => return Err("it has both `msg` and `raw`".to_owned()),
            };
            let body = match (text, line.base64, line.encoding) {
                (Some(text), None, None) => Body::Text(text),
                (Some(text), None, Some(Encoding::Binary)) => Body::BinaryText(text),
                (Some(text), None, Some(Encoding::MessagePack)) => Body::MessagePack(text),
                (None, Some(bytes), _) => Body::Opaque(
                    STANDARD
                        .decode(bytes)
                        .map_err(|error| format!("`base64`: {error}"))?,
                ),
                _ => return Err("it has not one of `msg`, `raw` and `base64`".to_owned()),
            };
            Event::Message { from, body }
        }
        (None, Some(open), None) => Event::Open {
            transport: open.transport,
            path: open.path,
        },
        (None, None, Some(close)) => Event::Close {
            reason: close.reason,
        },
        _ => return Err("it has not one of `dir`, `open` and `close`".to_owned()),
    };
    Ok(Entry {
        t: line.t,
        session: line.session,
        event,
    })
}

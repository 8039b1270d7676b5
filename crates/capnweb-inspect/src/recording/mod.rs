//! Recordings: a header line, then one line of JSON per event.

mod line;
mod read;
mod redact;
mod secret;
mod write;

pub(crate) use self::redact::REDACTED;
use std::borrow::Cow;
use std::fmt;

use capnweb_wire::{Limits, message_pack};
use serde::{Deserialize, Serialize};

pub use self::{
    read::{ReadError, Reader},
    redact::Redactor,
    write::Writer,
};

/// The version of the format that this library writes.
pub const VERSION: u32 = 1;

/// A side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The side that connected.
    Client,
    /// The side that accepted the connection.
    Server,
}

impl Side {
    /// Returns the other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// The kind of transport under a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TransportKind {
    /// A session over a WebSocket.
    WebSocket,
    /// An HTTP exchange. The answer ends the session.
    Batch,
    /// Another transport.
    #[serde(other)]
    Other,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "WebSocket",
            Self::Batch => "batch",
            Self::Other => "session",
        })
    }
}

/// The header: the first line of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// The time when the recording began, in ISO 8601. The times of entries count from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// The address of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The names whose values were removed. `None` if nothing was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<Vec<String>>,
}

/// An event in a session, with its time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Milliseconds since the start of the recording.
    pub t: f64,
    /// The session's number in the recording.
    pub session: u64,
    /// The event.
    pub event: Event,
}

impl Entry {
    /// Creates an entry.
    #[must_use]
    pub fn new(t: f64, session: u64, event: Event) -> Self {
        Self { t, session, event }
    }
}

/// An event in an [`Entry`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A session began.
    Open {
        /// The kind of transport.
        transport: TransportKind,
        /// The path that the client requested, without the host.
        path: String,
    },
    /// A message.
    Message {
        /// The side that sent the message.
        from: Side,
        /// The message.
        body: Body,
    },
    /// A session ended.
    Close {
        /// The reason in words, such as a close code.
        reason: String,
    },
}

/// A message as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Text, which may not be a valid message.
    Text(String),
    /// Text in a binary frame.
    BinaryText(String),
    /// MessagePack, translated to equivalent text.
    MessagePack(String),
    /// Bytes that are not a message in any encoding.
    Opaque(Vec<u8>),
}

impl Body {
    /// Returns the messages in a binary frame. They are text if the frame begins like text, and
    /// MessagePack otherwise.
    #[must_use]
    pub fn of_binary(bytes: &[u8]) -> Vec<Self> {
        let is_text = bytes
            .first()
            .is_some_and(|first| matches!(first, b'[' | b' ' | b'\n' | b'\r' | b'\t'));
        if is_text && let Ok(text) = std::str::from_utf8(bytes) {
            return crate::lines(text)
                .map(|line| Self::BinaryText(line.to_owned()))
                .collect();
        }
        let mut text = Vec::new();
        let read = message_pack::to_json(bytes, &Limits::default(), &mut text);
        match read.ok().and_then(|_| String::from_utf8(text).ok()) {
            Some(text) => vec![Self::MessagePack(text)],
            None => vec![Self::Opaque(bytes.to_vec())],
        }
    }

    /// Returns the message's text, if it has one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::BinaryText(text) | Self::MessagePack(text) => Some(text),
            Self::Opaque(_) => None,
        }
    }

    /// Returns the length of the text, or of the bytes if there is no text.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Opaque(bytes) => bytes.len(),
            _ => self.text().map_or(0, str::len),
        }
    }

    /// Returns true if the body is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn with_text(&self, text: Cow<'_, str>) -> Self {
        let text = text.into_owned();
        match self {
            Self::Text(_) => Self::Text(text),
            Self::BinaryText(_) => Self::BinaryText(text),
            Self::MessagePack(_) => Self::MessagePack(text),
            Self::Opaque(bytes) => Self::Opaque(bytes.clone()),
        }
    }
}

/// A whole recording, in memory.
///
/// Use a [`Reader`] for a recording that does not fit in memory.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// The first line.
    pub header: Header,
    /// The entries: all other lines.
    pub entries: Vec<Entry>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// Returns an error if the recording cannot be read, or is not a recording. A last line that
    /// was cut off is ignored.
    pub fn read(from: impl std::io::BufRead) -> Result<Self, ReadError> {
        let mut reader = Reader::new(from)?;
        let entries = reader.by_ref().collect::<Result<_, _>>()?;
        let header = reader.header().clone();
        Ok(Self { header, entries })
    }

    /// Reads the recording in a file.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, or is not a recording.
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, ReadError> {
        Self::read(std::io::BufReader::new(std::fs::File::open(path)?))
    }
}

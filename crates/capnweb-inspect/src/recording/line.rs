//! The lines of a recording as serde reads and writes them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Header, TransportKind};

/// The first line.
#[derive(Deserialize, Serialize)]
pub(super) struct FirstLine {
    /// `"recording"`. Distinguishes the file from other JSON lines.
    pub(super) capnweb: String,
    pub(super) version: u32,
    #[serde(flatten)]
    pub(super) header: Header,
}

/// Every other line.
#[derive(Deserialize, Serialize)]
pub(super) struct Line<'a> {
    pub(super) t: f64,
    pub(super) session: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<Open>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dir: Option<Direction>,
    /// The text of a message that is valid JSON, unchanged.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) msg: Option<&'a RawValue>,
    /// Any other text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) raw: Option<String>,
    /// Bytes that are not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<Encoding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) close: Option<Close>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Open {
    pub(super) transport: TransportKind,
    #[serde(default)]
    pub(super) path: String,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Close {
    #[serde(default)]
    pub(super) reason: String,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) enum Direction {
    #[serde(rename = "c2s")]
    ClientToServer,
    #[serde(rename = "s2c")]
    ServerToClient,
}

/// The encoding of a message on the wire, unless it is text.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// Text in a binary frame.
    Binary,
    MessagePack,
}

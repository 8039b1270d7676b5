//! Tokens that carry capabilities through serde, which knows none.

use crate::{Container, SerError, Span};

/// Length of the tokens that a [`CapabilitySource`] hands out, in bytes.
pub const TOKEN_LEN: usize = 24;

/// Takes capabilities out of values that are being serialized.
///
/// A capability serializes itself as a newtype struct named [`CAPABILITY`](crate::CAPABILITY) that
/// holds bytes: a token by which the sink recognizes it. A peer's data can take the same shape by
/// way of `#[serde(flatten)]` and the like, so a token must be something that a peer cannot guess.
pub trait CapabilitySink {
    /// Notes that the capability named by `token` sits at `span`, an offset into the buffer being
    /// written. The text there is the placeholder `0`.
    ///
    /// # Errors
    ///
    /// If the token names no capability.
    fn capability(&mut self, token: &[u8], span: Span) -> Result<(), SerError>;

    /// Appends the expression named by `token`, which came under the name [`RAW`](crate::RAW), to
    /// `out`, and notes the capabilities in it.
    ///
    /// # Errors
    ///
    /// If the token names no content.
    fn raw(&mut self, token: &[u8], out: &mut Vec<u8>) -> Result<(), SerError>;

    /// Keeps bytes that belong at `span`, an offset into the buffer being written. If it does, the
    /// text there is the placeholder `0`. The default does not, and they are written as base64.
    fn keep_bytes(&mut self, bytes: &[u8], container: Container, span: Span) -> bool {
        let _ = (bytes, container, span);
        false
    }

    /// Notes that writing stopped since the text is longer than
    /// [`to_expr_within`](crate::to_expr_within) was told. The value then fails.
    fn stopped(&mut self) {}
}

/// Hands capabilities to values that are being deserialized.
///
/// A token goes to whoever asks for a newtype struct named [`CAPABILITY`](crate::CAPABILITY) or
/// [`RAW`](crate::RAW); it arrives as bytes inside that newtype. A type that takes whatever there
/// is, such as the buffer of `#[serde(flatten)]`, is given a capability as a newtype struct too,
/// and keeps it.
pub trait CapabilitySource {
    /// A token for the capability in the hole of this number; `None` if it cannot be handed out.
    ///
    /// It may be asked for more than once: objects with duplicate keys are read twice.
    fn capability(&self, hole: usize) -> Option<[u8; TOKEN_LEN]>;

    /// A token for the content at `span`; `None` if it cannot be handed out.
    ///
    /// An empty span stands for `undefined`: an argument that is missing.
    fn raw(&self, span: Span) -> Option<[u8; TOKEN_LEN]>;

    /// The bytes in the hole of this number, and their container, if it is bytes that sit in it and
    /// no capability.
    fn kept_bytes(&self, hole: usize) -> Option<(&[u8], Container)> {
        let _ = hole;
        None
    }
}

/// Serves as [`CapabilitySink`] and [`CapabilitySource`] where there can be no capabilities: it
/// refuses all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCapabilities;

impl CapabilitySink for NoCapabilities {
    fn capability(&mut self, _: &[u8], _: Span) -> Result<(), SerError> {
        Err(SerError::custom(
            "stubs and promises cannot be serialized here",
        ))
    }

    fn raw(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), SerError> {
        Err(SerError::custom("payloads cannot be serialized here"))
    }
}

impl CapabilitySource for NoCapabilities {
    fn capability(&self, _: usize) -> Option<[u8; TOKEN_LEN]> {
        None
    }

    fn raw(&self, _: Span) -> Option<[u8; TOKEN_LEN]> {
        None
    }
}

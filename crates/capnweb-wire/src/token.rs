//! Tokens that carry capabilities through serde.

use crate::{Container, SerError, Span};

/// The length of the tokens of a [`CapabilitySource`], in bytes.
pub const TOKEN_LEN: usize = 24;

/// Takes capabilities out of values that are being serialized.
///
/// A capability serializes itself as a newtype struct named [`CAPABILITY`](crate::CAPABILITY) that
/// contains bytes: a token that the sink recognizes. A peer's data can have the same shape through
/// `#[serde(flatten)]` and the like, so a peer must not be able to guess tokens.
pub trait CapabilitySink {
    /// Notes that the capability of `token` is at `span`, relative to the buffer being written. The
    /// text there is the placeholder `0`.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is not one of a capability.
    fn capability(&mut self, token: &[u8], span: Span) -> Result<(), SerError>;

    /// Appends the expression of `token`, which had the name [`RAW`](crate::RAW), to `out`, and
    /// notes the capabilities in it.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is not one of content.
    fn raw(&mut self, token: &[u8], out: &mut Vec<u8>) -> Result<(), SerError>;

    /// Keeps bytes that belong at `span`, relative to the buffer being written, and returns true.
    /// The text there is then the placeholder `0`. By default it returns false, and the bytes are
    /// written as base64.
    fn keep_bytes(&mut self, bytes: &[u8], container: Container, span: Span) -> bool {
        let _ = (bytes, container, span);
        false
    }

    /// Called when writing stops because the text exceeds the length that
    /// [`to_expr_within`](crate::to_expr_within) allows. The value then fails.
    fn stopped(&mut self) {}
}

/// Provides capabilities to values that are being deserialized.
///
/// A type receives a token by requesting a newtype struct named [`CAPABILITY`](crate::CAPABILITY)
/// or [`RAW`](crate::RAW). The token arrives as bytes inside that newtype. A type that accepts
/// anything, such as the buffer of `#[serde(flatten)]`, also receives a capability as a newtype
/// struct, and keeps it.
pub trait CapabilitySource {
    /// Returns a token for the capability in the hole with this index, or `None` if it is not
    /// available.
    ///
    /// It may be requested more than once, since objects with duplicate keys are read twice.
    fn capability(&self, hole: usize) -> Option<[u8; TOKEN_LEN]>;

    /// Returns a token for the content at `span`, or `None` if it is not available.
    ///
    /// An empty span stands for `undefined`, a missing argument.
    fn raw(&self, span: Span) -> Option<[u8; TOKEN_LEN]>;

    /// Returns a token for an array of strings at `span`, or `None` if it is not available.
    ///
    /// The array is a part of a form: a header. Unlike content, it is not in a second pair of
    /// brackets.
    fn raw_array(&self, span: Span) -> Option<[u8; TOKEN_LEN]> {
        let _ = span;
        None
    }

    /// Returns the bytes in the hole with this index and their container, if it contains bytes
    /// rather than a capability.
    fn kept_bytes(&self, hole: usize) -> Option<(&[u8], Container)> {
        let _ = hole;
        None
    }
}

/// A [`CapabilitySink`] and [`CapabilitySource`] that rejects all capabilities.
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

//! Byte streams of any kind.

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream whose type is not known: the connection to a proxy, with TLS or without.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

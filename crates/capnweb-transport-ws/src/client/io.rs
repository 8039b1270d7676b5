//! Byte streams of any kind.

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream of any type, such as a connection to a proxy with or without TLS.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

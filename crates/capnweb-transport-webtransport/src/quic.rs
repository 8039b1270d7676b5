//! The settings of QUIC, the same at both ends.

#[cfg(feature = "server")]
use std::io;
use std::{sync::Arc, time::Duration};

#[cfg(feature = "server")]
use wtransport::quinn::{self, crypto::rustls::QuicServerConfig};
use wtransport::quinn::{IdleTimeout, TransportConfig, VarInt};

#[cfg(feature = "server")]
use crate::Identity;

/// The silence after which a peer is gone.
const IDLE_TIMEOUT_MS: u32 = 30_000;

/// The time between two signs of life: neither the peer nor a router between us must think that we
/// are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The bytes that a peer may be ahead of our reading: on one stream, and on a connection. At 100 ms
/// of round trip the first allows 40 MB a second.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 6 << 20;

/// The CONNECT request and the session's stream, and some that are turned away.
const BIDIRECTIONAL_STREAMS: u32 = 8;

/// HTTP/3's own, and those by which browsers see whether unknown ones are tolerated.
const UNIDIRECTIONAL_STREAMS: u32 = 16;

/// WebTransport demands that datagrams are taken, and nobody reads them here: those that do not fit
/// are dropped.
const DATAGRAM_BUFFER: usize = 4 << 10;

pub(crate) fn transport_config() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDIRECTIONAL_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL_STREAMS))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(0);
    Arc::new(config)
}

/// The connections that may wait to be accepted or refused, which they are at once, and the bytes
/// that they may send until then.
#[cfg(feature = "server")]
const MAX_INCOMING: usize = 4096;
#[cfg(feature = "server")]
const INCOMING_BYTES: u64 = 16 << 20;

/// Returns the settings of a server that shows this certificate.
#[cfg(feature = "server")]
pub(crate) fn server_config(identity: &Identity) -> io::Result<quinn::ServerConfig> {
    let crypto = QuicServerConfig::try_from(identity.tls_config()).map_err(io::Error::other)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport_config())
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size_total(INCOMING_BYTES);
    Ok(config)
}

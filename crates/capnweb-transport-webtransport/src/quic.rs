//! The QUIC settings of both ends.

#[cfg(feature = "server")]
use std::io;
use std::{sync::Arc, time::Duration};

#[cfg(feature = "server")]
use wtransport::quinn::{self, crypto::rustls::QuicServerConfig};
use wtransport::quinn::{IdleTimeout, TransportConfig, VarInt};

#[cfg(feature = "server")]
use crate::Identity;

/// The time of silence after which a peer is considered gone.
const IDLE_TIMEOUT_MS: u32 = 30_000;

/// The interval between signs of life, so that neither the peer nor a router in between considers
/// the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The number of bytes that a peer may be ahead of our reading, per stream and per connection. With
/// a round trip of 100 ms, the former allows 40 MB per second.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 6 << 20;

/// The maximum number of bidirectional streams: the CONNECT request, the session's stream, and some
/// that are rejected.
const BIDIRECTIONAL_STREAMS: u32 = 8;

/// The maximum number of unidirectional streams: HTTP/3's own, and those with which browsers test
/// whether unknown streams are tolerated.
const UNIDIRECTIONAL_STREAMS: u32 = 16;

/// The size of the buffer for datagrams. WebTransport requires that datagrams are accepted, but
/// they are not read here. Those that do not fit are dropped.
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

/// The maximum number of connections that wait to be accepted or refused, which happens at once,
/// and of the bytes that they may send until then.
#[cfg(feature = "server")]
const MAX_INCOMING: usize = 4096;
#[cfg(feature = "server")]
const INCOMING_BYTES: u64 = 16 << 20;

/// Returns the settings of a server with this certificate.
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

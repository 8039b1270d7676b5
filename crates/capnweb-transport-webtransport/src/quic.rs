//! The settings of QUIC, the same at both ends.

use std::{sync::Arc, time::Duration};

use wtransport::quinn::{IdleTimeout, TransportConfig, VarInt};

/// A peer that is not heard of for so long is gone.
const IDLE_TIMEOUT_MS: u32 = 30_000;

/// Often enough that neither the peer nor a router between us thinks that we are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How far a peer may be ahead of our reading, in bytes: on one stream, and on a connection. At 100 ms
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

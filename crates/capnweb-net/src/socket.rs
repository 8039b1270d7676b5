//! Options of TCP sockets.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// The idle time after which a TCP connection is probed, unless a setting says otherwise: 30
/// seconds.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The time between two probes that are not answered.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// The number of probes that end a connection if none is answered.
#[cfg(not(windows))]
const PROBES: u32 = 3;

/// The number of bytes that a socket takes beyond those that are on their way to the peer.
///
/// With more, bytes that were written could wait in the system for a minute where the peer is slow,
/// and it would look as if the peer had long had them and said nothing. So many are a few
/// milliseconds of a fast network.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_BYTES: u32 = 128 << 10;

/// Sets `TCP_NODELAY`, a bound on bytes that wait in the system, and keep-alive on a socket.
///
/// Without `TCP_NODELAY` a small message can wait for the acknowledgement of the one before.
/// Keep-alive ends a connection whose peer is gone without a word: a connection that was idle for
/// `keep_alive` is probed every 10 seconds, and three probes without an answer end it. `None`
/// switches it off.
///
/// A socket works without these options, so a failure is logged and no more.
pub fn configure(socket: &TcpStream, keep_alive: Option<Duration>) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(target: "capnweb", %error, "TCP_NODELAY was not set");
    }
    let socket = SockRef::from(socket);
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(target: "capnweb", %error, "TCP_NOTSENT_LOWAT was not set");
    }
    let set = match keep_alive {
        Some(idle) => socket.set_tcp_keepalive(&probes(idle)),
        None => socket.set_keepalive(false),
    };
    if let Err(error) = set {
        tracing::debug!(target: "capnweb", %error, "TCP keep-alive was not set");
    }
}

fn probes(idle: Duration) -> TcpKeepalive {
    // Systems count in whole seconds, and refuse zero.
    let keep_alive = TcpKeepalive::new()
        .with_time(idle.max(Duration::from_secs(1)))
        .with_interval(PROBE_INTERVAL);
    #[cfg(not(windows))]
    let keep_alive = keep_alive.with_retries(PROBES);
    keep_alive
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_probed_after_the_idle_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert!(!SockRef::from(&socket).keepalive().unwrap());
        configure(&socket, Some(KEEP_ALIVE));
        assert!(socket.nodelay().unwrap());
        assert!(SockRef::from(&socket).keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            let socket = SockRef::from(&socket);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), PROBE_INTERVAL);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
        }
        configure(&socket, None);
        assert!(!SockRef::from(&socket).keepalive().unwrap());
        // Less than a second cannot be expressed.
        configure(&socket, Some(Duration::from_millis(1)));
        assert!(SockRef::from(&socket).keepalive().unwrap());
    }
}

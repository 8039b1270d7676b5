//! TCP socket options.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// The default idle time after which a TCP connection is probed: 30 seconds.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The interval between probes without an answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// The number of unanswered probes after which a connection ends.
#[cfg(not(windows))]
const PROBES: u32 = 3;

/// The number of unsent bytes that a socket accepts.
///
/// With more, written bytes could wait in the system for up to a minute if the peer is slow. It
/// would then look as if the peer had received them long ago and did not respond. On a fast
/// network, this number takes a few milliseconds to send.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_BYTES: u32 = 128 << 10;

/// Sets `TCP_NODELAY`, a bound on unsent bytes, and keep-alive on a socket.
///
/// Without `TCP_NODELAY`, a small message can wait for the acknowledgement of the previous one.
/// Keep-alive ends a connection whose peer has disappeared: a connection that was idle for
/// `keep_alive` is probed every 10 seconds, and ends after three probes without an answer. `None`
/// disables it.
///
/// A socket works without these options, so a failure is only logged.
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
    // Systems count in whole seconds, and reject zero.
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
        // The system cannot represent less than a second.
        configure(&socket, Some(Duration::from_millis(1)));
        assert!(SockRef::from(&socket).keepalive().unwrap());
    }
}

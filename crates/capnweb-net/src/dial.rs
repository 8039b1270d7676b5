//! Connecting to hosts with several addresses, as in RFC 8305 ("Happy Eyeballs").

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use capnweb_core::ConnectFailure;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};

use crate::{ConnectError, socket};

/// The time before the next address is tried in parallel, as RFC 8305 recommends.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The maximum number of a host's addresses to try.
const MAX_ADDRESSES: usize = 8;

/// Connects to `host`, a name or an IP address without brackets.
///
/// # Errors
///
/// Returns an error if the name has no address. If all attempts fail, returns the first failure.
pub async fn dial_host(
    host: &str,
    port: u16,
    keep_alive: Option<Duration>,
) -> Result<TcpStream, ConnectError> {
    dial(resolve((host, port)).await?, keep_alive).await
}

/// Connects to the first of `addresses` that answers.
///
/// The next address is tried as soon as an attempt fails, or after [`ATTEMPT_DELAY`]. The returned
/// socket has been [configured](socket::configure).
///
/// # Errors
///
/// Returns the first failure if all attempts fail.
pub async fn dial(
    addresses: impl IntoIterator<Item = SocketAddr>,
    keep_alive: Option<Duration>,
) -> Result<TcpStream, ConnectError> {
    let connected = race(addresses, ATTEMPT_DELAY, |_| false, TcpStream::connect).await;
    let socket = connected
        .unwrap_or_else(|| Err(no_address()))
        .map_err(|error| ConnectError::io(&error))?;
    socket::configure(&socket, keep_alive);
    Ok(socket)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address")
}

/// Looks up a host, and returns its addresses in the order in which to try them.
///
/// # Errors
///
/// Returns an error if the lookup fails or finds no address.
pub async fn resolve(host: impl ToSocketAddrs) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |cause: String| ConnectError::new(ConnectFailure::Dns, cause);
    let found = lookup_host(host)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let addresses = interleave(found);
    if addresses.is_empty() {
        return Err(failed("the host has no address".to_owned()));
    }
    Ok(addresses)
}

/// Alternates between the two families of addresses, starting with the family of the first address.
/// The order within each family is preserved. Duplicates are removed.
pub fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut families: [VecDeque<SocketAddr>; 2] = Default::default();
    let mut first_is_v6 = None;
    for address in addresses {
        let first_is_v6 = *first_is_v6.get_or_insert(address.is_ipv6());
        let family = &mut families[usize::from(address.is_ipv6() != first_is_v6)];
        if !family.contains(&address) {
            family.push_back(address);
        }
    }
    let mut order = Vec::new();
    while order.len() < MAX_ADDRESSES && families.iter().any(|family| !family.is_empty()) {
        let next = families.iter_mut().filter_map(VecDeque::pop_front);
        order.extend(next);
    }
    order.truncate(MAX_ADDRESSES);
    order
}

/// Runs `attempt` for each address, and returns the first success. An attempt starts when the
/// previous one fails or after `delay`. Returns `None` if there is no address.
///
/// # Errors
///
/// Returns the first failure that `is_final` accepts, at once. Otherwise, returns the first failure
/// after all attempts have failed.
pub async fn race<T, E, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    delay: Duration,
    is_final: impl Fn(&E) -> bool,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waiting: VecDeque<SocketAddr> = addresses.into_iter().collect();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        attempts.extend(waiting.pop_front().map(&mut attempt));
        let outcome = if waiting.is_empty() {
            attempts.next().await
        } else {
            match tokio::time::timeout(delay, attempts.next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome {
            Some(Ok(success)) => return Some(Ok(success)),
            Some(Err(error)) if is_final(&error) => return Some(Err(error)),
            Some(Err(error)) => failure = failure.or(Some(error)),
            None => return failure.map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::Ipv4Addr, time::Instant};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let found = ["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1"].map(address);
        let order = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(interleave(found), order);
        let found = ["1.1.1.1:1", "1.1.1.2:1", "[::1]:1"].map(address);
        let order = ["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"].map(address);
        assert_eq!(interleave(found), order);
        let many = (0..100).map(|last| (Ipv4Addr::new(1, 1, 1, last), 1).into());
        assert_eq!(interleave(many).len(), MAX_ADDRESSES);
    }

    /// Returns an outcome that depends on the port.
    async fn attempt(address: SocketAddr) -> Result<SocketAddr, u16> {
        match address.port() {
            1 => Ok(address),
            2 => pending().await,
            port => Err(port),
        }
    }

    async fn race_ports(ports: &[u16]) -> Option<Result<u16, u16>> {
        let addresses = ports.iter().map(|port| (Ipv4Addr::LOCALHOST, *port).into());
        race(addresses, ATTEMPT_DELAY, |port| *port == 9, attempt)
            .await
            .map(|outcome| outcome.map(|address| address.port()))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_silent_costs_the_delay() {
        let start = tokio::time::Instant::now();
        assert_eq!(race_ports(&[2, 2, 1]).await, Some(Ok(1)));
        assert_eq!(start.elapsed(), 2 * ATTEMPT_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_costs_nothing() {
        let start = tokio::time::Instant::now();
        assert_eq!(race_ports(&[3, 4, 1]).await, Some(Ok(1)));
        assert_eq!(race_ports(&[3, 4]).await, Some(Err(3)));
        assert_eq!(race_ports(&[3, 9, 1]).await, Some(Err(9)));
        assert_eq!(race_ports(&[]).await, None);
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test]
    async fn a_refused_connection_has_a_kind() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let error = dial([address], None).await.unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Refused);
        let error = dial([], None).await.unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Unreachable);
    }

    #[tokio::test]
    async fn a_name_without_an_address_has_a_kind() {
        let start = Instant::now();
        let error = dial_host("no-such-host.invalid", 1, None)
            .await
            .unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Dns, "{:?}", start.elapsed());
    }
}

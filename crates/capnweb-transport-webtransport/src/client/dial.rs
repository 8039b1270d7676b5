//! Finding an address that answers.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
};

use capnweb_net::{
    ConnectError,
    dial::{ATTEMPT_DELAY, race, resolve},
};
use url::{Host, Url};
use wtransport::{
    ClientConfig, Connection, Endpoint,
    config::{DnsLookupFuture, DnsResolver},
    endpoint::ConnectOptions,
    quinn,
};

use super::failure;

/// Connects to the first of the host's addresses that works.
///
/// UDP does not report that nothing listens, and a host such as `localhost` often has addresses of
/// both families with a server on only one of them.
pub(super) async fn dial(
    url: &Url,
    addresses: Option<&[SocketAddr]>,
    headers: &HashMap<String, String>,
    config: &quinn::ClientConfig,
) -> Result<Connection, ConnectError> {
    let addresses = match addresses {
        Some(addresses) => addresses.to_vec(),
        None => look_up(url).await?,
    };
    // If there was an answer, other addresses would answer the same.
    let is_final = |error: &ConnectError| !failure::is_silence(error);
    let connected = race(addresses, ATTEMPT_DELAY, is_final, |address| {
        attempt(url, headers, config.clone(), address)
    });
    let connected = connected.await;
    connected.unwrap_or_else(|| Err(failure::unreachable("there is no address")))
}

async fn look_up(url: &Url) -> Result<Vec<SocketAddr>, ConnectError> {
    let port = url.port_or_known_default().unwrap_or(443);
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(vec![(address, port).into()]),
        Some(Host::Ipv6(address)) => Ok(vec![(address, port).into()]),
        Some(Host::Domain(name)) => resolve((name, port)).await,
        None => Err(ConnectError::invalid("the URL has no host")),
    }
}

/// The number of attempts per address, for the case that HTTP/3 fails before it has carried the
/// request.
///
/// If wtransport, at either end, has read part of a frame and something else happens before the
/// rest arrives, it drops that part and takes the rest for another frame. This can affect the
/// settings at the start of a connection; it is rare, and more likely on a busy machine. The server
/// then closes the connection because of the frame. Or it waits for the settings until its time for
/// opening a session is over, and drops the connection. In neither case has an application received
/// a request.
const ATTEMPTS: u32 = 3;

async fn attempt(
    url: &Url,
    headers: &HashMap<String, String>,
    quic: quinn::ClientConfig,
    address: SocketAddr,
) -> Result<Connection, ConnectError> {
    // Use a socket of the same address family, since some machines lack one.
    let local: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut config = ClientConfig::builder()
        .with_bind_address((local, 0).into())
        .build_with_quic_config(quic);
    config.set_dns_resolver(Resolved(address));
    // The endpoint can be dropped once connected: the connection keeps the parts that it needs.
    let endpoint = Endpoint::client(config).map_err(|error| {
        failure::unreachable(format!("there is no UDP socket for {address}: {error}"))
    })?;
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let mut options = ConnectOptions::builder(url);
        for (name, value) in headers {
            options = options.add_header(name, value);
        }
        match endpoint.connect(options.build()).await {
            Err(error) if left > 0 && failure::is_misread_frame(&error) => {}
            outcome => return outcome.map_err(|error| failure::connecting(address, &error)),
        }
    }
}

/// A resolver that always returns the address being tried.
#[derive(Debug)]
struct Resolved(SocketAddr);

impl DnsResolver for Resolved {
    fn resolve(&self, _: &str) -> Pin<Box<dyn DnsLookupFuture>> {
        let address = self.0;
        Box::pin(async move { io::Result::Ok(Some(address)) })
    }
}

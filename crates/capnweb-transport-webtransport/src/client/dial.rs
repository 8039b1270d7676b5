//! Finding an address of the server's at which it answers.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::net::lookup_host;
use url::{Host, Url};
use wtransport::{
    ClientConfig, Connection, Endpoint,
    config::{DnsLookupFuture, DnsResolver},
    endpoint::ConnectOptions,
    quinn,
};

use super::failure::Failure;

/// How long an address has before the next is tried beside it. UDP does not say that nobody is there,
/// and a host such as `localhost` often has an address of each family with a server at only one.
const HEAD_START: Duration = Duration::from_millis(200);

/// More addresses of one host are not tried.
const MAX_ADDRESSES: usize = 8;

/// Connects to the first of the host's addresses at which it works, in their order and each a little
/// later than the one before.
pub(super) async fn dial(
    url: &Url,
    headers: &HashMap<String, String>,
    config: &quinn::ClientConfig,
) -> Result<Connection, Failure> {
    let addresses = resolve(url).await?;
    let mut attempts: FuturesUnordered<_> = (0..)
        .zip(&addresses)
        .map(|(place, address)| async move {
            tokio::time::sleep(HEAD_START * place).await;
            attempt(url, headers, config.clone(), *address).await
        })
        .collect();
    let mut failure: Option<Failure> = None;
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(connection) => return Ok(connection),
            // Somebody has answered, and other addresses would say the same.
            Err(answer) if !answer.is_silence() => return Err(answer),
            Err(silence) => failure = failure.or(Some(silence)),
        }
    }
    Err(failure.unwrap_or_else(|| Failure::no_address(url.authority(), "it resolves to none")))
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Failure> {
    let port = url.port_or_known_default().unwrap_or(443);
    let name = match url.host() {
        Some(Host::Ipv4(address)) => return Ok(vec![(address, port).into()]),
        Some(Host::Ipv6(address)) => return Ok(vec![(address, port).into()]),
        Some(Host::Domain(name)) => name,
        None => return Err(Failure::url("the URL has no host")),
    };
    let found = lookup_host((name, port))
        .await
        .map_err(|error| Failure::no_address(name, error))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

async fn attempt(
    url: &Url,
    headers: &HashMap<String, String>,
    quic: quinn::ClientConfig,
    address: SocketAddr,
) -> Result<Connection, Failure> {
    // A socket of the address's own family, for not every machine has both.
    let local: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut config = ClientConfig::builder()
        .with_bind_address((local, 0).into())
        .build_with_quic_config(quic);
    config.set_dns_resolver(Resolved(address));
    // The endpoint is let go of at once: the connection keeps alive what it needs of it.
    let endpoint = Endpoint::client(config).map_err(|error| {
        Failure::no_address(
            &address.to_string(),
            format!("no UDP socket for it: {error}"),
        )
    })?;
    let mut options = ConnectOptions::builder(url);
    for (name, value) in headers {
        options = options.add_header(name, value);
    }
    endpoint
        .connect(options.build())
        .await
        .map_err(|error| Failure::connecting(address, &error))
}

/// The address that is being tried, whatever the host's name.
#[derive(Debug)]
struct Resolved(SocketAddr);

impl DnsResolver for Resolved {
    fn resolve(&self, _: &str) -> Pin<Box<dyn DnsLookupFuture>> {
        let address = self.0;
        Box::pin(async move { io::Result::Ok(Some(address)) })
    }
}

//! HTTP clients for batches.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

#[cfg(feature = "tls")]
use capnweb_core::ConnectFailure;
use capnweb_net::{ConnectError, proxy::ProxyChoice, socket::KEEP_ALIVE};
use reqwest::{
    Client, ClientBuilder, Proxy, StatusCode,
    redirect::{Action, Attempt, Policy},
};

/// The time limit for connecting to a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of cached clients. There is one for each proxy in use.
const MAX_CLIENTS: usize = 16;

/// The maximum number of redirections of one batch.
const MAX_REDIRECTS: usize = 10;

/// The clients for batches without a client of their own. Sharing them shares their connections.
static SHARED: Mutex<VecDeque<(ProxyChoice, Client)>> = Mutex::new(VecDeque::new());

/// Returns the client for batches through this proxy.
pub(crate) fn shared(proxy: &ProxyChoice) -> Result<Client, ConnectError> {
    let mut clients = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = clients.iter().find(|(known, _)| known == proxy) {
        return Ok(client.clone());
    }
    let builder = match proxy {
        ProxyChoice::Environment | ProxyChoice::Direct if proxy.is_switched_off() => {
            builder()?.no_proxy()
        }
        ProxyChoice::Environment | ProxyChoice::Direct => builder()?,
        ProxyChoice::Url(url) => {
            proxy.check()?;
            let proxy = Proxy::all(url).map_err(|error| {
                ConnectError::invalid(format!("the proxy's URL cannot be used: {error}"))
            })?;
            builder()?.proxy(proxy)
        }
    };
    let client = builder
        .build()
        .map_err(|error| ConnectError::other(format!("there is no HTTP client: {error}")))?;
    if clients.len() >= MAX_CLIENTS {
        clients.pop_front();
    }
    clients.push_back((proxy.clone(), client.clone()));
    Ok(client)
}

/// Follows redirects that repeat the request unchanged, since the server has not run the batch. Any
/// other redirect would turn the batch into a GET without a body.
fn redirect(attempt: Attempt<'_>) -> Action {
    match attempt.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            if attempt.previous().len() <= MAX_REDIRECTS =>
        {
            attempt.follow()
        }
        _ => attempt.stop(),
    }
}

/// Returns a builder of HTTP clients for [`Batch::client`](crate::Batch::client), with TLS set up.
///
/// Use it instead of [`reqwest::Client::builder`], which panics unless the process has installed a
/// crypto provider for rustls.
///
/// TLS is set up as a whole, so the builder's own TLS settings have no effect. To trust your own
/// certificates, create a rustls configuration and pass it to
/// [`ClientBuilder::tls_backend_preconfigured`].
///
/// ```
/// let client = capnweb::http::client_builder()
///     .user_agent("example/1.0")
///     .build()
///     .unwrap();
/// let batch = capnweb::http::Batch::new("https://example.com/api").client(client);
/// ```
///
/// # Panics
///
/// Panics if the platform's trusted certificates cannot be loaded.
pub fn client_builder() -> ClientBuilder {
    match builder() {
        Ok(builder) => builder,
        Err(error) => panic!("{}", error.cause),
    }
}

fn builder() -> Result<ClientBuilder, ConnectError> {
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEP_ALIVE)
        .redirect(Policy::custom(redirect));
    #[cfg(feature = "tls")]
    {
        let tls = crate::tls::config();
        let tls = tls.map_err(|cause| ConnectError::new(ConnectFailure::Tls, cause))?;
        Ok(builder.tls_backend_preconfigured(tls))
    }
    #[cfg(not(feature = "tls"))]
    Ok(builder)
}

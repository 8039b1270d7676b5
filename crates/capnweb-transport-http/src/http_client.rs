//! The HTTP client under batches.

use std::sync::LazyLock;

use reqwest::{Client, ClientBuilder};

/// Shared by all batches that bring none, so that they share connections.
static SHARED: LazyLock<Result<Client, String>> = LazyLock::new(|| {
    let client = builder()?.build();
    client.map_err(|error| format!("there is no HTTP client: {error}"))
});

pub(crate) fn shared() -> Result<Client, String> {
    SHARED.clone()
}

/// The beginnings of an HTTP client for [`Batch::client`](crate::Batch::client), with TLS set up.
///
/// Begin here rather than with [`reqwest::Client::builder`]: that one needs the process to have
/// installed a crypto provider for rustls, and panics otherwise.
///
/// TLS is set up as a whole, so the builder's own settings for it have no effect. To trust certificates
/// of one's own, make a configuration of rustls and replace this one by it, with
/// [`ClientBuilder::tls_backend_preconfigured`].
///
/// ```
/// let client = capnweb_transport_http::client_builder()
///     .user_agent("example/1.0")
///     .build()
///     .unwrap();
/// let batch = capnweb_transport_http::Batch::new("https://example.com/api").client(client);
/// ```
///
/// # Panics
///
/// If the certificates that the platform trusts cannot be had.
pub fn client_builder() -> ClientBuilder {
    match builder() {
        Ok(builder) => builder,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(feature = "tls")]
fn builder() -> Result<ClientBuilder, String> {
    Ok(Client::builder().tls_backend_preconfigured(crate::tls::config()?))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with TLS it can fail")]
fn builder() -> Result<ClientBuilder, String> {
    Ok(Client::builder())
}

//! The HTTP client that batches share, so that they share connections.

use std::sync::LazyLock;

use reqwest::Client;

static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(build);

pub(super) fn get() -> Result<Client, String> {
    CLIENT.clone()
}

fn build() -> Result<Client, String> {
    let builder = Client::builder();
    #[cfg(feature = "tls")]
    let builder = builder.tls_backend_preconfigured(crate::tls::config()?);
    builder
        .build()
        .map_err(|error| format!("there is no HTTP client: {error}"))
}

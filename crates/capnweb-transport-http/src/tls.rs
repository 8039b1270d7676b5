//! TLS for `https:`.

use std::sync::Arc;

use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;

/// Returns a configuration that verifies certificates as the platform does. It names the crypto
/// provider, so it works whether or not the process has installed one.
pub(crate) fn config() -> Result<ClientConfig, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map(|config| config.with_no_client_auth())
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

//! The request for a WebSocket.

use capnweb_net::{ClientSettings, ConnectError};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use url::{Host, ParseError, Url};

/// Headers that belong to the handshake itself.
const RESERVED: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// Returns the URL with the scheme `ws` or `wss`.
pub(super) fn parse_url(url: &str) -> Result<Url, ConnectError> {
    let no_scheme = || ConnectError::invalid("the URL has to begin with `ws://` or `wss://`");
    let mut url = Url::parse(url).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => no_scheme(),
        error => ConnectError::invalid(error.to_string()),
    })?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        // In `localhost:8080/api`, the host is parsed as the scheme.
        _ => return Err(no_scheme()),
    };
    // Changing between these schemes cannot fail.
    let _ = url.set_scheme(scheme);
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConnectError::credentials_in_url());
    }
    Ok(url)
}

/// Returns the request for a WebSocket at `url` that offers these subprotocols.
pub(super) fn request(
    url: &Url,
    protocols: &[String],
    settings: &ClientSettings,
) -> Result<Request<()>, ConnectError> {
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| ConnectError::invalid(error.to_string()))?;
    let headers = request.headers_mut();
    // The rule for names of subprotocols is the same as for header names.
    let is_name = |name: &&String| HeaderName::from_bytes(name.as_bytes()).is_ok();
    if let Some(name) = protocols.iter().find(|name| !is_name(name)) {
        return Err(ConnectError::invalid(format!(
            "{name:?} cannot be the name of a subprotocol"
        )));
    }
    if let Ok(offered) = HeaderValue::try_from(protocols.join(", "))
        && !offered.is_empty()
    {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    let own = settings.headers(&RESERVED)?;
    let hosts = own.get_all(header::HOST).iter().count();
    if hosts > 1 {
        return Err(ConnectError::invalid("there can only be one header host"));
    }
    replace_headers(headers, own);
    Ok(request)
}

/// Replaces headers of the same names.
fn replace_headers(headers: &mut HeaderMap, own: HeaderMap) {
    for name in own.keys() {
        headers.remove(name);
    }
    for (name, value) in &own {
        headers.append(name, value.clone());
    }
}

/// Returns the host and port of a URL.
pub(super) fn host_and_port(url: &Url) -> Result<(Host<&str>, u16), ConnectError> {
    let host = url.host();
    let host = host.ok_or_else(|| ConnectError::invalid("the URL has no host"))?;
    let port = url.port_or_known_default();
    let port = port.ok_or_else(|| ConnectError::invalid("the URL has no port"))?;
    Ok((host, port))
}

/// Returns the host in the form for a resolver.
pub(super) fn unbracketed(host: &Host<&str>) -> String {
    match host {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    }
}

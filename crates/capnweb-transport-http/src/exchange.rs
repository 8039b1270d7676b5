//! A request and its response.

use std::{error::Error as _, io};

use bytes::Bytes;
use capnweb_core::{ConnectFailure, Error, Limit};
use capnweb_net::{ClientSettings, ConnectError, parse_retry_after, proxy::ProxyChoice};
use memchr::memrchr;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use crate::{body::BYTE_ORDER_MARK, http_client};

/// Headers that belong to the connection rather than to the request.
const RESERVED: [HeaderName; 3] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

/// The number of characters to quote of a text that is not an answer.
const QUOTED: usize = 100;

/// The settings of one batch.
pub(crate) struct Exchange {
    pub(crate) url: String,
    pub(crate) settings: ClientSettings,
    pub(crate) proxy: ProxyChoice,
    pub(crate) client: Option<Client>,
}

impl Exchange {
    /// Sends a batch and returns the answer for reading. Errors name the URL and the cause.
    pub(crate) async fn perform(&self, body: Bytes) -> Result<Answer<'_>, Error> {
        let response = self.send(body).await.map_err(|error| self.failed(error))?;
        Ok(Answer {
            exchange: self,
            response: Some(response),
            left: Vec::new(),
            len: 0,
            begun: false,
        })
    }

    fn failed(&self, error: ConnectError) -> Error {
        error.into_error(|cause| self.describe(cause))
    }

    fn describe(&self, cause: &str) -> String {
        format!("RPC request failed: {cause} ({})", self.url)
    }

    /// The longest answer, in bytes.
    fn max_bytes(&self) -> usize {
        self.settings.options.limits().max_held_bytes()
    }

    async fn send(&self, body: Bytes) -> Result<Response, ConnectError> {
        let request = self.request()?.body(body);
        let response = request.send().await.map_err(|error| {
            let failure = failure(&error);
            if error.is_connect() {
                // The connection was not made, be it to where the server sent the batch instead.
                failure.sent(false)
            } else {
                failure
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let failure = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            ConnectFailure::proxy(Some(status.as_u16()))
        } else {
            ConnectFailure::status(status.as_u16(), parse_retry_after(response.headers()))
        };
        let cause = match quote_refusal(response).await {
            Some(text) => format!("{status}: {text}"),
            None => status.to_string(),
        };
        Err(ConnectError::new(failure, cause))
    }

    fn request(&self) -> Result<RequestBuilder, ConnectError> {
        let url = self.parse_url()?;
        let mut headers = HeaderMap::new();
        // The content type that browsers may send without the server's permission.
        let text = HeaderValue::from_static("text/plain;charset=UTF-8");
        headers.insert(header::CONTENT_TYPE, text);
        let own = self.settings.headers(&RESERVED)?;
        for name in own.keys() {
            headers.remove(name);
        }
        for (name, value) in &own {
            headers.append(name, value.clone());
        }
        for single in [header::HOST, header::CONTENT_TYPE] {
            if headers.get_all(&single).iter().count() > 1 {
                let cause = format!("there can only be one header {single}");
                return Err(ConnectError::invalid(cause));
            }
        }
        let client = match &self.client {
            Some(client) => client.clone(),
            None => http_client::shared(&self.proxy)?,
        };
        let request = client.post(url).headers(headers);
        Ok(match self.settings.timeout {
            Some(timeout) => request.timeout(timeout),
            None => request,
        })
    }

    fn parse_url(&self) -> Result<Url, ConnectError> {
        let no_scheme =
            || ConnectError::invalid("the URL has to begin with `http://` or `https://`");
        let mut url = match Url::parse(&self.url) {
            Ok(url) => url,
            Err(error) if self.url.contains("://") => {
                return Err(ConnectError::invalid(error.to_string()));
            }
            Err(_) => return Err(no_scheme()),
        };
        let scheme = match url.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            // In `localhost:8080/api`, the host is parsed as the scheme.
            _ => return Err(no_scheme()),
        };
        if scheme == "https" && cfg!(not(feature = "tls")) && self.client.is_none() {
            return Err(ConnectError::invalid("https: needs the feature `tls`"));
        }
        // Changing between these schemes cannot fail.
        let _ = url.set_scheme(scheme);
        Ok(url)
    }
}

/// An answer that is read part by part.
pub(crate) struct Answer<'a> {
    exchange: &'a Exchange,
    /// The response, until it has been read to its end.
    response: Option<Response>,
    /// The incomplete line at the end of what has been read.
    left: Vec<u8>,
    /// The number of bytes that have been read.
    len: usize,
    /// True once the answer is known to contain messages.
    begun: bool,
}

impl Answer<'_> {
    /// Returns the next complete lines, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Error> {
        while let Some(response) = &mut self.response {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| self.exchange.failed(failure(&error)))?;
            let Some(chunk) = chunk else {
                self.response = None;
                break;
            };
            let max = self.exchange.max_bytes();
            self.len += chunk.len();
            if self.len > max {
                let message =
                    format!("the answer is over the limit of {max} bytes (Limits::max_held_bytes)");
                let message = self.exchange.describe(&message);
                return Err(Error::exceeds(Limit::HeldBytes, message));
            }
            let whole = memrchr(b'\n', &chunk).map(|newline| self.left.len() + newline + 1);
            self.left.extend_from_slice(&chunk);
            if let Some(whole) = whole {
                let left = self.left.split_off(whole);
                return self.lines(left).map(Some);
            }
        }
        if self.left.is_empty() {
            return Ok(None);
        }
        self.lines(Vec::new()).map(Some)
    }

    /// Returns the received lines as text that may contain messages, and keeps `left` for later.
    fn lines(&mut self, left: Vec<u8>) -> Result<String, Error> {
        let not_capnweb = |cause: String| {
            self.exchange
                .failed(ConnectError::new(ConnectFailure::NotCapnWeb, cause))
        };
        let lines = String::from_utf8(std::mem::replace(&mut self.left, left));
        let mut lines = lines.map_err(|_| not_capnweb("the answer is not UTF-8".to_owned()))?;
        if !self.begun && lines.starts_with(BYTE_ORDER_MARK) {
            lines.remove(0);
        }
        let start = lines.trim_ascii_start();
        if !self.begun && !start.is_empty() {
            if !start.starts_with('[') {
                // It is usually an HTML page from something between client and server.
                return Err(not_capnweb(format!(
                    "the answer holds no Cap'n Web messages: {:?}",
                    quote(start)
                )));
            }
            self.begun = true;
        }
        Ok(lines)
    }
}

/// Returns the reason for an error of the HTTP client.
fn failure(error: &reqwest::Error) -> ConnectError {
    ConnectError::new(kind(error), causes(error))
}

fn kind(error: &reqwest::Error) -> ConnectFailure {
    if error.is_timeout() {
        return ConnectFailure::Timeout;
    }
    if error.is_builder() {
        return ConnectFailure::InvalidRequest;
    }
    let mut found = ConnectFailure::Other;
    let mut next = error.source();
    while let Some(cause) = next {
        #[cfg(feature = "tls")]
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidCertificate(_) => ConnectFailure::Certificate,
                _ => ConnectFailure::Tls,
            };
        }
        // The library has no types for these errors.
        let text = cause.to_string();
        if text.contains("dns error") {
            return ConnectFailure::Dns;
        }
        if text.contains("tunnel error") || text.contains("proxy") || text.contains("SOCKS") {
            return ConnectFailure::proxy(None);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            found = ConnectError::io(error).failure;
            // A TLS error is an I/O error that contains another error.
            if let Some(inner) = error.get_ref() {
                next = Some(inner);
                continue;
            }
        }
        next = cause.source();
    }
    match found {
        ConnectFailure::Other if !error.is_connect() => ConnectFailure::Disconnected,
        found => found,
    }
}

/// Describes the causes of an error in one line. The outermost error is skipped: it only says that
/// there was an error, and names the URL.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
    }
}

/// Returns the text that the server sends along with a refusal, unless it is a page for people.
async fn quote_refusal(mut response: Response) -> Option<String> {
    let kind = response.headers().get(header::CONTENT_TYPE)?;
    if !kind.to_str().ok()?.starts_with("text/plain") {
        return None;
    }
    let chunk = response.chunk().await.ok()??;
    let text = quote(&String::from_utf8_lossy(&chunk));
    (!text.is_empty()).then_some(text)
}

/// Returns the beginning of a text, quoted.
fn quote(text: &str) -> String {
    let text = text.trim();
    let mut quoted: String = text.chars().take(QUOTED).collect();
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

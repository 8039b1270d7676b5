//! One request and its response.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use capnweb_core::Error;
use memchr::memrchr;
use reqwest::{
    Client, RequestBuilder, Response, Url,
    header::{self, HeaderName, HeaderValue},
};

use crate::http_client;

/// How much of an answer that is none is quoted, in characters.
const QUOTED: usize = 100;

/// What is to be known for sending a batch.
pub(crate) struct Exchange {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) client: Option<Client>,
    pub(crate) timeout: Option<Duration>,
    /// The longest answer, in bytes.
    pub(crate) max_bytes: usize,
}

impl Exchange {
    /// Sends a batch, and gives the answer, to be read. Errors name the URL and the cause.
    pub(crate) async fn perform(&self, body: Bytes) -> Result<Answer<'_>, Error> {
        let response = self.send(body).await.map_err(|cause| self.failed(&cause))?;
        Ok(Answer {
            exchange: self,
            response: Some(response),
            left: Vec::new(),
            len: 0,
            begun: false,
        })
    }

    fn failed(&self, cause: &str) -> Error {
        Error::disconnected(self.describe(cause))
    }

    fn describe(&self, cause: &str) -> String {
        format!("RPC request failed: {cause} ({})", self.url)
    }

    async fn send(&self, body: Bytes) -> Result<Response, String> {
        let request = self.request()?.body(body);
        let response = request.send().await.map_err(|error| causes(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(match quote_refusal(response).await {
            Some(text) => format!("{status}: {text}"),
            None => status.to_string(),
        })
    }

    fn request(&self) -> Result<RequestBuilder, String> {
        let url = self.parse_url()?;
        let client = match &self.client {
            Some(client) => client.clone(),
            None => http_client::shared()?,
        };
        let mut request = client
            .post(url)
            // What browsers send, and need not ask the server's permission for.
            .header(header::CONTENT_TYPE, "text/plain;charset=UTF-8");
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name)
                .map_err(|_| format!("{name:?} cannot be the name of a header"))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("the header {name} cannot have that value"))?;
            request = request.header(name, value);
        }
        Ok(match self.timeout {
            Some(timeout) => request.timeout(timeout),
            None => request,
        })
    }

    fn parse_url(&self) -> Result<Url, String> {
        let no_scheme = || "the URL has to begin with `http://` or `https://`".to_owned();
        let mut url = match Url::parse(&self.url) {
            Ok(url) => url,
            Err(error) if self.url.contains("://") => return Err(error.to_string()),
            Err(_) => return Err(no_scheme()),
        };
        let scheme = match url.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            // In `localhost:8080/api` the host is taken for one.
            _ => return Err(no_scheme()),
        };
        if scheme == "https" && cfg!(not(feature = "tls")) && self.client.is_none() {
            return Err("https: needs the feature `tls`".to_owned());
        }
        // Between these schemes it cannot fail.
        let _ = url.set_scheme(scheme);
        Ok(url)
    }
}

/// The answer, part by part.
pub(crate) struct Answer<'a> {
    exchange: &'a Exchange,
    /// Gone when it has been read to its end.
    response: Option<Response>,
    /// The beginning of a line.
    left: Vec<u8>,
    /// How many bytes have been read.
    len: usize,
    /// It is known to hold messages.
    begun: bool,
}

impl Answer<'_> {
    /// The next whole lines, or none if there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Error> {
        while let Some(response) = &mut self.response {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| self.exchange.failed(&causes(&error)))?;
            let Some(chunk) = chunk else {
                self.response = None;
                break;
            };
            let max = self.exchange.max_bytes;
            self.len += chunk.len();
            if self.len > max {
                return Err(Error::limit(self.exchange.describe(&format!(
                    "the answer is over the limit of {max} bytes (Limits::max_held_bytes)"
                ))));
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

    /// The lines that there are, as text that may hold messages. These come after them.
    fn lines(&mut self, left: Vec<u8>) -> Result<String, Error> {
        let lines = String::from_utf8(std::mem::replace(&mut self.left, left));
        let lines = lines.map_err(|_| self.exchange.failed("the answer is not UTF-8"))?;
        let start = lines.trim_ascii_start();
        if !self.begun && !start.is_empty() {
            if !start.starts_with('[') {
                // Most often a page of HTML, from something between us and the server.
                let cause = format!("the answer holds no Cap'n Web messages: {:?}", quote(start));
                return Err(self.exchange.failed(&cause));
            }
            self.begun = true;
        }
        Ok(lines)
    }
}

/// What is behind an error, in one line. The outermost error says no more than that there was one,
/// and names the URL, which we do anyway.
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

/// What the server says along with a status that is no success, unless that is a page for people.
async fn quote_refusal(mut response: Response) -> Option<String> {
    let kind = response.headers().get(header::CONTENT_TYPE)?;
    if !kind.to_str().ok()?.starts_with("text/plain") {
        return None;
    }
    let chunk = response.chunk().await.ok()??;
    let text = quote(&String::from_utf8_lossy(&chunk));
    (!text.is_empty()).then_some(text)
}

/// The beginning of a text.
fn quote(text: &str) -> String {
    let text = text.trim();
    let mut quoted: String = text.chars().take(QUOTED).collect();
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}

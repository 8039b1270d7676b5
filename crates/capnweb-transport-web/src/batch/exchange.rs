//! A request and its response, through `fetch`.

use std::time::Duration;

use capnweb_core::{
    ConnectFailure, Error, Limit, Result,
    runtime::{Instant, timeout_at},
};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, Request, RequestCredentials,
    RequestInit, Response,
};

use super::{
    Credentials,
    answer::{Lines, NoAnswer, quote},
};
use crate::{
    failure::Failure,
    host::{call, describe, get, resolve_url, set_scheme},
};

/// The settings of one batch.
pub(super) struct Exchange {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) credentials: Credentials,
    pub(super) timeout: Option<Duration>,
    /// The maximum length of the answer, in bytes.
    pub(super) max_bytes: usize,
}

/// Aborts a request when it is dropped.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        // Aborting a completed request has no effect.
        self.0.abort();
    }
}

/// The reason why an exchange failed.
enum Failed {
    Exchange(Failure),
    /// A message ended the session, or the answer is too long.
    Session(Error),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Exchange(failure)
    }
}

impl Exchange {
    /// Sends a batch, and passes complete lines of the answer to `receive` as they arrive.
    ///
    /// # Errors
    ///
    /// Returns an error that names the URL and the cause, or the error from `receive`.
    pub(super) async fn perform(
        &self,
        body: &[u8],
        receive: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let exchange = self.exchange(body, receive);
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let result = match deadline {
            None => exchange.await,
            Some(deadline) => timeout_at(deadline, exchange).await.unwrap_or_else(|_| {
                let cause = "it took too long";
                Err(Failure::new(ConnectFailure::Timeout, cause).into())
            }),
        };
        result.map_err(|failed| match failed {
            Failed::Session(error) => error,
            Failed::Exchange(failure) => {
                let message = self.describe(&failure.cause);
                failure.into_error(message)
            }
        })
    }

    fn describe(&self, cause: &str) -> String {
        format!("RPC request failed: {cause} ({})", self.url)
    }

    async fn exchange(
        &self,
        body: &[u8],
        mut receive: impl FnMut(&str) -> Result<()>,
    ) -> Result<(), Failed> {
        let abort = AbortController::new().map_err(|exception| other(&exception))?;
        let abort = AbortOnDrop(abort);
        let request = self.request(body, &abort).map_err(Failure::invalid)?;
        let response =
            call(&js_sys::global(), "fetch", &[&request]).map_err(|exception| other(&exception))?;
        let response: Response = JsFuture::from(response)
            .await
            .map_err(|exception| other(&exception))?
            .unchecked_into();
        if !response.ok() {
            return Err(refusal(&response).await.into());
        }
        let Some(body) = response.body() else {
            return Ok(());
        };
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let mut lines = Lines::default();
        loop {
            let part = JsFuture::from(reader.read()).await.map_err(|exception| {
                Failure::new(ConnectFailure::Disconnected, describe(&exception))
            })?;
            if get(&part, "done").is_truthy() {
                break;
            }
            let part = Uint8Array::new(&get(&part, "value")).to_vec();
            if lines.len().saturating_add(part.len()) > self.max_bytes {
                let message = self.describe(&format!(
                    "the answer is over the limit of {} bytes (Limits::max_held_bytes)",
                    self.max_bytes
                ));
                return Err(Failed::Session(Error::exceeds(Limit::HeldBytes, message)));
            }
            if let Some(whole) = lines.take(&part).map_err(not_capnweb)? {
                receive(&whole).map_err(Failed::Session)?;
            }
        }
        receive(&lines.finish().map_err(not_capnweb)?).map_err(Failed::Session)
    }

    fn request(&self, body: &[u8], abort: &AbortOnDrop) -> Result<Request, String> {
        let url = resolve_url(&self.url)?;
        set_scheme(&url, "http:", "https:")?;
        let described = |exception: JsValue| describe(&exception);
        let headers = Headers::new().map_err(described)?;
        // Pages may send this content type without the server's permission.
        headers
            .set("content-type", "text/plain;charset=UTF-8")
            .map_err(described)?;
        for (name, value) in &self.headers {
            headers.set(name, value).map_err(described)?;
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&Uint8Array::from(body));
        init.set_signal(Some(&abort.0.signal()));
        match self.credentials {
            // This is the default. Workers do not support the setting.
            Credentials::SameOrigin => {}
            Credentials::Include => init.set_credentials(RequestCredentials::Include),
            Credentials::Omit => init.set_credentials(RequestCredentials::Omit),
        }
        Request::new_with_str_and_init(&url.href(), &init).map_err(described)
    }
}

/// Returns the failure for a request without a response.
fn other(exception: &JsValue) -> Failure {
    // Hosts do not tell pages the cause, so that pages cannot probe a network.
    Failure::new(ConnectFailure::Other, describe(exception))
}

fn not_capnweb(why: NoAnswer) -> Failure {
    let cause = match why {
        NoAnswer::NotUtf8 => "the answer is not UTF-8".to_owned(),
        NoAnswer::Other(text) => format!("the answer holds no Cap'n Web messages: {text:?}"),
    };
    Failure::new(ConnectFailure::NotCapnWeb, cause)
}

/// Returns the failure for a response whose status is not 2xx.
async fn refusal(response: &Response) -> Failure {
    let status = response.status();
    let header = |name| response.headers().get(name).ok().flatten();
    // Pages of other origins see the header only if the server exposes it.
    let retry_after = header("retry-after").and_then(|time| time.trim().parse().ok());
    let mut cause = format!("{status} {}", response.status_text());
    if header("content-type").is_some_and(|kind| kind.starts_with("text/plain"))
        && let Ok(text) = response.text()
        && let Ok(text) = JsFuture::from(text).await
        && let Some(text) = text.as_string().map(|text| quote(&text))
        && !text.is_empty()
    {
        cause = format!("{}: {text}", cause.trim_end());
    }
    Failure::new(
        ConnectFailure::status(status, retry_after.map(Duration::from_secs)),
        cause.trim_end(),
    )
}

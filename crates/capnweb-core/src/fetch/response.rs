//! HTTP responses.

use std::ops::{Deref, DerefMut};

use http::StatusCode;
use http_body::Body as HttpBody;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::Error as _};

use crate::fetch::{
    Body, form,
    form::{Form, Members},
    headers,
    headers::Pairs,
};

/// An HTTP response: JavaScript's `Response`. It derefs to [`http::Response`].
///
/// See [the module](super) for what is sent and what is not.
#[derive(Debug, Default)]
pub struct Response(pub http::Response<Body>);

/// The text of a status, as an extension of an [`http::Response`]: JavaScript's `statusText`.
///
/// It is present if a peer has sent one, and is sent if it is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusText(pub String);

impl Response {
    /// Returns the response as an `http` type.
    pub fn into_inner(self) -> http::Response<Body> {
        self.0
    }

    /// Takes the body out for reading.
    pub fn body(self) -> Body {
        self.0.into_body()
    }
}

impl Deref for Response {
    type Target = http::Response<Body>;

    fn deref(&self) -> &http::Response<Body> {
        &self.0
    }
}

impl DerefMut for Response {
    fn deref_mut(&mut self) -> &mut http::Response<Body> {
        &mut self.0
    }
}

/// Converts any response, such as one of axum or reqwest, or one whose body is a string or bytes.
impl<B> From<http::Response<B>> for Response
where
    B: HttpBody<Error: std::fmt::Display> + Send + 'static,
{
    fn from(response: http::Response<B>) -> Self {
        Self(response.map(Body::from_http))
    }
}

impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        response.0
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let response = &self.0;
        let status = response.status();
        if !(200..600).contains(&status.as_u16()) {
            return Err(S::Error::custom(format_args!(
                "a response of status {status} cannot be sent: JavaScript only allows 200 to 599"
            )));
        }
        let mut form = Form::new("response");
        form.item();
        if has_body(status) {
            form::written(response.body().write(&mut form))?;
        } else {
            form.raw("null");
        }
        form.item();
        let mut members = Members::default();
        if status != StatusCode::OK {
            members.key(&mut form, "status").raw(status.as_str());
        }
        if let Some(StatusText(text)) = response.extensions().get() {
            members.key(&mut form, "statusText").string(text);
        }
        if !response.headers().is_empty() {
            headers::write(response.headers(), members.key(&mut form, "headers"));
        }
        members.close(&mut form);
        form.stash(serializer)
    }
}

/// Returns whether JavaScript allows a body in a response of this status.
fn has_body(status: StatusCode) -> bool {
    !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

/// The parts of the form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseParts {
    #[serde(default)]
    body: Body,
    status: Option<u16>,
    status_text: Option<String>,
    headers: Option<Pairs>,
}

impl<'de> Deserialize<'de> for Response {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts: ResponseParts = form::read("response", deserializer)?;
        build(parts).map_err(de::Error::custom)
    }
}

fn build(parts: ResponseParts) -> Result<Response, String> {
    let mut response = http::Response::new(parts.body);
    if let Some(status) = parts.status {
        *response.status_mut() =
            StatusCode::from_u16(status).map_err(|_| format!("{status} is not an HTTP status"))?;
    }
    if let Some(text) = parts.status_text.filter(|text| !text.is_empty()) {
        response.extensions_mut().insert(StatusText(text));
    }
    *response.headers_mut() = parts.headers.unwrap_or_default().headers()?;
    Ok(Response(response))
}

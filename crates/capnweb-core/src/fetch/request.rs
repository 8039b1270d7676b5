//! HTTP requests.

use std::ops::{Deref, DerefMut};

use http::{Method, Uri};
use http_body::Body as HttpBody;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::Error as _};

use crate::{
    fetch::{
        Body, form,
        form::{Form, Members},
        headers,
        headers::Pairs,
    },
    graph::error::{Error, Result},
    url::Url,
};

/// An HTTP request: JavaScript's `Request`. It derefs to [`http::Request`].
///
/// See [the module](super) for what is sent and what is not.
#[derive(Debug, Default)]
pub struct Request(pub http::Request<Body>);

impl Request {
    /// Returns the request as an `http` type.
    pub fn into_inner(self) -> http::Request<Body> {
        self.0
    }

    /// Takes the body out for reading.
    pub fn body(self) -> Body {
        self.0.into_body()
    }

    /// Makes the URL absolute if it is relative, as in requests that a server receives. `base` is
    /// the address of the server, such as `https://example.com`.
    ///
    /// # Errors
    ///
    /// Returns an error if the two do not form a URL.
    pub fn against(mut self, base: &Url) -> Result<Self> {
        let uri = self.0.uri();
        if uri.scheme().is_none() {
            let joined = base.join(&uri.to_string()).map_err(|error| {
                Error::type_error(format!("{uri} and {base} do not form a URL: {error}"))
            })?;
            *self.0.uri_mut() = parse(joined.as_str()).map_err(Error::type_error)?;
        }
        Ok(self)
    }
}

impl Deref for Request {
    type Target = http::Request<Body>;

    fn deref(&self) -> &http::Request<Body> {
        &self.0
    }
}

impl DerefMut for Request {
    fn deref_mut(&mut self) -> &mut http::Request<Body> {
        &mut self.0
    }
}

/// Converts any request, such as one of axum or one whose body is a string or bytes.
impl<B> From<http::Request<B>> for Request
where
    B: HttpBody<Error: std::fmt::Display> + Send + 'static,
{
    fn from(request: http::Request<B>) -> Self {
        Self(request.map(Body::from_http))
    }
}

impl From<Request> for http::Request<Body> {
    fn from(request: Request) -> Self {
        request.0
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = &self.0;
        let url = check(request).map_err(S::Error::custom)?;
        let mut form = Form::new("request");
        form.item().string(url.as_str());
        form.item();
        let mut members = Members::default();
        if request.method() != Method::GET {
            members
                .key(&mut form, "method")
                .string(request.method().as_str());
        }
        if !request.headers().is_empty() {
            headers::write(request.headers(), members.key(&mut form, "headers"));
        }
        let body = request.body();
        if !body.is_empty() {
            form::written(body.write(members.key(&mut form, "body")))?;
            // Browsers and Node reject a stream without this option.
            members.key(&mut form, "duplex").string("half");
        }
        members.close(&mut form);
        form.stash(serializer)
    }
}

/// Returns the request's URL. Rejects requests that JavaScript cannot represent, since a peer would
/// end the session.
fn check(request: &http::Request<Body>) -> Result<Url, String> {
    let (method, uri) = (request.method(), request.uri());
    let url: Url = uri.to_string().parse().map_err(|error| {
        format!("the URL of a request must be absolute: {uri}: {error} (see `Request::against`)")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL of a request cannot have a user or password in it".to_owned());
    }
    if matches!(method.as_str(), "CONNECT" | "TRACE" | "TRACK") {
        return Err(format!("a request by {method} cannot be sent"));
    }
    if matches!(*method, Method::GET | Method::HEAD) && !request.body().is_empty() {
        return Err(format!("a request by {method} cannot have a body"));
    }
    Ok(url)
}

/// The parts of the form.
#[derive(Deserialize)]
struct RequestParts {
    url: String,
    method: Option<String>,
    headers: Option<Pairs>,
    #[serde(default)]
    body: Body,
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts: RequestParts = form::read("request", deserializer)?;
        build(parts).map_err(de::Error::custom)
    }
}

fn build(parts: RequestParts) -> Result<Request, String> {
    let mut request = http::Request::new(parts.body);
    *request.uri_mut() = parse(&parts.url)?;
    if let Some(method) = parts.method {
        *request.method_mut() = Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("{method:?} is not an HTTP method"))?;
    }
    *request.headers_mut() = parts.headers.unwrap_or_default().headers()?;
    Ok(Request(request))
}

/// Parses a URL without its fragment, which HTTP does not have.
fn parse(url: &str) -> Result<Uri, String> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    match url.parse::<Uri>() {
        Ok(uri) if uri.scheme().is_some() => Ok(uri),
        // Other URLs are those of schemes such as `data:` and `about:`.
        _ => Err(format!("{url} is not an HTTP URL")),
    }
}

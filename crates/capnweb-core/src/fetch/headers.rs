//! HTTP headers.

use std::ops::{Deref, DerefMut};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::fetch::{form, form::Form};

/// HTTP headers: JavaScript's `Headers`. They deref to [`http::HeaderMap`].
///
/// Header values are bytes. JavaScript sees them as characters up to U+00FF.
///
/// ```
/// use capnweb::{Payload, fetch::Headers};
///
/// let mut headers = Headers::default();
/// headers.insert("x-a", "b".parse().unwrap());
/// assert_eq!(Payload::encode(&headers)?.as_expression(), r#"["headers",[["x-a","b"]]]"#);
/// # Ok::<(), capnweb::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub HeaderMap);

impl Headers {
    /// Returns the headers as an `http` type.
    pub fn into_inner(self) -> HeaderMap {
        self.0
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.0
    }
}

impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        &mut self.0
    }
}

impl From<HeaderMap> for Headers {
    fn from(headers: HeaderMap) -> Self {
        Self(headers)
    }
}

impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> Self {
        headers.0
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = Form::new("headers");
        write(&self.0, form.item());
        form.stash(serializer)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs: Pairs = form::read("headers", deserializer)?;
        pairs.headers().map(Self).map_err(D::Error::custom)
    }
}

/// Writes headers as a list of pairs. The list is not an expression.
pub(super) fn write(headers: &HeaderMap, form: &mut Form) {
    let mut separator = "[[";
    for (name, value) in headers {
        let value: String = value.as_bytes().iter().copied().map(char::from).collect();
        form.raw(separator).string(name.as_str());
        form.raw(",").string(&value);
        separator = "],[";
    }
    form.raw(if headers.is_empty() { "[]" } else { "]]" });
}

/// Headers in their wire format.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Returns the headers, if they are valid for `http`.
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::with_capacity(self.0.len().min(1000));
        for (name, value) in &self.0 {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("{name:?} is not a valid header name"))?;
            let value = latin_1(value)
                .and_then(|bytes| HeaderValue::from_bytes(&bytes).ok())
                .ok_or_else(|| format!("the header {name} cannot have the value {value:?}"))?;
            headers
                .try_append(name, value)
                .map_err(|_| "there are too many headers".to_owned())?;
        }
        Ok(headers)
    }
}

/// Returns the bytes that JavaScript shows as this text, trimmed of white space.
fn latin_1(text: &str) -> Option<Vec<u8>> {
    text.trim_matches([' ', '\t', '\r', '\n'])
        .chars()
        .map(|c| u8::try_from(c).ok())
        .collect()
}

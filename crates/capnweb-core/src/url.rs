//! URLs.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) mod host;

use std::{fmt, ops::Deref, str::FromStr};

use capnweb_wire::{Restore, is_buffered};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{EnumAccess, Error as _, VariantAccess, Visitor},
};

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use ::url as backend;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use host as backend;

/// A URL: JavaScript's `URL` object. It derefs to [`url::Url`](backend::Url).
///
/// On `wasm32-unknown-unknown` it derefs to a type of the same name whose methods have the same
/// names, and which the host's `URL` class parses.
///
/// Deserializing accepts a string, too. In other serde formats, a URL is a string.
///
/// ```
/// use capnweb::{Payload, Url};
///
/// let url: Url = "https://example.com/a?b".parse()?;
/// assert_eq!(url.host_str(), Some("example.com"));
/// assert_eq!(Payload::encode(&url)?.as_expression(), r#"["url","https://example.com/a?b"]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url(backend::Url);

impl Url {
    /// Returns the `url::Url`, to be changed or taken apart.
    pub fn into_inner(self) -> backend::Url {
        self.0
    }
}

impl Deref for Url {
    type Target = backend::Url;

    fn deref(&self) -> &backend::Url {
        &self.0
    }
}

impl From<backend::Url> for Url {
    fn from(url: backend::Url) -> Self {
        Self(url)
    }
}

impl From<Url> for backend::Url {
    fn from(url: Url) -> Self {
        url.0
    }
}

impl FromStr for Url {
    type Err = backend::ParseError;

    fn from_str(text: &str) -> Result<Self, backend::ParseError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(capnweb_wire::URL, self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(capnweb_wire::URL, UrlVisitor)
    }
}

struct UrlVisitor;

impl<'de> Visitor<'de> for UrlVisitor {
    type Value = Url;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Url, D::Error> {
        if is_buffered::<D>() {
            inner.deserialize_any(Restore(self))
        } else {
            inner.deserialize_str(self)
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Url, E> {
        text.parse()
            .map_err(|error| E::custom(format_args!("expected a URL: {error}")))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, form: A) -> Result<Url, A::Error> {
        let (name, content) = form.variant::<String>()?;
        match name.as_str() {
            "url" => self.visit_str(&content.newtype_variant::<String>()?),
            name => Err(A::Error::custom(format_args!("expected a URL, got {name}"))),
        }
    }
}

//! URLs of the host: JavaScript's `URL` class parses them.

use std::{error, fmt, str::FromStr};

use js_sys::{Array, Function, Reflect, global};
use wasm_bindgen::{JsCast, JsValue};

/// A URL that the host has parsed, on `wasm32-unknown-unknown`. Its methods have the names of those
/// of the crate `url`, which is not used there: it is a good part of a small module.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    href: String,
    scheme: String,
    username: String,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

/// The error for a text that is not a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for ParseError {}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    ///
    /// Returns what the host says about a text that is not one.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::construct(&Array::of1(&JsValue::from_str(text)))
    }

    /// Parses a URL that may be relative to this one.
    ///
    /// # Errors
    ///
    /// Returns what the host says if the two do not form a URL.
    pub fn join(&self, text: &str) -> Result<Self, ParseError> {
        let base = JsValue::from_str(&self.href);
        Self::construct(&Array::of2(&JsValue::from_str(text), &base))
    }

    fn construct(arguments: &Array) -> Result<Self, ParseError> {
        let class = get(&global(), "URL")
            .dyn_into::<Function>()
            .map_err(|_| ParseError("this host has no URLs".to_owned()))?;
        let url = Reflect::construct(&class, arguments).map_err(|exception| {
            let message = get(&exception, "message").as_string();
            ParseError(message.unwrap_or_else(|| "invalid URL".to_owned()))
        })?;
        let text = |name| get(&url, name).as_string().unwrap_or_default();
        let some = |text: String| (!text.is_empty()).then_some(text);
        let after = |mark, text: String| some(text.strip_prefix(mark).unwrap_or(&text).to_owned());
        Ok(Self {
            href: text("href"),
            scheme: text("protocol").trim_end_matches(':').to_owned(),
            username: text("username"),
            password: some(text("password")),
            host: some(text("hostname")),
            port: text("port").parse().ok(),
            path: text("pathname"),
            query: after('?', text("search")),
            fragment: after('#', text("hash")),
        })
    }

    /// Returns the whole URL.
    pub fn as_str(&self) -> &str {
        &self.href
    }

    /// Returns the scheme, without its colon.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the user's name, percent-encoded, or an empty string.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Returns the password, percent-encoded.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Returns the host's name or address.
    pub fn host_str(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the port, unless it is that of the scheme.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the path, percent-encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query, without its question mark. An empty one is not told from none.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the fragment, without its hash. An empty one is not told from none.
    pub fn fragment(&self) -> Option<&str> {
        self.fragment.as_deref()
    }
}

impl FromStr for Url {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.href)
    }
}

fn get(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

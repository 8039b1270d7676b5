//! The tree of an expression.

use std::fmt;
use std::str::FromStr;

use super::{JsString, RawJson, read, write};
use crate::{BigInt, Container, Date, Limits, WireError, scan_expr};

/// An expression as a tree.
///
/// ```
/// use capnweb_wire::Expr;
///
/// let expr: Expr = r#"{"list": [[1, ["inf"]]], "from": ["import", -1]}"#.parse()?;
/// assert_eq!(expr.get("from"), Some(&Expr::Import(capnweb_wire::Reference::to(-1))));
/// assert_eq!(expr.to_string(), r#"{"list":[[1,["inf"]]],"from":["import",-1]}"#);
/// # Ok::<(), capnweb_wire::WireError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Expr {
    /// `["undefined"]`.
    Undefined,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; infinities and NaN are the forms `["inf"]`, `["-inf"]` and `["nan"]`.
    Number(f64),
    /// A string.
    String(JsString),
    /// `[[…]]`.
    Array(Vec<Expr>),
    /// An object, with its keys in text order. For duplicates, JavaScript keeps the last one.
    Object(Vec<(JsString, Expr)>),
    /// `["bigint", digits]`.
    BigInt(BigInt),
    /// `["date", milliseconds]`.
    Date(Date),
    /// `["bytes", base64, container?]`.
    Bytes(Vec<u8>, Option<Container>),
    /// `["error", name, message, stack?, props?]`.
    Error(Box<ErrorValue>),
    /// `["url", href]`.
    Url(JsString),
    /// `["headers", pairs]`.
    Headers(Vec<(JsString, JsString)>),
    /// `["request", url, init]`.
    Request(Box<RequestValue>),
    /// `["response", body, init]`.
    Response(Box<ResponseValue>),
    /// `["blob", type, ["readable", id]]`: the media type and the pipe's ID.
    Blob(JsString, i64),
    /// `["import", id, path?, args?]`.
    Import(Reference),
    /// `["pipeline", id, path?, args?]`.
    Pipeline(Reference),
    /// `["export", id]`.
    Export(i64),
    /// `["promise", id]`.
    Promise(i64),
    /// `["writable", id]`.
    Writable(i64),
    /// `["readable", id]`.
    Readable(i64),
    /// `["remap", id, path, captures, instructions]`.
    Remap(Box<RemapValue>),
}

impl Expr {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a valid expression or exceeds a limit.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, WireError> {
        scan_expr(text, limits, &mut Vec::new())?;
        read::expression(text)
    }

    /// Appends the expression's text.
    pub fn write(&self, out: &mut Vec<u8>) {
        write::expression(self, out);
    }

    /// Returns the property `key` of an object. For duplicates it is the last one, as in
    /// JavaScript.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let found = members
            .iter()
            .rev()
            .find(|(name, _)| name.to_str() == key)?;
        Some(&found.1)
    }
}

impl From<&str> for Expr {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<f64> for Expr {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Expr {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

/// Parses an expression within the default [`Limits`].
impl FromStr for Expr {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        Self::parse(text, &Limits::default())
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::display(f, |out| self.write(out))
    }
}

/// The parts of `["error", name, message, stack?, props?]`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ErrorValue {
    /// The name, such as `TypeError`.
    pub name: JsString,
    /// The message.
    pub message: JsString,
    /// The stack, if the application chose to reveal it.
    pub stack: Option<JsString>,
    /// The error's own properties.
    pub props: Vec<(JsString, Expr)>,
}

impl ErrorValue {
    /// Returns an error without a stack or properties.
    #[must_use]
    pub fn new(name: impl Into<JsString>, message: impl Into<JsString>) -> Self {
        Self {
            name: name.into(),
            message: message.into(),
            ..Self::default()
        }
    }
}

/// The parts of `["request", url, init]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestValue {
    /// The URL.
    pub url: JsString,
    /// The headers, if there are any.
    pub headers: Option<Vec<(JsString, JsString)>>,
    /// The body, if there is one: null, a string, bytes, or a readable.
    pub body: Option<Expr>,
    /// All other options of the request: the method, the cache mode, and so on.
    pub other: Vec<(JsString, RawJson)>,
}

impl RequestValue {
    /// Returns a request for `url` without any options.
    #[must_use]
    pub fn new(url: impl Into<JsString>) -> Self {
        Self {
            url: url.into(),
            headers: None,
            body: None,
            other: Vec::new(),
        }
    }
}

/// The parts of `["response", body, init]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResponseValue {
    /// The body: null, a string, bytes, or a readable.
    pub body: Expr,
    /// The headers, if there are any.
    pub headers: Option<Vec<(JsString, JsString)>>,
    /// All other options of the response: the status and its text.
    pub other: Vec<(JsString, RawJson)>,
}

impl ResponseValue {
    /// Returns a response with only a body.
    #[must_use]
    pub fn new(body: Expr) -> Self {
        Self {
            body,
            headers: None,
            other: Vec::new(),
        }
    }
}

/// The parts of `["import", id, path?, args?]` and `["pipeline", …]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reference {
    /// The receiver's export.
    pub id: i64,
    /// The property path. `None` differs from an empty path.
    pub path: Option<Vec<PathStep>>,
    /// The arguments, if the property is called. They are only written after a path, so a missing
    /// path becomes an empty one.
    pub args: Option<Vec<Expr>>,
}

impl Reference {
    /// Returns a reference to an export itself.
    #[must_use]
    pub fn to(id: i64) -> Self {
        Self {
            id,
            path: None,
            args: None,
        }
    }
}

/// A step of a property path.
#[derive(Clone, Debug, PartialEq)]
pub enum PathStep {
    /// A property by name.
    Key(JsString),
    /// An element by its index. An infinite number or NaN cannot be written.
    Number(f64),
}

/// The parts of `["remap", id, path, captures, instructions]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RemapValue {
    /// The receiver's export.
    pub id: i64,
    /// The path to the value that is mapped.
    pub path: Vec<PathStep>,
    /// The capabilities that the instructions refer to with negative IDs.
    pub captures: Vec<Capture>,
    /// The recorded function, as expressions. Only the receiver of the map checks them, since an
    /// invalid one rejects only that map. [`RawJson::parse`] parses them.
    pub instructions: Vec<RawJson>,
}

impl RemapValue {
    /// Returns a map of the value at `path` of export `id`, without captures or instructions.
    #[must_use]
    pub fn new(id: i64, path: Vec<PathStep>) -> Self {
        Self {
            id,
            path,
            captures: Vec::new(),
            instructions: Vec::new(),
        }
    }
}

/// A capability that a map's instructions refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// `["import", id]`: an export of the receiver's.
    Import(i64),
    /// `["export", id]`: a new stub of the sender's.
    Export(i64),
}

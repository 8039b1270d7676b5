//! Interfaces that use every feature of TypeScript declarations, and a server for them.
//!
//! `typescript/rows.d.ts` contains their declarations, `typescript/accept.ts` and `reject.ts`
//! contain uses with the compiler's verdicts, and `typescript/kinds.mjs` requests each value from
//! this server.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use capnweb::{
    BigInt, Bytes, Callback, Context, Date, Error, Payload, Promise, Result, SessionOptions, Stub,
    Undefined, Url, Value,
    axum::Rpc,
    describe::Description,
    fetch::{Blob, Headers, Request, Response},
    stream::{ByteStream, Readable, Writable},
    typed::{Binary, Container, Json, TypedArray},
};
use futures_util::{SinkExt, sink, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{arguments::Arguments, odd::OddStub, ready};

/// Every row of the table, as a method.
///
/// ```
/// const rows = newWebSocketRpcSession<Rows>(url); /* a comment in an example */
/// ```
#[capnweb::interface]
pub(crate) trait Rows {
    /// An interface as a result.
    ///
    /// The second paragraph of its documentation.
    async fn user(&self, id: u32) -> Result<UserStub>;
    /// An interface as an argument.
    async fn name_of(&self, user: UserStub) -> Result<String>;
    /// An interface as the argument of a callback.
    async fn each_user(&self, on_user: Callback<UserStub, u32>) -> Result<u32>;
    fn users(&self) -> Result<Vec<UserStub>>;
    fn maybe_user(&self, there: bool) -> Result<Option<UserStub>>;

    /// A property.
    #[rpc(get)]
    fn title(&self) -> Result<String>;
    #[rpc(name = "renamed-method")]
    fn renamed(&self) -> Result<bool>;
    #[deprecated = "ask for `title`"]
    fn old_title(&self) -> Result<String>;

    /// Fails with the given code.
    async fn fail(&self, code: String) -> Result<(), Failure>;

    /// A callback with one argument.
    async fn call(&self, function: Callback<u32, String>) -> Result<String>;
    async fn call_two(&self, function: Callback<fn(String, u32)>) -> Result<()>;
    fn doubler(&self) -> Result<Callback<f64, f64>>;

    fn optional(&self, first: String, second: Option<u32>, third: Option<Point>) -> Result<u32>;
    fn optional_first(&self, first: Option<u32>, second: u32) -> Result<Option<u32>>;
    fn rest(&self, first: String, #[rpc(rest)] others: Vec<u32>) -> Result<usize>;
    fn context(&self, context: &Context, delete: bool) -> Result<bool>;

    fn unit(&self) -> Result<()>;
    fn undefined(&self) -> Result<Undefined>;
    fn text(&self) -> Result<String>;
    fn number(&self) -> Result<f64>;
    fn unsigned(&self, beyond: bool) -> Result<u64>;
    fn signed(&self) -> Result<i64>;
    fn large(&self) -> Result<u128>;
    fn huge(&self) -> Result<BigInt>;
    fn date(&self, date: Date) -> Result<Date>;
    fn bytes(&self, bytes: Bytes) -> Result<Bytes>;
    fn binary(&self) -> Result<Binary>;
    fn floats(&self, floats: TypedArray<f32>) -> Result<TypedArray<f32>>;
    fn url(&self) -> Result<Url>;
    fn error(&self) -> Result<Error>;
    fn blob(&self) -> Result<Blob>;
    fn headers(&self, headers: Headers) -> Result<Headers>;
    fn request(&self, request: Request) -> Result<Request>;
    fn response(&self, response: Response) -> Result<Response>;

    fn readable(&self) -> Result<Readable<String>>;
    fn byte_stream(&self, stream: ByteStream) -> Result<ByteStream>;
    fn writable(&self) -> Result<Writable<Point>>;

    fn record(&self, map: HashMap<String, u32>) -> Result<BTreeMap<String, Point>>;
    fn tuple(&self) -> Result<(u32, String, Option<bool>)>;
    fn point(&self) -> Result<Point>;
    fn names(&self) -> Result<Names>;
    fn flattened(&self) -> Result<Flattened>;
    fn id(&self, id: Id) -> Result<Id>;
    fn pair(&self) -> Result<Pair>;
    fn shapes(&self) -> Result<Vec<Shape>>;
    fn events(&self) -> Result<Vec<Event>>;
    fn notices(&self) -> Result<Vec<Notice>>;
    fn lengths(&self) -> Result<Vec<Length>>;
    fn color(&self, color: Color) -> Result<Color>;
    fn page(&self) -> Result<Page<Point>>;
    fn tree(&self) -> Result<Tree>;
    fn held(&self) -> Result<Held>;

    fn store(&self) -> Result<StoreStub<String, Point>>;
    fn editor(&self) -> Result<EditorStub>;
    async fn read(&self, reader: ReaderStub) -> Result<String>;

    fn value(&self, value: Value) -> Result<Value>;
    fn payload(&self, payload: Payload) -> Result<Payload>;
    fn json(&self) -> Result<Json<Point>>;
    fn foreign(&self) -> Result<Json<Foreign>>;
    fn stub(&self, stub: Stub) -> Result<Stub>;

    fn odd(&self) -> Result<OddStub>;

    /// Handles all other calls.
    #[rpc(catch_all)]
    fn other(&self, method: String, args: Payload) -> Result<String>;
}

#[capnweb::interface]
pub(crate) trait User {
    fn id(&self) -> Result<u32>;
    async fn name(&self) -> Result<String>;
    /// A second method, whose argument can be a promise.
    fn greet(&self, name: String) -> Result<String>;
}

#[capnweb::interface]
pub(crate) trait Reader {
    async fn read(&self) -> Result<String>;
}

/// Extends [`Reader`].
#[capnweb::interface]
pub(crate) trait Editor: Reader {
    async fn write(&self, text: String) -> Result<()>;
}

/// A generic interface.
#[capnweb::interface]
pub(crate) trait Store<K, V: Clone> {
    async fn get(&self, key: K) -> Result<Option<V>>;
    fn all(&self) -> Result<Page<V>>;
    fn keys(&self) -> Result<Vec<K>>;
    async fn watch(&self, on_change: Callback<fn(K, V)>) -> Result<()>;
}

/// A point */ of the plane.
#[capnweb::value]
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Rightwards.
    x: f64,
    y: f64,
    point_label: Option<String>,
}

#[capnweb::value]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub(crate) struct Names {
    first_name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip)]
    #[expect(dead_code, reason = "it stays here")]
    secret: u32,
    #[serde(default)]
    with_default: u32,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    list: Vec<u32>,
    #[serde(with = "capnweb::date")]
    at: Date,
    #[deprecated(note = "it is empty")]
    old: String,
}

#[capnweb::value]
pub(crate) struct Flattened {
    own: u32,
    #[serde(flatten)]
    point: Point,
}

#[capnweb::value]
pub(crate) struct Id(u32);

#[capnweb::value]
pub(crate) struct Pair(u32, String);

#[capnweb::value]
pub(crate) enum Shape {
    Empty,
    /// Its radius.
    Circle(f64),
    Line(Point, Point),
    /// A square, if its height is not something else.
    Rectangle {
        /// The corner where it begins.
        top_left: Point,
        width: f64,
    },
}

/// A union with a tag.
#[capnweb::value]
#[serde(tag = "type")]
pub(crate) enum Event {
    LogIn {
        user_name: String,
    },
    LogOut,
    Moved(Point),
    #[serde(rename = "renamed!", rename_all = "UPPERCASE")]
    Other {
        some_text: Option<String>,
    },
}

#[capnweb::value]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub(crate) enum Notice {
    OfText(String),
    OfNothing,
}

#[capnweb::value]
#[serde(untagged)]
pub(crate) enum Length {
    Number(f64),
    Text { text: String },
    Nothing,
}

#[capnweb::value]
pub(crate) enum Color {
    Red,
    DarkGreen,
}

/// A generic value.
#[capnweb::value]
pub(crate) struct Page<T> {
    items: Vec<T>,
    next: Option<Box<Page<T>>>,
    by_name: HashMap<String, T>,
}

/// A recursive value.
#[capnweb::value]
pub(crate) enum Tree {
    Leaf(u32),
    Node { children: Vec<Tree> },
}

/// A value with capabilities in it.
#[capnweb::value]
pub(crate) struct Held {
    user: UserStub,
    double: Callback<f64, f64>,
}

/// A type without a description.
#[derive(Serialize, Deserialize)]
pub(crate) struct Foreign {
    x: u32,
}

/// The errors of `fail`.
#[capnweb::error]
#[derive(Debug)]
pub(crate) enum Failure {
    /// The balance is too low.
    #[rpc(message = "there are only {balance} left")]
    InsufficientFunds { balance: u32 },
    #[rpc(code = "lost", name = "RangeError", message = "lost")]
    NotFound,
    #[rpc(other)]
    Other(Error),
}

struct Server;

fn point() -> Point {
    Point::sample()
}

impl Point {
    pub(crate) fn sample() -> Self {
        Self {
            x: 1.0,
            y: 2.0,
            point_label: None,
        }
    }
}

impl Rows for Server {
    async fn user(&self, id: u32) -> Result<UserStub> {
        Ok(UserStub::new(Person(id)))
    }

    async fn name_of(&self, user: UserStub) -> Result<String> {
        user.name().await
    }

    async fn each_user(&self, on_user: Callback<UserStub, u32>) -> Result<u32> {
        on_user.call(UserStub::new(Person(3))).await
    }

    fn users(&self) -> Result<Vec<UserStub>> {
        Ok((0..2).map(|id| UserStub::new(Person(id))).collect())
    }

    fn maybe_user(&self, there: bool) -> Result<Option<UserStub>> {
        Ok(there.then(|| UserStub::new(Person(4))))
    }

    fn title(&self) -> Result<String> {
        Ok("rows".to_owned())
    }

    fn renamed(&self) -> Result<bool> {
        Ok(true)
    }

    fn old_title(&self) -> Result<String> {
        Ok("old rows".to_owned())
    }

    async fn fail(&self, code: String) -> Result<(), Failure> {
        Err(match code.as_str() {
            "insufficient_funds" => Failure::InsufficientFunds { balance: 5 },
            "lost" => Failure::NotFound,
            _ => Failure::Other(Error::new(code)),
        })
    }

    async fn call(&self, function: Callback<u32, String>) -> Result<String> {
        function.call(7).await
    }

    async fn call_two(&self, function: Callback<fn(String, u32)>) -> Result<()> {
        function.call("seven", 7).await
    }

    fn doubler(&self) -> Result<Callback<f64, f64>> {
        Ok(Callback::new(|n: f64| n * 2.0))
    }

    fn optional(&self, first: String, second: Option<u32>, third: Option<Point>) -> Result<u32> {
        let count = u32::from(second.is_some()) + u32::from(third.is_some());
        Ok(count + u32::from(!first.is_empty()))
    }

    fn optional_first(&self, first: Option<u32>, second: u32) -> Result<Option<u32>> {
        Ok(first.map(|first| first + second))
    }

    fn rest(&self, _first: String, others: Vec<u32>) -> Result<usize> {
        Ok(others.len())
    }

    fn context(&self, _context: &Context, delete: bool) -> Result<bool> {
        Ok(delete)
    }

    fn unit(&self) -> Result<()> {
        Ok(())
    }

    fn undefined(&self) -> Result<Undefined> {
        Ok(Undefined)
    }

    fn text(&self) -> Result<String> {
        Ok("text".to_owned())
    }

    fn number(&self) -> Result<f64> {
        Ok(1.5)
    }

    fn unsigned(&self, beyond: bool) -> Result<u64> {
        Ok(if beyond { u64::MAX } else { 7 })
    }

    fn signed(&self) -> Result<i64> {
        Ok(i64::MIN)
    }

    fn large(&self) -> Result<u128> {
        Ok(u128::MAX)
    }

    fn huge(&self) -> Result<BigInt> {
        Ok(BigInt::from(i64::MIN))
    }

    fn date(&self, date: Date) -> Result<Date> {
        Ok(date)
    }

    fn bytes(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
    }

    fn binary(&self) -> Result<Binary> {
        Binary::new(Container::ArrayBuffer, *b"abc").map_err(|error| Error::new(error.to_string()))
    }

    fn floats(&self, floats: TypedArray<f32>) -> Result<TypedArray<f32>> {
        Ok(floats)
    }

    fn url(&self) -> Result<Url> {
        "https://example.com/a"
            .parse()
            .map_err(|_| Error::new("no URL"))
    }

    fn error(&self) -> Result<Error> {
        Ok(Error::range_error("as a value"))
    }

    fn blob(&self) -> Result<Blob> {
        Ok(Blob::new("text/plain", "a blob"))
    }

    fn headers(&self, headers: Headers) -> Result<Headers> {
        Ok(headers)
    }

    fn request(&self, request: Request) -> Result<Request> {
        Ok(request)
    }

    fn response(&self, response: Response) -> Result<Response> {
        Ok(response)
    }

    fn readable(&self) -> Result<Readable<String>> {
        Ok(Readable::from_stream(stream::iter(["hi".to_owned()])))
    }

    fn byte_stream(&self, stream: ByteStream) -> Result<ByteStream> {
        Ok(stream)
    }

    fn writable(&self) -> Result<Writable<Point>> {
        let sink = sink::drain().sink_map_err(|never| -> Error { match never {} });
        Ok(Writable::from_sink(sink))
    }

    fn record(&self, map: HashMap<String, u32>) -> Result<BTreeMap<String, Point>> {
        Ok(map.into_keys().map(|key| (key, point())).collect())
    }

    fn tuple(&self) -> Result<(u32, String, Option<bool>)> {
        Ok((1, "two".to_owned(), None))
    }

    fn point(&self) -> Result<Point> {
        Ok(point())
    }

    #[expect(deprecated, reason = "a deprecated field is still sent")]
    fn names(&self) -> Result<Names> {
        Ok(Names {
            first_name: "Ada".to_owned(),
            secret: 5,
            kind: "k".to_owned(),
            with_default: 2,
            list: Vec::new(),
            at: Date::from_millis(0),
            old: String::new(),
        })
    }

    fn flattened(&self) -> Result<Flattened> {
        Ok(Flattened {
            own: 1,
            point: point(),
        })
    }

    fn id(&self, id: Id) -> Result<Id> {
        Ok(id)
    }

    fn pair(&self) -> Result<Pair> {
        Ok(Pair(1, "two".to_owned()))
    }

    fn shapes(&self) -> Result<Vec<Shape>> {
        let rectangle = Shape::Rectangle {
            top_left: point(),
            width: 3.0,
        };
        let line = Shape::Line(point(), point());
        Ok(vec![Shape::Empty, Shape::Circle(1.5), line, rectangle])
    }

    fn events(&self) -> Result<Vec<Event>> {
        let user_name = "Ada".to_owned();
        let some_text = Some("text".to_owned());
        Ok(vec![
            Event::LogIn { user_name },
            Event::LogOut,
            Event::Moved(point()),
            Event::Other { some_text },
        ])
    }

    fn notices(&self) -> Result<Vec<Notice>> {
        Ok(vec![Notice::OfText("text".to_owned()), Notice::OfNothing])
    }

    fn lengths(&self) -> Result<Vec<Length>> {
        let text = "10px".to_owned();
        Ok(vec![
            Length::Number(1.5),
            Length::Text { text },
            Length::Nothing,
        ])
    }

    fn color(&self, color: Color) -> Result<Color> {
        Ok(match color {
            Color::Red => Color::DarkGreen,
            Color::DarkGreen => Color::Red,
        })
    }

    fn page(&self) -> Result<Page<Point>> {
        Ok(page())
    }

    fn tree(&self) -> Result<Tree> {
        Ok(Tree::Node {
            children: vec![Tree::Leaf(1)],
        })
    }

    fn held(&self) -> Result<Held> {
        Ok(Held {
            user: UserStub::new(Person(5)),
            double: self.doubler()?,
        })
    }

    fn store(&self) -> Result<StoreStub<String, Point>> {
        Ok(StoreStub::new(Points))
    }

    fn editor(&self) -> Result<EditorStub> {
        Ok(EditorStub::new(Document))
    }

    async fn read(&self, reader: ReaderStub) -> Result<String> {
        reader.read().await
    }

    fn value(&self, value: Value) -> Result<Value> {
        Ok(value)
    }

    fn payload(&self, payload: Payload) -> Result<Payload> {
        Ok(payload)
    }

    fn json(&self) -> Result<Json<Point>> {
        Ok(Json(point()))
    }

    fn foreign(&self) -> Result<Json<Foreign>> {
        Ok(Json(Foreign { x: 1 }))
    }

    fn stub(&self, stub: Stub) -> Result<Stub> {
        Ok(stub)
    }

    fn odd(&self) -> Result<OddStub> {
        Ok(OddStub::new(crate::odd::Server))
    }

    fn other(&self, method: String, _args: Payload) -> Result<String> {
        Ok(method)
    }
}

pub(crate) fn page() -> Page<Point> {
    Page {
        items: vec![point()],
        next: None,
        by_name: HashMap::from([("a".to_owned(), point())]),
    }
}

struct Person(u32);

impl User for Person {
    fn id(&self) -> Result<u32> {
        Ok(self.0)
    }

    async fn name(&self) -> Result<String> {
        Ok(format!("user {}", self.0))
    }

    fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello {name}, I am user {}", self.0))
    }
}

struct Document;

impl Reader for Document {
    async fn read(&self) -> Result<String> {
        Ok("a document".to_owned())
    }
}

impl Editor for Document {
    async fn write(&self, _text: String) -> Result<()> {
        Ok(())
    }
}

struct Points;

impl Store<String, Point> for Points {
    async fn get(&self, key: String) -> Result<Option<Point>> {
        Ok((key == "a").then(point))
    }

    fn all(&self) -> Result<Page<Point>> {
        Ok(page())
    }

    fn keys(&self) -> Result<Vec<String>> {
        Ok(vec!["a".to_owned()])
    }

    async fn watch(&self, on_change: Callback<fn(String, Point)>) -> Result<()> {
        Promise::detach(on_change.call("a", point()));
        Ok(())
    }
}

/// Serves the rows to each connection, until told to stop.
pub(crate) async fn serve(mut arguments: Arguments) -> Result<(), String> {
    let (listener, bound) = ready::listen(&arguments.listen()).await?;
    let server = Arc::new(Server);
    let rpc = Rpc::new(move || RowsStub::new(server.clone()))
        .options(SessionOptions::new().with_introspection(true));
    let app = axum::Router::new()
        .nest(
            "/interface",
            capnweb::axum::describe(Description::of::<RowsStub>()),
        )
        .fallback_service(rpc.allow_origin("*").route());
    let stopped = crate::signal::stopped().map_err(|error| error.to_string())?;
    ready::tell(&json!({ "addr": bound }))?;
    capnweb::axum::serve_with_shutdown(listener, app, stopped)
        .await
        .map_err(|error| format!("the server failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        capnweb::typescript::of::<RowsStub>().keep("typescript/rows.d.ts");
    }
}

//! Unusual interfaces and values: names, combinations of serde's attributes, and types of other
//! crates.
//!
//! They are the row `odd` of `rows`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use capnweb::{
    Bytes, Callback, Date, Describe, Promise, Result,
    describe::Description,
    typed::{Accepts, Json, NoPipeline, Pipelined},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rows::{Point, Reader, ReaderStub, Store, StoreStub};

/// Unusual names and types.
#[capnweb::interface]
pub(crate) trait Odd {
    // Keywords of Rust and JavaScript.
    fn r#type(&self, r#in: u32, default: Option<u32>) -> Result<u32>;
    fn delete(&self, this: u32, arguments: u32) -> Result<u32>;
    /// Two parameters that have the same name in TypeScript.
    fn accents(&self, größe: u32, r#move: u32, _move: u32) -> Result<u32>;
    #[rpc(name = "it's \"quoted\"")]
    fn quoted(&self) -> Result<bool>;
    #[rpc(get, name = "größe")]
    fn size(&self) -> Result<u32>;

    // Options that cannot be omitted, and options that can.
    fn middle(
        &self,
        a: u32,
        b: Option<u32>,
        c: u32,
        d: Option<u32>,
    ) -> Result<(u32, Option<u32>, u32, Option<u32>)>;
    fn twice(&self, of: Option<Option<u32>>) -> Result<Vec<Option<bool>>>;
    fn optional_rest(
        &self,
        first: Option<u32>,
        #[rpc(rest)] more: Vec<Option<u32>>,
    ) -> Result<usize>;

    // Interfaces that refer to each other, and interfaces of the same name.
    fn ping(&self) -> Result<PingStub>;
    fn items(&self) -> Result<(left::ItemStub, right::Item)>;
    fn cache(&self) -> Result<CacheStub<Point>>;
    fn document(&self) -> Result<DocumentStub>;

    // Generic types whose arguments have no description.
    fn tree(&self) -> Result<Branch<Branch<u32>>>;
    fn opaque(&self) -> Result<Branch<Json<Opaque>>>;
    async fn each_opaque(&self, each: Callback<Json<Opaque>, bool>) -> Result<bool>;

    // Attributes of serde.
    fn mixed(&self) -> Result<Vec<Mixed>>;
    fn adjacent(&self) -> Result<Vec<Adjacent>>;
    fn loose(&self) -> Result<Vec<Loose>>;
    fn extended(&self) -> Result<Extended>;
    fn further(&self) -> Result<Further>;
    fn lone(&self) -> Result<Loose>;
    fn converted(&self, converted: Converted) -> Result<Converted>;
    fn transparent(&self) -> Result<Transparent>;
    fn marker(&self) -> Result<Marker>;
    fn numbered(&self) -> Result<HashMap<u32, [f64; 2]>>;

    // Types of other crates.
    fn standard(&self) -> Result<Json<Standard>>;
    fn color(&self, color: Color) -> Result<Color>;
    #[rpc(as = Option<String>)]
    fn decimal(&self, #[rpc(as = String)] amount: Decimal) -> Result<Option<Decimal>>;
    fn invoice(&self) -> Result<Invoice>;
    fn model(&self) -> Result<Json<Model>>;
    fn about(&self) -> Result<Description>;
}

#[capnweb::interface]
pub(crate) trait Ping {
    fn pong(&self) -> Result<PongStub>;
    fn again(&self, with: PingStub) -> Result<PingStub>;
}

#[capnweb::interface]
pub(crate) trait Pong {
    fn ping(&self) -> Result<PingStub>;
}

pub(crate) mod left {
    use capnweb::Result;

    #[capnweb::interface]
    pub(crate) trait Item {
        fn left(&self) -> Result<bool>;
    }
}

pub(crate) mod right {
    #[capnweb::value]
    pub(crate) struct Item {
        pub(crate) right: bool,
    }
}

/// Extends a generic interface.
#[capnweb::interface]
pub(crate) trait Cache<V: Clone>: Store<String, V> {
    fn hits(&self) -> Result<u32>;
}

/// Extends two interfaces.
#[capnweb::interface]
pub(crate) trait Document: Reader + left::Item {
    fn length(&self) -> Result<u32>;
}

/// A recursive generic.
#[capnweb::value]
pub(crate) struct Branch<T> {
    value: T,
    branches: Vec<Branch<T>>,
    by_name: BTreeMap<String, Option<Box<Branch<T>>>>,
}

/// A type without a description.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Opaque {
    x: u32,
}

/// Variants of every kind, some with their own attributes.
#[capnweb::value]
#[serde(rename_all = "kebab-case", rename_all_fields = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mixed {
    /// A variant without fields.
    JustSo,
    #[serde(rename_all = "snake_case")]
    NamedFields {
        one_field: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        other_field: Option<u32>,
    },
    OtherFields {
        one_field: u32,
    },
    Pair(u32, String),
    Nested((u32, Option<u32>)),
    #[serde(skip)]
    #[expect(dead_code, reason = "it stays here")]
    Hidden,
}

#[capnweb::value]
#[serde(tag = "t", content = "c")]
pub(crate) enum Adjacent {
    Unit,
    Newtype(Point),
    Tuple(u32, u32),
    #[serde(rename = "it's")]
    Struct {
        some_field: u32,
    },
}

#[capnweb::value]
#[serde(untagged)]
pub(crate) enum Loose {
    Both(u32, String),
    One { x: u32 },
    Other { y: Option<u32> },
    Text(String),
    Nothing,
}

#[capnweb::value]
pub(crate) struct Extended {
    own: u32,
    #[serde(alias = "previously", default)]
    later: Vec<u32>,
    #[serde(flatten)]
    kind: Tagged,
    #[serde(flatten)]
    point: Option<Point>,
    #[serde(rename = "a-b c", skip_serializing_if = "Option::is_none")]
    dashed: Option<bool>,
}

#[capnweb::value]
#[serde(tag = "kind")]
pub(crate) enum Tagged {
    Plain,
    Colored { color_name: String },
}

/// Has properties of any name, and one of another type.
#[capnweb::value]
pub(crate) struct Further {
    name: String,
    #[serde(flatten)]
    others: HashMap<String, u32>,
}

/// Is sent as another type.
#[capnweb::value]
#[serde(into = "String", try_from = "String")]
#[derive(Clone)]
pub(crate) struct Converted {
    text: String,
}

impl From<Converted> for String {
    fn from(converted: Converted) -> Self {
        converted.text
    }
}

impl TryFrom<String> for Converted {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.is_empty() {
            true => Err("it is empty".to_owned()),
            false => Ok(Self { text }),
        }
    }
}

#[capnweb::value]
#[serde(transparent)]
pub(crate) struct Transparent {
    inner: Vec<Point>,
}

#[capnweb::value]
pub(crate) struct Marker;

/// Types of the standard library.
#[derive(Describe, Serialize, Deserialize)]
pub(crate) struct Standard {
    path_name: PathBuf,
    address: IpAddr,
    not_zero: NonZeroU32,
    shared: Box<str>,
    borrowed: Cow<'static, str>,
    time: Duration,
    letter: char,
    bytes: [u8; 3],
}

/// A type with handwritten serde implementations, which is sent as a string.
pub(crate) struct Color(u8, u8, u8);

capnweb::describe!(Color as String);

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(red, green, blue) = self;
        serializer.collect_str(&format_args!("#{red:02x}{green:02x}{blue:02x}"))
    }
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let part = |at| {
            let digits = text.get(at..at + 2).unwrap_or_default();
            u8::from_str_radix(digits, 16).map_err(serde::de::Error::custom)
        };
        Ok(Self(part(1)?, part(3)?, part(5)?))
    }
}

/// A type without a description, like one of another crate.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Decimal(String);

macro_rules! cross {
    ($($type:ty)*) => {
        $(impl Pipelined for $type {
            type Pipeline = NoPipeline<Self>;
        }

        impl Accepts<Self> for $type {
            type Wire = Self;

            fn wire(argument: Self) -> Self {
                argument
            }
        })*
    };
}

cross!(Color Decimal);

#[capnweb::value]
pub(crate) struct Invoice {
    #[rpc(as = String)]
    total: Decimal,
    #[rpc(as = Vec<String>, skip)]
    items: Vec<Decimal>,
}

/// A type of a crate that only depends on serde.
#[derive(Describe, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Model {
    OneField {
        /// The time of its creation.
        created_at: Date,
        #[rpc(as = String)]
        amount: Decimal,
        #[serde(with = "serde_bytes_alike")]
        other: Bytes,
    },
    #[allow(dead_code, reason = "it is declared")]
    Nothing,
}

mod serde_bytes_alike {
    use super::{Bytes, Deserialize, Deserializer, Result, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        bytes.len().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        usize::deserialize(from).map(|length| vec![0; length].into())
    }
}

pub(crate) struct Server;

fn leaf<T>(value: T) -> Branch<T> {
    Branch {
        value,
        branches: Vec::new(),
        by_name: BTreeMap::new(),
    }
}

impl Odd for Server {
    fn r#type(&self, r#in: u32, default: Option<u32>) -> Result<u32> {
        Ok(r#in + default.unwrap_or(1))
    }

    fn delete(&self, this: u32, arguments: u32) -> Result<u32> {
        Ok(this + arguments)
    }

    fn accents(&self, größe: u32, r#move: u32, _move: u32) -> Result<u32> {
        Ok(größe * 100 + r#move * 10 + _move)
    }

    fn quoted(&self) -> Result<bool> {
        Ok(true)
    }

    fn size(&self) -> Result<u32> {
        Ok(5)
    }

    fn middle(
        &self,
        a: u32,
        b: Option<u32>,
        c: u32,
        d: Option<u32>,
    ) -> Result<(u32, Option<u32>, u32, Option<u32>)> {
        Ok((a, b, c, d))
    }

    fn twice(&self, of: Option<Option<u32>>) -> Result<Vec<Option<bool>>> {
        Ok(vec![of.map(|it| it.is_some()), None])
    }

    fn optional_rest(&self, first: Option<u32>, more: Vec<Option<u32>>) -> Result<usize> {
        Ok(first.iter().count() + more.iter().flatten().count())
    }

    fn ping(&self) -> Result<PingStub> {
        Ok(PingStub::new(Self))
    }

    fn items(&self) -> Result<(left::ItemStub, right::Item)> {
        Ok((left::ItemStub::new(Self), right::Item { right: true }))
    }

    fn cache(&self) -> Result<CacheStub<Point>> {
        Ok(CacheStub::new(Self))
    }

    fn document(&self) -> Result<DocumentStub> {
        Ok(DocumentStub::new(Self))
    }

    fn tree(&self) -> Result<Branch<Branch<u32>>> {
        let mut tree = leaf(leaf(1));
        tree.branches.push(leaf(leaf(2)));
        tree.by_name.insert("none".to_owned(), None);
        Ok(tree)
    }

    fn opaque(&self) -> Result<Branch<Json<Opaque>>> {
        Ok(leaf(Json(Opaque { x: 1 })))
    }

    async fn each_opaque(&self, each: Callback<Json<Opaque>, bool>) -> Result<bool> {
        each.call(Json(Opaque { x: 1 })).await
    }

    fn mixed(&self) -> Result<Vec<Mixed>> {
        Ok(vec![
            Mixed::JustSo,
            Mixed::NamedFields {
                one_field: 1,
                other_field: None,
            },
            Mixed::OtherFields { one_field: 1 },
            Mixed::Pair(1, "two".to_owned()),
            Mixed::Nested((1, None)),
        ])
    }

    fn adjacent(&self) -> Result<Vec<Adjacent>> {
        Ok(vec![
            Adjacent::Unit,
            Adjacent::Newtype(Point::sample()),
            Adjacent::Tuple(1, 2),
            Adjacent::Struct { some_field: 1 },
        ])
    }

    fn loose(&self) -> Result<Vec<Loose>> {
        Ok(vec![
            Loose::Both(1, "two".to_owned()),
            Loose::One { x: 1 },
            Loose::Other { y: None },
            Loose::Text("text".to_owned()),
            Loose::Nothing,
        ])
    }

    fn extended(&self) -> Result<Extended> {
        Ok(Extended {
            own: 1,
            kind: Tagged::Colored {
                color_name: "red".to_owned(),
            },
            point: Some(Point::sample()),
            later: Vec::new(),
            dashed: None,
        })
    }

    fn further(&self) -> Result<Further> {
        Ok(Further {
            name: "Ada".to_owned(),
            others: HashMap::from([("age".to_owned(), 36)]),
        })
    }

    fn lone(&self) -> Result<Loose> {
        Ok(Loose::Nothing)
    }

    fn converted(&self, converted: Converted) -> Result<Converted> {
        Ok(converted)
    }

    fn transparent(&self) -> Result<Transparent> {
        Ok(Transparent {
            inner: vec![Point::sample()],
        })
    }

    fn marker(&self) -> Result<Marker> {
        Ok(Marker)
    }

    fn numbered(&self) -> Result<HashMap<u32, [f64; 2]>> {
        Ok(HashMap::from([(7, [1.0, 2.5])]))
    }

    fn standard(&self) -> Result<Json<Standard>> {
        Ok(Json(Standard {
            path_name: PathBuf::from("/tmp"),
            address: IpAddr::from([127, 0, 0, 1]),
            not_zero: NonZeroU32::MIN,
            shared: Box::from("shared"),
            borrowed: Cow::Borrowed("borrowed"),
            time: Duration::from_millis(1500),
            letter: 'x',
            bytes: [1, 2, 3],
        }))
    }

    fn color(&self, color: Color) -> Result<Color> {
        let Color(red, green, blue) = color;
        Ok(Color(blue, green, red))
    }

    fn decimal(&self, amount: Decimal) -> Result<Option<Decimal>> {
        Ok(Some(amount))
    }

    fn invoice(&self) -> Result<Invoice> {
        let total = Decimal("1.50".to_owned());
        Ok(Invoice {
            items: vec![total.clone()],
            total,
        })
    }

    fn model(&self) -> Result<Json<Model>> {
        Ok(Json(Model::OneField {
            created_at: Date::from_millis(0),
            amount: Decimal("1.50".to_owned()),
            other: Bytes::from_static(b"abc"),
        }))
    }

    fn about(&self) -> Result<Description> {
        Ok(Description::of::<PingStub>())
    }
}

impl Ping for Server {
    fn pong(&self) -> Result<PongStub> {
        Ok(PongStub::new(Self))
    }

    fn again(&self, with: PingStub) -> Result<PingStub> {
        Ok(with)
    }
}

impl Pong for Server {
    fn ping(&self) -> Result<PingStub> {
        Ok(PingStub::new(Self))
    }
}

impl left::Item for Server {
    fn left(&self) -> Result<bool> {
        Ok(true)
    }
}

impl Store<String, Point> for Server {
    async fn get(&self, key: String) -> Result<Option<Point>> {
        Ok((key == "a").then(Point::sample))
    }

    fn all(&self) -> Result<crate::rows::Page<Point>> {
        Ok(crate::rows::page())
    }

    fn keys(&self) -> Result<Vec<String>> {
        Ok(vec!["a".to_owned()])
    }

    async fn watch(&self, on_change: Callback<fn(String, Point)>) -> Result<()> {
        Promise::detach(on_change.call("a", Point::sample()));
        Ok(())
    }
}

impl Cache<Point> for Server {
    fn hits(&self) -> Result<u32> {
        Ok(3)
    }
}

impl Reader for Server {
    async fn read(&self) -> Result<String> {
        Ok("odd".to_owned())
    }
}

impl Document for Server {
    fn length(&self) -> Result<u32> {
        Ok(3)
    }
}

//! Structs as arguments and results.

use capnweb::{Bytes, Callback, Promise, Result, Stub, Value, interface, typed::Json, value};

use crate::support::here_and_there;

#[value]
#[derive(Clone, Debug, Default, PartialEq)]
struct Full {
    user_name: String,
    #[serde(rename = "URL")]
    photo_url: Option<String>,
    #[serde(rename(serialize = "written", deserialize = "read"), alias = "written")]
    renamed: u32,
    #[serde(skip)]
    skipped: u32,
    #[serde(default)]
    defaulted: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u32>,
    #[serde(flatten)]
    flattened: Inner,
    #[serde(with = "as_text")]
    converted: u32,
    /// The type has no pipeline, so the field has no method.
    #[rpc(skip)]
    foreign: Foreign,
}

#[value]
#[derive(Clone, Debug, Default, PartialEq)]
struct Inner {
    inner_field: u32,
}

/// A type of another crate, as far as the macros know.
#[derive(Clone, Debug, Default, PartialEq)]
struct Foreign(u32);

impl capnweb::macro_support::serde::Serialize for Foreign {
    fn serialize<S: capnweb::macro_support::serde::Serializer>(
        &self,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> capnweb::macro_support::serde::Deserialize<'de> for Foreign {
    fn deserialize<D: capnweb::macro_support::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

mod as_text {
    use capnweb::macro_support::serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(n: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&n.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[value]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
#[derive(Clone, Debug, PartialEq)]
struct Loud {
    very_loud: u32,
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Id(u32);

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Many(Vec<Loud>);

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Pair(u32, String);

#[value]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Unit;

#[value]
#[serde(transparent)]
#[derive(Clone, Debug, PartialEq)]
struct Transparent {
    only: Inner,
}

#[value]
#[serde(from = "u32", into = "u32")]
#[derive(Clone, Debug, PartialEq)]
struct Converted {
    number: u32,
}

impl From<u32> for Converted {
    fn from(number: u32) -> Self {
        Self { number }
    }
}

impl From<Converted> for u32 {
    fn from(converted: Converted) -> Self {
        converted.number
    }
}

#[value]
#[derive(Clone, Debug)]
struct Tree {
    name: String,
    children: Vec<Self>,
    parent: Option<Box<Tree>>,
}

#[value]
#[derive(Clone)]
struct Bag {
    api: Stub,
    values: ValuesStub,
    later: Promise<u32>,
    callback: Callback<u32, u32>,
    bytes: Bytes,
    any: Value,
    json: Json<Foreign>,
}

#[interface]
trait Values {
    async fn full(&self, full: Full) -> Result<Full>;
    async fn loud(&self, loud: Loud) -> Result<Loud>;
    async fn id(&self, id: Id) -> Result<Id>;
    async fn many(&self, many: Many) -> Result<Option<Many>>;
    async fn pair(&self, pair: Pair) -> Result<Pair>;
    async fn unit(&self, unit: Unit) -> Result<Unit>;
    async fn transparent(&self, value: Transparent) -> Result<Option<Transparent>>;
    async fn converted(&self, value: Converted) -> Result<Converted>;
    async fn tree(&self) -> Result<Tree>;
    async fn bag(&self, bag: Bag) -> Result<Bag>;
}

struct Echo;

impl Values for Echo {
    async fn full(&self, full: Full) -> Result<Full> {
        Ok(full)
    }

    async fn loud(&self, loud: Loud) -> Result<Loud> {
        Ok(loud)
    }

    async fn id(&self, id: Id) -> Result<Id> {
        Ok(id)
    }

    async fn many(&self, many: Many) -> Result<Option<Many>> {
        Ok(Some(many))
    }

    async fn pair(&self, pair: Pair) -> Result<Pair> {
        Ok(pair)
    }

    async fn unit(&self, unit: Unit) -> Result<Unit> {
        Ok(unit)
    }

    async fn transparent(&self, value: Transparent) -> Result<Option<Transparent>> {
        Ok(Some(value))
    }

    async fn converted(&self, value: Converted) -> Result<Converted> {
        Ok(value)
    }

    async fn tree(&self) -> Result<Tree> {
        let leaf = |name: &str| Tree {
            name: name.to_owned(),
            children: Vec::new(),
            parent: None,
        };
        Ok(Tree {
            name: "root".to_owned(),
            children: vec![leaf("a"), leaf("b")],
            parent: Some(Box::new(leaf("parent"))),
        })
    }

    async fn bag(&self, bag: Bag) -> Result<Bag> {
        assert_eq!(bag.callback.call(&bag.later).await?, 14);
        assert_eq!(bag.values.loud(Loud { very_loud: 1 }).await?.very_loud, 1);
        Ok(bag)
    }
}

fn full() -> Full {
    Full {
        user_name: "Ada".to_owned(),
        photo_url: Some("/ada.png".to_owned()),
        renamed: 3,
        skipped: 0,
        defaulted: 4,
        left_out: None,
        flattened: Inner { inner_field: 5 },
        converted: 6,
        foreign: Foreign(7),
    }
}

#[tokio::test]
async fn fields_use_their_serde_names() {
    here_and_there(ValuesStub::new(Echo), |api| async move {
        let promise = api.full(full());
        assert_eq!(promise.user_name().await.unwrap(), "Ada");
        assert_eq!(promise.photo_url().await.unwrap().unwrap(), "/ada.png");
        assert_eq!(promise.renamed().await.unwrap(), 3);
        assert_eq!(promise.defaulted().await.unwrap(), 4);
        assert_eq!(promise.left_out().await.unwrap(), None);
        assert_eq!(promise.get("innerField").fetch::<u32>().await.unwrap(), 5);
        assert_eq!(
            promise.get("converted").fetch::<String>().await.unwrap(),
            "6"
        );
        assert_eq!(promise.await.unwrap(), full());
        assert_eq!(api.full(&full()).await.unwrap(), full());

        let promise = api.loud(Loud { very_loud: 8 });
        assert_eq!(promise.very_loud().await.unwrap(), 8);
        assert_eq!(promise.get("VERY-LOUD").fetch::<u32>().await.unwrap(), 8);
    })
    .await;
}

#[tokio::test]
async fn newtypes_cross_as_their_content() {
    here_and_there(ValuesStub::new(Echo), |api| async move {
        assert_eq!(api.id(Id(1)).await.unwrap(), Id(1));
        let two = Promise::<u32>::ready(2);
        assert_eq!(api.id(Promise::cast(two)).await.unwrap(), Id(2));
        let many = || Many(vec![Loud { very_loud: 1 }, Loud { very_loud: 2 }]);
        assert_eq!(api.many(many()).await.unwrap(), Some(many()));
        let many: Promise<Many> = Promise::cast(api.many(many()));
        assert_eq!(many.at(1).very_loud().await.unwrap(), 2);
        let loud = many.map(|loud| loud.very_loud());
        assert_eq!(loud.await.unwrap(), [1, 2]);
        let transparent = Transparent {
            only: Inner { inner_field: 9 },
        };
        let field = api.transparent(&transparent).map(|it| it.inner_field());
        assert_eq!(field.await.unwrap(), Some(9));
        assert_eq!(
            api.transparent(&transparent).await.unwrap(),
            Some(transparent)
        );
    })
    .await;
}

#[tokio::test]
async fn tuple_unit_converted_and_recursive_structs_cross() {
    here_and_there(ValuesStub::new(Echo), |api| async move {
        let pair = Pair(1, "one".to_owned());
        assert_eq!(api.pair(&pair).await.unwrap(), pair);
        assert_eq!(api.unit(Unit).await.unwrap(), Unit);
        let converted = Converted { number: 3 };
        assert_eq!(api.converted(&converted).await.unwrap(), converted);
        let tree = api.tree();
        assert_eq!(tree.children().at(1).name().await.unwrap(), "b");
        let parents = tree.parent().map(|parent| parent.name());
        assert_eq!(parents.await.unwrap().as_deref(), Some("parent"));
    })
    .await;
}

#[tokio::test]
async fn fields_may_be_references_and_promises() {
    here_and_there(ValuesStub::new(Echo), |api| async move {
        let bag = Bag {
            api: Stub::function(|n: u32| async move { Ok(n + 1) }),
            values: ValuesStub::new(Echo),
            later: Promise::ready(7),
            callback: Callback::new(|n: u32| 2 * n),
            bytes: Bytes::from_static(b"bytes"),
            any: Value::Null,
            json: Json(Foreign(1)),
        };
        let promise = api.bag(bag);
        assert_eq!(promise.api().invoke((1,)).fetch::<u32>().await.unwrap(), 2);
        assert_eq!(promise.values().id(Id(3)).await.unwrap(), Id(3));
        assert_eq!(promise.later().await.unwrap(), 7);
        assert_eq!(promise.callback().call(5).await.unwrap(), 10);
        let bag = promise.await.unwrap();
        assert_eq!(bag.bytes, "bytes");
        assert_eq!(bag.later.await.unwrap(), 7);
        assert_eq!(bag.callback.call(6).await.unwrap(), 12);
    })
    .await;
}

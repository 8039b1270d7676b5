//! Values that contain others of their own type.

use std::collections::BTreeMap;

use capnweb::{BigInt, Date, Payload, Value};
use serde_json::{Value as Json, json};

use super::{Random, Sample, Shapes, object};

pub(super) fn shapes(shapes: &mut Shapes) {
    shapes.add::<Tree>();
    shapes.add::<Vec<Tree>>();
    shapes.add::<Node>();
}

/// All forms of enums, nested in one another.
#[capnweb::value]
#[serde(untagged)]
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Flag(bool),
    Number(f64),
    Large(BigInt),
    Date(Date),
    Node(Box<Node>),
    Branches(Vec<Self>),
}

/// A tree that is distinguished by a tag.
#[capnweb::value]
#[serde(tag = "type")]
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Leaf {
        at: Date,
    },
    Inner {
        left: Tree,
        right: Option<Box<Self>>,
        #[serde(flatten)]
        more: BTreeMap<String, Payload>,
    },
}

/// Returns the schema of a tree. `tree` is the reference to itself.
fn schema_of_node(tree: &Json) -> Json {
    json!({ "self": { "either": [
        { "object": { "type": { "const": "leaf" }, "at": Date::schema() } },
        { "merge": [
            { "object": { "type": { "const": "inner" }, "left": tree, "right": { "option": { "again": 0 } } } },
            { "map": { "leaf": "otherKey" }, "of": Payload::schema() },
        ] },
    ] } })
}

/// Returns an integer that fits into no other type.
fn large(random: &mut Random) -> BigInt {
    let digits = format!("{}{}", u128::MAX, u64::sample(random));
    digits.parse().unwrap_or_default()
}

impl Sample for Tree {
    fn schema() -> Json {
        json!({ "self": { "either": [
            bool::schema(),
            f64::schema(),
            { "leaf": "largeBigint" },
            Date::schema(),
            schema_of_node(&json!({ "again": 1 })),
            { "list": { "again": 0 } },
        ] } })
    }

    fn sample(random: &mut Random) -> Self {
        let nested = match random.below(3) {
            0 => random.nested(|random| Self::Node(Box::new(Node::sample(random)))),
            1 => random.nested(|random| Self::Branches(random.items(4, Self::sample))),
            _ => None,
        };
        nested.unwrap_or_else(|| match random.below(4) {
            0 => Self::Flag(bool::sample(random)),
            1 => Self::Number(f64::sample(random)),
            2 => Self::Large(large(random)),
            _ => Self::Date(Date::sample(random)),
        })
    }

    fn model(&self) -> Value {
        match self {
            Self::Flag(flag) => flag.model(),
            Self::Number(number) => number.model(),
            Self::Large(large) => large.model(),
            Self::Date(date) => date.model(),
            Self::Node(node) => node.model(),
            Self::Branches(branches) => Value::Array(branches.iter().map(Self::model).collect()),
        }
    }
}

impl Sample for Node {
    fn schema() -> Json {
        schema_of_node(&Tree::schema())
    }

    fn sample(random: &mut Random) -> Self {
        let inner = random.nested(|random| Self::Inner {
            left: Tree::sample(random),
            right: random.once_in(2).then(|| Box::new(Self::sample(random))),
            more: random
                .items(2, |random| {
                    (format!("x{}", random.below(100)), Payload::sample(random))
                })
                .into_iter()
                .collect(),
        });
        let leaf = random.once_in(3);
        inner.filter(|_| !leaf).unwrap_or_else(|| Self::Leaf {
            at: Date::sample(random),
        })
    }

    fn model(&self) -> Value {
        match self {
            Self::Leaf { at } => object([("type", "leaf".into()), ("at", at.model())]),
            Self::Inner { left, right, more } => {
                let own = [
                    ("type".to_owned(), Value::from("inner")),
                    ("left".to_owned(), left.model()),
                    (
                        "right".to_owned(),
                        right.as_ref().map_or(Value::Null, |right| right.model()),
                    ),
                ];
                let more = more.iter().map(|(key, value)| (key.clone(), value.model()));
                Value::Object(own.into_iter().chain(more).collect())
            }
        }
    }
}

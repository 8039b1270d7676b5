//! Values that contain others of one kind.

use std::collections::{BTreeMap, HashMap, VecDeque};

use capnweb::{BigInt, Bytes, Date, Value};
use serde_json::{Value as Json, json};

use super::{Random, Sample, Shapes, leaves::key};

pub(super) fn shapes(shapes: &mut Shapes) {
    around::<i128>(shapes);
    around::<String>(shapes);
    around::<Date>(shapes);
    around::<BigInt>(shapes);
    around::<Bytes>(shapes);
    shapes.add::<Vec<()>>();
    shapes.add::<Vec<Value>>();
    shapes.add::<(u8, (), Vec<bool>, Value)>();
    shapes.add::<BTreeMap<Key, BTreeMap<bool, BTreeMap<i64, Option<Date>>>>>();
    shapes.add::<Vec<Vec<Option<Vec<Date>>>>>();
}

fn around<T: Sample>(shapes: &mut Shapes) {
    shapes.add::<Option<T>>();
    shapes.add::<Vec<T>>();
    shapes.add::<VecDeque<T>>();
    shapes.add::<[T; 2]>();
    shapes.add::<(T, bool)>();
    shapes.add::<Box<T>>();
    shapes.add::<BTreeMap<String, T>>();
    shapes.add::<HashMap<char, T>>();
    shapes.add::<BTreeMap<i64, T>>();
    shapes.add::<BTreeMap<u128, T>>();
    shapes.add::<BTreeMap<bool, T>>();
    shapes.add::<BTreeMap<Key, T>>();
}

/// A key that is one of a few.
#[capnweb::value]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    First,
    SecondOne,
    #[serde(rename = "the third")]
    Third,
}

impl Sample for Key {
    fn schema() -> Json {
        json!({ "either": [{ "const": "first" }, { "const": "secondOne" }, { "const": "the third" }] })
    }

    fn sample(random: &mut Random) -> Self {
        random.pick(&[Self::First, Self::SecondOne, Self::Third])
    }

    fn model(&self) -> Value {
        match self {
            Self::First => "first",
            Self::SecondOne => "secondOne",
            Self::Third => "the third",
        }
        .into()
    }
}

/// A type that an object's key can represent.
pub(super) trait SampleKey: Sample {
    /// Returns the key on the wire.
    fn written(&self) -> String;

    fn sample_key(random: &mut Random) -> Self {
        Self::sample(random)
    }
}

impl SampleKey for Key {
    fn written(&self) -> String {
        self.model().as_str().unwrap_or_default().to_owned()
    }
}

impl SampleKey for String {
    fn written(&self) -> String {
        self.clone()
    }

    fn sample_key(random: &mut Random) -> Self {
        key(random)
    }
}

macro_rules! keys {
    ($($key:ty),*) => {
        $(impl SampleKey for $key {
            fn written(&self) -> String {
                self.to_string()
            }
        })*
    };
}

keys!(bool, char, i64, u128);

macro_rules! maps {
    ($($map:ident where $($bound:path),*;)*) => {
        $(impl<K: SampleKey $(+ $bound)*, T: Sample> Sample for $map<K, T> {
            fn schema() -> Json {
                json!({ "map": K::schema(), "of": T::schema() })
            }

            fn sample(random: &mut Random) -> Self {
                let entries = random.items(3, |random| (K::sample_key(random), T::sample(random)));
                entries.into_iter().collect()
            }

            fn model(&self) -> Value {
                let entries = self.iter().map(|(key, value)| (key.written(), value.model()));
                Value::Object(entries.collect())
            }
        })*
    };
}

maps! {
    BTreeMap where Ord;
    HashMap where Eq, std::hash::Hash;
}

impl<T: Sample> Sample for Option<T> {
    fn schema() -> Json {
        json!({ "option": T::schema() })
    }

    fn sample(random: &mut Random) -> Self {
        let some = T::sample(random);
        (!random.once_in(3) && !some.model().is_nullish()).then_some(some)
    }

    fn model(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::model)
    }
}

macro_rules! lists {
    ($($list:ident),*) => {
        $(impl<T: Sample> Sample for $list<T> {
            fn schema() -> Json {
                json!({ "list": T::schema() })
            }

            fn sample(random: &mut Random) -> Self {
                random.items(3, T::sample).into()
            }

            fn model(&self) -> Value {
                Value::Array(self.iter().map(T::model).collect())
            }
        })*
    };
}

lists!(Vec, VecDeque);

impl<T: Sample> Sample for [T; 2] {
    fn schema() -> Json {
        json!({ "tuple": [T::schema(), T::schema()] })
    }

    fn sample(random: &mut Random) -> Self {
        [T::sample(random), T::sample(random)]
    }

    fn model(&self) -> Value {
        Value::Array(self.iter().map(T::model).collect())
    }
}

impl<T: Sample> Sample for Box<T> {
    fn schema() -> Json {
        T::schema()
    }

    fn sample(random: &mut Random) -> Self {
        Self::new(T::sample(random))
    }

    fn model(&self) -> Value {
        T::model(self)
    }
}

macro_rules! tuples {
    ($(($($item:ident $at:tt),*);)*) => {
        $(impl<$($item: Sample),*> Sample for ($($item,)*) {
            fn schema() -> Json {
                json!({ "tuple": [$($item::schema()),*] })
            }

            fn sample(random: &mut Random) -> Self {
                ($($item::sample(random),)*)
            }

            fn model(&self) -> Value {
                Value::Array(vec![$(self.$at.model()),*])
            }
        })*
    };
}

tuples! {
    (A 0, B 1);
    (A 0, B 1, C 2, D 3);
}

//! The forms of structs and enums that serde supports, with a value of any type.

use std::collections::BTreeMap;

use capnweb::{BigInt, Date, Payload, Url, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Random, Sample, Shapes, object};

pub(super) fn shapes(shapes: &mut Shapes) {
    // These values are converted in another way on JavaScript hosts.
    value_forms::<f64>(shapes);
    value_forms::<Date>(shapes);
    value_forms::<BigInt>(shapes);
    value_forms::<Url>(shapes);
    value_forms::<Value>(shapes);
    value_forms::<Payload>(shapes);
    derived_forms::<Date>(shapes);
    derived_forms::<Value>(shapes);

    value_forms::<value::Internal<value::Internal<BigInt>>>(shapes);
    value_forms::<value::Untagged<value::Untagged<u128>>>(shapes);
    value_forms::<value::FlatEnum<Date>>(shapes);
    derived_forms::<derived::Internal<derived::Untagged<derived::Flattened<Date>>>>(shapes);

    // With all shapes, a module for JavaScript hosts would be twice as large.
    #[cfg(not(target_family = "wasm"))]
    more_shapes(shapes);
}

#[cfg(not(target_family = "wasm"))]
fn more_shapes(shapes: &mut Shapes) {
    use capnweb::{Bytes, Error, Undefined};

    value_forms::<bool>(shapes);
    value_forms::<i64>(shapes);
    value_forms::<u128>(shapes);
    value_forms::<String>(shapes);
    value_forms::<Bytes>(shapes);
    value_forms::<Error>(shapes);
    value_forms::<Undefined>(shapes);
    value_forms::<Option<Date>>(shapes);
    value_forms::<Vec<BigInt>>(shapes);
    value_forms::<BTreeMap<i64, Date>>(shapes);

    derived_forms::<u64>(shapes);
    derived_forms::<f64>(shapes);
    derived_forms::<String>(shapes);
    derived_forms::<BigInt>(shapes);
    derived_forms::<Error>(shapes);
    derived_forms::<Payload>(shapes);
    derived_forms::<Option<Date>>(shapes);
    derived_forms::<Vec<BigInt>>(shapes);

    value_forms::<value::Internal<Date>>(shapes);
    value_forms::<value::Adjacent<Date>>(shapes);
    value_forms::<value::Untagged<Date>>(shapes);
    value_forms::<value::Flattened<Date>>(shapes);
    value_forms::<derived::Internal<Date>>(shapes);
    value_forms::<derived::Untagged<Value>>(shapes);
    derived_forms::<value::Internal<Date>>(shapes);
    derived_forms::<value::Untagged<BigInt>>(shapes);
}

fn value_forms<T: Sample>(shapes: &mut Shapes) {
    shapes.add::<value::Plain<T>>();
    shapes.add::<value::Newtype<T>>();
    shapes.add::<value::Pair<T>>();
    shapes.add::<value::External<T>>();
    shapes.add::<value::Internal<T>>();
    shapes.add::<value::Adjacent<T>>();
    shapes.add::<value::Untagged<T>>();
    shapes.add::<value::Flattened<T>>();
    shapes.add::<value::FlatEnum<T>>();
    shapes.add::<value::Optional<T>>();
}

fn derived_forms<T: Sample>(shapes: &mut Shapes) {
    shapes.add::<derived::Newtype<T>>();
    shapes.add::<derived::Pair<T>>();
    shapes.add::<derived::External<T>>();
    shapes.add::<derived::Internal<T>>();
    shapes.add::<derived::Adjacent<T>>();
    shapes.add::<derived::Untagged<T>>();
    shapes.add::<derived::Flattened<T>>();
    shapes.add::<derived::FlatEnum<T>>();
    shapes.add::<derived::Optional<T>>();
}

/// Defines the forms, with the attributes that make them values.
macro_rules! forms {
    ($module:ident, #[$value:meta]) => {
        pub(crate) mod $module {
            use super::*;

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct Plain<T> {
                key: String,
                value: T,
            }

            impl<T: Sample> Sample for Plain<T> {
                fn schema() -> Json {
                    json!({ "object": { "key": String::schema(), "value": T::schema() } })
                }

                fn sample(random: &mut Random) -> Self {
                    Self { key: String::sample(random), value: T::sample(random) }
                }

                fn model(&self) -> Value {
                    object([("key", self.key.model()), ("value", self.value.model())])
                }
            }

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct Newtype<T>(T);

            impl<T: Sample> Sample for Newtype<T> {
                fn schema() -> Json {
                    T::schema()
                }

                fn sample(random: &mut Random) -> Self {
                    Self(T::sample(random))
                }

                fn model(&self) -> Value {
                    self.0.model()
                }
            }

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct Pair<T>(T, Nothing);

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct Nothing;

            impl<T: Sample> Sample for Pair<T> {
                fn schema() -> Json {
                    json!({ "tuple": [T::schema(), <()>::schema()] })
                }

                fn sample(random: &mut Random) -> Self {
                    Self(T::sample(random), Nothing)
                }

                fn model(&self) -> Value {
                    Value::Array(vec![self.0.model(), Value::Null])
                }
            }

            #[$value]
            #[serde(rename_all = "camelCase")]
            #[derive(Clone, Debug)]
            pub(crate) enum External<T> {
                UnitOne,
                Newtype(T),
                Tuple(T, bool),
                Struct { value: T, count: u8 },
            }

            impl<T: Sample> Sample for External<T> {
                fn schema() -> Json {
                    json!({ "either": [
                        { "const": "unitOne" },
                        { "variant": { "newtype": T::schema() } },
                        { "variant": { "tuple": { "tuple": [T::schema(), bool::schema()] } } },
                        { "variant": { "struct": { "object": { "value": T::schema(), "count": u8::schema() } } } },
                    ] })
                }

                fn sample(random: &mut Random) -> Self {
                    match random.below(4) {
                        0 => Self::UnitOne,
                        1 => Self::Newtype(T::sample(random)),
                        2 => Self::Tuple(T::sample(random), bool::sample(random)),
                        _ => Self::Struct { value: T::sample(random), count: u8::sample(random) },
                    }
                }

                fn model(&self) -> Value {
                    match self {
                        Self::UnitOne => "unitOne".into(),
                        Self::Newtype(value) => object([("newtype", value.model())]),
                        Self::Tuple(value, flag) => {
                            object([("tuple", Value::Array(vec![value.model(), flag.model()]))])
                        }
                        Self::Struct { value, count } => {
                            object([("struct", object([("value", value.model()), ("count", count.model())]))])
                        }
                    }
                }
            }

            #[$value]
            #[serde(tag = "type", rename_all = "camelCase")]
            #[derive(Clone, Debug)]
            pub(crate) enum Internal<T> {
                UnitOne,
                Struct { value: T, count: u8 },
                Newtype(Plain<T>),
                Map(BTreeMap<String, T>),
            }

            impl<T: Sample> Sample for Internal<T> {
                fn schema() -> Json {
                    let tag = |name: &str| json!({ "object": { "type": { "const": name } } });
                    json!({ "either": [
                        tag("unitOne"),
                        { "merge": [tag("struct"), { "object": { "value": T::schema(), "count": u8::schema() } }] },
                        { "merge": [tag("newtype"), Plain::<T>::schema()] },
                        { "merge": [tag("map"), { "map": { "leaf": "otherKey" }, "of": T::schema() }] },
                    ] })
                }

                fn sample(random: &mut Random) -> Self {
                    match random.below(4) {
                        0 => Self::UnitOne,
                        1 => Self::Struct { value: T::sample(random), count: u8::sample(random) },
                        2 => Self::Newtype(Plain::sample(random)),
                        _ => Self::Map(other_entries(random)),
                    }
                }

                fn model(&self) -> Value {
                    let (tag, content) = match self {
                        Self::UnitOne => ("unitOne", object([])),
                        Self::Struct { value, count } => {
                            ("struct", object([("value", value.model()), ("count", count.model())]))
                        }
                        Self::Newtype(plain) => ("newtype", plain.model()),
                        Self::Map(map) => ("map", map.model()),
                    };
                    merged([object([("type", tag.into())]), content])
                }
            }

            #[$value]
            #[serde(tag = "t", content = "c", rename_all = "camelCase")]
            #[derive(Clone, Debug)]
            pub(crate) enum Adjacent<T> {
                UnitOne,
                Newtype(T),
                Tuple(T, bool),
                Struct { value: T, count: u8 },
            }

            impl<T: Sample> Sample for Adjacent<T> {
                fn schema() -> Json {
                    json!({ "either": [
                        { "object": { "t": { "const": "unitOne" } } },
                        { "object": { "t": { "const": "newtype" }, "c": T::schema() } },
                        { "object": { "t": { "const": "tuple" }, "c": { "tuple": [T::schema(), bool::schema()] } } },
                        { "object": {
                            "t": { "const": "struct" },
                            "c": { "object": { "value": T::schema(), "count": u8::schema() } },
                        } },
                    ] })
                }

                fn sample(random: &mut Random) -> Self {
                    match random.below(4) {
                        0 => Self::UnitOne,
                        1 => Self::Newtype(T::sample(random)),
                        2 => Self::Tuple(T::sample(random), bool::sample(random)),
                        _ => Self::Struct { value: T::sample(random), count: u8::sample(random) },
                    }
                }

                fn model(&self) -> Value {
                    let (tag, content) = match self {
                        Self::UnitOne => return object([("t", "unitOne".into())]),
                        Self::Newtype(value) => ("newtype", value.model()),
                        Self::Tuple(value, flag) => ("tuple", Value::Array(vec![value.model(), flag.model()])),
                        Self::Struct { value, count } => {
                            ("struct", object([("value", value.model()), ("count", count.model())]))
                        }
                    };
                    object([("t", tag.into()), ("c", content)])
                }
            }

            #[$value]
            #[serde(untagged)]
            #[derive(Clone, Debug)]
            pub(crate) enum Untagged<T> {
                Pair(T, bool),
                Struct { value: T, count: u8 },
                Other { other: Vec<T> },
                Text(String),
            }

            impl<T: Sample> Sample for Untagged<T> {
                fn schema() -> Json {
                    json!({ "either": [
                        { "tuple": [T::schema(), bool::schema()] },
                        { "object": { "value": T::schema(), "count": u8::schema() } },
                        { "object": { "other": { "list": T::schema() } } },
                        String::schema(),
                    ] })
                }

                fn sample(random: &mut Random) -> Self {
                    match random.below(4) {
                        0 => Self::Pair(T::sample(random), bool::sample(random)),
                        1 => Self::Struct { value: T::sample(random), count: u8::sample(random) },
                        2 => Self::Other { other: Vec::sample(random) },
                        _ => Self::Text(String::sample(random)),
                    }
                }

                fn model(&self) -> Value {
                    match self {
                        Self::Pair(value, flag) => Value::Array(vec![value.model(), flag.model()]),
                        Self::Struct { value, count } => {
                            object([("value", value.model()), ("count", count.model())])
                        }
                        Self::Other { other } => object([("other", other.model())]),
                        Self::Text(text) => text.model(),
                    }
                }
            }

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct Flattened<T> {
                id: u8,
                #[serde(flatten)]
                plain: Plain<T>,
                #[serde(flatten)]
                others: BTreeMap<String, T>,
            }

            impl<T: Sample> Sample for Flattened<T> {
                fn schema() -> Json {
                    json!({ "merge": [
                        { "object": { "id": u8::schema() } },
                        Plain::<T>::schema(),
                        { "map": { "leaf": "otherKey" }, "of": T::schema() },
                    ] })
                }

                fn sample(random: &mut Random) -> Self {
                    Self {
                        id: u8::sample(random),
                        plain: Plain::sample(random),
                        others: other_entries(random),
                    }
                }

                fn model(&self) -> Value {
                    let id = object([("id", self.id.model())]);
                    merged([id, self.plain.model(), self.others.model()])
                }
            }

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct FlatEnum<T> {
                id: u8,
                #[serde(flatten)]
                either: Internal<T>,
            }

            impl<T: Sample> Sample for FlatEnum<T> {
                fn schema() -> Json {
                    let internal = Internal::<T>::schema();
                    let variants = internal["either"].as_array().into_iter().flatten();
                    let variants: Vec<_> = variants.take(3).collect();
                    json!({ "merge": [{ "object": { "id": u8::schema() } }, { "either": variants }] })
                }

                fn sample(random: &mut Random) -> Self {
                    // A map would also take the field of the struct.
                    let either = std::iter::repeat_with(|| Internal::sample(random));
                    let either = either.filter(|either| !matches!(either, Internal::Map(_))).next();
                    Self {
                        id: u8::sample(random),
                        either: either.unwrap_or(Internal::UnitOne),
                    }
                }

                fn model(&self) -> Value {
                    merged([object([("id", self.id.model())]), self.either.model()])
                }
            }

            #[$value]
            #[derive(Clone, Debug)]
            pub(crate) struct Optional<T> {
                first: Option<T>,
                #[serde(rename = "the second", alias = "second", default = "Option::default")]
                second: Option<T>,
                #[serde(skip_serializing_if = "Option::is_none")]
                third: Option<T>,
            }

            impl<T: Sample> Sample for Optional<T> {
                fn schema() -> Json {
                    let option = Option::<T>::schema();
                    json!({ "object": { "first": option, "the second": option, "third": { "absent": option } } })
                }

                fn sample(random: &mut Random) -> Self {
                    Self {
                        first: Option::sample(random),
                        second: Option::sample(random),
                        third: Option::sample(random),
                    }
                }

                fn model(&self) -> Value {
                    let both = object([("first", self.first.model()), ("the second", self.second.model())]);
                    match &self.third {
                        Some(third) => merged([both, object([("third", third.model())])]),
                        None => both,
                    }
                }
            }
        }
    };
}

forms!(value, #[capnweb::value]);
forms!(derived, #[derive(Serialize, Deserialize)]);

/// Returns entries whose keys are not names of fields.
fn other_entries<T: Sample>(random: &mut Random) -> BTreeMap<String, T> {
    let entries = random.items(3, |random| {
        (format!("x{}", String::sample(random)), T::sample(random))
    });
    entries.into_iter().collect()
}

/// Returns an object with the properties of several objects.
fn merged<const N: usize>(objects: [Value; N]) -> Value {
    let properties = objects.into_iter().flat_map(|object| match object {
        Value::Object(properties) => properties,
        other => unreachable!("{other:?} is no object"),
    });
    Value::Object(properties.collect())
}

//! Random values in many shapes, which are sent through npm `capnweb` and through this library, and
//! compared.
//!
//! A [`Sample`] creates random values of its type, and models what JavaScript sees of each. Its
//! schema tells the harness in Node which values to send itself. [`shapes`] lists the types: each
//! of serde's forms, with each kind of value, both as `#[capnweb::value]` and as derived by serde
//! itself.

mod compare;
mod containers;
mod forms;
mod leaves;
mod random;
mod trees;

use std::any::type_name;

use capnweb::{Object, Payload, Result, Stub, Value};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

pub(crate) use self::{compare::difference, random::Random};

/// The selection of random values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    pub(crate) seed: u64,
    /// The number of values in both directions.
    pub(crate) values: usize,
}

impl Sampling {
    /// The default. Its seed is fixed, so the result only depends on the code.
    pub(crate) const DEFAULT: Self = Self {
        seed: 1,
        values: 100_000,
    };
}

/// A type with random values.
pub(crate) trait Sample: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Returns a description of the values that a peer may send. `node/differential/generate.mjs`
    /// interprets it.
    fn schema() -> Json;

    /// Creates a value.
    fn sample(random: &mut Random) -> Self;

    /// Returns the value as the peer sees it.
    fn model(&self) -> Value;
}

/// Values of a type: each as the peer sees it, and all of them as one list.
type Samples = (Vec<Value>, Payload);

/// A type whose values can be sent, received and compared.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    name: fn() -> String,
    schema: fn() -> Json,
    add_method: fn(Object, &str) -> Object,
    samples: fn(&mut Random, usize) -> Result<Samples>,
    /// Reads a list of values of the type, and returns them as a peer would see them.
    read: fn(&Payload) -> Result<Vec<Value>>,
}

impl Shape {
    fn of<T: Sample>() -> Self {
        Self {
            name: readable_name::<T>,
            schema: T::schema,
            add_method: |object, name| object.method(name, async |values: Vec<T>| Ok(values)),
            samples: |random, count| {
                let values: Vec<T> = (0..count).map(|_| T::sample(random)).collect();
                let models = values.iter().map(T::model).collect();
                Ok((models, Payload::encode(&values)?))
            },
            read: |payload| {
                let values: Vec<T> = payload.decode()?;
                Ok(values.iter().map(T::model).collect())
            },
        }
    }

    pub(crate) fn name(self) -> String {
        (self.name)()
    }

    pub(crate) fn samples(self, random: &mut Random, count: usize) -> Result<Samples> {
        (self.samples)(random, count)
    }

    pub(crate) fn read(self, payload: &Payload) -> Result<Vec<Value>> {
        (self.read)(payload)
    }
}

/// Returns the type's name without the paths of crates and modules. For our own types, it says
/// whether the type is a `#[value]` or derived.
fn readable_name<T>() -> String {
    let mut name = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, name: &mut String| {
        let parts: Vec<_> = word.split("::").collect();
        let flavors = ["value", "derived"];
        let kept = parts.len().saturating_sub(1);
        let from = match parts.len().checked_sub(2).and_then(|at| parts.get(at)) {
            Some(flavor) if flavors.contains(flavor) => kept - 1,
            _ => kept,
        };
        name.push_str(&parts[from..].join("::"));
        word.clear();
    };
    for letter in type_name::<T>().chars() {
        if letter.is_alphanumeric() || matches!(letter, '_' | ':') {
            word.push(letter);
        } else {
            flush(&mut word, &mut name);
            name.push(letter);
        }
    }
    flush(&mut word, &mut name);
    name
}

/// Returns an object with a method for each shape, by its name, which takes and returns a list of
/// such values. The property `schemas` contains the name and schema of each.
pub(crate) fn serving() -> Stub {
    let shapes = shapes();
    let schemas: Vec<_> = shapes
        .iter()
        .map(|shape| json!([shape.name(), (shape.schema)()]))
        .collect();
    let object = Object::new().property("schemas", schemas);
    let object = shapes.iter().fold(object, |object, shape| {
        (shape.add_method)(object, &shape.name())
    });
    object.into_stub()
}

/// Returns all shapes.
pub(crate) fn shapes() -> Vec<Shape> {
    let mut shapes = Shapes(Vec::new());
    leaves::shapes(&mut shapes);
    containers::shapes(&mut shapes);
    forms::shapes(&mut shapes);
    trees::shapes(&mut shapes);
    shapes.0
}

/// A list of shapes that is being built.
pub(crate) struct Shapes(Vec<Shape>);

impl Shapes {
    pub(crate) fn add<T: Sample>(&mut self) {
        self.0.push(Shape::of::<T>());
    }
}

/// Returns an object with these properties.
fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    let properties = properties.map(|(key, value)| (key.to_owned(), value));
    Value::Object(properties.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn shapes_have_names_of_their_own() {
        let names: Vec<_> = shapes().iter().map(|shape| shape.name()).collect();
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(
            names.contains(&"value::Internal<Date>".to_owned()),
            "{names:?}"
        );
    }

    /// Checks without a peer that encoded values are decoded as the model says.
    #[test]
    fn values_survive_encoding() {
        for shape in shapes() {
            let name = shape.name();
            let mut random = Random::new(Sampling::DEFAULT.seed, &name);
            let (models, payload) = shape.samples(&mut random, 30).expect("samples");
            let read = shape.read(&payload).expect(&name);
            let seen: Vec<Value> = payload.decode().expect(&name);
            assert_eq!(read.len(), models.len());
            for (at, model) in models.iter().enumerate() {
                assert_eq!(
                    difference(model, &seen[at]),
                    None,
                    "{name}: {model:?}, {:?}",
                    seen[at]
                );
                assert_eq!(
                    difference(model, &read[at]),
                    None,
                    "{name}: {model:?}, {:?}",
                    read[at]
                );
            }
        }
    }
}

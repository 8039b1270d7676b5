//! The values of expressions, which may contain promises.

use capnweb::{Error, Promise, Stub, Value, join_all};
use indexmap::IndexMap;
use serde::{Serialize, Serializer};

/// The value of an expression: data that may contain promises.
#[derive(Clone, Debug)]
pub(crate) enum Term {
    Value(Value),
    Remote(Promise<Value>),
    Array(Vec<Term>),
    Object(IndexMap<String, Term>),
    /// A function of this process.
    Function(Stub),
}

impl From<Value> for Term {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Object(object) => Self::Object(
                object
                    .into_iter()
                    .map(|(key, value)| (key, Self::from(value)))
                    .collect(),
            ),
            Value::Stub(stub) => Self::Remote(Promise::from_stub(stub)),
            other => Self::Value(other),
        }
    }
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Remote(promise) => promise.serialize(serializer),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => serializer.collect_map(object),
            Self::Function(stub) => stub.serialize(serializer),
        }
    }
}

impl Term {
    /// Returns whether the term contains a promise.
    pub(crate) fn is_pending(&self) -> bool {
        match self {
            Self::Remote(_) => true,
            Self::Array(items) => items.iter().any(Self::is_pending),
            Self::Object(object) => object.values().any(Self::is_pending),
            Self::Value(_) | Self::Function(_) => false,
        }
    }

    /// Awaits all promises together and returns the complete value.
    ///
    /// # Errors
    ///
    /// Returns the error of the first rejected promise, in the order of the expression.
    pub(crate) async fn settle(self) -> Result<Value, Error> {
        let mut promises = Vec::new();
        self.collect(&mut promises);
        let mut values = join_all(promises)
            .await
            .into_iter()
            .collect::<Result<Vec<Value>, Error>>()?
            .into_iter();
        Ok(self.fill_in(&mut values))
    }

    fn collect(&self, promises: &mut Vec<Promise<Value>>) {
        match self {
            Self::Remote(promise) => promises.push(promise.clone()),
            Self::Array(items) => items.iter().for_each(|item| item.collect(promises)),
            Self::Object(object) => object.values().for_each(|value| value.collect(promises)),
            Self::Value(_) | Self::Function(_) => {}
        }
    }

    fn fill_in(self, values: &mut impl Iterator<Item = Value>) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Remote(_) => values.next().unwrap_or_default(),
            Self::Array(items) => {
                Value::Array(items.into_iter().map(|item| item.fill_in(values)).collect())
            }
            Self::Object(object) => Value::Object(
                object
                    .into_iter()
                    .map(|(key, value)| (key, value.fill_in(values)))
                    .collect(),
            ),
            Self::Function(stub) => Value::Stub(stub),
        }
    }
}

impl Term {
    /// Returns the value, or `None` if it contains a promise or a function.
    pub(crate) fn as_plain(&self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Remote(_) => None,
            Self::Array(items) => {
                let items: Option<Vec<_>> = items.iter().map(Self::as_plain).collect();
                items.map(Value::Array)
            }
            Self::Object(object) => {
                let entries = object
                    .iter()
                    .map(|(key, value)| Some((key.clone(), value.as_plain()?)));
                entries
                    .collect::<Option<IndexMap<_, _>>>()
                    .map(Value::Object)
            }
            Self::Function(stub) => Some(Value::Stub(stub.clone())),
        }
    }
}

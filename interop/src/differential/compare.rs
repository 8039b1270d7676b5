//! Exact comparison of values.

use capnweb::{Error, Value};

/// Returns where and how two values differ, or `None` if they are equal. NaN equals itself here,
/// and errors are compared with all their properties.
pub(crate) fn difference(expected: &Value, got: &Value) -> Option<String> {
    let differ = || Some(format!(": expected {expected:?}, got {got:?}"));
    match (expected, got) {
        (Value::Number(a), Value::Number(b)) => {
            let same = a == b || a.is_nan() && b.is_nan();
            if same { None } else { differ() }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return differ();
            }
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(at, (a, b))| Some(format!("[{at}]{}", difference(a, b)?)))
        }
        (Value::Object(a), Value::Object(b)) => {
            if a.len() != b.len() {
                return differ();
            }
            a.iter().find_map(|(key, a)| match b.get(key) {
                Some(b) => Some(format!(".{key}{}", difference(a, b)?)),
                None => Some(format!(".{key}: expected {a:?}, got nothing")),
            })
        }
        (Value::Error(a), Value::Error(b)) => {
            if (a.name(), a.message()) != (b.name(), b.message()) {
                return differ();
            }
            difference(&properties(a), &properties(b))
        }
        (a, b) if a == b => None,
        _ => differ(),
    }
}

/// Returns the properties of an error, including its cause.
fn properties(error: &Error) -> Value {
    let properties = error.props().and_then(|props| props.decode().ok());
    properties.unwrap_or_default()
}

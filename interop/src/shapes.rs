//! Values in each of serde's representations.
//!
//! serde buffers most of them before the type of a field is known.

use capnweb::{Object, Stub};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// `{key, value}`.
#[derive(Serialize, Deserialize)]
struct Plain<T> {
    key: String,
    value: T,
}

/// `{type: "changed", key, value}`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Tagged<T> {
    Changed { key: String, value: T },
}

/// `{type: "changed", data: {key, value}}`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "camelCase")]
enum Adjacent<T> {
    Changed { key: String, value: T },
}

/// A list of the others, or `{key, value}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Many(Vec<Self>),
    One { key: String, value: T },
}

/// `{key, value}`, with the fields in different structs.
#[derive(Serialize, Deserialize)]
struct Flattened<T> {
    key: String,
    #[serde(flatten)]
    rest: Rest<T>,
}

#[derive(Serialize, Deserialize)]
struct Rest<T> {
    value: T,
}

/// `{type: "changed", key, value}`, with a type parameter for the variant's content.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Generic<T> {
    Changed(T),
}

/// Returns an object with a method for each representation, which returns its argument. The type of
/// the field `value` is `T`.
pub(crate) fn shapes<T: Serialize + DeserializeOwned + Send + 'static>() -> Stub {
    Object::new()
        .method("plain", async |x: Plain<T>| Ok(x))
        .method("tagged", async |x: Tagged<T>| Ok(x))
        .method("adjacent", async |x: Adjacent<T>| Ok(x))
        .method("untagged", async |x: Untagged<T>| Ok(x))
        .method("flattened", async |x: Flattened<T>| Ok(x))
        .method("generic", async |x: Generic<Plain<T>>| Ok(x))
        .into_stub()
}

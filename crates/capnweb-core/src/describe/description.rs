//! The description as data.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The version of the format that this library writes.
pub const VERSION: u32 = 1;

/// The interfaces and values that one type reaches, as data.
///
/// It is made by [`Description::of`], written and read as JSON, and printed as TypeScript by
/// [`typescript`](crate::typescript). A JSON Schema of the format stands in the repository, as
/// `docs/description.schema.json`. Within a version the format only grows: readers ignore members that
/// they do not know, and take types of an unknown kind for [`Type::Unknown`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Description {
    /// The version of the format, [`VERSION`] at most.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// The type that was described.
    pub main: Type,
    /// The interfaces, in the order of their names.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// The structs and enums whose values cross, in the order of their names.
    #[serde(default)]
    pub values: Vec<ValueType>,
    /// The errors that methods name, in the order of their names.
    #[serde(default)]
    pub errors: Vec<ErrorType>,
}

/// The name, place and documentation of an item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Item {
    /// The name that references use, unique in the description.
    pub id: String,
    /// The Rust name.
    pub name: String,
    /// The path of the Rust module.
    #[serde(default)]
    pub module: String,
    /// The documentation, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The note of a deprecation; empty if there is none beyond the deprecation itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The names of the type parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

/// An interface: the methods of a trait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Interface {
    /// Its name and documentation.
    #[serde(flatten)]
    pub item: Item,
    /// The interfaces that it extends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extends: Vec<Type>,
    /// Its own methods and properties, in the order of the trait.
    #[serde(default)]
    pub methods: Vec<Method>,
    /// The method that takes the calls of all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<CatchAll>,
}

/// A method or property of an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Method {
    /// The name on the wire.
    pub name: String,
    /// The documentation, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The note of a deprecation; empty if there is none beyond the deprecation itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// True if it is read rather than called.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_property: bool,
    /// The parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// The type that its promise resolves to.
    pub result: Type,
    /// The [id](Item::id) of the error type that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Parameter {
    /// The name, as errors that callers get word it.
    pub name: String,
    /// The type of the argument; of each argument if it takes the rest of them.
    #[serde(rename = "type")]
    pub ty: Type,
    /// True if callers may leave it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_optional: bool,
    /// True if it takes all further arguments.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_rest: bool,
}

/// The method that takes the calls of all names that an interface does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CatchAll {
    /// The documentation, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The type that its promise resolves to.
    pub result: Type,
}

/// A struct or enum whose values cross.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ValueType {
    /// Its name and documentation.
    #[serde(flatten)]
    pub item: Item,
    /// The form of its values on the wire.
    #[serde(rename = "type")]
    pub ty: Type,
    /// The documentation of each type of a union, in their order; empty if none has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variant_docs: Vec<String>,
}

/// An error type that methods name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ErrorType {
    /// Its name and documentation.
    #[serde(flatten)]
    pub item: Item,
    /// The failures that have a code of their own. A call can always fail in other ways.
    #[serde(default)]
    pub kinds: Vec<ErrorKind>,
}

/// One kind of failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ErrorKind {
    /// The property `code` of the error.
    pub code: String,
    /// The name of the error, if it is not `Error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The documentation, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The further properties of the error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// A property of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Field {
    /// The name on the wire.
    pub name: String,
    /// The documentation, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The note of a deprecation; empty if there is none beyond the deprecation itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The type of the property.
    #[serde(rename = "type")]
    pub ty: Type,
    /// True if it can be missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_optional: bool,
}

// A kind that is added belongs into `docs/description.schema.json`, and each printer.
/// A type, by the form of its values on the wire.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Type {
    /// `undefined` as a whole argument or result, and `null` inside data.
    Unit,
    /// `null`.
    Null,
    /// `undefined`.
    Undefined,
    /// A boolean.
    Boolean,
    /// A string.
    String,
    /// A string of this value.
    Literal {
        /// The value.
        value: String,
    },
    /// A number.
    Number {
        /// The Rust type: `u32`, `f64`.
        format: String,
    },
    /// A number, or a bigint if it is beyond what numbers hold exactly.
    BigInteger {
        /// The Rust type: `u64`, `BigInt`.
        format: String,
    },
    /// A `Date`.
    Date,
    /// A `Uint8Array`.
    Bytes,
    /// A typed array.
    TypedArray {
        /// The JavaScript class: `Float32Array`.
        class: String,
    },
    /// Any container of bytes.
    Binary,
    /// A `URL`.
    Url,
    /// An `Error`.
    Error,
    /// A `Blob`.
    Blob,
    /// A `Headers`.
    Headers,
    /// A `Request`.
    Request,
    /// A `Response`.
    Response,
    /// A `ReadableStream` of chunks of this type.
    Readable {
        /// The type of the chunks.
        of: Box<Type>,
    },
    /// A `ReadableStream` of bytes.
    ByteStream,
    /// A `WritableStream` of chunks of this type.
    Writable {
        /// The type of the chunks.
        of: Box<Type>,
    },
    /// A value of this type, `null` or `undefined`.
    Nullable {
        /// The type of a value that is there.
        of: Box<Type>,
    },
    /// An array.
    List {
        /// The type of the elements.
        of: Box<Type>,
    },
    /// An array with these elements.
    Tuple {
        /// The types of the elements.
        items: Vec<Type>,
    },
    /// An object with any keys.
    Map {
        /// The type of the values.
        of: Box<Type>,
    },
    /// An object with these properties.
    Object {
        /// The properties.
        fields: Vec<Field>,
    },
    /// A value of one of these types.
    Union {
        /// The types.
        of: Vec<Type>,
    },
    /// An object with the properties of all these types.
    Intersection {
        /// The types.
        of: Vec<Type>,
    },
    /// An interface or value of this description.
    Reference {
        /// Its [id](Item::id).
        id: String,
        /// The types that stand for its parameters.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<Type>,
    },
    /// A type parameter of the item in which this stands.
    Parameter {
        /// The place of the parameter among the item's.
        index: usize,
    },
    /// A function that is passed by reference.
    Function {
        /// The types of its parameters.
        parameters: Vec<Type>,
        /// The type of its result.
        result: Box<Type>,
    },
    /// An object or function without a described interface.
    Stub,
    /// Anything: a type that says nothing of itself.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Reads the version, wherever the description comes from.
fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version > VERSION {
        return Err(D::Error::custom(format_args!(
            "it is of version {version}, and this library reads versions up to {VERSION}"
        )));
    }
    Ok(version)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The reason why a text is no description.
#[derive(Debug)]
pub struct ReadError(String);

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

impl Description {
    /// Returns the description as JSON, indented, with a newline at its end.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists under string keys: there is nothing that JSON cannot hold.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a description of this version or an older one.
    ///
    /// # Errors
    ///
    /// If the text is no description, or one of a later version.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        serde_json::from_str(text)
            .map_err(|error| ReadError(format!("cannot read the description: {error}")))
    }

    /// Returns the interface with this [id](Item::id).
    pub fn interface(&self, id: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|it| it.item.id == id)
    }

    /// Returns the value type with this [id](Item::id).
    pub fn value(&self, id: &str) -> Option<&ValueType> {
        self.values.iter().find(|it| it.item.id == id)
    }

    /// Returns the error type with this [id](Item::id).
    pub fn error(&self, id: &str) -> Option<&ErrorType> {
        self.errors.iter().find(|it| it.item.id == id)
    }
}

//! Descriptions as data.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The version of the format that this library writes.
pub const VERSION: u32 = 1;

/// The interfaces and values that a type refers to, as data.
///
/// [`Description::of`] creates it. It can be written and read as JSON, and printed as TypeScript by
/// [`typescript`](crate::typescript). `docs/description.schema.json` in the repository contains a
/// JSON Schema of the format. Within a version, the format can only gain members: readers ignore
/// unknown ones, and treat types of an unknown kind as [`Type::Unknown`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Description {
    /// The version of the format, at most [`VERSION`].
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// The type that was described.
    pub main: Type,
    /// The interfaces, sorted by name.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// The structs and enums that are sent, sorted by name.
    #[serde(default)]
    pub values: Vec<ValueType>,
    /// The error types of methods, sorted by name.
    #[serde(default)]
    pub errors: Vec<ErrorType>,
}

/// The name, location and documentation of an item.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Item {
    /// The ID that references use, unique in the description.
    pub id: String,
    /// The Rust name.
    pub name: String,
    /// The path of the Rust module.
    #[serde(default)]
    pub module: String,
    /// The documentation, in Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docs: String,
    /// The note of a deprecation, or an empty text if the deprecation has none.
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
    /// The method that handles all other calls.
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
    /// The note of a deprecation, or an empty text if the deprecation has none.
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
    /// The [ID](Item::id) of the error type, if the method names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Parameter {
    /// The name, as it appears in errors for callers.
    pub name: String,
    /// The type of the argument, or of each argument if the parameter takes the rest of them.
    #[serde(rename = "type")]
    pub ty: Type,
    /// True if callers may omit it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_optional: bool,
    /// True if it takes all further arguments.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_rest: bool,
}

/// A method that handles the calls of all other names.
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

/// A struct or enum that is sent as a value.
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
    /// The documentation of each type of a union, in order. It is empty if none has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variant_docs: Vec<String>,
}

/// An error type of methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ErrorType {
    /// Its name and documentation.
    #[serde(flatten)]
    pub item: Item,
    /// The kinds of errors that have a code. A call can always fail in other ways.
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
    /// The note of a deprecation, or an empty text if the deprecation has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The type of the property.
    #[serde(rename = "type")]
    pub ty: Type,
    /// True if the property can be missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_optional: bool,
}

// A new kind must be added to `docs/description.schema.json` and to each printer.
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
    /// A specific string.
    Literal {
        /// The value.
        value: String,
    },
    /// A number.
    Number {
        /// The Rust type: `u32`, `f64`.
        format: String,
    },
    /// A number, or a bigint if a number cannot represent it exactly.
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
        /// The type of the value, if there is one.
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
        /// Its [ID](Item::id).
        id: String,
        /// The types of its parameters.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        arguments: Vec<Type>,
    },
    /// A type parameter of the item that contains this type.
    Parameter {
        /// The index of the parameter.
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
    /// Any type, such as one without a description.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Reads and checks the version.
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

/// The error for a text that is not a description.
#[derive(Debug)]
pub struct ReadError(String);

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReadError {}

impl Description {
    /// Returns the description as indented JSON, with a newline at the end.
    pub fn to_json(&self) -> String {
        // This cannot fail: there are only strings, numbers and lists under string keys.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Parses a description of this version or an older one.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a description, or has a later version.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        serde_json::from_str(text)
            .map_err(|error| ReadError(format!("cannot read the description: {error}")))
    }

    /// Returns the interface with this [ID](Item::id).
    pub fn interface(&self, id: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|it| it.item.id == id)
    }

    /// Returns the value type with this [ID](Item::id).
    pub fn value(&self, id: &str) -> Option<&ValueType> {
        self.values.iter().find(|it| it.item.id == id)
    }

    /// Returns the error type with this [ID](Item::id).
    pub fn error(&self, id: &str) -> Option<&ErrorType> {
        self.errors.iter().find(|it| it.item.id == id)
    }
}

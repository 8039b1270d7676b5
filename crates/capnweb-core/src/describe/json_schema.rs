//! JSON Schemas of the parameters and results of methods.
//!
//! They serve clients without types, such as forms, tools of language models, tests of recordings,
//! and programs in languages without a client library.
//!
//! ```
//! # use capnweb_core::{Result, json_schema};
//! # #[capnweb_macros::interface(crate = "capnweb_core")]
//! # pub trait Greeter {
//! #     async fn greet(&self, name: String, times: Option<u8>) -> Result<String>;
//! # }
//! let schemas = json_schema::of::<GreeterStub>();
//! let greet = schemas.parameters("Greeter", "greet").unwrap();
//! let greet: serde_json::Value = serde_json::from_str(&greet).unwrap();
//! assert_eq!(greet["prefixItems"][0]["title"], "name");
//! assert_eq!(greet["minItems"], 1);
//! ```
//!
//! # The form of values
//!
//! A schema describes plain JSON, which cannot represent every value of a call:
//!
//! | value | form in the schema |
//! |---|---|
//! | parameters | an array of the arguments; optional ones at its end may be missing |
//! | `u64`, `i128`, `BigInt` … | an integer |
//! | a `Date` | a string with a date and time, as `Date.prototype.toJSON` writes it |
//! | a `URL` | a string |
//! | bytes and typed arrays | a string in base64 |
//! | an `Error` | an object with a `name` and a `message` |
//! | `undefined`, and the result of a method that returns nothing | `null` |
//! | a stub, a function, a stream, a type of `fetch` | none: the keyword `x-capnweb` names the kind |
//!
//! The dialect is draft 2020-12.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
};

use serde_json::{Map, Value, json};

use super::{
    Describe, Description, ErrorType, Field, Interface, Method, Type,
    typescript::names::{capitalized, names},
};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The nesting depth from which a generic value is described as anything.
const MOST_NESTED: usize = 8;

/// Returns the schemas of `T`, usually the stub of a main object, and of everything that it refers
/// to.
pub fn of<T: Describe>() -> Schemas {
    Schemas::new(Description::of::<T>())
}

/// JSON Schemas of methods. [`Display`](fmt::Display) writes all of them as one document.
///
/// The document has two members. `$defs` contains the definitions that all schemas refer to.
/// `interfaces` contains each interface by name, with `methods` and `properties`. Each method has
/// the schemas `parameters`, `result` and `errors`. Each property has the schema `result`.
#[derive(Clone, Debug)]
pub struct Schemas {
    description: Description,
}

impl Schemas {
    /// Creates the schemas of a description.
    pub fn new(description: Description) -> Self {
        Self { description }
    }

    /// Returns the schema of a method's parameters, as JSON.
    ///
    /// `interface` is the name of the interface in the declarations. It may inherit the method.
    /// Returns `None` if there is no such method.
    pub fn parameters(&self, interface: &str, method: &str) -> Option<String> {
        let printer = Printer::new(&self.description);
        let (interface, method) = printer.find(interface, method)?;
        printer.enter(&interface.item.parameters);
        let schema = printer.parameters(method);
        Some(printer.alone(schema))
    }

    /// Returns the schema of a method's result or a property's value, as JSON.
    ///
    /// Returns `None` if there is no such method or property.
    pub fn result(&self, interface: &str, method: &str) -> Option<String> {
        let printer = Printer::new(&self.description);
        let (interface, method) = printer.find(interface, method)?;
        printer.enter(&interface.item.parameters);
        let schema = printer.ty(&method.result);
        Some(printer.alone(schema))
    }
}

impl From<Description> for Schemas {
    fn from(description: Description) -> Self {
        Self::new(description)
    }
}

impl fmt::Display for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&Printer::new(&self.description).document()))
    }
}

/// Returns indented JSON, with a newline at the end.
fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

struct Printer<'a> {
    description: &'a Description,
    names: HashMap<String, String>,
    /// The arguments for the type parameters of the current item.
    arguments: RefCell<Vec<Argument>>,
    /// The definitions of values. One that is in progress is `null`.
    definitions: RefCell<BTreeMap<String, Value>>,
    /// The forms of arguments without a name.
    forms: RefCell<Vec<Value>>,
}

/// The argument for a type parameter.
#[derive(Clone)]
struct Argument {
    schema: Value,
    /// The name to use within the names of other types.
    name: String,
    /// The number of generic types around the innermost one.
    depth: usize,
}

impl<'a> Printer<'a> {
    fn new(description: &'a Description) -> Self {
        Self {
            description,
            names: names(description),
            arguments: RefCell::default(),
            definitions: RefCell::default(),
            forms: RefCell::default(),
        }
    }

    fn document(&self) -> Value {
        let interfaces = self.description.interfaces.iter();
        let interfaces: Map<_, _> = interfaces
            .map(|it| (self.name(&it.item.id).to_owned(), self.interface(it)))
            .collect();
        self.complete(json!({ "interfaces": interfaces }))
    }

    /// Returns a schema as a separate document.
    fn alone(&self, schema: Value) -> String {
        text(&self.complete(schema))
    }

    fn complete(&self, mut document: Value) -> Value {
        document["$schema"] = DIALECT.into();
        let definitions = self.definitions.take();
        if !definitions.is_empty() {
            document["$defs"] = definitions.into_iter().collect();
        }
        document
    }

    fn name(&self, id: &str) -> &str {
        self.names.get(id).map_or("unknown", String::as_str)
    }

    /// Finds a method of an interface, including inherited ones.
    fn find(&self, interface: &str, method: &str) -> Option<(&'a Interface, &'a Method)> {
        let mut interfaces = self.description.interfaces.iter();
        let first = interfaces.find(|it| self.name(&it.item.id) == interface)?;
        let mut seen = Vec::new();
        let mut waiting = vec![first];
        while let Some(interface) = waiting.pop() {
            if let Some(method) = interface.methods.iter().find(|it| it.name == method) {
                return Some((interface, method));
            }
            seen.push(&interface.item.id);
            for extended in interface.extends.iter().rev() {
                if let Type::Reference { id, .. } = extended
                    && !seen.contains(&id)
                {
                    waiting.extend(self.description.interface(id));
                }
            }
        }
        None
    }

    /// Enters an item whose parameters can be anything.
    fn enter(&self, parameters: &[String]) {
        let anything = parameters.iter().map(|name| Argument {
            schema: json!({}),
            name: name.clone(),
            depth: 0,
        });
        self.arguments.replace(anything.collect());
    }

    fn interface(&self, interface: &Interface) -> Value {
        let item = &interface.item;
        self.enter(&item.parameters);
        let (mut methods, mut properties) = (Map::new(), Map::new());
        for method in &interface.methods {
            let mut about = about(&method.docs, method.deprecated.as_deref());
            about["result"] = self.ty(&method.result);
            let error = method.error.as_deref();
            if let Some(error) = error.and_then(|id| self.description.error(id)) {
                about["errors"] = self.error(error);
            }
            if method.is_property {
                properties.insert(method.name.clone(), about);
            } else {
                about["parameters"] = self.parameters(method);
                methods.insert(method.name.clone(), about);
            }
        }
        let mut schema = about(&item.docs, item.deprecated.as_deref());
        let extends = interface.extends.iter().filter_map(|it| match it {
            Type::Reference { id, .. } => Some(self.name(id)),
            _ => None,
        });
        let extends: Vec<_> = extends.collect();
        if !extends.is_empty() {
            schema["extends"] = extends.into();
        }
        schema["methods"] = methods.into();
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        schema
    }

    fn parameters(&self, method: &Method) -> Value {
        let (mut first, mut rest, mut required) = (Vec::new(), json!(false), 0);
        for parameter in &method.parameters {
            let mut schema = self.ty(&parameter.ty);
            schema["title"] = parameter.name.as_str().into();
            if parameter.is_rest {
                rest = schema;
                continue;
            }
            if !parameter.is_optional {
                required = first.len() + 1;
            }
            first.push(schema);
        }
        let mut schema = json!({ "type": "array", "minItems": required, "items": rest });
        // An empty list is not allowed.
        if !first.is_empty() {
            schema["prefixItems"] = first.into();
        }
        schema
    }

    /// Returns a list with the schema of each kind of error.
    fn error(&self, error: &ErrorType) -> Value {
        let kinds = error.kinds.iter().map(|kind| {
            let mut schema = about(&kind.docs, None);
            let mut properties = json!({ "code": { "const": kind.code } });
            if let Some(name) = &kind.name {
                properties["name"] = json!({ "const": name });
            }
            let mut required = vec!["code"];
            for field in &kind.fields {
                properties[&field.name] = self.field(field);
                if !field.is_optional {
                    required.push(&field.name);
                }
            }
            schema["type"] = "object".into();
            schema["properties"] = properties;
            schema["required"] = required.into();
            schema
        });
        kinds.collect()
    }

    fn field(&self, field: &Field) -> Value {
        let mut schema = self.ty(&field.ty);
        for (key, value) in about(&field.docs, field.deprecated.as_deref())
            .as_object()
            .into_iter()
            .flatten()
        {
            schema[key] = value.clone();
        }
        schema
    }

    fn object(&self, fields: &[Field]) -> Value {
        let properties: Map<_, _> = fields
            .iter()
            .map(|field| (field.name.clone(), self.field(field)))
            .collect();
        let required = fields.iter().filter(|field| !field.is_optional);
        let required: Vec<_> = required.map(|field| field.name.as_str()).collect();
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    fn any_of(&self, types: &[Type]) -> Value {
        let literals = types.iter().map(|ty| match ty {
            Type::Literal { value } => Some(value.as_str()),
            _ => None,
        });
        if let Some(literals) = literals.collect::<Option<Vec<_>>>()
            && !literals.is_empty()
        {
            return json!({ "enum": literals });
        }
        match types {
            [] => json!({ "not": {} }),
            [ty] => self.ty(ty),
            types => json!({ "anyOf": types.iter().map(|ty| self.ty(ty)).collect::<Value>() }),
        }
    }

    fn ty(&self, ty: &Type) -> Value {
        match ty {
            Type::Unit | Type::Null | Type::Undefined => json!({ "type": "null" }),
            Type::Boolean => json!({ "type": "boolean" }),
            Type::String => json!({ "type": "string" }),
            Type::Literal { value } => json!({ "const": value }),
            Type::Number { format } | Type::BigInteger { format } => number(format),
            Type::Date => json!({ "type": "string", "format": "date-time" }),
            Type::Url => json!({ "type": "string", "format": "uri" }),
            Type::Bytes | Type::TypedArray { .. } | Type::Binary => {
                json!({ "type": "string", "contentEncoding": "base64" })
            }
            Type::Error => json!({
                "type": "object",
                "properties": { "name": { "type": "string" }, "message": { "type": "string" } },
                "required": ["message"],
            }),
            Type::Nullable { of } => match &**of {
                Type::Unit | Type::Null | Type::Undefined => json!({ "type": "null" }),
                Type::Unknown => json!({}),
                of => json!({ "anyOf": [self.ty(of), { "type": "null" }] }),
            },
            Type::List { of } => json!({ "type": "array", "items": self.ty(of) }),
            Type::Tuple { items } => {
                let count = items.len();
                let items: Value = items.iter().map(|ty| self.ty(ty)).collect();
                json!({ "type": "array", "prefixItems": items, "minItems": count, "items": false })
            }
            Type::Map { of } => json!({ "type": "object", "additionalProperties": self.ty(of) }),
            Type::Object { fields } => self.object(fields),
            Type::Union { of } => self.any_of(of),
            Type::Intersection { of } if of.len() > 1 => {
                let parts = of.iter().map(|ty| match ty {
                    // All of its properties or none, or unknown properties.
                    Type::Nullable { .. } | Type::Map { .. } => json!({ "type": "object" }),
                    ty => self.ty(ty),
                });
                json!({ "allOf": parts.collect::<Value>() })
            }
            Type::Intersection { of } => self.any_of(of),
            Type::Parameter { index } => {
                let arguments = self.arguments.borrow();
                arguments
                    .get(*index)
                    .map_or(json!({}), |it| it.schema.clone())
            }
            Type::Reference { id, arguments } => self.reference(id, arguments),
            Type::Stub => by_reference("stub"),
            Type::Function { .. } => by_reference("function"),
            Type::Readable { .. } | Type::ByteStream => by_reference("ReadableStream"),
            Type::Writable { .. } => by_reference("WritableStream"),
            Type::Blob => by_reference("Blob"),
            Type::Headers => by_reference("Headers"),
            Type::Request => by_reference("Request"),
            Type::Response => by_reference("Response"),
            Type::Unknown => json!({}),
        }
    }

    fn reference(&self, id: &str, arguments: &[Type]) -> Value {
        if self.description.interface(id).is_some() {
            let mut schema = by_reference("stub");
            schema["x-capnweb"]["interface"] = self.name(id).into();
            return schema;
        }
        let Some(value) = self.description.value(id) else {
            return json!({});
        };
        let arguments: Vec<_> = arguments.iter().map(|ty| self.argument(ty)).collect();
        if arguments.iter().any(|it| it.depth > MOST_NESTED) {
            return json!({});
        }
        let name = self.applied(id, &arguments);
        let is_new = !self.definitions.borrow().contains_key(&name);
        if is_new {
            // A recursive type refers to itself in the meantime.
            self.definitions
                .borrow_mut()
                .insert(name.clone(), Value::Null);
            let outer = self.arguments.replace(arguments);
            let mut schema = self.ty(&value.ty);
            for (at, docs) in value.variant_docs.iter().enumerate() {
                if let Some(variant) = schema.get_mut("anyOf").and_then(|it| it.get_mut(at))
                    && !docs.is_empty()
                {
                    variant["description"] = docs.as_str().into();
                }
            }
            self.arguments.replace(outer);
            let item = &value.item;
            let about = about(&item.docs, item.deprecated.as_deref());
            for (key, value) in about.as_object().into_iter().flatten() {
                schema[key] = value.clone();
            }
            self.definitions.borrow_mut().insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/$defs/{}", fragment(&name)) })
    }

    /// Returns the name of a value's definition, applied to its arguments.
    fn applied(&self, id: &str, arguments: &[Argument]) -> String {
        let mut name = self.name(id).to_owned();
        for (at, argument) in arguments.iter().enumerate() {
            name.push_str(if at == 0 { "Of" } else { "And" });
            name.push_str(&argument.name);
        }
        name
    }

    fn argument(&self, ty: &Type) -> Argument {
        let inner = |ty: &Type| self.argument(ty);
        let (name, depth) = match ty {
            Type::Parameter { index } => {
                let arguments = self.arguments.borrow();
                return arguments.get(*index).cloned().unwrap_or(Argument {
                    schema: json!({}),
                    name: "Unknown".to_owned(),
                    depth: 0,
                });
            }
            Type::Reference { id, arguments } => {
                let arguments: Vec<_> = arguments.iter().map(inner).collect();
                let depth = arguments.iter().map(|it| it.depth).max().unwrap_or(0);
                (self.applied(id, &arguments), depth + 1)
            }
            Type::Nullable { of } => wrapped("Option", &inner(of)),
            Type::List { of } => wrapped("List", &inner(of)),
            Type::Map { of } => wrapped("Map", &inner(of)),
            Type::Number { format } | Type::BigInteger { format } => (capitalized(format), 0),
            Type::Tuple { items } => {
                let items: Vec<_> = items.iter().map(inner).collect();
                let depth = items.iter().map(|it| it.depth).max().unwrap_or(0);
                let names: Vec<_> = items.iter().map(|it| it.name.as_str()).collect();
                (format!("Tuple{}", names.join("And")), depth + 1)
            }
            Type::String => ("String".to_owned(), 0),
            Type::Boolean => ("Boolean".to_owned(), 0),
            Type::Date => ("Date".to_owned(), 0),
            Type::Bytes => ("Bytes".to_owned(), 0),
            Type::Unknown => ("Unknown".to_owned(), 0),
            // Types of the same form share a definition.
            other => (format!("Form{}", self.form(self.ty(other))), 0),
        };
        Argument {
            schema: if depth > MOST_NESTED {
                json!({})
            } else {
                self.ty(ty)
            },
            name,
            depth,
        }
    }

    /// Returns the number of a schema without a name.
    fn form(&self, schema: Value) -> usize {
        let mut forms = self.forms.borrow_mut();
        let known = forms.iter().position(|it| *it == schema);
        known.unwrap_or_else(|| {
            forms.push(schema);
            forms.len() - 1
        })
    }
}

fn wrapped(name: &str, inner: &Argument) -> (String, usize) {
    (format!("{name}{}", inner.name), inner.depth + 1)
}

/// Returns the schema for a type that JSON cannot represent.
fn by_reference(kind: &str) -> Value {
    json!({ "not": {}, "x-capnweb": { "kind": kind } })
}

/// Returns the schema for the numbers of a Rust type.
fn number(format: &str) -> Value {
    let range = match format {
        "i8" => json!({ "minimum": i8::MIN, "maximum": i8::MAX }),
        "i16" => json!({ "minimum": i16::MIN, "maximum": i16::MAX }),
        "i32" => json!({ "minimum": i32::MIN, "maximum": i32::MAX }),
        "i64" => json!({ "minimum": i64::MIN, "maximum": i64::MAX }),
        "u8" => json!({ "minimum": 0, "maximum": u8::MAX }),
        "u16" => json!({ "minimum": 0, "maximum": u16::MAX }),
        "u32" => json!({ "minimum": 0, "maximum": u32::MAX }),
        "u64" => json!({ "minimum": 0, "maximum": u64::MAX }),
        "u128" | "usize" => json!({ "minimum": 0 }),
        "i128" | "isize" | "BigInt" => json!({}),
        _ => return json!({ "type": "number" }),
    };
    let mut schema = range;
    schema["type"] = "integer".into();
    schema
}

/// Returns a schema that only contains docs.
fn about(docs: &str, deprecated: Option<&str>) -> Value {
    let mut schema = json!({});
    if !docs.is_empty() {
        schema["description"] = docs.into();
    }
    if deprecated.is_some() {
        schema["deprecated"] = true.into();
    }
    schema
}

/// Returns a name, escaped for the fragment of a URL.
fn fragment(name: &str) -> String {
    let mut found = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            found.push(char::from(byte));
        } else {
            found.push_str(&format!("%{byte:02X}"));
        }
    }
    found
}

//! The printer of declarations.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
};

use super::{
    super::{Description, ErrorType, Field, Interface, Item, Method, Parameter, Type, ValueType},
    docs::Docs,
    is_compound,
    names::{items, names, parameter, property, quoted},
};

const HEAD: &str = "// Made from Rust traits by capnweb. Changes by hand are overwritten.\n";

/// The position of a type, which affects its TypeScript.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Inside data.
    Data,
    /// A whole result.
    Result,
    /// A whole argument.
    Argument,
    /// An argument of a function, as the function receives it.
    Received,
}

pub(super) struct Printer<'a> {
    description: &'a Description,
    names: HashMap<String, String>,
    /// The type parameters of the current item.
    parameters: RefCell<&'a [String]>,
    /// The names that the current file uses.
    uses: RefCell<Uses>,
    /// The current nesting depth.
    depth: Cell<usize>,
}

/// The names that a file needs from other files.
#[derive(Default)]
struct Uses {
    library: BTreeSet<&'static str>,
    ids: BTreeSet<String>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(description: &'a Description) -> Self {
        Self {
            description,
            names: names(description),
            parameters: RefCell::new(&[]),
            uses: RefCell::default(),
            depth: Cell::new(0),
        }
    }

    /// Returns all declarations, the main interface first.
    pub(super) fn file(&self) -> String {
        let body = self.body(|_| true);
        let uses = self.uses.take();
        format!("{HEAD}{}{body}", library(&uses))
    }

    /// Returns the declarations of each module.
    pub(super) fn modules(&self) -> BTreeMap<String, String> {
        let files = Files::new(self.description);
        let mut found = BTreeMap::new();
        let modules: BTreeSet<_> = items(self.description).map(|it| &it.module).collect();
        for module in modules {
            let body = self.body(|item| item.module == *module);
            let uses = self.uses.take();
            let mut text = format!("{HEAD}{}", library(&uses));
            let mut imports: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
            for item in items(self.description) {
                if item.module != *module && uses.ids.contains(&item.id) {
                    let names = imports.entry(files.stem(&item.module)).or_default();
                    names.insert(self.name(&item.id));
                }
            }
            for (stem, names) in imports {
                let names: Vec<_> = names.into_iter().collect();
                let _ = writeln!(
                    text,
                    "import type {{ {} }} from \"./{stem}.js\";",
                    names.join(", ")
                );
            }
            text.push_str(&body);
            found.insert(format!("{}.d.ts", files.stem(module)), text);
        }
        found
    }

    /// Returns the declarations of the wanted items: the main interface, the other interfaces,
    /// values and errors.
    fn body(&self, is_wanted: impl Fn(&Item) -> bool) -> String {
        let mut parts = Vec::new();
        let is_main = |item: &Item| matches!(&self.description.main, Type::Reference { id, .. } if *id == item.id);
        let (main, others): (Vec<_>, Vec<_>) = self
            .description
            .interfaces
            .iter()
            .filter(|it| is_wanted(&it.item))
            .partition(|it| is_main(&it.item));
        parts.extend(main.into_iter().chain(others).map(|it| self.interface(it)));
        let values = self.description.values.iter();
        parts.extend(
            values
                .filter(|it| is_wanted(&it.item))
                .map(|it| self.value(it)),
        );
        let errors = self.description.errors.iter();
        parts.extend(
            errors
                .filter(|it| is_wanted(&it.item))
                .map(|it| self.error(it)),
        );
        parts.iter().map(|part| format!("\n{part}")).collect()
    }

    fn uses(&self, name: &'static str) -> &'static str {
        self.uses.borrow_mut().library.insert(name);
        name
    }

    fn name(&self, id: &str) -> &str {
        // A description from elsewhere may refer to items that it does not contain.
        self.names.get(id).map_or("unknown", String::as_str)
    }

    fn interface(&self, interface: &'a Interface) -> String {
        let item = &interface.item;
        self.parameters.replace(&item.parameters);
        let mut text = Docs::new(&item.docs, item.deprecated.as_deref()).print("");
        let extends: Vec<_> = interface
            .extends
            .iter()
            .map(|ty| self.ty(ty, Place::Data))
            .filter(|name| name != "unknown")
            .collect();
        let extends = match &extends[..] {
            [] => self.uses("RpcTarget").to_owned(),
            extends => extends.join(", "),
        };
        let _ = writeln!(
            text,
            "export interface {}{} extends {extends} {{",
            self.name(&item.id),
            angled(&item.parameters),
        );
        for method in &interface.methods {
            text.push_str(&self.method(method));
        }
        if let Some(catch_all) = &interface.catch_all {
            for line in catch_all.docs.lines() {
                text.push_str(format!("  // {line}").trim_end());
                text.push('\n');
            }
            let result = self.ty(&catch_all.result, Place::Result);
            let _ = writeln!(
                text,
                "  // Any other name can be called too: (...args: unknown[]) => Promise<{result}>"
            );
        }
        text.push_str("}\n");
        text
    }

    fn method(&self, method: &Method) -> String {
        let mut docs = Docs::new(&method.docs, method.deprecated.as_deref());
        if let Some(error) = method
            .error
            .as_deref()
            .and_then(|id| self.description.error(id))
        {
            self.uses.borrow_mut().ids.insert(error.item.id.clone());
            let name = self.name(&error.item.id);
            for kind in &error.kinds {
                let about = kind.docs.lines().next().unwrap_or_default();
                let gap = if about.is_empty() { "" } else { ": " };
                docs.tag(format!("@throws {{{name}}} `{}`{gap}{about}", kind.code));
            }
        }
        let mut text = docs.print("  ");
        let (name, result) = (
            property(&method.name),
            self.ty(&method.result, Place::Result),
        );
        let _ = if method.is_property {
            writeln!(text, "  readonly {name}: Promise<{result}>;")
        } else {
            let mut taken = BTreeSet::new();
            let parameters: Vec<_> = method
                .parameters
                .iter()
                .map(|it| {
                    let mut name = parameter(&it.name);
                    while !taken.insert(name.clone()) {
                        name.push('_');
                    }
                    self.parameter(it, &name)
                })
                .collect();
            writeln!(
                text,
                "  {name}({}): Promise<{result}>;",
                parameters.join(", ")
            )
        };
        text
    }

    fn parameter(&self, of: &Parameter, name: &str) -> String {
        let ty = self.ty(&of.ty, Place::Argument);
        match (of.is_rest, of.is_optional, &of.ty) {
            (true, ..) => format!("...{name}: {}", self.many(&of.ty)),
            (_, true, _) => format!("{name}?: {ty}"),
            (_, _, Type::Nullable { .. }) => format!("{name}: {ty} | undefined"),
            _ => format!("{name}: {ty}"),
        }
    }

    fn value(&self, value: &'a ValueType) -> String {
        let item = &value.item;
        self.parameters.replace(&item.parameters);
        let docs = Docs::new(&item.docs, item.deprecated.as_deref()).print("");
        let (name, parameters) = (self.name(&item.id), angled(&item.parameters));
        match &value.ty {
            Type::Object { fields } => {
                format!(
                    "{docs}export interface {name}{parameters} {}\n",
                    self.members(fields)
                )
            }
            Type::Union { of } if of.len() > 1 => {
                let variants: String = self.within(|| {
                    let variants = of.iter().enumerate().map(|(at, ty)| {
                        let docs = value.variant_docs.get(at).map_or("", String::as_str);
                        let docs = Docs::new(docs, None).print("  ");
                        format!("\n{docs}  | {}", self.variant(ty))
                    });
                    variants.collect()
                });
                format!("{docs}export type {name}{parameters} ={variants};\n")
            }
            Type::Unit => format!(
                "{docs}export type {name}{parameters} = {};\n",
                self.variant(&value.ty)
            ),
            ty => format!(
                "{docs}export type {name}{parameters} = {};\n",
                self.ty(ty, Place::Data)
            ),
        }
    }

    /// Returns a type that may appear alone or inside other data.
    fn variant(&self, ty: &Type) -> String {
        match ty {
            Type::Unit => "null | undefined".to_owned(),
            ty => self.around(ty),
        }
    }

    /// Returns the type of an object that is part of another.
    fn part(&self, ty: &Type) -> String {
        match ty {
            // All of its properties, or none.
            Type::Nullable { of } => format!("Partial<{}>", self.ty(of, Place::Data)),
            // The other properties have types of their own.
            Type::Map { .. } => "Record<string, unknown>".to_owned(),
            ty => self.around(ty),
        }
    }

    fn error(&self, error: &'a ErrorType) -> String {
        let item = &error.item;
        self.parameters.replace(&[]);
        let docs = Docs::new(&item.docs, item.deprecated.as_deref()).print("");
        let name = self.name(&item.id);
        let kinds = error.kinds.iter().map(|kind| {
            let about = Docs::new(&kind.docs, None).print("  ");
            let mut fields = vec![Field::new(
                "code",
                &[],
                None,
                Type::literal(&kind.code),
                false,
            )];
            if let Some(name) = &kind.name {
                fields.push(Field::new("name", &[], None, Type::literal(name), false));
            }
            fields.extend(kind.fields.iter().cloned());
            format!("\n{about}  | (Error & {})", self.object(&fields))
        });
        let kinds: String = self.within(|| kinds.collect());
        if kinds.is_empty() {
            return format!("{docs}export type {name} = Error;\n");
        }
        format!("{docs}export type {name} ={kinds};\n")
    }

    /// Prints something nested one level deeper.
    fn within<T>(&self, print: impl FnOnce() -> T) -> T {
        let depth = self.depth.get();
        self.depth.set(depth + 1);
        let printed = print();
        self.depth.set(depth);
        printed
    }

    /// Returns an object type on several lines.
    fn members(&self, fields: &[Field]) -> String {
        let indent = "  ".repeat(self.depth.get());
        let mut text = "{\n".to_owned();
        self.within(|| {
            for field in fields {
                let docs = Docs::new(&field.docs, field.deprecated.as_deref());
                text.push_str(&docs.print(&format!("{indent}  ")));
                let _ = writeln!(text, "{indent}  {};", self.field(field));
            }
        });
        text.push_str(&indent);
        text.push('}');
        text
    }

    fn field(&self, field: &Field) -> String {
        let optional = if field.is_optional { "?" } else { "" };
        format!(
            "{}{optional}: {}",
            property(&field.name),
            self.ty(&field.ty, Place::Data)
        )
    }

    /// Returns an object type, on one line unless a field has docs.
    fn object(&self, fields: &[Field]) -> String {
        if fields.is_empty() {
            return "{}".to_owned();
        }
        if fields.iter().any(has_docs) {
            return self.members(fields);
        }
        let fields: Vec<_> = fields.iter().map(|field| self.field(field)).collect();
        format!("{{ {} }}", fields.join("; "))
    }

    /// Returns the type with parentheses if it needs any.
    fn around(&self, ty: &Type) -> String {
        let text = self.ty(ty, Place::Data);
        if is_compound(ty) {
            format!("({text})")
        } else {
            text
        }
    }

    fn many(&self, ty: &Type) -> String {
        format!("{}[]", self.around(ty))
    }

    fn joined(&self, types: &[Type], by: &str) -> String {
        match types {
            [] => "never".to_owned(),
            [ty] => self.ty(ty, Place::Data),
            types => {
                let types: Vec<_> = types.iter().map(|ty| self.around(ty)).collect();
                types.join(by)
            }
        }
    }

    fn ty(&self, ty: &Type, place: Place) -> String {
        let plain = match ty {
            Type::Unit => match place {
                Place::Data => "null",
                Place::Result => "void",
                Place::Argument | Place::Received => "undefined",
            },
            Type::Null => "null",
            Type::Undefined => "undefined",
            Type::Boolean => "boolean",
            Type::String => "string",
            Type::Number { .. } => "number",
            Type::BigInteger { .. } => "number | bigint",
            Type::Date => "Date",
            Type::Bytes => "Uint8Array",
            Type::TypedArray { class } => class,
            Type::Binary => {
                "ArrayBuffer | DataView | Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | \
                 Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | \
                 Float32Array | Float64Array"
            }
            Type::Url => "URL",
            Type::Error => "Error",
            Type::Blob => "Blob",
            Type::Headers => "Headers",
            Type::Request => "Request",
            Type::Response => "Response",
            Type::ByteStream => "ReadableStream<Uint8Array>",
            Type::Unknown => "unknown",
            Type::Stub => {
                self.uses("RpcStub");
                "RpcStub<any>"
            }
            Type::Literal { value } => return quoted(value),
            Type::Readable { of } => {
                return format!("ReadableStream<{}>", self.ty(of, Place::Data));
            }
            Type::Writable { of } => {
                return format!("WritableStream<{}>", self.ty(of, Place::Data));
            }
            Type::Nullable { of } => {
                let inner = match &**of {
                    Type::Unit | Type::Null => return "null".to_owned(),
                    Type::Unknown => return "unknown".to_owned(),
                    Type::Function { .. } | Type::Intersection { .. } => {
                        format!("({})", self.ty(of, place))
                    }
                    of => self.ty(of, place),
                };
                return format!("{inner} | null");
            }
            Type::List { of } => return self.many(of),
            Type::Tuple { items } => {
                let items: Vec<_> = items.iter().map(|it| self.ty(it, Place::Data)).collect();
                return format!("[{}]", items.join(", "));
            }
            Type::Map { of } => return format!("Record<string, {}>", self.ty(of, Place::Data)),
            Type::Object { fields } => return self.object(fields),
            Type::Union { of } => return self.joined(of, " | "),
            Type::Intersection { of } if of.len() > 1 => {
                let parts: Vec<_> = of.iter().map(|ty| self.part(ty)).collect();
                return parts.join(" & ");
            }
            Type::Intersection { of } => return self.joined(of, " & "),
            Type::Parameter { index } => {
                let parameters = self.parameters.borrow();
                return parameters
                    .get(*index)
                    .map_or("unknown", String::as_str)
                    .to_owned();
            }
            Type::Function { parameters, result } => return self.function(parameters, result),
            Type::Reference { id, arguments } => {
                self.uses.borrow_mut().ids.insert(id.clone());
                let mut text = self.name(id).to_owned();
                if !arguments.is_empty() {
                    let arguments: Vec<_> = arguments
                        .iter()
                        .map(|it| self.ty(it, Place::Data))
                        .collect();
                    let _ = write!(text, "<{}>", arguments.join(", "));
                }
                if place == Place::Received && self.description.interface(id).is_some() {
                    return format!("{}<{text}>", self.uses("RpcStub"));
                }
                return text;
            }
        };
        plain.to_owned()
    }

    fn function(&self, parameters: &[Type], result: &Type) -> String {
        let parameters: Vec<_> = parameters
            .iter()
            .zip('a'..='z')
            .map(|(ty, name)| format!("{name}: {}", self.ty(ty, Place::Received)))
            .collect();
        let text = self.ty(result, Place::Result);
        let either = match result {
            Type::Unknown => text,
            Type::Function { .. } | Type::Intersection { .. } => {
                format!("({text}) | Promise<{text}>")
            }
            _ => format!("{text} | Promise<{text}>"),
        };
        format!("({}) => {either}", parameters.join(", "))
    }
}

/// Returns whether the field, or one inside it, has docs.
fn has_docs(field: &Field) -> bool {
    let inner = match &field.ty {
        Type::Object { fields } => fields.iter().any(has_docs),
        _ => false,
    };
    inner || !field.docs.is_empty() || field.deprecated.is_some()
}

fn angled(parameters: &[String]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    format!("<{}>", parameters.join(", "))
}

fn library(uses: &Uses) -> String {
    if uses.library.is_empty() {
        return String::new();
    }
    let names: Vec<_> = uses.library.iter().copied().collect();
    format!("import type {{ {} }} from \"capnweb\";\n", names.join(", "))
}

/// The files of the modules.
struct Files {
    /// The number of path segments that the modules of all items share.
    common: usize,
}

impl Files {
    fn new(description: &Description) -> Self {
        let mut paths = items(description).map(|it| it.module.split("::").collect::<Vec<_>>());
        let first = paths.next().unwrap_or_default();
        let common = paths.fold(first.clone(), |common, path| {
            let same = common.iter().zip(&path).take_while(|(a, b)| a == b).count();
            common[..same].to_vec()
        });
        Self {
            common: common.len(),
        }
    }

    /// Returns the name of a module's file, without its extension.
    fn stem(&self, module: &str) -> String {
        let path: Vec<_> = module.split("::").collect();
        match path.get(self.common..) {
            Some(own) if !own.is_empty() => own.join("."),
            _ => path.last().copied().unwrap_or("index").to_owned(),
        }
    }
}

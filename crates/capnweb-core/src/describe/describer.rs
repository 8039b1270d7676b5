//! From types to their description.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    marker::PhantomData,
};

use serde::{Deserialize, Serialize};

use super::description::{
    CatchAll, Description, ErrorKind, ErrorType, Field, Interface, Item, Method, Parameter, Type,
    VERSION, ValueType,
};
use crate::{
    api::promise::Pipelined,
    typed::{MapOutput, NoPipeline, NonList},
};

/// A type that describes the form of its values on the wire.
///
/// `#[interface]` implements it for stubs, `#[value]` for values. A type that does not implement it is
/// described as [`Type::Unknown`], so nothing has to. For a type with its own serde implementations, write it
/// by hand:
///
/// ```
/// use capnweb::describe::{Describe, Describer, Type};
///
/// /// Travels as a string: `"#ff8800"`.
/// struct Color(u8, u8, u8);
///
/// impl Describe for Color {
///     fn describe(_: &mut Describer) -> Type {
///         Type::String
///     }
/// }
/// ```
pub trait Describe {
    /// Returns the type. Whatever it refers to is told to `describer`.
    fn describe(describer: &mut Describer) -> Type;
}

/// An error type that describes its codes. `#[error]` implements it.
pub trait DescribeError {
    /// Returns the [id](Item::id) of the error type.
    fn describe_error(describer: &mut Describer) -> String;
}

/// Collects what the described types refer to.
#[derive(Default)]
pub struct Describer {
    /// The ids of items, by module, name and line.
    ids: BTreeMap<(String, String, u32), String>,
    taken: HashSet<String>,
    interfaces: Vec<Interface>,
    values: Vec<ValueType>,
    errors: Vec<ErrorType>,
}

impl fmt::Debug for Describer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Describer").finish_non_exhaustive()
    }
}

impl Description {
    /// Describes a type and all that it reaches.
    pub fn of<T: Describe>() -> Self {
        let mut describer = Describer::default();
        let main = T::describe(&mut describer);
        describer.finish(main)
    }
}

/// The Rust item that a macro describes.
#[doc(hidden)]
#[derive(Debug)]
pub struct Source {
    pub name: &'static str,
    pub module: &'static str,
    pub line: u32,
    pub docs: &'static [&'static str],
    pub deprecated: Option<&'static str>,
    pub parameters: &'static [&'static str],
}

impl Describer {
    /// Returns the item's id, and the item itself if it is a new one.
    fn item(&mut self, source: &Source) -> (String, Option<Item>) {
        let key = (
            source.module.to_owned(),
            source.name.to_owned(),
            source.line,
        );
        if let Some(id) = self.ids.get(&key) {
            return (id.clone(), None);
        }
        let mut id = format!("{}::{}", source.module, source.name);
        // Two functions of a module can have a type of one name each.
        for number in 2.. {
            if self.taken.insert(id.clone()) {
                break;
            }
            id = format!("{}::{}#{number}", source.module, source.name);
        }
        self.ids.insert(key, id.clone());
        let item = Item {
            id: id.clone(),
            name: source.name.to_owned(),
            module: source.module.to_owned(),
            docs: docs(source.docs),
            deprecated: source.deprecated.map(str::to_owned),
            parameters: source.parameters.iter().map(|&it| it.to_owned()).collect(),
        };
        (id, Some(item))
    }

    /// Describes an interface, unless that is done or under way.
    #[doc(hidden)]
    pub fn interface(
        &mut self,
        source: &Source,
        arguments: Vec<Type>,
        fill: impl FnOnce(&mut Self, &mut Interface),
    ) -> Type {
        let (id, item) = self.item(source);
        if let Some(item) = item {
            let mut interface = Interface {
                item,
                extends: Vec::new(),
                methods: Vec::new(),
                catch_all: None,
            };
            fill(self, &mut interface);
            self.interfaces.push(interface);
        }
        Type::Reference { id, arguments }
    }

    /// Describes a value, unless that is done or under way.
    #[doc(hidden)]
    pub fn value(
        &mut self,
        source: &Source,
        arguments: Vec<Type>,
        form: impl FnOnce(&mut Self) -> Type,
    ) -> Type {
        let (id, item) = self.item(source);
        if let Some(item) = item {
            let ty = form(self);
            self.values.push(ValueType { item, ty });
        }
        Type::Reference { id, arguments }
    }

    /// Describes an error type, unless that is done.
    #[doc(hidden)]
    pub fn error(
        &mut self,
        source: &Source,
        fill: impl FnOnce(&mut Self, &mut Vec<ErrorKind>),
    ) -> String {
        let (id, item) = self.item(source);
        if let Some(item) = item {
            let mut kinds = Vec::new();
            fill(self, &mut kinds);
            self.errors.push(ErrorType { item, kinds });
        }
        id
    }

    fn finish(mut self, main: Type) -> Description {
        let order = |item: &Item| (item.name.clone(), item.id.clone());
        self.interfaces.sort_by_key(|it| order(&it.item));
        self.values.sort_by_key(|it| order(&it.item));
        self.errors.sort_by_key(|it| order(&it.item));
        Description {
            version: VERSION,
            main,
            interfaces: self.interfaces,
            values: self.values,
            errors: self.errors,
        }
    }
}

/// Joins the lines of doc comments, each of which begins with the space behind the slashes.
fn docs(lines: &[&str]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .flat_map(|text| text.split('\n'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// A method as a macro describes it.
#[doc(hidden)]
#[derive(Debug)]
pub struct MethodSource {
    pub name: &'static str,
    pub docs: &'static [&'static str],
    pub deprecated: Option<&'static str>,
    pub is_property: bool,
    pub parameters: Vec<Parameter>,
    pub result: Type,
    pub error: Option<String>,
}

impl Interface {
    #[doc(hidden)]
    pub fn add(&mut self, source: MethodSource) {
        self.methods.push(Method {
            name: source.name.to_owned(),
            docs: docs(source.docs),
            deprecated: source.deprecated.map(str::to_owned),
            is_property: source.is_property,
            parameters: source.parameters,
            result: source.result,
            error: source.error,
        });
    }

    #[doc(hidden)]
    pub fn add_supertrait(&mut self, ty: Type) {
        if matches!(ty, Type::Reference { .. }) {
            self.extends.push(ty);
        }
    }

    #[doc(hidden)]
    pub fn add_catch_all(&mut self, lines: &[&str], result: Type) {
        self.catch_all = Some(CatchAll {
            docs: docs(lines),
            result,
        });
    }
}

impl Parameter {
    #[doc(hidden)]
    pub fn new(name: &str, ty: Type, is_optional: bool, is_rest: bool) -> Self {
        Self {
            name: name.to_owned(),
            ty,
            is_optional,
            is_rest,
        }
    }
}

impl Field {
    #[doc(hidden)]
    pub fn new(
        name: &str,
        lines: &[&str],
        deprecated: Option<&str>,
        ty: Type,
        is_optional: bool,
    ) -> Self {
        Self {
            name: name.to_owned(),
            docs: docs(lines),
            deprecated: deprecated.map(str::to_owned),
            ty,
            is_optional,
        }
    }
}

impl ErrorKind {
    #[doc(hidden)]
    pub fn new(code: &str, name: Option<&str>, lines: &[&str], fields: Vec<Field>) -> Self {
        Self {
            code: code.to_owned(),
            name: name.map(str::to_owned),
            docs: docs(lines),
            fields,
        }
    }
}

impl Type {
    /// Returns the type of lists of `of`.
    pub fn list(of: Self) -> Self {
        Self::List { of: Box::new(of) }
    }

    /// Returns the type of maps with values of `of`.
    pub fn map(of: Self) -> Self {
        Self::Map { of: Box::new(of) }
    }

    /// Returns the type of values of `of`, or none.
    pub fn nullable(of: Self) -> Self {
        match of {
            Self::Nullable { .. } => of,
            of => Self::Nullable { of: Box::new(of) },
        }
    }

    /// Returns the type of the string `value`.
    pub fn literal(value: &str) -> Self {
        Self::Literal {
            value: value.to_owned(),
        }
    }

    /// Returns the type of objects with these properties, and those of the types `with`.
    #[doc(hidden)]
    pub fn object(fields: Vec<Field>, mut with: Vec<Self>) -> Self {
        let object = Self::Object { fields };
        if with.is_empty() {
            return object;
        }
        if !matches!(&object, Self::Object { fields } if fields.is_empty()) {
            with.insert(0, object);
        }
        Self::Intersection { of: with }
    }

    /// Returns the type of objects with one property.
    #[doc(hidden)]
    pub fn single(name: &str, ty: Self) -> Self {
        Self::Object {
            fields: vec![Field::new(name, &[], None, ty, false)],
        }
    }
}

/// Finds out whether a type describes itself, without a bound on it.
#[doc(hidden)]
pub struct Probe<T>(PhantomData<fn() -> T>);

impl<T> Probe<T> {
    #[expect(clippy::new_without_default, reason = "for macros alone")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// Preferred where it applies, since it needs no reference.
#[doc(hidden)]
pub trait Described {
    fn found(self, describer: &mut Describer) -> Type;
}

impl<T: Describe> Described for Probe<T> {
    fn found(self, describer: &mut Describer) -> Type {
        T::describe(describer)
    }
}

#[doc(hidden)]
pub trait Undescribed {
    fn found(self, describer: &mut Describer) -> Type;
}

impl<T> Undescribed for &Probe<T> {
    fn found(self, _: &mut Describer) -> Type {
        Type::Unknown
    }
}

#[doc(hidden)]
pub trait DescribedError {
    fn found_error(self, describer: &mut Describer) -> Option<String>;
}

impl<T: DescribeError> DescribedError for Probe<T> {
    fn found_error(self, describer: &mut Describer) -> Option<String> {
        Some(T::describe_error(describer))
    }
}

#[doc(hidden)]
pub trait UndescribedError {
    fn found_error(self, describer: &mut Describer) -> Option<String>;
}

impl<T> UndescribedError for &Probe<T> {
    fn found_error(self, _: &mut Describer) -> Option<String> {
        None
    }
}

/// Stands for the type parameter with the number `N` of the item that is described.
///
/// It implements the traits that parameters are usually bounded by, and so can stand in any type that the
/// parameter stands in.
#[doc(hidden)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct StandIn<const N: usize>;

impl<const N: usize> fmt::Display for StandIn<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandIn")
    }
}

impl<const N: usize> Pipelined for StandIn<N> {
    type Pipeline = NoPipeline<Self>;
}

impl<const N: usize> NonList for StandIn<N> {}

impl<const N: usize> MapOutput for StandIn<N> {
    type Value = Self;
}

impl<const N: usize> Describe for StandIn<N> {
    fn describe(_: &mut Describer) -> Type {
        Type::Parameter { index: N }
    }
}

//! Construction of descriptions from types.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap, HashSet},
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
/// `#[interface]` implements it for stubs, and `#[value]` for values. A type without an
/// implementation is described as [`Type::Unknown`], so implementing it is optional. To describe a
/// type without these macros:
///
/// - If it derives serde's traits, derive `capnweb::Describe` too, which follows serde's
///   attributes.
/// - If it has handwritten serde implementations, name a type of the same form with
///   [`describe!`](crate::describe!).
/// - If it belongs to another crate, name a type of the same form: for one field or parameter with
///   `#[rpc(as = Type)]`, or for a whole description with [`Describer::register`].
/// - Otherwise, implement this trait.
///
/// ```
/// use capnweb::describe::{Describe, Describer, Type};
///
/// /// Sent as `"left"` or `"right"`.
/// struct Side(bool);
///
/// impl Describe for Side {
///     fn describe(_: &mut Describer) -> Type {
///         Type::Union {
///             of: vec![Type::literal("left"), Type::literal("right")],
///         }
///     }
/// }
/// ```
pub trait Describe {
    /// Returns the type. Registers everything that the type refers to with `describer`.
    fn describe(describer: &mut Describer) -> Type;
}

/// A type whose description does not require descriptions of its type parameters.
#[doc(hidden)]
pub trait DescribeWith {
    /// Returns the type, applied to these arguments.
    fn describe_with(describer: &mut Describer, arguments: Vec<Type>) -> Type;
}

/// An error type that describes its codes. `#[error]` implements it.
pub trait DescribeError {
    /// Returns the [id](Item::id) of the error type.
    fn describe_error(describer: &mut Describer) -> String;
}

/// Collects the items that described types refer to.
#[derive(Default)]
pub struct Describer {
    /// The IDs of items, by module, name and line.
    ids: BTreeMap<(String, String, u32), String>,
    taken: HashSet<String>,
    /// The descriptions of types of other crates.
    registered: HashMap<TypeId, fn(&mut Self) -> Type>,
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
    /// Describes a type and everything that it refers to.
    pub fn of<T: Describe>() -> Self {
        Describer::new().finish::<T>()
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
    /// Creates a describer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Describes `T`, a type of another crate, as `As`.
    ///
    /// This has no effect on a type that implements [`Describe`].
    ///
    /// ```
    /// # use capnweb_core::{Result, describe::Describer, typescript::Declarations};
    /// # mod rust_decimal {
    /// #     #[derive(serde::Serialize, serde::Deserialize)]
    /// #     pub struct Decimal(String);
    /// # }
    /// # impl capnweb_core::Pipelined for rust_decimal::Decimal {
    /// #     type Pipeline = capnweb_core::NoPipeline<Self>;
    /// # }
    /// use rust_decimal::Decimal;
    ///
    /// #[capnweb_macros::interface(crate = "capnweb_core")]
    /// trait Account {
    ///     fn balance(&self) -> Result<Decimal>;
    /// }
    ///
    /// let description = Describer::new()
    ///     .register::<Decimal, String>()
    ///     .finish::<AccountStub>();
    /// let text = Declarations::new(description).to_string();
    /// assert!(text.contains("balance(): Promise<string>;"));
    /// ```
    #[must_use]
    pub fn register<T: 'static, As: Describe>(mut self) -> Self {
        self.registered.insert(TypeId::of::<T>(), As::describe);
        self
    }

    /// Describes `T`, usually the stub of a main object, and everything that it refers to.
    pub fn finish<T: Describe>(mut self) -> Description {
        let main = T::describe(&mut self);
        self.into_description(main)
    }

    /// Returns the item's ID, and the item itself if it is new.
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
        // Two functions in a module can each contain a type of the same name.
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

    /// Describes an interface, unless it is already described or in progress.
    #[doc(hidden)]
    pub fn interface(
        &mut self,
        source: &Source,
        arguments: Vec<Type>,
        fill: impl FnOnce(&mut Self, &mut Interface),
    ) -> Type {
        let (id, item) = self.item(source);
        let arguments = fitted(arguments, source);
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

    /// Describes a value, unless it is already described or in progress.
    #[doc(hidden)]
    pub fn value(
        &mut self,
        source: &Source,
        arguments: Vec<Type>,
        form: impl FnOnce(&mut Self) -> Form,
    ) -> Type {
        let (id, item) = self.item(source);
        let arguments = fitted(arguments, source);
        if let Some(item) = item {
            let Form { ty, variants } = form(self);
            let mut variant_docs: Vec<_> = variants.into_iter().map(docs).collect();
            if variant_docs.iter().all(String::is_empty) {
                variant_docs.clear();
            }
            self.values.push(ValueType {
                item,
                ty,
                variant_docs,
            });
        }
        Type::Reference { id, arguments }
    }

    /// Describes an error type, unless it is already described.
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

    pub(super) fn into_description(mut self, main: Type) -> Description {
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

/// The form of a value, with the docs of its variants.
#[doc(hidden)]
#[derive(Debug)]
pub struct Form {
    ty: Type,
    variants: Vec<&'static [&'static str]>,
}

impl Form {
    pub fn new(ty: Type) -> Self {
        let variants = Vec::new();
        Self { ty, variants }
    }

    pub fn union(of: Vec<Type>, variants: Vec<&'static [&'static str]>) -> Self {
        let ty = Type::Union { of };
        Self { ty, variants }
    }
}

/// Returns the arguments if their number matches the parameters. For an alias, it may not.
fn fitted(arguments: Vec<Type>, source: &Source) -> Vec<Type> {
    let count = source.parameters.len();
    if arguments.len() == count {
        return arguments;
    }
    vec![Type::Unknown; count]
}

/// Joins the lines of a doc comment, each of which begins with the space after the slashes.
fn docs(lines: &[&str]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .flat_map(|text| text.split('\n'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// A method, as a macro describes it.
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

    /// Returns the type of optional values of `of`.
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

    /// Returns the type of objects with these properties and those of the types `with`.
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

/// Finds out whether a type implements [`Describe`], without a bound.
///
/// Macros call a method of `&Probe<T>`, of which there are three. The compiler takes the first one
/// that applies: by value, by reference, or on the referenced value.
#[doc(hidden)]
pub struct Probe<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Probe<T> {
    #[expect(clippy::new_without_default, reason = "for macros alone")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: ?Sized> Clone for Probe<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Probe<T> {}

impl<T: ?Sized> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// The descriptions of a type's arguments, as they are written.
#[doc(hidden)]
pub type Arguments = fn(&mut Describer) -> Vec<Type>;

/// The description of a type that does not implement [`Describe`].
#[doc(hidden)]
pub type Otherwise = fn(&mut Describer) -> Type;

#[doc(hidden)]
pub trait Described {
    fn found(self, describer: &mut Describer, arguments: Arguments, otherwise: Otherwise) -> Type;
}

impl<T: Describe + ?Sized> Described for &Probe<T> {
    fn found(self, describer: &mut Describer, _: Arguments, _: Otherwise) -> Type {
        T::describe(describer)
    }
}

/// Generic types of the user, with arguments that have no description.
#[doc(hidden)]
pub trait DescribedWith {
    fn found(self, describer: &mut Describer, arguments: Arguments, otherwise: Otherwise) -> Type;
}

impl<T: DescribeWith> DescribedWith for &&Probe<T> {
    fn found(self, describer: &mut Describer, arguments: Arguments, _: Otherwise) -> Type {
        let arguments = arguments(describer);
        T::describe_with(describer, arguments)
    }
}

#[doc(hidden)]
pub trait Undescribed {
    fn found(self, describer: &mut Describer, arguments: Arguments, otherwise: Otherwise) -> Type;
}

impl<T: 'static + ?Sized> Undescribed for Probe<T> {
    fn found(self, describer: &mut Describer, _: Arguments, otherwise: Otherwise) -> Type {
        match describer.registered.get(&TypeId::of::<T>()) {
            Some(describe) => describe(describer),
            None => otherwise(describer),
        }
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

/// A stand-in for type parameter number `N` of the described item.
///
/// It implements the traits that commonly bound type parameters, so it can replace the parameter in
/// any type.
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

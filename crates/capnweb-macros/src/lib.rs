//! Typed Cap'n Web: interfaces between two programs, as Rust traits and structs.
//!
//! [`macro@interface`] generates a client and a server for a trait. [`macro@value`] makes a type
//! sendable. Both are used through the `capnweb` crate, which re-exports them along with everything
//! that they need. The book's page *Interfaces and values* explains how to use them; this page
//! specifies the generated code.
//!
//! # Generated items
//!
//! - `trait Foo` keeps the trait, with `Send` futures and `Send + Sync + 'static` objects. It is
//!   also implemented for `Arc<T>` of any `T: Foo`.
//! - `trait Foo` adds `FooStub`: a reference to an object with this interface. It has a method for
//!   each of the trait's, the constructor `FooStub::new(object)`, and all methods of a `Stub`.
//! - `struct User` keeps the struct, with serde's derives.
//! - `struct User` adds `UserPipeline`: the operations on the promise of a `User`, with a method
//!   for each field.
//!
//! Generated items have the visibility, docs, `cfg`s and deprecations of the item that they are
//! generated for. `tests/expansion` of this crate shows the full expansion of one interface and one
//! value.
//!
//! # Without the facade
//!
//! The expansion refers to the library as `::capnweb`, or by the name of the dependency in
//! `Cargo.toml`, as in `rpc = { package = "capnweb", … }`. For `capnweb-core` alone, or for a
//! re-export, set the path with `crate`:
//!
//! ```
//! use capnweb_core::Result;
//!
//! #[capnweb_macros::interface(crate = "capnweb_core")]
//! trait Greeter {
//!     async fn greet(&self, name: Name) -> Result<String>;
//! }
//!
//! #[capnweb_macros::value(crate = "capnweb_core")]
//! struct Name {
//!     first: String,
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod describe;
mod error_type;
mod errors;
#[cfg(test)]
mod expansion;
mod interface;
mod names;
mod options;
mod parameters;
mod renamed;
mod spans;
mod types;
mod value;

use proc_macro::TokenStream;

/// Generates a client and a server for a trait.
///
/// ```
/// use capnweb::{Promise, Result, interface};
///
/// #[interface]
/// pub trait Library {
///     /// Looks up a book.
///     async fn find_book(&self, isbn: String, edition: Option<u32>) -> Result<String>;
///
///     /// Returns the number of books.
///     #[rpc(get)]
///     fn size(&self) -> Result<u32>;
/// }
///
/// struct Shelf;
///
/// impl Library for Shelf {
///     async fn find_book(&self, isbn: String, edition: Option<u32>) -> Result<String> {
///         Ok(format!("book {isbn}, edition {}", edition.unwrap_or(1)))
///     }
///
///     fn size(&self) -> Result<u32> {
///         Ok(1)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let library = LibraryStub::new(Shelf);
/// let book: Promise<String> = library.find_book("0-13-110362-8", 2);
/// assert_eq!(book.await?, "book 0-13-110362-8, edition 2");
/// assert_eq!(library.size().await?, 1);
/// # Ok(()) }
/// ```
///
/// # Methods
///
/// Methods take `&self` and owned parameters. They have one of these forms:
///
/// - `async fn f(…) -> Result<T>`: the handler is polled once when the call is delivered, and
///   becomes a task if it is not ready then. Its future must be `Send`.
/// - `fn f(…) -> Result<T>`: the handler returns at once, without a future.
/// - `fn f(…) -> Promise<T>`: the handler returns a promise, which is sent without being awaited.
///
/// The client's method returns a `Promise<T>` in each case, including `Result<Promise<T>>`. For
/// `Result<T, E>` it returns a `Promise<T, E>`, which is awaited as `Result<T, E>`: `E` is
/// converted into the library's error and back, as an enum with [`#[error]`](macro@error) does. A
/// default body is kept.
///
/// A parameter of type `Context` or `&Context` is not an argument: it provides the context of the
/// call. (The type is recognized by its name, like `Option`, `Promise` and `Result`.) Callers can
/// omit trailing parameters that are `Option`s. A `None` or `()` for one of them is sent as
/// `undefined`, so the callee's default applies. Arguments are checked against the types of the
/// parameters before the handler runs.
///
/// Use `Bytes` for bytes: a `Vec<u8>` is a list of numbers in JavaScript, also as a result.
///
/// The last parameter can take all further arguments, like `...args` in JavaScript: `#[rpc(rest)]
/// args: Vec<T>`. Callers pass a list for it.
///
/// # Options of methods: `#[rpc(…)]`
///
/// - `name = "…"` sets the name on the wire. The default is the Rust name in camelCase.
/// - `get` makes it a property, which is read rather than called.
/// - `cancel_on_release` drops the future as soon as the result is no longer needed. Other handlers
///   run to their end.
/// - `idempotent` declares that calling the method twice has the same effect as calling it once. A
///   lasting stub may call it again if the call was lost with its session.
/// - `default` makes the implementation optional. Without a body of its own, the method fails with
///   the code `unimplemented`.
/// - `strict` makes extra arguments an error. By default they are ignored.
/// - `as = Type` [describes](#descriptions) the result as this type.
/// - `catch_all` handles the calls of all methods that the trait does not declare, as `(&self,
///   method: String, args: A)`, where `A` can be read from an array. A trait can have one such
///   method. If the object itself is called as a function, the method's name is empty.
///
/// # Options of traits
///
/// `#[interface(strict)]`, or `#[rpc(strict)]` below it, makes all methods strict. `default` in
/// either place makes the implementation of all methods optional, for test doubles that implement
/// only some. `#[interface(crate = "…")]` sets the path of the library, if it is not `::capnweb`.
///
/// # Supertraits
///
/// Supertraits are interfaces too. The stub of `trait Editor: Reader` has the methods of both
/// traits, and derefs to the stub of the first supertrait. It converts with `From` into the stub of
/// each *direct* supertrait, which the trait itself lists. The stub, a promise of it and references
/// to either can be passed for such a supertrait's stub. For a supertrait's supertrait, convert
/// twice.
///
/// The trait's own methods and properties take precedence, followed by those of the supertraits in
/// order, including theirs. Only names that none of them declares go to a catch-all: the trait's
/// own, or the first one of a supertrait.
///
/// `Send`, `Sync`, `Sized`, `Unpin`, `Debug`, `Display`, `Any`, `UnwindSafe` and `RefUnwindSafe`
/// are assumed to be the standard library's, both as plain names and by its paths (`Debug`,
/// `fmt::Debug`, `std::fmt::Debug`). For an interface with one of these names, write another path,
/// such as `crate::Display` or `api::Any`.
///
/// # Generic interfaces
///
/// `trait Store<K>` generates `StoreStub<K>`. Each type parameter must be a
/// `capnweb::typed::WireType`, which can be both sent and received. Methods cannot be generic,
/// since calls carry no types.
///
/// # Descriptions
///
/// With the library's feature `describe`, TypeScript declarations are generated from the trait. A
/// parameter or result whose type has no description, because it belongs to another crate, is
/// `unknown` there. `#[rpc(as = Type)]` on the parameter, or on the method for its result, names a
/// type of the same form on the wire. It affects descriptions only.
///
/// ```
/// # use capnweb::{Result, interface, typed::{Accepts, NoPipeline, Pipelined}};
/// # use capnweb::macro_support::serde;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # #[serde(crate = "capnweb::macro_support::serde")]
/// # pub struct Decimal(String);
/// # impl Pipelined for Decimal { type Pipeline = NoPipeline<Self>; }
/// # impl Accepts<Decimal> for Decimal {
/// #     type Wire = Decimal;
/// #     fn wire(it: Decimal) -> Decimal { it }
/// # }
/// #[interface]
/// trait Account {
///     #[rpc(as = Option<String>)]
///     async fn withdraw(&self, #[rpc(as = String)] amount: Decimal) -> Result<Option<Decimal>>;
/// }
/// ```
///
/// # Rejected code
///
/// Code that cannot work is rejected, with an error at the code that suggests an alternative: owned
/// and mutable receivers, borrowed parameters and results, results other than `Result`, associated
/// items, names that no JavaScript client can call (such as `then`, `map` and `constructor`), and
/// names of methods that every stub or promise has (such as `new`, `clone` and `into`).
#[proc_macro_attribute]
pub fn interface(options: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(options.into(), item.into()).into()
}

/// Makes the values of a struct or enum sendable: as arguments, results, fields and elements.
///
/// It derives serde's `Serialize` and `Deserialize`, with names in camelCase (no dependency on
/// serde is needed). It also generates a *pipeline*, which reads fields of a struct through its
/// promise:
///
/// ```
/// use capnweb::{Promise, Result, value};
///
/// #[value]
/// #[derive(Clone)]
/// pub struct User {
///     pub name: String,
///     pub photo_url: Option<String>, // photoUrl
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let user = User { name: "Ada".to_owned(), photo_url: None };
/// let user: Promise<User> = Promise::ready(user); // or the result of a call
/// let name: Promise<String> = user.name();
/// assert_eq!(name.await?, "Ada");
/// # Ok(()) }
/// ```
///
/// # Names and shapes
///
/// serde's attributes customize this: `#[serde(rename_all = "snake_case")]`, `rename`, `flatten`,
/// `default`, `with` and all others work as usual, and the pipeline follows them. (On fields and
/// variants they cannot be inside a `cfg_attr`, because a macro cannot evaluate its condition.) A
/// field has no method in the pipeline if it is flattened, skipped, read by a custom function, or
/// marked `#[rpc(skip)]`. Use the latter for a field whose type has no pipeline. A field also has
/// no method if every promise has a method of that name: `new`, `clone`, `clone_from`, `into`,
/// `try_into`, `into_future`, `to_owned`. `#[rpc(as = Type)]` on a field names a type of the same
/// form on the wire, for descriptions: see [`#[interface]`](macro@interface#descriptions).
///
/// | | on the wire | pipeline |
/// |---|---|---|
/// | `struct User { … }` | an object | its fields |
/// | `struct Id(u32)`, `#[serde(transparent)]` | the inner value | that of the inner value |
/// | `struct Pair(u32, String)` | an array | none |
/// | `struct Nothing;` | `null` | none |
/// | `enum` | one of the unions below | none |
///
/// # Enums
///
/// Enums correspond to unions in TypeScript. There are four forms of `enum Event { LogIn {
/// user_name: String }, LogOut }`:
///
/// - By default: `{ logIn: { userName: string } } | "logOut"`
/// - `#[serde(tag = "type")]`: `{ type: "logIn", userName: string } | { type: "logOut" }`
/// - `#[serde(tag = "type", content = "data")]`: `{ type: "logIn", data: { userName: string } } | {
///   type: "logOut" }`
/// - `#[serde(untagged)]`: `{ userName: string } | null`
///
/// # Generic values
///
/// A value that is generic over its fields can contain promises in them, wherever the value itself
/// is accepted. It can also contain any type that is written like the field's type: a `&str` for a
/// `String`, but not a `Vec<u8>` for `Bytes`. The result of a `map` is awaited without the
/// promises:
///
/// ```
/// use capnweb::{Promise, Result, value};
///
/// #[value]
/// #[derive(Debug, PartialEq)]
/// struct Friend<Id, Name> {
///     id: Id,
///     name: Name,
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let ids: Promise<Vec<u32>> = Promise::ready([7]);
/// # let name: Promise<String> = Promise::ready("Ada");
/// // ids: Promise<Vec<u32>>, name: Promise<String>
/// let friends: Promise<Vec<Friend<u32, String>>> =
///     ids.map(|id| Friend { id, name: name.clone() });
/// assert_eq!(friends.await?, [Friend { id: 7, name: "Ada".to_owned() }]);
/// # Ok(()) }
/// ```
///
/// # Options
///
/// `#[value(crate = "…")]` sets the path of the library, if it is not `::capnweb`.
#[proc_macro_attribute]
pub fn value(options: TokenStream, item: TokenStream) -> TokenStream {
    value::expand(options.into(), item.into()).into()
}

/// Makes an enum an error type for methods: it is sent as an error, and the caller receives the
/// enum.
///
/// ```
/// use capnweb::{Result, interface};
///
/// #[capnweb::error]
/// #[derive(Debug)]
/// pub enum BankError {
///     #[rpc(message = "there are only {balance} left")]
///     InsufficientFunds { balance: u32 },
///     #[rpc(message = "closed until {opens_at}", code = "unavailable")]
///     Closed { opens_at: String },
///     /// Any other failure of a call.
///     #[rpc(other)]
///     Other(capnweb::Error),
/// }
///
/// #[interface]
/// trait Bank {
///     async fn withdraw(&self, amount: u32) -> Result<u32, BankError>;
/// }
///
/// struct Broke;
///
/// impl Bank for Broke {
///     async fn withdraw(&self, _amount: u32) -> Result<u32, BankError> {
///         Err(BankError::InsufficientFunds { balance: 5 })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let bank = BankStub::new(Broke); // or a peer's
/// match bank.withdraw(7).await {
///     Err(BankError::InsufficientFunds { balance }) => assert_eq!(balance, 5),
///     outcome => panic!("{outcome:?}"),
/// }
/// # }
/// ```
///
/// In JavaScript this is an `Error` with the message `there are only 5 left`, `error.code ===
/// "insufficient_funds"` and `error.balance === 5`.
///
/// # Wire format
///
/// | of a variant | on the wire |
/// |---|---|
/// | its code | the property `code`: the variant's name in snake_case, or `#[rpc(code = "…")]` |
/// | its fields | properties, in camelCase or named `#[rpc(name = "…")]`, described by `#[rpc(as = Type)]`; they are serde types |
/// | a field `message` | not a property: it is read from the message |
/// | its message | the text of its `Display` |
/// | its name | `Error`, or `#[rpc(name = "RangeError")]` |
///
/// JavaScript knows eight error names, and turns an error of any other name into an `Error`. A
/// received error becomes the first variant that has its code and whose fields can be read from it.
/// Two variants may share a code and differ in their names or fields.
///
/// # Messages
///
/// `#[rpc(message = "…")]` is a format string over the variant's fields. If any variant has one,
/// `Display` and `std::error::Error` are implemented, and the message of a variant without one is
/// its name. If none has, implement `Display` yourself: derive it with `thiserror`, whose
/// attributes go below this one, or write it manually.
///
/// ```
/// #[capnweb::error]
/// #[derive(Debug, thiserror::Error)]
/// pub enum SearchError {
///     #[error("no such page: {page}")]
///     #[rpc(code = "not_found", name = "RangeError")]
///     NoPage { page: u32 },
///     /// Logged on this side. The peer receives an internal error.
///     #[error("the index is damaged")]
///     #[rpc(internal)]
///     Index(#[from] std::io::Error),
///     #[error(transparent)]
///     #[rpc(other)]
///     Other(capnweb::Error),
/// }
/// ```
///
/// # The other variants
///
/// Exactly one variant must be `#[rpc(other)]` and contain a `capnweb::Error`. A call can fail in
/// ways that no method anticipates, for instance because the connection is lost. Peers of another
/// version may also send other errors. With this variant, a `match` handles all of them. A handler
/// that returns it passes the error on.
///
/// A variant with `#[rpc(internal)]` may contain anything. The error is logged in full, as with
/// `OrInternal`. The peer receives `internal error`, which arrives as the other variant.
///
/// # Options
///
/// `#[error(crate = "…")]` sets the path of the library, if it is not `::capnweb`.
#[proc_macro_attribute]
pub fn error(options: TokenStream, item: TokenStream) -> TokenStream {
    error_type::expand(options.into(), item.into()).into()
}

/// Describes a type that derives serde's traits directly, without [`#[value]`](macro@value).
///
/// Without a description, such a type is `unknown` in TypeScript declarations. The derive follows
/// serde's attributes and default names: snake_case, unless `rename_all` changes it. It is meant
/// for types in other crates, such as models, that should not depend on the rest of this library.
/// If the library's feature `describe` is off, it generates nothing.
///
/// ```
/// # use capnweb::macro_support::serde;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(capnweb::Describe, Serialize, Deserialize)]
/// # #[serde(crate = "capnweb::macro_support::serde")]
/// #[serde(rename_all = "camelCase")]
/// pub struct Order {
///     /// The number on the invoice.
///     order_number: u32,
///     #[rpc(as = String)]
///     total: Decimal,
/// }
///
/// // A type of another crate that travels as a string.
/// # #[derive(Serialize, Deserialize)]
/// # #[serde(crate = "capnweb::macro_support::serde")]
/// # pub struct Decimal(String);
/// # fn main() {}
/// ```
///
/// # On the type and on fields: `#[rpc(…)]`
///
/// | | |
/// |---|---|
/// | `as = Type` | describes it as `Type`, for types with handwritten serde implementations |
/// | `crate = "…"` | on the type: sets the path of the library, if it is not `::capnweb` |
#[proc_macro_derive(Describe, attributes(rpc, serde))]
pub fn describe(item: TokenStream) -> TokenStream {
    describe::expand(item.into()).into()
}

//! Typed Cap'n Web: what two programs say to each other, written down as Rust traits and structs.
//!
//! [`macro@interface`] makes a client and a server of a trait, [`macro@value`] lets the values of a
//! type cross. Both are used through the `capnweb` crate, which re-exports them and has everything
//! that they need. The book's page *Interfaces and values* tells what to do with them; here is what
//! exactly they make.
//!
//! # What is made
//!
//! | of | is made | what it is |
//! |---|---|---|
//! | `trait Foo` | `Foo` | the trait as written, its futures `Send`, its objects `Send + Sync + 'static`; also implemented for `Arc<T>` of any `T: Foo` |
//! | | `FooStub` | a reference to an object with this interface: a method for each of the trait's, `FooStub::new(object)`, and whatever a `Stub` can do |
//! | `struct User` | `User` | the struct as written, with serde's derives |
//! | | `UserPipeline` | what the promise of a `User` can be asked for: a method for each field |
//!
//! All of it is as visible as what it is made of, and carries its docs, `cfg`s and deprecations.
//! `tests/expansion` of this crate shows the whole expansion of one interface and one value.
//!
//! # Without the facade
//!
//! The expansion looks for the library at `::capnweb`, or at the name that `Cargo.toml` gives to
//! it: `rpc = { package = "capnweb", … }` is found. For `capnweb-core` alone, or a re-export,
//! `crate` says where it is:
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

/// Makes a client and a server of a trait.
///
/// ```
/// use capnweb::{Promise, Result, interface};
///
/// #[interface]
/// pub trait Library {
///     /// Looks a book up.
///     async fn find_book(&self, isbn: String, edition: Option<u32>) -> Result<String>;
///
///     /// How many books there are.
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
/// Methods take `&self` and owned parameters. They are
///
/// - `async fn f(…) -> Result<T>`: the handler is polled once as the call is delivered, and becomes a task if it
///   is not ready then. Its future has to be `Send`.
/// - `fn f(…) -> Result<T>`: answered at once, without a future.
/// - `fn f(…) -> Promise<T>`: answered with a promise, which is not awaited first.
///
/// The client's method returns a `Promise<T>` in each case; in that of `Result<Promise<T>>` too.
/// For `Result<T, E>` it is a `Promise<T, E>`, awaited as `Result<T, E>` again: `E` turns into the
/// library's error and back, as an enum with [`#[error]`](macro@error) does. A default body is
/// kept.
///
/// A parameter of type `Context` or `&Context` is no argument: it tells the handler about its call.
/// (It is known by its name, as are `Option`, `Promise` and `Result`.) Parameters that are
/// `Option`s and have only such behind them can be left out by callers; a `None` or `()` for one of
/// them is sent as `undefined`, so that the callee's default applies. Arguments are checked against
/// the parameters' types before the handler runs.
///
/// Bytes are `Bytes`: a `Vec<u8>` is a list of numbers in JavaScript, as a result as well.
///
/// The last parameter can take all further arguments, as JavaScript's `...args` does: `#[rpc(rest)]
/// args: Vec<T>`. Callers pass a list for it.
///
/// # On methods: `#[rpc(…)]`
///
/// | | |
/// |---|---|
/// | `name = "…"` | its name on the wire, otherwise its own in camelCase |
/// | `get` | it is a property: read, not called |
/// | `cancel_on_release` | its future is dropped as soon as nobody wants the result; others run to their end |
/// | `idempotent` | to call it twice does what calling it once does: a lasting stub may call it again if the call was lost with its session |
/// | `default` | objects need not implement it: without a body of its own it fails with the code `unimplemented` |
/// | `strict` | superfluous arguments are an error; otherwise they are ignored |
/// | `catch_all` | it takes the calls of all methods that the trait does not name, as `(&self, method: String, args: A)`, where an array can be read as `A`; one a trait. If the object itself is called as a function, the method's name is empty |
///
/// # On traits
///
/// `#[interface(strict)]`, or `#[rpc(strict)]` under it, makes all methods strict; `default` in
/// either place lets all be left out, for test doubles that implement a part. `#[interface(crate =
/// "…")]` says where the library is, if not at `::capnweb`.
///
/// # Supertraits
///
/// They are interfaces too: of `trait Editor: Reader` the stub answers to both traits' methods, and
/// derefs to the first supertrait's stub. It turns into the stub of each *direct* supertrait, one
/// that the trait itself lists, by `From`; it, a promise of it and references to either can be
/// passed for that stub. For a supertrait's supertrait, turn it twice.
///
/// The trait's own methods and properties come first, then those of the supertraits in order,
/// theirs included. Only what none of them names goes to a catch-all: the trait's own, or the first
/// that a supertrait has.
///
/// `Send`, `Sync`, `Sized`, `Unpin`, `Debug`, `Display`, `Any`, `UnwindSafe` and `RefUnwindSafe`
/// are taken for the standard library's, as bare names or by its paths (`Debug`, `fmt::Debug`,
/// `std::fmt::Debug`). For an interface that is called like one of them, write a path of another
/// form: `crate::Display`, `api::Any`.
///
/// # Generic interfaces
///
/// `trait Store<K>` makes `StoreStub<K>`. Each type parameter has to be `capnweb::WireType`: it crosses
/// both ways. Methods cannot be generic, as a call names no types.
///
/// # What is refused
///
/// Whatever could not work is refused with an error at the place that says what to do instead:
/// owned and mutable receivers, borrowed parameters and results, results that are no `Result`,
/// associated items, names that no JavaScript client can call (`then`, `map`, `constructor` …),
/// names that every stub or promise has itself (`new`, `clone`, `into` …).
#[proc_macro_attribute]
pub fn interface(options: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(options.into(), item.into()).into()
}

/// Lets the values of a struct or enum cross: as arguments, results, fields and elements.
///
/// It derives serde's `Serialize` and `Deserialize` (no dependency on serde is needed), with names
/// in camelCase, and makes a *pipeline*, so that the promise of a struct can be asked for its
/// fields:
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
/// serde's attributes say more: `#[serde(rename_all = "snake_case")]`, `rename`, `flatten`,
/// `default`, `with` and all others work as ever, and the pipeline goes by them. (On fields and
/// variants they cannot stand in a `cfg_attr`, where nobody sees whether they hold.) A field has no
/// method in the pipeline if it is flattened, skipped, read by a function of its own, or marked
/// `#[rpc(skip)]`: for a field whose type has no pipeline. Nor has a field named like something
/// that every promise has itself: `new`, `clone`, `clone_from`, `into`, `try_into`, `into_future`,
/// `to_owned`.
///
/// | | on the wire | the promise of one can be asked for |
/// |---|---|---|
/// | `struct User { … }` | an object | its fields |
/// | `struct Id(u32)`, `#[serde(transparent)]` | what is in it | whatever that can be asked for |
/// | `struct Pair(u32, String)` | an array | nothing |
/// | `struct Nothing;` | `null` | nothing |
/// | `enum` | one of the unions below | nothing |
///
/// # Enums
///
/// are what TypeScript writes as unions. Of `enum Event { LogIn { user_name: String }, LogOut }`
/// there are four:
///
/// | | in TypeScript |
/// |---|---|
/// | | `{ logIn: { userName: string } } \| "logOut"` |
/// | `#[serde(tag = "type")]` | `{ type: "logIn", userName: string } \| { type: "logOut" }` |
/// | `#[serde(tag = "type", content = "data")]` | `{ type: "logIn", data: { userName: string } } \| { type: "logOut" }` |
/// | `#[serde(untagged)]` | `{ userName: string } \| null` |
///
/// # Generic values
///
/// A value that is generic over its fields takes promises in them, wherever one without would be
/// taken, and whatever else is written just as the field's type takes it: a `&str` for a `String`,
/// but no `Vec<u8>` for `Bytes`. As the result of a `map` it is awaited without them:
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
/// `#[value(crate = "…")]` says where the library is, if not at `::capnweb`.
#[proc_macro_attribute]
pub fn value(options: TokenStream, item: TokenStream) -> TokenStream {
    value::expand(options.into(), item.into()).into()
}

/// Lets an enum be the error of methods: it crosses as an error, and the caller gets it back.
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
///     /// Whatever else can go wrong in a call.
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
/// # What a variant becomes
///
/// | | |
/// |---|---|
/// | its code | the property `code`: the variant's name in snake_case, or `#[rpc(code = "…")]` |
/// | its fields | properties, in camelCase or called `#[rpc(name = "…")]`; they are serde types |
/// | a field `message` | no property: it is read from the message |
/// | its message | what its `Display` says |
/// | its name | `Error`, or `#[rpc(name = "RangeError")]`; JavaScript knows eight names, and makes an `Error` of any other |
///
/// An error that arrives is of the first variant whose code it has, and whose fields can be read
/// from it. Two variants may share a code and differ in their names or fields.
///
/// # Messages
///
/// `#[rpc(message = "…")]` is a format string over the variant's fields. If any variant has one,
/// `Display` and `std::error::Error` are implemented, and a variant without one says its name. If
/// none has, `Display` is yours: derived by `thiserror`, whose attributes go below this one, or
/// written by hand.
///
/// ```
/// #[capnweb::error]
/// #[derive(Debug, thiserror::Error)]
/// pub enum SearchError {
///     #[error("no such page: {page}")]
///     #[rpc(code = "not_found", name = "RangeError")]
///     NoPage { page: u32 },
///     /// Stays here, logged: the peer hears of an internal error.
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
/// Exactly one variant is `#[rpc(other)]` and holds a `capnweb::Error`: a call can fail in ways
/// that no method knows of, when the connection is lost for instance, and peers of another version
/// have errors of other kinds. It is required so that a `match` has a place for them. A handler
/// that returns it passes the error on.
///
/// A variant with `#[rpc(internal)]` may hold anything. The error is logged in full, as by
/// `OrInternal`; the peer is told `internal error`, which arrives as the other variant.
///
/// # Options
///
/// `#[error(crate = "…")]` says where the library is, if not at `::capnweb`.
#[proc_macro_attribute]
pub fn error(options: TokenStream, item: TokenStream) -> TokenStream {
    error_type::expand(options.into(), item.into()).into()
}

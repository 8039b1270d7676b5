//! Descriptions of interfaces and values, as data.

use capnweb_core::{
    Callback, Result,
    describe::{Describe, Describer, Description, Type},
    typescript,
};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Library {
    /// Looks a book up.
    #[expect(deprecated, reason = "books are, and are still lent")]
    async fn find(&self, isbn: String, edition: Option<u32>) -> Result<BookStub, LoanError>;
    async fn watch(&self, on_book: Callback<Details>) -> Result<()>;
}

#[capnweb_macros::interface(crate = "capnweb_core")]
#[deprecated]
trait Book {
    #[rpc(get)]
    fn pages(&self) -> Result<u64>;
    fn library(&self) -> Result<LibraryStub>;
}

#[capnweb_macros::value(crate = "capnweb_core")]
struct Details {
    title: String,
    color: Color,
    inks: Vec<Color>,
    paper: Paper,
}

#[capnweb_macros::error(crate = "capnweb_core")]
#[derive(Debug)]
enum LoanError {
    /// Somebody has it.
    #[rpc(message = "back on {day}")]
    Lent { day: u32 },
    #[rpc(other)]
    Other(capnweb_core::Error),
}

/// A type with its own description.
#[derive(serde::Serialize, serde::Deserialize)]
struct Color(String);

impl Describe for Color {
    fn describe(_: &mut Describer) -> Type {
        Type::String
    }
}

/// A type without any.
#[derive(serde::Serialize, serde::Deserialize)]
struct Paper {
    weight: u32,
}

impl capnweb_core::Pipelined for Color {
    type Pipeline = capnweb_core::NoPipeline<Self>;
}

impl capnweb_core::Pipelined for Paper {
    type Pipeline = capnweb_core::NoPipeline<Self>;
}

/// The first version, as it was written once. It is not written anew.
const VERSION_1: &str = include_str!("descriptions/version-1.json");

#[test]
fn old_descriptions_are_read() {
    let old = Description::from_json(VERSION_1).unwrap();
    assert_eq!(old, Description::of::<LibraryStub>());
}

#[test]
fn what_a_later_library_adds_is_passed_over() {
    let text = VERSION_1
        .replace(
            r#""kind": "function""#,
            r#""kind": "generator", "speed": 5"#,
        )
        .replace(r#""version": 1"#, r#""version": 1, "licence": "MIT""#);
    let read = Description::from_json(&text).unwrap();
    let watch = &read.interfaces[1].methods[1];
    assert_eq!(
        (watch.name.as_str(), &watch.parameters[0].ty),
        ("watch", &Type::Unknown)
    );
}

#[test]
fn a_later_version_is_refused() {
    let text = VERSION_1.replace(r#""version": 1"#, r#""version": 2"#);
    let refusal = Description::from_json(&text).unwrap_err().to_string();
    assert!(refusal.contains("of version 2"), "{refusal}");
    let refusal = Description::from_json("[]").unwrap_err().to_string();
    assert!(refusal.contains("not a description"), "{refusal}");
}

#[test]
fn types_that_describe_nothing_of_themselves_are_unknown() {
    let text = typescript::of::<LibraryStub>().to_string();
    for line in [
        "  color: string;",
        "  inks: string[];",
        "  paper: unknown;",
        "  find(isbn: string, edition?: number | null): Promise<Book>;",
        "  readonly pages: Promise<number | bigint>;",
        "   * @throws {LoanError} `lent`: Somebody has it.",
        "/** @deprecated */",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

mod shop {
    #[capnweb_macros::value(crate = "capnweb_core")]
    pub(super) struct User {
        pub(super) id: u32,
    }
}

mod forum {
    #[capnweb_macros::value(crate = "capnweb_core")]
    pub(super) struct User {
        pub(super) friend: super::shop::User,
    }

    #[capnweb_macros::value(crate = "capnweb_core")]
    pub(super) struct Map {
        pub(super) date: Date,
    }

    #[capnweb_macros::value(crate = "capnweb_core")]
    pub(super) struct Date {
        pub(super) year: u32,
    }
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Both {
    fn both(&self) -> Result<(shop::User, forum::User, forum::Map)>;
}

#[test]
fn items_of_one_name_are_told_apart_by_their_modules() {
    let declarations = typescript::of::<BothStub>();
    let text = declarations.to_string();
    assert!(
        text.contains("both(): Promise<[ShopUser, ForumUser, Map]>;"),
        "{text}"
    );
    assert!(text.contains("friend: ShopUser;"), "{text}");
    assert!(text.contains("date: ForumDate;"), "{text}");

    let modules = declarations.modules();
    let names: Vec<_> = modules.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["descriptions.d.ts", "forum.d.ts", "shop.d.ts"],
        "{modules:?}"
    );
    let forum = &modules["forum.d.ts"];
    assert!(
        forum.contains("import type { ShopUser } from \"./shop.js\";"),
        "{forum}"
    );
    assert!(!forum.contains("RpcTarget"), "{forum}");
}

mod bounded {
    use super::*;

    pub(super) trait Named: 'static {}

    /// No stand-in implements `Named`.
    #[capnweb_macros::interface(crate = "capnweb_core")]
    pub(super) trait Index<K, N: Named> {
        fn names(&self) -> Result<Vec<N>>;
        fn pairs(&self) -> Result<Vec<(K, N)>>;
        fn page(&self) -> Result<Page<N>>;
    }

    #[capnweb_macros::value(crate = "capnweb_core")]
    pub(super) struct Page<N: Named> {
        items: Vec<N>,
    }

    impl Named for String {}
}

#[test]
fn parameters_with_bounds_of_the_users_are_described_where_they_stand_alone() {
    let text = typescript::of::<bounded::IndexStub<u32, String>>().to_string();
    for line in [
        "export interface Index<K, N> extends RpcTarget {",
        "  names(): Promise<N[]>;",
        "  pairs(): Promise<[K, N][]>;",
        "  page(): Promise<unknown>;",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

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

/// A type without a description.
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

/// A description of version 1, as it was once written. It must not be regenerated.
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
    assert!(refusal.contains("cannot read the description"), "{refusal}");
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

/// The kinds of types that version 1 has.
const KINDS: &[&str] = &[
    "unit",
    "null",
    "undefined",
    "boolean",
    "string",
    "literal",
    "number",
    "bigInteger",
    "date",
    "bytes",
    "typedArray",
    "binary",
    "url",
    "error",
    "blob",
    "headers",
    "request",
    "response",
    "readable",
    "byteStream",
    "writable",
    "nullable",
    "list",
    "tuple",
    "map",
    "object",
    "union",
    "intersection",
    "reference",
    "parameter",
    "function",
    "stub",
    "unknown",
];

#[test]
fn the_documented_format_is_that_of_the_code() {
    let text = include_str!("../../../../docs/description.schema.json");
    let schema: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        schema["properties"]["version"]["const"],
        capnweb_core::describe::VERSION
    );
    let branches = schema["$defs"]["type"]["allOf"].as_array().unwrap();
    let kinds = branches
        .iter()
        .map(|it| it["if"]["properties"]["kind"]["const"].as_str().unwrap());
    assert_eq!(kinds.collect::<Vec<_>>(), KINDS);
    // With exactly the members that the schema requires, each kind is read as itself.
    for branch in branches {
        let kind = &branch["if"]["properties"]["kind"]["const"];
        let mut sample = serde_json::json!({ "kind": kind });
        let unit = serde_json::json!({ "kind": "unit" });
        for name in branch["then"]["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap();
            let member = &branch["then"]["properties"][name];
            sample[name] = match member["type"].as_str() {
                Some("string") => "text".into(),
                Some("integer") => 1.into(),
                Some("array") if member["items"]["$ref"] == "#/$defs/type" => {
                    serde_json::json!([unit])
                }
                Some("array") => serde_json::json!([{ "name": "f", "type": unit }]),
                _ => unit.clone(),
            };
        }
        let read: Type = serde_json::from_value(sample.clone()).unwrap();
        assert_eq!(read == Type::Unknown, kind == "unknown", "{sample}");
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written, sample, "a member that the schema does not ask for");
    }
}

/// A type with handwritten serde implementations.
#[expect(dead_code, reason = "it is only described")]
struct Sorted<T>(Vec<T>);

capnweb_core::describe!(<T> Sorted<T> as Vec<T>);

/// A model in a crate that only depends on serde.
#[derive(capnweb_macros::Describe, serde::Serialize, serde::Deserialize)]
#[rpc(crate = "capnweb_core")]
struct Model<T> {
    snake_case: Vec<T>,
    #[rpc(as = String)]
    paper: Paper,
    nested: Option<Box<Model<T>>>,
}

#[derive(capnweb_macros::Describe, serde::Serialize, serde::Deserialize)]
#[rpc(crate = "capnweb_core")]
enum Variants {
    /// The first.
    FirstOne,
    /// The second.
    SecondOne {
        /// Its only field.
        some_field: u32,
        #[deprecated]
        other_field: u32,
    },
    Third,
}

fn printed<T: Describe>() -> String {
    typescript::Declarations::new(Description::of::<T>()).to_string()
}

#[test]
fn types_that_derive_serde_alone_have_the_names_that_serde_gives() {
    let text = printed::<Model<u32>>();
    for line in [
        "export interface Model<T> {",
        "  snake_case: T[];",
        "  paper: string;",
        "  nested?: Model<T> | null;",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn variants_and_their_fields_have_docs() {
    let text = printed::<Variants>();
    let expected = "\
export type Variants =
  /** The first. */
  | \"FirstOne\"
  /** The second. */
  | {
    SecondOne: {
      /** Its only field. */
      some_field: number;
      /** @deprecated */
      other_field: number;
    };
  }
  | \"Third\";
";
    assert!(text.contains(expected), "{text}");
    let schema = capnweb_core::json_schema::of::<Variants>().to_string();
    assert!(!schema.contains("Variants"), "no interface reaches it");
}

#[test]
fn a_type_is_described_as_another_of_the_same_form() {
    let mut describer = Describer::new();
    assert_eq!(
        Sorted::<u32>::describe(&mut describer),
        Vec::<u32>::describe(&mut describer)
    );
}

#[test]
fn types_of_other_crates_can_be_registered() {
    let description = Describer::new()
        .register::<Paper, String>()
        .finish::<Details>();
    let text = typescript::Declarations::new(description).to_string();
    assert!(text.contains("  paper: string;"), "{text}");
    // A type with a description of its own keeps it.
    let description = Describer::new()
        .register::<Color, u32>()
        .finish::<Details>();
    let text = typescript::Declarations::new(description).to_string();
    assert!(text.contains("  color: string;"), "{text}");
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Generic<T> {
    fn get(&self) -> Result<T>;
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Opaque {
    fn papers(&self) -> Result<GenericStub<Paper>>;
    fn model(
        &self,
        each: Callback<capnweb_core::Json<Paper>, u32>,
    ) -> Result<capnweb_core::Json<Model<Paper>>>;
    #[rpc(as = Vec<String>)]
    fn wrapped(&self, #[rpc(as = Option<String>)] first: capnweb_core::Json<Paper>) -> Result<()>;
}

#[test]
fn generic_types_have_unknown_arguments_where_these_say_nothing() {
    let text = printed::<OpaqueStub>();
    for line in [
        "  papers(): Promise<Generic<unknown>>;",
        "  model(each: (a: unknown) => number | Promise<number>): Promise<Model<unknown>>;",
        "  wrapped(first: string | null | undefined): Promise<string[]>;",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

mod own {
    use super::*;

    /// Has the same name as a type of the library.
    #[capnweb_macros::value(crate = "capnweb_core")]
    pub(super) struct Readable<T> {
        text: T,
    }

    #[capnweb_macros::interface(crate = "capnweb_core")]
    pub(super) trait Reader {
        fn read(&self) -> Result<Readable<String>>;
        fn opaque(&self) -> Result<Readable<Paper>>;
    }
}

#[test]
fn types_of_the_users_that_are_called_like_ours_are_theirs() {
    let text = printed::<own::ReaderStub>();
    for line in [
        "  read(): Promise<Readable<string>>;",
        "  opaque(): Promise<Readable<unknown>>;",
        "  text: T;",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

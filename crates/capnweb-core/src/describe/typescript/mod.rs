//! TypeScript declarations of Rust traits and values, for pages and programs that use npm
//! `capnweb`.
//!
//! ```
//! # use capnweb::{Result, typescript};
//! # #[capnweb::interface]
//! # pub trait Greeter {
//! #     async fn greet(&self, name: String) -> Result<String>;
//! # }
//! let declarations = typescript::of::<GreeterStub>().to_string();
//! assert!(declarations.contains("greet(name: string): Promise<string>;"));
//! ```
//!
//! # A file that stays up to date
//!
//! A test [keeps](Declarations::keep) the file up to date. It writes the file when the interface
//! changes. In CI it fails if the change was not committed:
//!
//! ```no_run
//! # use capnweb::Result;
//! # #[capnweb::interface]
//! # pub trait Greeter {
//! #     async fn greet(&self, name: String) -> Result<String>;
//! # }
//! #[test]
//! fn declarations() {
//!     capnweb::typescript::of::<GreeterStub>().keep("web/api.d.ts");
//! }
//! # fn main() {}
//! ```

mod docs;
mod keep;
mod matches;
pub(in crate::describe) mod names;
mod print;

use std::{collections::BTreeMap, fmt};

use self::print::Printer;
use super::{Describe, Description, Type};

/// Returns the declarations of `T`, usually the stub of a main object, and of everything that it
/// refers to.
pub fn of<T: Describe>() -> Declarations {
    Declarations::new(Description::of::<T>())
}

/// TypeScript declarations. [`Display`](fmt::Display) writes them as one file.
#[derive(Clone, Debug)]
pub struct Declarations {
    description: Description,
}

impl Declarations {
    /// Creates the declarations of a description.
    pub fn new(description: Description) -> Self {
        Self { description }
    }

    /// Returns the description that the declarations are printed from.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the declarations as one file per Rust module, by the names of the files.
    ///
    /// `shop::orders` is in `shop.orders.d.ts`. Modules that contain all of the items are omitted
    /// from the name.
    pub fn modules(&self) -> BTreeMap<String, String> {
        Printer::new(&self.description).modules()
    }
}

impl From<Description> for Declarations {
    fn from(description: Description) -> Self {
        Self::new(description)
    }
}

impl fmt::Display for Declarations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Printer::new(&self.description).file())
    }
}

/// Returns whether a type needs parentheses before a suffix such as `[]`.
fn is_compound(ty: &Type) -> bool {
    match ty {
        Type::Nullable { .. }
        | Type::BigInteger { .. }
        | Type::Binary
        | Type::Intersection { .. }
        | Type::Function { .. } => true,
        Type::Union { of } => of.len() > 1,
        _ => false,
    }
}

//! TypeScript declarations of Rust traits and values, for pages and programs that use npm `capnweb`.
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
//! A test [keeps](Declarations::keep) the file. It writes the file where it is changed, and fails in CI if
//! somebody forgot to commit that:
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

/// Returns the declarations of `T`, which is usually the stub of a main object, and of all that it
/// reaches.
pub fn of<T: Describe>() -> Declarations {
    Declarations::new(Description::of::<T>())
}

/// TypeScript declarations. [`Display`](fmt::Display) writes them as one file.
#[derive(Clone, Debug)]
pub struct Declarations {
    description: Description,
}

impl Declarations {
    /// Returns the declarations of what `description` describes.
    pub fn new(description: Description) -> Self {
        Self { description }
    }

    /// Returns the description that the declarations are printed from.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Returns the declarations as a file for each Rust module, by the names of the files.
    ///
    /// `shop::orders` is in `shop.orders.d.ts`, without the modules that all of them are in.
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

/// Returns true if values of this type need parentheses when something is said about them.
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

//! Typed Cap'n Web.

mod attributes;
mod errors;
#[cfg(test)]
mod expansion;
mod interface;
mod names;
mod options;
mod parameters;
mod spans;
mod types;
mod value;

use proc_macro::TokenStream;

/// Interface.
#[proc_macro_attribute]
pub fn interface(options: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(options.into(), item.into()).into()
}

/// Value.
#[proc_macro_attribute]
pub fn value(options: TokenStream, item: TokenStream) -> TokenStream {
    value::expand(options.into(), item.into()).into()
}

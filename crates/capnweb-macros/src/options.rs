//! The options of `#[interface(…)]`, `#[value(…)]` and `#[error(…)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{LitStr, Path, Type, meta::ParseNestedMeta, parse::Parser, parse_quote_spanned};

use crate::{errors::Errors, renamed::renamed_library};

/// The options of an attribute macro.
pub(crate) struct Options {
    /// The path of the library.
    pub(crate) krate: Path,
    /// The same path as text, for serde's `crate` attribute.
    pub(crate) krate_text: String,
    /// True for `strict`: extra arguments are an error. Only for interfaces.
    pub(crate) strict: bool,
    /// True for `default`: implementations may omit methods. Only for interfaces.
    pub(crate) default: bool,
}

impl Options {
    pub(crate) fn interface(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("strict") {
                options.strict = true;
                Ok(())
            } else if meta.path.is_ident("default") {
                options.default = true;
                Ok(())
            } else if meta.path.is_ident("crate") {
                options.set_crate(&meta)
            } else {
                Err(meta.error(
                    "unknown option of `#[interface]`; the options are `strict`, `default` and \
                     `crate = \"…\"`",
                ))
            }
        });
        errors.take(parser.parse2(tokens));
        options
    }

    pub(crate) fn value(tokens: TokenStream, errors: &mut Errors) -> Self {
        Self::crate_only("value", tokens, errors)
    }

    pub(crate) fn error(tokens: TokenStream, errors: &mut Errors) -> Self {
        Self::crate_only("error", tokens, errors)
    }

    fn crate_only(attribute: &str, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("crate") {
                options.set_crate(&meta)
            } else {
                Err(meta.error(format!(
                    "unknown option of `#[{attribute}]`; the only option is `crate = \"…\"`"
                )))
            }
        });
        errors.take(parser.parse2(tokens));
        options
    }

    pub(crate) fn set_crate(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let text: LitStr = meta.value()?.parse()?;
        self.krate = text.parse_with(Path::parse_mod_style).map_err(|_| {
            syn::Error::new(
                text.span(),
                "`crate` is the path of the library: `crate = \"capnweb_core\"`",
            )
        })?;
        self.krate_text = text.value();
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        let name = renamed_library().unwrap_or_else(|| "capnweb".to_owned());
        let ident = Ident::new(&name, Span::call_site());
        Self {
            krate: parse_quote_spanned!(Span::call_site()=> ::#ident),
            krate_text: format!("::{name}"),
            strict: false,
            default: false,
        }
    }
}

/// Returns the error for an unknown option in `#[rpc(…)]`.
pub(crate) fn unknown(meta: &ParseNestedMeta<'_>, place: &str, known: &str) -> syn::Error {
    let name = meta.path.to_token_stream();
    meta.error(format!(
        "`#[rpc({name})]` has no meaning on {place}; {known}"
    ))
}

/// Reads the type in `as = Type`.
pub(crate) fn described_as(meta: &ParseNestedMeta<'_>) -> syn::Result<Type> {
    const EXPECTED: &str = "`as` names a Rust type whose values have the same form on the wire, without \
                            quotes: `#[rpc(as = String)]`";
    let read = meta.value().and_then(|value| value.parse());
    read.map_err(|error| syn::Error::new(error.span(), EXPECTED))
}

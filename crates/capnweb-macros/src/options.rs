//! What is written into `#[interface(…)]` and `#[value(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{LitStr, Path, meta::ParseNestedMeta, parse::Parser, parse_quote_spanned};

use crate::errors::Errors;

/// The options of a whole interface or value.
pub(crate) struct Options {
    /// Where the library is: what the expansion finds everything in.
    pub(crate) krate: Path,
    /// The same as serde's `crate` attribute wants it.
    pub(crate) krate_text: String,
    /// `strict`: superfluous arguments are refused. Interfaces only.
    pub(crate) strict: bool,
}

impl Options {
    pub(crate) fn interface(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("strict") {
                options.strict = true;
                Ok(())
            } else if meta.path.is_ident("crate") {
                options.set_crate(&meta)
            } else {
                Err(meta.error(
                    "`#[interface]` knows no such option: there are `strict` and `crate = \"…\"`",
                ))
            }
        });
        errors.take(parser.parse2(tokens));
        options
    }

    pub(crate) fn value(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("crate") {
                options.set_crate(&meta)
            } else {
                Err(meta.error("`#[value]` knows no such option: there is `crate = \"…\"`"))
            }
        });
        errors.take(parser.parse2(tokens));
        options
    }

    fn set_crate(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let text: LitStr = meta.value()?.parse()?;
        self.krate = text.parse_with(Path::parse_mod_style).map_err(|_| {
            syn::Error::new(
                text.span(),
                "`crate` says where the library is found, by a path: `crate = \"capnweb_core\"`",
            )
        })?;
        self.krate_text = text.value();
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            krate: parse_quote_spanned!(Span::call_site()=> ::capnweb),
            krate_text: "::capnweb".to_owned(),
            strict: false,
        }
    }
}

/// The mistake in an `#[rpc(…)]` that says something unknown.
pub(crate) fn unknown(meta: &ParseNestedMeta<'_>, place: &str, known: &str) -> syn::Error {
    let name = meta.path.to_token_stream();
    meta.error(format!(
        "`#[rpc({name})]` means nothing on {place}: {known}"
    ))
}

//! Spans: errors in the expansion point at the tokens that the user wrote.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Path, Type};

/// The first and the last span of the user's tokens. The expansion puts these two around the user's
/// tokens, so that an error underlines all of them. The compiler still knows that a macro wrote it.
pub(crate) struct Around {
    first: Span,
    last: Span,
}

impl Around {
    pub(crate) fn tokens(tokens: &impl ToTokens) -> Self {
        let mut spans = tokens
            .to_token_stream()
            .into_iter()
            .map(|token| token.span());
        let made_at = |span: Span| Span::call_site().located_at(span);
        let first = spans.next().unwrap_or_else(Span::call_site);
        let last = spans.last().unwrap_or(first);
        Self {
            first: made_at(first),
            last: made_at(last),
        }
    }

    /// Returns `tokens` with the span at which the user's tokens begin.
    pub(crate) fn first(&self, tokens: TokenStream) -> TokenStream {
        placed(tokens, self.first)
    }

    /// Returns `tokens` with the span at which the user's tokens end.
    pub(crate) fn last(&self, tokens: TokenStream) -> TokenStream {
        placed(tokens, self.last)
    }
}

/// Returns `Promise<ty>`, or `Promise<ty, error>`. An error about the type points at `ty`.
pub(crate) fn promise_of(krate: &Path, ty: &Type, error: Option<&Type>) -> TokenStream {
    let around = Around::tokens(ty);
    let (open, close) = (
        around.first(quote!(#krate::Promise<)),
        around.last(quote!(>)),
    );
    let error = error.map(|error| quote!(, #error));
    quote!(#open #ty #error #close)
}

/// Returns the call `krate::macro_support::function(arguments)`, whose result is a promise of `ty`.
/// An error about it points at `ty`.
pub(crate) fn support_call(
    krate: &Path,
    function: &str,
    arguments: TokenStream,
    ty: &Type,
) -> TokenStream {
    let around = Around::tokens(ty);
    let path = around.first(quote!(#krate::macro_support::));
    let function = Ident::new(function, around.last);
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(around.last);
    quote!(#path #function #arguments)
}

/// Returns a statement that checks the error type of a method. Its own errors point at that type.
pub(crate) fn error_check(krate: &Path, error: &Type) -> TokenStream {
    let around = Around::tokens(error);
    let open = around.first(quote!(#krate::macro_support::error_type::<));
    let close = around.last(quote!(>();));
    quote!(#open #error #close)
}

fn placed(tokens: TokenStream, span: Span) -> TokenStream {
    let tokens = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            let mut group = Group::new(group.delimiter(), placed(group.stream(), span));
            group.set_span(span);
            return TokenTree::Group(group);
        }
        token.set_span(span);
        token
    });
    tokens.collect()
}

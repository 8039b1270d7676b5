//! Where errors in what is made point to: at what the user wrote it for.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Path, Type};

/// The first and the last place of what the user wrote. What is made has the two around the user's own
/// tokens, so that all of them are underlined; it is still known to be made by a macro.
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

    /// `tokens`, placed where the user's begin.
    pub(crate) fn first(&self, tokens: TokenStream) -> TokenStream {
        placed(tokens, self.first)
    }

    /// `tokens`, placed where the user's end.
    pub(crate) fn last(&self, tokens: TokenStream) -> TokenStream {
        placed(tokens, self.last)
    }
}

/// `Promise<ty>`, which is to blame on `ty` if it cannot be.
pub(crate) fn promise_of(krate: &Path, ty: &Type) -> TokenStream {
    let around = Around::tokens(ty);
    let (open, close) = (
        around.first(quote!(#krate::Promise<)),
        around.last(quote!(>)),
    );
    quote!(#open #ty #close)
}

/// `krate::macro_support::function(arguments)`, which gives a promise of `ty` and is to blame on it.
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

//! The trait itself, which objects implement.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, FnArg, ItemTrait, Pat, Path, ReturnType, Signature, Token, TraitItem, TraitItemFn,
    TypeParamBound, parse_quote, parse_quote_spanned, spanned::Spanned,
};

use super::{Interface, method::Method, supertraits::is_ordinary};
use crate::spans::Around;

/// Returns the trait as the user wrote it, with `Send` futures and `Send + Sync + 'static` objects.
pub(super) fn as_written(item: &ItemTrait) -> TokenStream {
    let mut item = item.clone();
    explain_who_implements_it(&mut item);
    for name in ["Send", "Sync"] {
        if !item
            .supertraits
            .iter()
            .any(|bound| is_ordinary(bound, name))
        {
            let name = format_ident!("{name}");
            item.supertraits.push(parse_quote!(::core::marker::#name));
        }
    }
    let is_static = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Lifetime(lifetime) if lifetime.ident == "static");
    if !item.supertraits.iter().any(is_static) {
        item.supertraits.push(parse_quote!('static));
    }
    item.colon_token.get_or_insert_default();
    for entry in &mut item.items {
        if let TraitItem::Fn(function) = entry {
            spell_out_future(function);
            drop_patterns(function);
        }
    }
    item.into_token_stream()
}

/// Adds a diagnostic for types that do not implement the interface.
fn explain_who_implements_it(item: &mut ItemTrait) {
    let has_own = |attr: &Attribute| {
        let last = attr.path().segments.last();
        last.is_some_and(|segment| segment.ident == "on_unimplemented")
    };
    if item.attrs.iter().any(has_own) {
        return;
    }
    let name = &item.ident;
    let message = format!("`{{Self}}` does not implement the interface `{name}`");
    let note = format!(
        "where a `{name}Stub` is expected, pass an object that implements `{name}`, the stub of one, \
         or a promise of a stub"
    );
    item.attrs.push(parse_quote! {
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
    });
}

/// Replaces an `async fn` by a function that returns a `Send` future.
fn spell_out_future(function: &mut TraitItemFn) {
    if function.sig.asyncness.take().is_none() {
        return;
    }
    function.sig.output = future_of(&function.sig);
    if let Some(block) = &function.default {
        function.default = Some(parse_quote_spanned!(block.span()=> { async move #block }));
        // An `async fn` would not be `Send`.
        function
            .attrs
            .push(parse_quote!(#[allow(clippy::manual_async_fn)]));
    }
}

/// Removes patterns, which have already been rejected, so that the compiler does not report them
/// again.
fn drop_patterns(function: &mut TraitItemFn) {
    for input in &mut function.sig.inputs {
        if let (FnArg::Typed(input), None) = (input, &function.default)
            && !matches!(*input.pat, Pat::Ident(_))
        {
            *input.pat = parse_quote!(_);
        }
    }
}

/// Adds a body that fails with `unimplemented` to a method without one.
pub(super) fn give_default(function: &mut TraitItemFn, method: &Method, krate: &Path) {
    if function.default.is_some() {
        return;
    }
    let name = &method.wire;
    let fail = if method.returns.is_promise {
        quote!(not_implemented_promise)
    } else {
        quote!(not_implemented)
    };
    function.semi_token = None;
    function
        .attrs
        .push(parse_quote!(#[allow(unused_variables)]));
    function.default = Some(parse_quote!({
        #krate::macro_support::#fail(#name)
    }));
}

/// Returns the output of an `async fn` as `impl Future`. Errors about a future that is not `Send`
/// point at the user's return type.
fn future_of(signature: &Signature) -> ReturnType {
    let output = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let around = match &signature.output {
        ReturnType::Default => Around::tokens(&signature.ident),
        ReturnType::Type(_, ty) => Around::tokens(ty),
    };
    let open = around.first(quote!(impl ::core::future::Future<Output =));
    let close = around.last(quote!(> + ::core::marker::Send));
    parse_quote!(-> #open #output #close)
}

/// Returns the signature's own `self` token. The identifier is hygienic: in a trait that a
/// `macro_rules!` passes on, a `self` with this macro's span would not resolve.
fn receiver(signature: &Signature) -> Token![self] {
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) => receiver.self_token,
        _ => <Token![self]>::default(),
    }
}

impl Interface {
    /// Returns `impl<T: Foo> Foo for Arc<T>`, so that shared objects are objects too.
    pub(super) fn forwarding(&self) -> TokenStream {
        let target = self.fresh.one("T");
        let of_trait = self.applied_trait();
        let implementation = self
            .plain
            .implementation(None, &[quote!(#target: #of_trait)]);
        let ordinary = self.supertraits.ordinary.iter();
        let ordinary: Vec<_> = ordinary
            .map(|bound| quote!(::std::sync::Arc<#target>: #bound))
            .collect();
        let where_clause = self.plain.where_clause(&ordinary);
        let methods = self.item.items.iter().filter_map(|entry| match entry {
            TraitItem::Fn(function) => Some(function),
            _ => None,
        });
        // No method has errors, so the two lists have the same length.
        let methods = methods.zip(&self.methods).map(|(function, method)| {
            let mut signature = function.sig.clone();
            if signature.asyncness.take().is_some() {
                signature.output = future_of(&signature);
            }
            for input in &mut signature.inputs {
                if let FnArg::Typed(input) = input
                    && let Pat::Ident(pat) = &mut *input.pat
                {
                    pat.mutability = None;
                }
            }
            let cfgs = &method.carried.cfgs;
            let name = &method.ident;
            let params = method.params.iter().map(|param| &param.ident);
            let this = receiver(&signature);
            quote! {
                #(#cfgs)*
                #signature {
                    <#target as #of_trait>::#name(&**#this, #(#params),*)
                }
            }
        });
        quote! {
            #[diagnostic::do_not_recommend]
            impl #implementation #of_trait for ::std::sync::Arc<#target> #where_clause {
                #(#methods)*
            }
        }
    }
}

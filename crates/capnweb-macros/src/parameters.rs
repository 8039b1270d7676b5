//! Generic parameters of the user's item, for use in the expansion.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{GenericParam, Generics, Lifetime, Path};

/// The type and const parameters of an item. Lifetimes have been rejected.
pub(crate) struct Parameters {
    /// The parameters with defaults but without bounds, for the definition of a struct.
    definitions: Vec<TokenStream>,
    /// The parameters with bounds, for an `impl`.
    bounded: Vec<TokenStream>,
    /// The bounds alone, as predicates.
    bounds: Vec<TokenStream>,
    names: Vec<Ident>,
    pub(crate) types: Vec<Ident>,
    predicates: Vec<TokenStream>,
}

impl Parameters {
    /// Reads the parameters in `generics`, and adds `bound` to each type.
    pub(crate) fn new(generics: &Generics, bound: Option<&Path>) -> Self {
        let mut parameters = Self {
            definitions: Vec::new(),
            bounded: Vec::new(),
            bounds: Vec::new(),
            names: Vec::new(),
            types: Vec::new(),
            predicates: Vec::new(),
        };
        for param in &generics.params {
            match param {
                GenericParam::Type(param) => {
                    let ident = &param.ident;
                    let default = param.default.as_ref().map(|(eq, ty)| quote!(#eq #ty));
                    let bounds = param.bounds.iter().map(ToTokens::to_token_stream);
                    let bounds: Vec<_> = bounds.chain(bound.map(|it| quote!(#it))).collect();
                    parameters.definitions.push(quote!(#ident #default));
                    if bounds.is_empty() {
                        parameters.bounded.push(quote!(#ident));
                    } else {
                        let predicate = quote!(#ident: #(#bounds)+*);
                        parameters.bounded.push(predicate.clone());
                        parameters.bounds.push(predicate);
                    }
                    parameters.names.push(ident.clone());
                    parameters.types.push(ident.clone());
                }
                GenericParam::Const(param) => {
                    let (ident, ty) = (&param.ident, &param.ty);
                    parameters.definitions.push(quote!(const #ident: #ty));
                    parameters.bounded.push(quote!(const #ident: #ty));
                    parameters.names.push(ident.clone());
                }
                GenericParam::Lifetime(_) => {}
            }
        }
        if let Some(clause) = &generics.where_clause {
            let predicates = clause.predicates.iter().map(ToTokens::to_token_stream);
            // Predicates about `Self` apply to the user's own item.
            let predicates = predicates.filter(|predicate| !mentions(predicate.clone(), "Self"));
            parameters.predicates.extend(predicates);
        }
        parameters
    }

    pub(crate) fn is_generic_over_types(&self) -> bool {
        !self.types.is_empty()
    }

    /// `<K, V = String>`
    pub(crate) fn definition(&self) -> TokenStream {
        angled(&self.definitions)
    }

    /// Returns `<'a, K: Ord, A>`: the lifetime, the item's own parameters, and the additional
    /// `types`.
    pub(crate) fn implementation(
        &self,
        lifetime: Option<&Lifetime>,
        types: &[TokenStream],
    ) -> TokenStream {
        let lifetime = lifetime.map(ToTokens::to_token_stream);
        let all: Vec<_> = lifetime
            .iter()
            .chain(&self.bounded)
            .chain(types)
            .cloned()
            .collect();
        angled(&all)
    }

    /// `<K, V>`
    pub(crate) fn application(&self) -> TokenStream {
        angled(&self.names)
    }

    /// Returns `where …` with the user's predicates and `more`.
    pub(crate) fn where_clause(&self, more: &[TokenStream]) -> TokenStream {
        let all: Vec<_> = self.predicates.iter().chain(more).collect();
        if all.is_empty() {
            TokenStream::new()
        } else {
            quote!(where #(#all),*)
        }
    }

    /// Returns the user's bounds and predicates with `types` substituted for the parameters.
    pub(crate) fn predicates_for(&self, types: &HashMap<String, TokenStream>) -> Vec<TokenStream> {
        self.bounds
            .iter()
            .chain(&self.predicates)
            .map(|predicate| substituted(predicate.clone(), types))
            .collect()
    }

    /// Returns `PhantomData<fn() -> (K, V)>`, or `None` if there are no type parameters.
    pub(crate) fn marker(&self) -> Option<TokenStream> {
        let types = &self.types;
        (!types.is_empty()).then(|| quote!(::core::marker::PhantomData<fn() -> (#(#types,)*)>))
    }
}

fn angled(parameters: &[impl ToTokens]) -> TokenStream {
    if parameters.is_empty() {
        TokenStream::new()
    } else {
        quote!(<#(#parameters),*>)
    }
}

/// A source of names for generic parameters and lifetimes that the user's item does not use.
pub(crate) struct FreshNames(HashSet<String>);

impl FreshNames {
    pub(crate) fn beside(item: TokenStream) -> Self {
        let mut used = HashSet::new();
        collect_idents(item, &mut used);
        Self(used)
    }

    /// Returns `name`, with underscores appended if the item uses it.
    pub(crate) fn one(&self, name: &str) -> Ident {
        let mut name = name.to_owned();
        while self.0.contains(&name) {
            name.push('_');
        }
        format_ident!("{name}")
    }

    /// Returns `'name`, with underscores appended if the item uses it.
    pub(crate) fn lifetime(&self, name: &str) -> Lifetime {
        Lifetime::new(&format!("'{}", self.one(name)), Span::call_site())
    }

    /// Returns `A0`, `A1` … for the prefix `A`, with underscores appended to the prefix if the item
    /// uses one.
    pub(crate) fn numbered(&self, prefix: &str, count: usize) -> Vec<Ident> {
        let mut prefix = prefix.to_owned();
        loop {
            let names: Vec<_> = (0..count).map(|n| format!("{prefix}{n}")).collect();
            if !names.iter().any(|name| self.0.contains(name)) {
                return names.iter().map(|name| format_ident!("{name}")).collect();
            }
            prefix.push('_');
        }
    }
}

fn collect_idents(tokens: TokenStream, into: &mut HashSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                into.insert(ident.to_string());
            }
            TokenTree::Group(group) => collect_idents(group.stream(), into),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Returns true if `tokens` contains the identifier.
pub(crate) fn mentions(tokens: TokenStream, ident: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(found) => found == ident,
        TokenTree::Group(group) => mentions(group.stream(), ident),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Returns `tokens` with identifiers replaced.
pub(crate) fn substituted(
    tokens: TokenStream,
    types: &HashMap<String, TokenStream>,
) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) => match types.get(&ident.to_string()) {
                Some(replacement) => replacement.clone(),
                None => TokenTree::Ident(ident).into(),
            },
            TokenTree::Group(group) => {
                let inner = substituted(group.stream(), types);
                let mut changed = Group::new(group.delimiter(), inner);
                changed.set_span(group.span());
                TokenTree::Group(changed).into()
            }
            other => other.into(),
        })
        .collect()
}

//! Types as they are described inside an item.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    GenericParam, Generics, Path, Type, TypeParamBound, WherePredicate, punctuated::Punctuated,
};

use super::module;
use crate::{
    parameters::{mentions, substituted},
    types::{arguments_of, peeled},
};

/// Traits that a stand-in for a type parameter implements.
const KNOWN: &[&str] = &[
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Deserialize",
    "DeserializeOwned",
    "Display",
    "Eq",
    "Hash",
    "NonList",
    "Ord",
    "Parameter",
    "PartialEq",
    "PartialOrd",
    "Pipelined",
    "ReturnValue",
    "Send",
    "Serialize",
    "Sized",
    "Sync",
    "ToString",
    "Unpin",
    "WireType",
];

/// The type parameters of the item that is described.
pub(crate) struct Scope {
    module: TokenStream,
    /// The type parameters, in order.
    types: Vec<Ident>,
    /// The replacements for `Self` and for parameters in other types.
    stand_ins: HashMap<String, TokenStream>,
    /// Parameters whose bounds a stand-in might not fulfill.
    opaque: Vec<String>,
}

impl Scope {
    /// Returns the scope of an item, in which `Self` is `itself`.
    pub(crate) fn new(krate: &Path, generics: &Generics, itself: Option<TokenStream>) -> Self {
        let module = module(krate);
        let mut types = Vec::new();
        let mut opaque = Vec::new();
        let mut stand_ins = HashMap::new();
        for param in &generics.params {
            let GenericParam::Type(param) = param else {
                continue;
            };
            let number = types.len();
            let name = param.ident.to_string();
            if !are_known(&param.bounds) || !are_known_in_clause(generics, &name) {
                opaque.push(name.clone());
            }
            stand_ins.insert(name, quote!(#module::StandIn<#number>));
            types.push(param.ident.clone());
        }
        if let Some(itself) = itself {
            let itself = substituted(itself, &stand_ins);
            stand_ins.insert("Self".to_owned(), itself);
        }
        Self {
            module,
            types,
            stand_ins,
            opaque,
        }
    }

    /// Returns the type parameters.
    pub(crate) fn types(&self) -> &[Ident] {
        &self.types
    }

    /// Returns the expressions for the types that stand for the parameters.
    pub(crate) fn arguments(&self) -> TokenStream {
        let (module, types) = (&self.module, &self.types);
        quote!(::std::vec![#(<#types as #module::Describe>::describe(d)),*])
    }

    /// Returns an expression for the description of `ty`, with a `d: &mut Describer` at hand.
    pub(crate) fn describe(&self, ty: &Type) -> TokenStream {
        let module = &self.module;
        let of = |name| arguments_of(ty, name);
        for transparent in ["Box", "Promise"] {
            if let Some([inner, ..]) = of(transparent).as_deref() {
                return self.describe(inner);
            }
        }
        if let Some([inner]) = of("Option").as_deref() {
            let inner = self.describe(inner);
            return quote!({ let of = #inner; #module::Type::nullable(of) });
        }
        if let Some([inner]) = of("Vec").as_deref() {
            let inner = self.describe(inner);
            return quote!({ let of = #inner; #module::Type::list(of) });
        }
        for map in ["HashMap", "BTreeMap", "IndexMap"] {
            if let Some([_, value, ..]) = of(map).as_deref() {
                let inner = self.describe(value);
                return quote!({ let of = #inner; #module::Type::map(of) });
            }
        }
        match peeled(ty) {
            Type::Array(array) => {
                let inner = self.describe(&array.elem);
                quote!({ let of = #inner; #module::Type::list(of) })
            }
            Type::Tuple(tuple) if !tuple.elems.is_empty() => {
                let items = tuple.elems.iter().map(|ty| self.describe(ty));
                quote!(#module::Type::Tuple { items: ::std::vec![#(#items),*] })
            }
            Type::Path(path) => match self.parameter(path.path.get_ident()) {
                Some(number) => quote!(#module::Type::Parameter { index: #number }),
                None => self.probe(ty),
            },
            ty => self.probe(ty),
        }
    }

    fn parameter(&self, ident: Option<&Ident>) -> Option<usize> {
        let ident = ident?;
        self.types.iter().position(|it| it == ident)
    }

    /// Returns an expression that asks a type for its description.
    fn probe(&self, ty: &Type) -> TokenStream {
        let module = &self.module;
        let tokens = ty.to_token_stream();
        if self
            .opaque
            .iter()
            .any(|name| mentions(tokens.clone(), name))
        {
            return quote!(#module::Type::Unknown);
        }
        let ty = substituted(tokens, &self.stand_ins);
        quote!(#module::Probe::<#ty>::new().found(d))
    }
}

fn are_known(bounds: &Punctuated<TypeParamBound, syn::Token![+]>) -> bool {
    bounds.iter().all(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|last| {
                // `PartialEq<Other>` is another trait than `PartialEq`.
                (last.arguments.is_none() || last.ident == "Deserialize")
                    && KNOWN.iter().any(|name| last.ident == name)
            })
        }
        TypeParamBound::Lifetime(_) => true,
        _ => false,
    })
}

fn are_known_in_clause(generics: &Generics, name: &str) -> bool {
    let predicates = generics.where_clause.iter().flat_map(|it| &it.predicates);
    predicates
        .filter(|predicate| mentions(predicate.to_token_stream(), name))
        .all(|predicate| match predicate {
            WherePredicate::Type(predicate) => are_known(&predicate.bounds),
            _ => true,
        })
}

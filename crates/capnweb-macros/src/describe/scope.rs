//! Descriptions of types inside an item.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    GenericArgument, GenericParam, Generics, Path, PathArguments, Type, TypeParamBound,
    WherePredicate, punctuated::Punctuated,
};

use super::module;
use crate::{
    parameters::{mentions, substituted},
    types::{arguments_of, last_segment, peeled},
};

/// Traits that the stand-in for a type parameter implements.
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
    /// The replacements for `Self` and for type parameters inside other types.
    stand_ins: HashMap<String, TokenStream>,
    /// Parameters with bounds that a stand-in may not satisfy.
    opaque: Vec<String>,
}

impl Scope {
    /// Creates the scope of an item. `itself` is the type of `Self`.
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

    /// Returns the expressions for the types of the parameters.
    pub(crate) fn arguments(&self) -> TokenStream {
        let (module, types) = (&self.module, &self.types);
        quote!(::std::vec![#(<#types as #module::Describe>::describe(d)),*])
    }

    /// Returns an expression that describes `ty`, using a variable `d: &mut Describer`.
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
            return self.list(inner);
        }
        for map in ["HashMap", "BTreeMap", "IndexMap"] {
            if let Some([_, value, ..]) = of(map).as_deref() {
                let inner = self.describe(value);
                return quote!({ let of = #inner; #module::Type::map(of) });
            }
        }
        match peeled(ty) {
            Type::Array(array) => self.list(&array.elem),
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

    fn list(&self, of: &Type) -> TokenStream {
        let (module, inner) = (&self.module, self.describe(of));
        quote!({ let of = #inner; #module::Type::list(of) })
    }

    /// Returns an expression for a type that has no description because its arguments have none.
    /// The name of the type decides what it is.
    fn by_name(&self, ty: &Type) -> Option<TokenStream> {
        let module = &self.module;
        let of = |name| arguments_of(ty, name);
        for transparent in ["Arc", "Rc", "Json"] {
            if let Some([inner]) = of(transparent).as_deref() {
                return Some(self.describe(inner));
            }
        }
        for list in ["VecDeque", "BTreeSet", "HashSet"] {
            if let Some([inner, ..]) = of(list).as_deref() {
                return Some(self.list(inner));
            }
        }
        for (stream, variant) in [
            ("Readable", quote!(Readable)),
            ("Writable", quote!(Writable)),
        ] {
            if let Some([inner]) = of(stream).as_deref() {
                let inner = self.describe(inner);
                return Some(quote!({
                    let of = ::std::boxed::Box::new(#inner);
                    #module::Type::#variant { of }
                }));
            }
        }
        match of("Callback").as_deref() {
            Some([takes]) => Some(self.function(takes, None)),
            Some([takes, result]) => Some(self.function(takes, Some(result))),
            _ => None,
        }
    }

    /// Returns an expression that describes a callback.
    fn function(&self, takes: &Type, result: Option<&Type>) -> TokenStream {
        let module = &self.module;
        let parameters: Vec<_> = match peeled(takes) {
            Type::FnPtr(function) => {
                let inputs = function.inputs.iter();
                inputs.map(|input| self.describe(&input.ty)).collect()
            }
            single => vec![self.describe(single)],
        };
        let result = match result {
            Some(result) => self.describe(result),
            None => quote!(#module::Type::Unit),
        };
        quote!(#module::Type::Function {
            parameters: ::std::vec![#(#parameters),*],
            result: ::std::boxed::Box::new(#result),
        })
    }

    /// Returns the type arguments of a type, or none if one of them could be a constant.
    fn arguments_of<'a>(&self, ty: &'a Type) -> Vec<&'a Type> {
        let arguments = last_segment(ty).map(|segment| &segment.arguments);
        let Some(PathArguments::AngleBracketed(arguments)) = arguments else {
            return Vec::new();
        };
        let types = arguments.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        });
        let types: Vec<_> = types.collect();
        if types.iter().any(|ty| self.may_be_constant(ty)) {
            return Vec::new();
        }
        types
    }

    /// Returns whether a type is written like a constant, which looks the same in tokens.
    fn may_be_constant(&self, ty: &Type) -> bool {
        let Some(segment) = last_segment(ty) else {
            return false;
        };
        let name = segment.ident.to_string();
        segment.arguments.is_none()
            && !name.contains(char::is_lowercase)
            && !self.types.contains(&segment.ident)
    }

    fn parameter(&self, ident: Option<&Ident>) -> Option<usize> {
        let ident = ident?;
        self.types.iter().position(|it| it == ident)
    }

    /// Returns an expression that looks up the description of a type.
    fn probe(&self, ty: &Type) -> TokenStream {
        let module = &self.module;
        let tokens = ty.to_token_stream();
        let by_name = self.by_name(ty);
        let otherwise = by_name.unwrap_or_else(|| quote!(#module::Type::Unknown));
        if self
            .opaque
            .iter()
            .any(|name| mentions(tokens.clone(), name))
        {
            return otherwise;
        }
        // An alias may have other arguments than its target, which only `Describe` knows.
        let arguments = self.arguments_of(ty);
        let arguments = arguments.iter().map(|ty| self.describe(ty));
        let ty = substituted(tokens, &self.stand_ins);
        quote! {
            (&#module::Probe::<#ty>::new()).found(d, |d| ::std::vec![#(#arguments),*], |d| #otherwise)
        }
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

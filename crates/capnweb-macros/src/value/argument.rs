//! Values as arguments, and as results of a `map`.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::{Shape, Value};

impl Value {
    /// Returns the implementations of `Accepts`, `MapOutput` and `NonList`.
    pub(super) fn being_an_argument(&self) -> Vec<TokenStream> {
        let mut items = if self.parameters.is_generic_over_types() {
            self.generic_argument()
        } else {
            self.plain_argument()
        };
        items.extend(self.single());
        items
    }

    fn plain_argument(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let value = self.applied();
        let implementation = self.parameters.implementation(None, &[]);
        let a = self.fresh.lifetime("a");
        let implementation_ref = self.parameters.implementation(Some(&a), &[]);
        let where_clause = self.parameters.where_clause(&[]);
        vec![
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::Accepts<#value> for #value #where_clause {
                    type Wire = Self;
                    fn wire(argument: Self) -> Self {
                        argument
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation_ref #krate::macro_support::Accepts<&#a #value> for #value #where_clause {
                    type Wire = &#a Self;
                    fn wire(argument: &#a Self) -> &#a Self {
                        argument
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::MapOutput for #value #where_clause {
                    type Value = Self;
                }
            },
        ]
    }

    /// Returns the implementation for generic values. A value is accepted for another one of its
    /// kind if its parts are accepted for the other's parts: a `Friend<Promise<u32>>` for a
    /// `Friend<u32>`. It is written unchanged, so the parts must be their own wire types.
    fn generic_argument(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let types = &self.parameters.types;
        let value = self.applied();
        let accepted = self.fresh.numbered("A", types.len());
        let ways = self.fresh.numbered("M", types.len());
        let new: Vec<_> = accepted
            .iter()
            .chain(&ways)
            .map(|name| quote!(#name))
            .collect();
        let given = self.with_types(|at, _| {
            let accepted = &accepted[at];
            quote!(#accepted)
        });
        let argument = given.applied;
        let mut predicates: Vec<_> = types
            .iter()
            .zip(&accepted)
            .zip(&ways)
            .map(|((ty, a), m)| quote!(#ty: #krate::macro_support::Accepts<#a, #m, Wire: #krate::macro_support::Like<#a>>))
            .collect();
        predicates.extend(
            accepted
                .iter()
                .map(|a| quote!(#a: #krate::macro_support::serde::Serialize)),
        );
        predicates.push(quote!(#argument: #krate::macro_support::serde::Serialize));
        predicates.extend(given.predicates);
        let where_clause = self.parameters.where_clause(&predicates);
        let implementation = self.parameters.implementation(None, &new);
        let a = self.fresh.lifetime("a");
        let implementation_ref = self.parameters.implementation(Some(&a), &new);
        let way = quote!(#krate::macro_support::ViaFields<(#(#ways,)*)>);
        let awaited =
            self.with_types(|_, ty| quote!(<#ty as #krate::macro_support::MapOutput>::Value));
        let output = awaited.applied;
        let mut predicates: Vec<_> = types
            .iter()
            .map(|ty| quote!(#ty: #krate::macro_support::MapOutput))
            .collect();
        predicates.extend(awaited.predicates);
        let where_map_output = self.parameters.where_clause(&predicates);
        let implementation_map_output = self.parameters.implementation(None, &[]);
        vec![
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::Accepts<#argument, #way> for #value #where_clause {
                    type Wire = #argument;
                    fn wire(argument: #argument) -> #argument {
                        argument
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation_ref #krate::macro_support::Accepts<&#a #argument, #way> for #value
                #where_clause
                {
                    type Wire = &#a #argument;
                    fn wire(argument: &#a #argument) -> &#a #argument {
                        argument
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation_map_output #krate::macro_support::MapOutput for #value #where_map_output {
                    type Value = #output;
                }
            },
        ]
    }

    /// Returns the type and its conditions, with other types substituted for its parameters.
    fn with_types(&self, replace: impl Fn(usize, &Ident) -> TokenStream) -> Applied {
        let types = self.parameters.types.iter().enumerate();
        let types: HashMap<_, _> = types
            .map(|(at, ty)| (ty.to_string(), replace(at, ty)))
            .collect();
        Applied {
            applied: crate::parameters::substituted(self.applied(), &types),
            predicates: self.parameters.predicates_for(&types),
        }
    }

    fn single(&self) -> Option<TokenStream> {
        let krate = &self.krate;
        let value = self.applied();
        let predicates = match &self.shape {
            Shape::Object(_) | Shape::Single => Vec::new(),
            Shape::Inner(ty) if self.is_open(ty) => {
                vec![quote!(#ty: #krate::macro_support::NonList)]
            }
            // A condition without parameters is an error, except in this form.
            Shape::Inner(ty) => {
                let a = self.fresh.lifetime("a");
                vec![quote!(for<#a> #ty: #krate::macro_support::NonList)]
            }
            Shape::Unknown => return None,
        };
        let implementation = self.parameters.implementation(None, &[]);
        let where_clause = self.parameters.where_clause(&predicates);
        Some(quote! {
            #[diagnostic::do_not_recommend]
            impl #implementation #krate::macro_support::NonList for #value #where_clause {}
        })
    }
}

struct Applied {
    applied: TokenStream,
    predicates: Vec<TokenStream>,
}

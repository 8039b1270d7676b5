//! The description of an interface.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{ext::IdentExt, parse_quote};

use super::{
    Interface,
    kind::Kind,
    method::Method,
    params::{Param, Role},
};
use crate::{
    describe::{Scope, deprecation, docs, featured, module, quiet, source},
    names::wire_name,
    parameters::Parameters,
    types::is_option,
};

impl Interface {
    /// Returns the implementations of `Describe` and `DescribeWith` for the stub.
    pub(super) fn description(&self) -> TokenStream {
        let Self { krate, item, .. } = self;
        let module = module(krate);
        let bound = parse_quote!(#module::Describe);
        let described = Parameters::new(&item.generics, Some(&bound));
        let scope = Scope::new(krate, &item.generics, None);
        let (implementation, where_clause) = (
            described.implementation(None, &[]),
            described.where_clause(&[]),
        );
        let (stub, quiet) = (self.applied_stub(), quiet());
        let (with, with_where) = (
            self.plain.implementation(None, &[]),
            self.plain.where_clause(&[]),
        );
        let source = source(krate, &item.ident, &self.carried, scope.types());
        let arguments = scope.arguments();
        let supertraits = self.supertraits.stubs.iter().map(|path| {
            let ty = scope.describe(&parse_quote!(#path));
            quote!({ let ty = #ty; it.add_supertrait(ty); })
        });
        let methods = self
            .methods
            .iter()
            .map(|it| self.method_description(it, &scope));
        featured(
            krate,
            quote! {
                #quiet
                impl #implementation #module::Describe for #stub #where_clause {
                    fn describe(d: &mut #module::Describer) -> #module::Type {
                        let arguments = #arguments;
                        <Self as #module::DescribeWith>::describe_with(d, arguments)
                    }
                }
                #quiet
                impl #with #module::DescribeWith for #stub #with_where {
                    fn describe_with(
                        d: &mut #module::Describer,
                        arguments: ::std::vec::Vec<#module::Type>,
                    ) -> #module::Type {
                        use #module::{
                            Described as _, DescribedError as _, DescribedWith as _, Undescribed as _,
                            UndescribedError as _,
                        };
                        d.interface(&#source, arguments, |d, it| {
                            #(#supertraits)*
                            #(#methods)*
                        })
                    }
                }
            },
        )
    }

    /// Returns `Dispatch::description`, which creates the description only once.
    pub(super) fn kept_description(&self) -> TokenStream {
        let krate = &self.krate;
        let module = module(krate);
        let count = self.data.types.len();
        featured(
            krate,
            quote! {
                fn description() -> ::core::option::Option<#krate::Payload> {
                    static KEPT: #module::Kept = #module::Kept::new();
                    KEPT.of::<Self>(#count)
                }
            },
        )
    }

    fn method_description(&self, method: &Method, scope: &Scope) -> TokenStream {
        let module = module(&self.krate);
        let (cfgs, wire) = (&method.carried.cfgs, &method.wire);
        let docs = docs(&method.carried.docs);
        let deprecated = deprecation(&method.carried.deprecated);
        let result = scope.describe(method.described_result());
        if method.kind == Kind::CatchAll {
            return quote! {
                #(#cfgs)*
                { let result = #result; it.add_catch_all(#docs, result); }
            };
        }
        let is_property = method.kind == Kind::Property;
        let mut can_be_missing = true;
        let mut parameters: Vec<_> = method
            .arguments()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .map(|it| {
                // A missing argument is read as `undefined`, which an option accepts.
                can_be_missing &= matches!(it.role, Role::Rest(_)) || is_option(&it.ty);
                parameter(it, can_be_missing, scope, &module)
            })
            .collect();
        parameters.reverse();
        let error = match &method.returns.error {
            Some(error) => {
                let error = error.to_token_stream();
                quote!(#module::Probe::<#error>::new().found_error(d))
            }
            None => quote!(::core::option::Option::None),
        };
        quote! {
            #(#cfgs)*
            {
                let method = #module::MethodSource {
                    name: #wire,
                    docs: #docs,
                    deprecated: #deprecated,
                    is_property: #is_property,
                    parameters: ::std::vec![#(#parameters),*],
                    result: #result,
                    error: #error,
                };
                it.add(method);
            }
        }
    }
}

fn parameter(
    param: &Param,
    can_be_missing: bool,
    scope: &Scope,
    module: &TokenStream,
) -> TokenStream {
    let name = match wire_name(&param.ident) {
        name if name.is_empty() => param.ident.unraw().to_string(),
        name => name,
    };
    let (ty, is_optional, is_rest) = match &param.role {
        Role::Rest(element) => (&**element, false, true),
        Role::Argument { .. } | Role::Context { .. } => (&param.ty, can_be_missing, false),
    };
    let ty = scope.describe(param.described_as.as_ref().unwrap_or(ty));
    quote!(#module::Parameter::new(#name, #ty, #is_optional, #is_rest))
}

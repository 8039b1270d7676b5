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
};

impl Interface {
    /// Returns the implementation of `Describe` for the stub.
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
                        use #module::{Described as _, DescribedError as _, Undescribed as _, UndescribedError as _};
                        let arguments = #arguments;
                        d.interface(&#source, arguments, |d, it| {
                            #(#supertraits)*
                            #(#methods)*
                        })
                    }
                }
            },
        )
    }

    fn method_description(&self, method: &Method, scope: &Scope) -> TokenStream {
        let module = module(&self.krate);
        let (cfgs, wire) = (&method.carried.cfgs, &method.wire);
        let docs = docs(&method.carried.docs);
        let deprecated = deprecation(&method.carried.deprecated);
        let result = scope.describe(&method.returns.value);
        if method.kind == Kind::CatchAll {
            return quote! {
                #(#cfgs)*
                { let result = #result; it.add_catch_all(#docs, result); }
            };
        }
        let is_property = method.kind == Kind::Property;
        let parameters = method.arguments().map(|it| parameter(it, scope, &module));
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

fn parameter(param: &Param, scope: &Scope, module: &TokenStream) -> TokenStream {
    let name = match wire_name(&param.ident) {
        name if name.is_empty() => param.ident.unraw().to_string(),
        name => name,
    };
    let (ty, is_optional, is_rest) = match &param.role {
        Role::Argument { may_be_left_out } => (&param.ty, *may_be_left_out, false),
        Role::Rest(element) => (&**element, false, true),
        Role::Context { .. } => (&param.ty, false, false),
    };
    let ty = scope.describe(ty);
    quote!(#module::Parameter::new(#name, #ty, #is_optional, #is_rest))
}

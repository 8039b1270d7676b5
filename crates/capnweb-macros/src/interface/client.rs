//! The client of an interface: its typed stub.

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    Interface,
    kind::Kind,
    method::Method,
    params::{Param, Role},
};
use crate::{
    attributes::docs,
    names::new_name,
    spans::{Around, error_check, promise_of, support_call},
};

impl Interface {
    /// Returns the stub, its methods, and its trait implementations.
    pub(super) fn client(&self) -> Vec<TokenStream> {
        let mut items = vec![self.stub_struct(), self.stub_methods()];
        items.extend(self.conversions());
        items.extend(self.being_a_reference());
        items.extend(self.being_an_argument());
        items.extend(self.standing_in_for_supertraits());
        items
    }

    fn stub_struct(&self) -> TokenStream {
        let Self { krate, stub, .. } = self;
        let (vis, trait_name) = (&self.item.vis, &self.item.ident);
        let about = docs(&format!(
            "A reference to an object with the interface [`{trait_name}`](trait@{trait_name}), in this\n\
             process or at a peer.\n\
             \n\
             Each method makes a call and immediately returns a promise of its result."
        ));
        let (of_trait, conditions) = (&self.carried.docs, self.carried.conditions());
        let gap = (!of_trait.is_empty()).then(|| quote!(#[doc = ""]));
        let definition = self.data.definition();
        let inside = match self.supertraits.stubs.first() {
            Some(first) => quote!(#first),
            None => quote!(#krate::Stub),
        };
        let marker = self.data.marker().map(|marker| quote!(, #marker));
        quote! {
            #about
            #gap
            #(#of_trait)*
            #(#conditions)*
            #[allow(dead_code)]
            #vis struct #stub #definition (#inside #marker);
        }
    }

    /// Returns `Self(inside, PhantomData)`.
    fn wrapped(&self, inside: TokenStream) -> TokenStream {
        let marker = self
            .data
            .is_generic_over_types()
            .then(|| quote!(, ::core::marker::PhantomData));
        quote!(Self(#inside #marker))
    }

    fn stub_methods(&self) -> TokenStream {
        let Self { krate, item, .. } = self;
        let vis = &item.vis;
        let of_trait = self.applied_trait();
        let (stub, implementation, where_clause) = (
            self.applied_stub(),
            self.data.implementation(None, &[]),
            self.data.where_clause(&[]),
        );
        let about = docs(&format!(
            "Returns a reference to `target`, an object of this process. The object lives as long\n\
             as any reference to it, in this process or at a peer.\n\
             \n\
             An `Arc` of an object is an object too. So one object can have several interfaces:\n\
             `{}::new(shared.clone())`.",
            self.stub
        ));
        let methods = self.methods.iter().map(|method| self.method(method));
        quote! {
            #[allow(dead_code, clippy::all, clippy::pedantic)]
            impl #implementation #stub #where_clause {
                #about
                #vis fn new(target: impl #of_trait) -> Self {
                    <Self as #krate::StubType>::from_stub(
                        #krate::macro_support::stub::<Self, _>(target),
                    )
                }
                #(#methods)*
            }
        }
    }

    fn method(&self, method: &Method) -> TokenStream {
        let krate = &self.krate;
        let vis = &self.item.vis;
        let (name, wire, value) = (&method.ident, &method.wire, &method.returns.value);
        let promise = promise_of(krate, value, method.returns.error.as_ref());
        let check = method.returns.error.as_ref();
        let check = check.map(|error| error_check(krate, error));
        let support =
            |function, arguments: TokenStream| support_call(krate, function, arguments, value);
        let this = quote!(#krate::StubType::as_stub(self));
        let new_name = new_name(krate, wire, name, &self.item.ident);
        // A separate block keeps `NAME` from hiding a parameter.
        let wire_name = quote! {{
            static NAME: #krate::macro_support::Name = #new_name;
            &NAME
        }};
        let of_method = &method.carried.docs;
        let conditions = method.carried.conditions();
        let about = of_method.is_empty().then(|| match method.kind {
            Kind::Method => docs(&format!("Calls `{wire}`.")),
            Kind::Property => docs(&format!("Reads the property `{wire}`.")),
            Kind::CatchAll => docs("Calls any method by its name."),
        });
        let arguments: Vec<_> = method.arguments().collect();
        let names: Vec<_> = arguments.iter().map(|param| &param.ident).collect();
        let head = quote! { #about #(#of_method)* #(#conditions)* };
        match method.kind {
            Kind::Property => {
                let get = match method.is_idempotent {
                    true => "get_idempotent",
                    false => "get",
                };
                let get = support(get, quote!(#this, #wire_name));
                quote! {
                    #head
                    #vis fn #name(&self) -> #promise {
                        #check
                        #get
                    }
                }
            }
            Kind::CatchAll => {
                let (called, args) = (names[0], names[1]);
                let call = support("call_named", quote!(#this, #called, #args));
                quote! {
                    #head
                    #vis fn #name(
                        &self,
                        #called: &str,
                        #args: impl #krate::macro_support::CallArgs,
                    ) -> #promise {
                        #check
                        #call
                    }
                }
            }
            Kind::Method => {
                let accepted = self.fresh.numbered("A", names.len());
                let ways = self.fresh.numbered("M", names.len());
                let generics = (!names.is_empty()).then(|| quote!(<#(#accepted, #ways),*>));
                let bounds = arguments
                    .iter()
                    .zip(&accepted)
                    .zip(&ways)
                    .map(|((param, a), m)| {
                        let ty = &param.ty;
                        let bound = quote!(: #krate::macro_support::Accepts<#a, #m>);
                        // An error about an argument's type points at the parameter's type.
                        let bound = Around::tokens(ty).last(bound);
                        quote!(#ty #bound)
                    });
                let accepts = (!names.is_empty()).then(|| quote!(where #(#bounds),*));
                let is_rest = |param: &Param| matches!(param.role, Role::Rest(_));
                let mut wires: Vec<_> = arguments
                    .iter()
                    .zip(&accepted)
                    .zip(&ways)
                    .map(|((param, a), m)| {
                        let (name, ty) = (&param.ident, &param.ty);
                        let wire =
                            quote!(<#ty as #krate::macro_support::Accepts<#a, #m>>::wire(#name));
                        match param.role {
                            Role::Argument {
                                may_be_left_out: true,
                            } => {
                                quote!(#krate::macro_support::Trailing(#wire))
                            }
                            _ => wire,
                        }
                    })
                    .collect();
                let rest = arguments.last().filter(|param| is_rest(param));
                let rest = rest.and_then(|_| wires.pop());
                let args = match rest {
                    Some(rest) => {
                        quote!(#krate::macro_support::WithRest((#(#wires,)*), #rest))
                    }
                    None => quote!((#(#wires,)*)),
                };
                let call = match method.is_idempotent {
                    true => "call_idempotent",
                    false => "call",
                };
                let call = support(call, quote!(#this, #wire_name, #args));
                quote! {
                    #head
                    #vis fn #name #generics (
                        &self
                        #(, #names: #accepted)*
                    ) -> #promise
                    #accepts
                    {
                        #check
                        #call
                    }
                }
            }
        }
    }

    /// Returns the conversions to and from untyped stubs.
    fn conversions(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let (stub, implementation, where_clause) = (
            self.applied_stub(),
            self.data.implementation(None, &[]),
            self.data.where_clause(&[]),
        );
        let (from, as_stub, into, deref) = match self.supertraits.stubs.first() {
            Some(first) => (
                self.wrapped(quote!(<#first as #krate::StubType>::from_stub(stub))),
                quote!(#krate::StubType::as_stub(&self.0)),
                quote!(#krate::StubType::into_stub(self.0)),
                quote!(#first),
            ),
            None => (
                self.wrapped(quote!(stub)),
                quote!(&self.0),
                quote!(self.0),
                quote!(#krate::Stub),
            ),
        };
        vec![
            quote! {
                impl #implementation #krate::StubType for #stub #where_clause {
                    fn from_stub(stub: #krate::Stub) -> Self {
                        #from
                    }
                    fn as_stub(&self) -> &#krate::Stub {
                        #as_stub
                    }
                    fn into_stub(self) -> #krate::Stub {
                        #into
                    }
                }
            },
            quote! {
                impl #implementation ::core::ops::Deref for #stub #where_clause {
                    type Target = #deref;
                    fn deref(&self) -> &Self::Target {
                        &self.0
                    }
                }
            },
        ]
    }

    /// Returns the traits of every stub: `Clone`, `Debug`, `Pipelined`, serde's, `MapOutput` and
    /// `Single`.
    fn being_a_reference(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let serde = quote!(#krate::macro_support::serde);
        let name = self.stub.to_string();
        let (stub, implementation, where_clause) = (
            self.applied_stub(),
            self.data.implementation(None, &[]),
            self.data.where_clause(&[]),
        );
        let (de, serializer, deserializer) = (
            self.fresh.lifetime("de"),
            self.fresh.one("S"),
            self.fresh.one("D"),
        );
        let implementation_de = self.data.implementation(Some(&de), &[]);
        let clone = self.wrapped(quote!(::core::clone::Clone::clone(&self.0)));
        vec![
            quote! {
                impl #implementation ::core::clone::Clone for #stub #where_clause {
                    fn clone(&self) -> Self {
                        #clone
                    }
                }
            },
            quote! {
                impl #implementation ::core::fmt::Debug for #stub #where_clause {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.debug_tuple(#name).field(#krate::StubType::as_stub(self)).finish()
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::Pipelined for #stub #where_clause {
                    type Pipeline = Self;
                }
            },
            quote! {
                impl #implementation #krate::macro_support::TypedPipeline for #stub #where_clause {}
            },
            quote! {
                impl #implementation #serde::Serialize for #stub #where_clause {
                    fn serialize<#serializer: #serde::Serializer>(
                        &self,
                        serializer: #serializer,
                    ) -> ::core::result::Result<#serializer::Ok, #serializer::Error> {
                        #serde::Serialize::serialize(#krate::StubType::as_stub(self), serializer)
                    }
                }
            },
            quote! {
                impl #implementation_de #serde::Deserialize<#de> for #stub #where_clause {
                    fn deserialize<#deserializer: #serde::Deserializer<#de>>(
                        deserializer: #deserializer,
                    ) -> ::core::result::Result<Self, #deserializer::Error> {
                        <#krate::Stub as #serde::Deserialize>::deserialize(deserializer)
                            .map(<Self as #krate::StubType>::from_stub)
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::MapOutput for #stub #where_clause {
                    type Value = Self;
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::NonList for #stub #where_clause {}
            },
        ]
    }

    /// Returns the `Accepts` implementations for the stub itself and for objects with the
    /// interface.
    fn being_an_argument(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let stub = self.applied_stub();
        let of_trait = self.applied_trait();
        let target = self.fresh.one("T");
        let implementation = self.data.implementation(None, &[]);
        let a = self.fresh.lifetime("a");
        let implementation_ref = self.data.implementation(Some(&a), &[]);
        let implementation_target = self
            .data
            .implementation(None, &[quote!(#target: #of_trait)]);
        let where_clause = self.data.where_clause(&[]);
        // Other crates can implement a generic interface for its own stub, so this implementation
        // needs a marker that differs from the one for stubs.
        let way = self
            .data
            .is_generic_over_types()
            .then(|| quote!(, #krate::macro_support::ViaTarget));
        vec![
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation #krate::macro_support::Accepts<#stub> for #stub #where_clause {
                    type Wire = Self;
                    fn wire(argument: Self) -> Self {
                        argument
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation_ref #krate::macro_support::Accepts<&#a #stub> for #stub #where_clause {
                    type Wire = &#a Self;
                    fn wire(argument: &#a Self) -> &#a Self {
                        argument
                    }
                }
            },
            quote! {
                #[diagnostic::do_not_recommend]
                impl #implementation_target #krate::macro_support::Accepts<#target #way> for #stub #where_clause {
                    type Wire = Self;
                    fn wire(argument: #target) -> Self {
                        Self::new(argument)
                    }
                }
            },
        ]
    }

    /// Returns the conversions to the stubs of supertraits.
    fn standing_in_for_supertraits(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let stub = self.applied_stub();
        let implementation = self.data.implementation(None, &[]);
        let a = self.fresh.lifetime("a");
        let implementation_ref = self.data.implementation(Some(&a), &[]);
        let e = self.fresh.one("E");
        let fallible = self.data.implementation(None, &[quote!(#e)]);
        let fallible_ref = self.data.implementation(Some(&a), &[quote!(#e)]);
        let where_clause = self.data.where_clause(&[]);
        let items = self.supertraits.stubs.iter().flat_map(|of| {
            [
                quote! {
                    impl #implementation ::core::convert::From<#stub> for #of #where_clause {
                        fn from(stub: #stub) -> Self {
                            <Self as #krate::StubType>::from_stub(#krate::StubType::into_stub(stub))
                        }
                    }
                },
                quote! {
                    impl #implementation_ref ::core::convert::From<&#a #stub> for #of #where_clause {
                        fn from(stub: &#a #stub) -> Self {
                            ::core::convert::From::from(::core::clone::Clone::clone(stub))
                        }
                    }
                },
                quote! {
                    #[diagnostic::do_not_recommend]
                    impl #implementation #krate::macro_support::Accepts<#stub> for #of #where_clause {
                        type Wire = #stub;
                        fn wire(argument: #stub) -> #stub {
                            argument
                        }
                    }
                },
                quote! {
                    #[diagnostic::do_not_recommend]
                    impl #implementation_ref #krate::macro_support::Accepts<&#a #stub> for #of #where_clause {
                        type Wire = &#a #stub;
                        fn wire(argument: &#a #stub) -> &#a #stub {
                            argument
                        }
                    }
                },
                // The marker is the stub itself, since it must be a type of this crate. The
                // supertrait's stub may not be one.
                quote! {
                    #[diagnostic::do_not_recommend]
                    impl #fallible #krate::macro_support::Accepts<#krate::Promise<#stub, #e>, #stub> for #of
                    #where_clause
                    {
                        type Wire = #krate::Promise<#stub, #e>;
                        fn wire(argument: #krate::Promise<#stub, #e>) -> #krate::Promise<#stub, #e> {
                            argument
                        }
                    }
                },
                quote! {
                    #[diagnostic::do_not_recommend]
                    impl #fallible_ref #krate::macro_support::Accepts<&#a #krate::Promise<#stub, #e>, #stub> for #of
                    #where_clause
                    {
                        type Wire = &#a #krate::Promise<#stub, #e>;
                        fn wire(
                            argument: &#a #krate::Promise<#stub, #e>,
                        ) -> &#a #krate::Promise<#stub, #e> {
                            argument
                        }
                    }
                },
            ]
        });
        items.collect()
    }
}

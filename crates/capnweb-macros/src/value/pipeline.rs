//! The pipeline of a value: reads of its fields through a promise.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};

use super::{Property, Shape, Value};
use crate::{
    attributes::docs,
    names::new_name,
    parameters::mentions,
    spans::{promise_of, support_call},
    types::awaited,
};

impl Value {
    pub(super) fn pipeline(&self) -> Vec<TokenStream> {
        match &self.shape {
            Shape::Object(properties) => self.pipeline_of_fields(properties),
            Shape::Inner(ty) => {
                let krate = &self.krate;
                let pipelined = self
                    .is_open(ty)
                    .then(|| quote!(#ty: #krate::macro_support::Pipelined))
                    .into_iter();
                vec![self.pipelined(
                    &quote!(<#ty as #krate::macro_support::Pipelined>::Pipeline),
                    &pipelined.collect::<Vec<_>>(),
                )]
            }
            Shape::Single | Shape::Unknown => {
                let krate = &self.krate;
                vec![self.pipelined(&quote!(#krate::macro_support::NoPipeline<Self>), &[])]
            }
        }
    }

    /// Returns whether the type depends on the value's parameters.
    pub(super) fn is_open(&self, ty: &impl ToTokens) -> bool {
        let mut types = self.parameters.types.iter();
        types.any(|param| mentions(ty.to_token_stream(), &param.to_string()))
    }

    /// `User<T>`
    pub(super) fn applied(&self) -> TokenStream {
        let (name, arguments) = (&self.ident, self.parameters.application());
        quote!(#name #arguments)
    }

    fn pipelined(&self, pipeline: &TokenStream, predicates: &[TokenStream]) -> TokenStream {
        let krate = &self.krate;
        let value = self.applied();
        let implementation = self.parameters.implementation(None, &[]);
        let where_clause = self.parameters.where_clause(predicates);
        quote! {
            #[diagnostic::do_not_recommend]
            impl #implementation #krate::macro_support::Pipelined for #value #where_clause {
                type Pipeline = #pipeline;
            }
        }
    }

    fn pipeline_of_fields(&self, properties: &[Property]) -> Vec<TokenStream> {
        let Self { krate, vis, .. } = self;
        let name = format_ident!("{}Pipeline", self.ident);
        let text = name.to_string();
        let about = docs(&format!(
            "The pipeline of a [`{}`]: its fields, which can be read before it is there.",
            self.ident
        ));
        let (arguments, definition) = (self.parameters.application(), self.parameters.definition());
        let implementation = self.parameters.implementation(None, &[]);
        let where_clause = self.parameters.where_clause(&[]);
        let conditions = self.carried.conditions();
        let marker = self.parameters.marker().map(|marker| quote!(, #marker));
        let no_marker = marker
            .as_ref()
            .map(|_| quote!(, ::core::marker::PhantomData));
        let fields = properties.iter().map(|property| self.field(property));
        vec![
            quote! {
                #about
                #(#conditions)*
                #[allow(dead_code)]
                #vis struct #name #definition (#krate::Stub #marker);
            },
            quote! {
                #[allow(dead_code, clippy::all, clippy::pedantic)]
                impl #implementation #name #arguments #where_clause {
                    #(#fields)*
                }
            },
            quote! {
                impl #implementation #krate::StubType for #name #arguments #where_clause {
                    fn from_stub(stub: #krate::Stub) -> Self {
                        Self(stub #no_marker)
                    }
                    fn as_stub(&self) -> &#krate::Stub {
                        &self.0
                    }
                    fn into_stub(self) -> #krate::Stub {
                        self.0
                    }
                }
            },
            quote! {
                impl #implementation #krate::macro_support::TypedPipeline for #name #arguments #where_clause {}
            },
            quote! {
                impl #implementation ::core::ops::Deref for #name #arguments #where_clause {
                    type Target = #krate::Stub;
                    fn deref(&self) -> &Self::Target {
                        &self.0
                    }
                }
            },
            quote! {
                impl #implementation ::core::fmt::Debug for #name #arguments #where_clause {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.debug_tuple(#text).field(&self.0).finish()
                    }
                }
            },
            self.pipelined(&quote!(#name #arguments), &[]),
        ]
    }

    fn field(&self, property: &Property) -> TokenStream {
        let krate = &self.krate;
        let Property {
            ident,
            ty,
            vis,
            carried,
            wire,
        } = property;
        let (of_field, conditions) = (&carried.docs, carried.conditions());
        let about = of_field
            .is_empty()
            .then(|| docs(&format!("Reads the field `{wire}`.")));
        let ty = awaited(ty);
        let promise = promise_of(krate, ty, None);
        let get = support_call(krate, "get", quote!(&self.0, &NAME), ty);
        let new_name = new_name(krate, wire, ident, &self.ident);
        let pipelined = self
            .is_open(ty)
            .then(|| quote!(where #ty: #krate::macro_support::Pipelined));
        quote! {
            #about
            #(#of_field)*
            #(#conditions)*
            #vis fn #ident(&self) -> #promise #pipelined {
                static NAME: #krate::macro_support::Name = #new_name;
                #get
            }
        }
    }
}

//! The server of an interface: dispatch of calls to an object's methods.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;

use super::{
    Interface,
    kind::Kind,
    method::Method,
    params::{Param, Role},
};
use crate::names::{is_renamed, wire_name};

/// Local variables of the expansion. Hygiene keeps them apart from the user's parameters.
struct Locals {
    target: Ident,
    call: Ident,
    get: Ident,
    answer: Ident,
    property: Ident,
}

impl Locals {
    fn new() -> Self {
        let local = |name| Ident::new(name, Span::mixed_site());
        Self {
            target: local("target"),
            call: local("call"),
            get: local("get"),
            answer: local("answer"),
            property: local("property"),
        }
    }
}

impl Interface {
    /// Returns `impl<T: Foo> Dispatch<T> for FooStub`.
    pub(super) fn dispatch(&self) -> TokenStream {
        let krate = &self.krate;
        let Locals {
            target, call, get, ..
        } = Locals::new();
        let (object, holder) = (self.fresh.one("T"), self.fresh.one("H"));
        let of_trait = self.applied_trait();
        let stub = self.applied_stub();
        let implementation = self
            .data
            .implementation(None, &[quote!(#object: #of_trait)]);
        let where_clause = self.data.where_clause(&[]);
        let calls = self
            .methods
            .iter()
            .filter(|method| method.kind == Kind::Method);
        let calls = calls.map(|method| self.call_arm(method));
        let other_calls = self.other_calls();
        let catch = self.catch_calls();
        let gets = self.get_arms();
        let other_gets = self.other_gets();
        let declares = self.declares();
        let description = self.kept_description();
        quote! {
            #[allow(clippy::all, clippy::pedantic)]
            impl #implementation #krate::macro_support::Dispatch<#object> for #stub #where_clause {
                fn call<#holder: #krate::macro_support::Holds<#object>>(
                    #target: ::std::sync::Arc<#holder>,
                    #call: &mut #krate::macro_support::Call<'_>,
                ) -> #krate::Result<#krate::macro_support::Answer> {
                    match #call.method() {
                        #(#calls)*
                        _ => { #other_calls }
                    }
                }
                #catch
                fn get<#holder: #krate::macro_support::Holds<#object>>(
                    #target: ::std::sync::Arc<#holder>,
                    #get: &#krate::macro_support::Get<'_>,
                ) -> #krate::macro_support::Property {
                    match #get.name() {
                        #(#gets)*
                        _ => { #other_gets }
                    }
                }
                #declares
                #description
            }
        }
    }

    /// Returns `declares`, which knows the names of all methods and properties.
    fn declares(&self) -> TokenStream {
        let krate = &self.krate;
        let name = Ident::new("name", Span::mixed_site());
        let object = self.fresh.one("T");
        let declared = self.methods.iter().filter(|it| it.kind != Kind::CatchAll);
        let arms = declared.map(|method| {
            let (wire, cfgs) = (&method.wire, &method.carried.cfgs);
            quote!(#(#cfgs)* #wire => true,)
        });
        let supers = self.supertraits.stubs.iter();
        let inherited = supers.map(
            |of| quote!(|| <#of as #krate::macro_support::Dispatch<#object>>::declares(#name)),
        );
        quote! {
            fn declares(#name: &str) -> bool {
                match #name {
                    #(#arms)*
                    _ => false #(#inherited)*,
                }
            }
        }
    }

    fn call_arm(&self, method: &Method) -> TokenStream {
        let krate = &self.krate;
        let Locals { call, .. } = Locals::new();
        let (wire, cfgs) = (&method.wire, &method.carried.cfgs);
        let params = method.params.iter().map(|param| {
            let name = &param.ident;
            match &param.role {
                Role::Context { .. } => quote!(let #name = #call.context();),
                Role::Argument { .. } => {
                    let argument = self.argument(method, param);
                    quote!(let #name = #argument?;)
                }
                Role::Rest(element) => {
                    let label = wire_name(name);
                    let rust = match self.rust_name(method, param) {
                        Some(rust) => quote!(::core::option::Option::Some(#rust)),
                        None => quote!(::core::option::Option::None),
                    };
                    let read = quote!(#krate::macro_support::rest_arguments::<#element>);
                    quote!(let #name = #read(#call, #label, #rust)?;)
                }
            }
        });
        let count = method.arguments().count();
        let has_rest = method
            .arguments()
            .any(|it| matches!(it.role, Role::Rest(_)));
        let no_more = (method.is_strict && !has_rest)
            .then(|| quote!(#krate::macro_support::no_more_arguments(#call, #count)?;));
        let answer = self.answer(method, &quote!(#call.context()));
        quote! {
            #(#cfgs)*
            #wire => {
                #(#params)*
                #no_more
                ::core::result::Result::Ok(#answer)
            }
        }
    }

    /// Returns the expression for the next argument. Its errors contain the wire name and the Rust
    /// name.
    fn argument(&self, method: &Method, param: &Param) -> TokenStream {
        let krate = &self.krate;
        let Locals { call, .. } = Locals::new();
        let (label, ty) = (wire_name(&param.ident), &param.ty);
        match self.rust_name(method, param) {
            Some(rust) => {
                quote!(#krate::macro_support::renamed_argument::<#ty>(#call, #label, #rust))
            }
            None => quote!(#krate::macro_support::argument::<#ty>(#call, #label)),
        }
    }

    /// Returns the Rust names of a parameter and its method, if either is renamed on the wire.
    fn rust_name(&self, method: &Method, param: &Param) -> Option<String> {
        let ident = &param.ident;
        let is_renamed =
            is_renamed(ident, &wire_name(ident)) || is_renamed(&method.ident, &method.wire);
        is_renamed.then(|| {
            format!(
                "`{}` of `{}::{}`",
                ident.unraw(),
                self.item.ident.unraw(),
                method.ident.unraw()
            )
        })
    }

    /// Returns the call of the method, whose parameters are local variables.
    fn answer(&self, method: &Method, context: &TokenStream) -> TokenStream {
        let krate = &self.krate;
        let Locals { target, .. } = Locals::new();
        let object = self.fresh.one("T");
        let of_trait = self.applied_trait();
        let name = &method.ident;
        let params = method.params.iter().map(|param| {
            let ident = &param.ident;
            match param.role {
                Role::Context { by_reference: true } => quote!(&#ident),
                _ => quote!(#ident),
            }
        });
        let outcome = quote!(<#object as #of_trait>::#name(&#target, #(#params),*));
        let given = &method.returns.given;
        if method.is_canceled_on_release {
            quote! {
                #krate::macro_support::answer_cancelable::<#given, _, _>(
                    #context,
                    async move { #outcome.await },
                )
            }
        } else if method.is_async {
            quote! {
                #krate::macro_support::answer_future::<#given, _, _>(
                    async move { #outcome.await },
                )
            }
        } else if method.returns.is_promise {
            quote!(#krate::macro_support::answer_promise::<#given, _>(#outcome))
        } else {
            quote!(#krate::macro_support::answer::<#given, _>(#outcome))
        }
    }

    /// Returns code that tries each supertrait in turn until one answers.
    fn ask_supertraits(&self, ask: impl Fn(&syn::Path, TokenStream) -> Asking) -> TokenStream {
        let Locals { target, .. } = Locals::new();
        let Some((last, first)) = self.supertraits.stubs.split_last() else {
            return TokenStream::new();
        };
        let first = first
            .iter()
            .map(|of| ask(of, quote!(::std::sync::Arc::clone(&#target))).unless_found);
        let last = ask(last, quote!(#target)).asked;
        quote!(#(#first)* #last)
    }

    /// Returns the code for calls of methods that the trait itself does not declare.
    fn other_calls(&self) -> TokenStream {
        if self.supertraits.stubs.is_empty() {
            let krate = &self.krate;
            return quote!(::core::result::Result::Ok(#krate::macro_support::Answer::not_found()));
        }
        self.ask_supertraits(|of, target| self.asking_for_a_call(of, &quote!(call), &target))
    }

    /// Returns the call of a supertrait's `call` or `catch`.
    fn asking_for_a_call(
        &self,
        of: &syn::Path,
        what: &TokenStream,
        target: &TokenStream,
    ) -> Asking {
        let krate = &self.krate;
        let Locals { call, answer, .. } = Locals::new();
        let object = self.fresh.one("T");
        let asked = quote! {
            <#of as #krate::macro_support::Dispatch<#object>>::#what(#target, #call)
        };
        Asking {
            unless_found: quote! {
                let #answer = #asked?;
                if !#krate::macro_support::is_not_found(&#answer) {
                    return ::core::result::Result::Ok(#answer);
                }
            },
            asked,
        }
    }

    /// Returns `CATCHES` and `catch`, if there is a catch-all here or may be one in a supertrait.
    fn catch_calls(&self) -> Option<TokenStream> {
        let krate = &self.krate;
        let Locals { target, call, .. } = Locals::new();
        let (object, holder) = (self.fresh.one("T"), self.fresh.one("H"));
        let supers = &self.supertraits.stubs;
        let (catches, body) = match self.catch_all() {
            Some(method) => (quote!(true), self.catch(method)),
            None if supers.is_empty() => return None,
            None => (
                quote!(#(<#supers as #krate::macro_support::Dispatch<#object>>::CATCHES)||*),
                self.ask_supertraits(|of, target| {
                    self.asking_for_a_call(of, &quote!(catch), &target)
                }),
            ),
        };
        Some(quote! {
            const CATCHES: bool = #catches;
            fn catch<#holder: #krate::macro_support::Holds<#object>>(
                #target: ::std::sync::Arc<#holder>,
                #call: &mut #krate::macro_support::Call<'_>,
            ) -> #krate::Result<#krate::macro_support::Answer> {
                #body
            }
        })
    }

    /// Returns the call of the catch-all with the method's name and all arguments.
    fn catch(&self, method: &Method) -> TokenStream {
        let krate = &self.krate;
        let Locals { call, .. } = Locals::new();
        let mut is_name = true;
        let params = method.params.iter().map(|param| {
            let (name, ty) = (&param.ident, &param.ty);
            match param.role {
                Role::Context { .. } => quote!(let #name = #call.context();),
                Role::Argument { .. } if std::mem::take(&mut is_name) => {
                    quote!(let #name = ::std::string::String::from(#call.method());)
                }
                Role::Argument { .. } => {
                    quote!(let #name = #krate::macro_support::all_arguments::<#ty>(#call)?;)
                }
                Role::Rest(_) => TokenStream::new(),
            }
        });
        let params: Vec<_> = params.collect();
        let answer = self.answer(method, &quote!(#call.context()));
        quote!(#(#params)* ::core::result::Result::Ok(#answer))
    }

    /// Returns the match arms for reads: values of properties, and methods to call later.
    fn get_arms(&self) -> Vec<TokenStream> {
        let krate = &self.krate;
        let Locals { get, .. } = Locals::new();
        let mut arms = Vec::new();
        let mut methods = Vec::new();
        for method in &self.methods {
            let (wire, cfgs) = (&method.wire, &method.carried.cfgs);
            match method.kind {
                Kind::Property => {
                    let contexts = method.params.iter().map(|param| {
                        let name = &param.ident;
                        quote!(let #name = #get.context();)
                    });
                    let answer = self.answer(method, &quote!(#get.context()));
                    arms.push(quote_spanned! {Span::mixed_site()=>
                        #(#cfgs)*
                        #wire => {
                            #(#contexts)*
                            #krate::macro_support::property(#answer)
                        }
                    });
                }
                Kind::Method if cfgs.is_empty() => methods.push(wire),
                Kind::Method => {
                    arms.push(quote!(#(#cfgs)* #wire => #krate::macro_support::Property::Method,))
                }
                Kind::CatchAll => {}
            }
        }
        if !methods.is_empty() {
            arms.push(quote!(#(#methods)|* => #krate::macro_support::Property::Method,));
        }
        arms
    }

    /// Returns the code for properties that the trait itself does not declare.
    fn other_gets(&self) -> TokenStream {
        let krate = &self.krate;
        let Locals { get, property, .. } = Locals::new();
        let object = self.fresh.one("T");
        if self.supertraits.stubs.is_empty() {
            return quote!(#krate::macro_support::Property::Undefined);
        }
        self.ask_supertraits(|of, target| {
            let asked = quote! {
                <#of as #krate::macro_support::Dispatch<#object>>::get(#target, #get)
            };
            Asking {
                unless_found: quote! {
                    let #property = #asked;
                    if !#krate::macro_support::is_undefined(&#property) {
                        return #property;
                    }
                },
                asked,
            }
        })
    }
}

/// Code that tries a supertrait.
struct Asking {
    /// The code as an expression.
    asked: TokenStream,
    /// The code as a statement that returns the result if there is one.
    unless_found: TokenStream,
}

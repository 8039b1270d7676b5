//! `#[error]`: conversions between an enum and the library's error.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Field, Fields, Item, ItemEnum, LitStr, Path, Token, Type, Variant, ext::IdentExt,
    punctuated::Punctuated, spanned::Spanned,
};

use crate::{
    attributes::{Carried, refuse_conditional, take_rpc},
    describe::{Scope, deprecation, docs, featured, module, quiet, source},
    errors::Errors,
    names::{snake_case, wire_name},
    options::{Options, described_as, unknown},
    types::is_option,
};

/// Expands `#[error(options)] item`.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::error(options, &mut errors);
    let Some(mut item) = parse(&tokens, &mut errors) else {
        let errors = errors.into_tokens();
        return quote!(#errors #tokens);
    };
    refuse_on_the_enum(&mut item, &mut errors);
    let variants: Vec<_> = item
        .variants
        .iter_mut()
        .filter_map(|variant| Kind::read(variant, &mut errors))
        .collect();
    let other = the_other(&item, &variants, &mut errors);
    refuse_two_displays(&item, &variants, &mut errors);
    let made = other.filter(|_| errors.is_empty()).map(|other| {
        let error_type = ErrorType {
            krate: &options.krate,
            item: &item,
            variants: &variants,
            other,
        };
        error_type.expand()
    });
    let errors = errors.into_tokens();
    quote!(#errors #item #made)
}

fn parse(tokens: &TokenStream, errors: &mut Errors) -> Option<ItemEnum> {
    let item = errors.take(syn::parse2(tokens.clone()))?;
    let at = match item {
        Item::Enum(item) => return Some(item),
        Item::Struct(item) => item.ident.span(),
        _ => Span::call_site(),
    };
    errors.at_span(
        at,
        "`#[error]` needs an enum with a variant for each kind of failure, and one for all others",
    );
    None
}

fn refuse_on_the_enum(item: &mut ItemEnum, errors: &mut Errors) {
    refuse_conditional(&mut item.attrs, errors);
    for attr in take_rpc(&mut item.attrs) {
        let known = "on a variant there are `code`, `name`, `message`, `other` and `internal`";
        let read = attr.parse_nested_meta(|meta| Err(unknown(&meta, "the enum", known)));
        errors.take(read);
    }
    if !item.generics.params.is_empty() {
        errors.at(
            &item.generics,
            "an error type cannot be generic: received errors are only distinguished by their \
             code",
        );
    }
}

/// A variant of the enum.
struct Kind {
    ident: Ident,
    cfgs: Vec<Attribute>,
    docs: Vec<Attribute>,
    /// `#[rpc(message = "…")]`
    message: Option<LitStr>,
    role: Role,
}

/// The wire form of a variant.
enum Role {
    /// An error with a code of its own.
    Own(Box<Own>),
    /// Any error that no other variant matches.
    Other,
    /// An error that is logged here, while the peer receives an internal error.
    Internal,
}

struct Own {
    code: String,
    name: Option<LitStr>,
    properties: Vec<Property>,
    /// The field `message`, which holds the error's message and is not a property.
    message: Option<Property>,
}

struct Property {
    ident: Ident,
    ty: Type,
    wire: String,
    /// The type that describes the field, if it differs from the field's own.
    described_as: Option<Type>,
    carried: Carried,
}

#[derive(Default)]
struct VariantOptions {
    code: Option<LitStr>,
    name: Option<LitStr>,
    message: Option<LitStr>,
    other: Option<Span>,
    internal: Option<Span>,
}

impl VariantOptions {
    fn read(attrs: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        refuse_conditional(attrs, errors);
        let mut options = Self::default();
        for attr in take_rpc(attrs) {
            let read = attr.parse_nested_meta(|meta| {
                let span = Some(meta.path.span());
                if meta.path.is_ident("code") {
                    options.code = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("name") {
                    options.name = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("message") {
                    options.message = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("other") {
                    options.other = span;
                } else if meta.path.is_ident("internal") {
                    options.internal = span;
                } else {
                    return Err(unknown(
                        &meta,
                        "a variant of an error",
                        "there are `code = \"…\"`, `name = \"…\"`, `message = \"…\"`, `other` and \
                         `internal`",
                    ));
                }
                Ok(())
            });
            errors.take(read);
        }
        if let Some(span) = options.other.or(options.internal)
            && (options.code.is_some()
                || options.name.is_some()
                || options.other.is_some() == options.internal.is_some())
        {
            errors.at_span(
                span,
                "`other` and `internal` have no code and no name: the former passes an error on \
                 unchanged, and the latter hides it from the peer",
            );
        }
        options
    }
}

impl Kind {
    /// Reads a variant and removes its `rpc` attributes.
    fn read(variant: &mut Variant, errors: &mut Errors) -> Option<Self> {
        let options = VariantOptions::read(&mut variant.attrs, errors);
        let role = if let Some(span) = options.other {
            refuse_fields_of_other(variant, span, errors)?;
            Role::Other
        } else if options.internal.is_some() {
            Role::Internal
        } else {
            let mut properties = read_properties(variant, errors)?;
            let at = properties.iter().position(|it| it.wire == "message");
            Role::Own(Box::new(Own {
                code: match &options.code {
                    Some(code) => code.value(),
                    None => snake_case(&variant.ident.unraw().to_string()),
                },
                name: options.name,
                message: at.map(|at| properties.remove(at)),
                properties,
            }))
        };
        let Carried { cfgs, docs, .. } = Carried::of(&variant.attrs);
        Some(Self {
            ident: variant.ident.clone(),
            cfgs,
            docs,
            message: options.message,
            role,
        })
    }

    /// Returns the words of the variant's name.
    fn words(&self) -> String {
        snake_case(&self.ident.unraw().to_string()).replace('_', " ")
    }
}

fn refuse_fields_of_other(variant: &Variant, span: Span, errors: &mut Errors) -> Option<()> {
    let field = match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first()?,
        _ => {
            errors.at_span(
                span,
                "the variant for all other errors must contain the library's error: \
                 `Other(capnweb::Error)`",
            );
            return None;
        }
    };
    if let Some(from) = field.attrs.iter().find(|it| it.path().is_ident("from")) {
        errors.at(
            from,
            "remove `#[from]`: `#[error]` generates this conversion, which finds the other \
             variants first",
        );
        return None;
    }
    Some(())
}

fn read_properties(variant: &mut Variant, errors: &mut Errors) -> Option<Vec<Property>> {
    match &mut variant.fields {
        Fields::Unit => Some(Vec::new()),
        Fields::Named(fields) => {
            let read = fields.named.iter_mut();
            // Read all fields, to report all mistakes.
            let read: Vec<_> = read.map(|field| read_property(field, errors)).collect();
            read.into_iter().collect()
        }
        Fields::Unnamed(fields) => {
            errors.at(
                &*fields,
                "name the fields, which become properties of the error; to keep another library's \
                 error on this side, write `#[rpc(internal)]` on the variant",
            );
            None
        }
    }
}

fn read_property(field: &mut Field, errors: &mut Errors) -> Option<Property> {
    let (mut name, mut described_type) = (None, None);
    refuse_conditional(&mut field.attrs, errors);
    for attr in take_rpc(&mut field.attrs) {
        let read = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("as") {
                described_type = Some(described_as(&meta)?);
            } else {
                return Err(unknown(
                    &meta,
                    "a field of an error",
                    "use `name = \"…\"` or `as = Type`",
                ));
            }
            Ok(())
        });
        errors.take(read);
    }
    let ident = field.ident.clone()?;
    let wire = name.map_or_else(|| wire_name(&ident), |name| name.value());
    if matches!(wire.as_str(), "code" | "name" | "stack") {
        errors.at(
            &ident,
            format!(
                "every error already has a `{wire}`; rename the field, or write `#[rpc({wire} = \
                 …)]` on the variant"
            ),
        );
        return None;
    }
    Some(Property {
        ident,
        ty: field.ty.clone(),
        wire,
        described_as: described_type,
        carried: Carried::of(&field.attrs),
    })
}

/// Returns the variant for all other errors.
fn the_other<'a>(item: &ItemEnum, variants: &'a [Kind], errors: &mut Errors) -> Option<&'a Ident> {
    let mut others = variants.iter().filter(|it| matches!(it.role, Role::Other));
    let first = others.next();
    if let Some(second) = others.next() {
        errors.at(
            &second.ident,
            "there can be only one variant for all other errors, and this is the second",
        );
    }
    if first.is_none() && errors.is_empty() {
        errors.at(
            &item.ident,
            "a call can fail in ways that no method anticipates, such as a lost connection: add a \
             variant for all other errors, `#[rpc(other)] Other(capnweb::Error)`",
        );
    }
    first.map(|it| &it.ident)
}

/// The enum, parsed.
struct ErrorType<'a> {
    krate: &'a Path,
    item: &'a ItemEnum,
    variants: &'a [Kind],
    other: &'a Ident,
}

impl ErrorType<'_> {
    fn expand(&self) -> TokenStream {
        let (into, from) = (self.to_library(), self.read_back());
        let display = self.has_messages().then(|| self.display());
        let description = self.description();
        quote!(#into #from #display #description)
    }

    /// Returns the implementation of `DescribeError`.
    fn description(&self) -> TokenStream {
        let (krate, ident) = (self.krate, &self.item.ident);
        let module = module(krate);
        let scope = Scope::new(krate, &self.item.generics, None);
        let carried = Carried::of(&self.item.attrs);
        let (source, quiet) = (source(krate, ident, &carried, &[]), quiet());
        let none = quote!(::core::option::Option::None);
        let kinds = self.variants.iter().filter_map(|kind| {
            let Role::Own(own) = &kind.role else {
                return None;
            };
            let (cfgs, code) = (&kind.cfgs, &own.code);
            let lines = docs(&kind.docs);
            let name = match &own.name {
                Some(name) => quote!(::core::option::Option::Some(#name)),
                None => none.clone(),
            };
            let fields = own.properties.iter().map(|property| {
                let ty = property.described_as.as_ref().unwrap_or(&property.ty);
                let (wire, ty) = (&property.wire, scope.describe(ty));
                let is_optional = is_option(&property.ty);
                let Carried { docs: lines, deprecated, .. } = &property.carried;
                let (lines, deprecated) = (docs(lines), deprecation(deprecated));
                quote!({ let ty = #ty; #module::Field::new(#wire, #lines, #deprecated, ty, #is_optional) })
            });
            Some(quote! {
                #(#cfgs)*
                {
                    let fields = ::std::vec![#(#fields),*];
                    kinds.push(#module::ErrorKind::new(#code, #name, #lines, fields));
                }
            })
        });
        let cfgs = &carried.cfgs;
        featured(
            krate,
            quote! {
                #(#cfgs)*
                #quiet
                impl #module::DescribeError for #ident {
                    fn describe_error(d: &mut #module::Describer) -> ::std::string::String {
                        use #module::{Described as _, DescribedWith as _, Undescribed as _};
                        d.error(&#source, |d, kinds| {
                            #(#kinds)*
                        })
                    }
                }
            },
        )
    }

    /// Returns true if a variant has a message, so that `Display` must be implemented.
    fn has_messages(&self) -> bool {
        self.variants.iter().any(|it| it.message.is_some())
    }

    fn to_library(&self) -> TokenStream {
        let (krate, ident) = (self.krate, &self.item.ident);
        // Hygiene keeps this apart from the user's fields.
        let error = Ident::new("error", Span::mixed_site());
        let arms = self.variants.iter().map(|kind| {
            let (cfgs, variant) = (&kind.cfgs, &kind.ident);
            let arm = match &kind.role {
                Role::Other => quote!(#ident::#variant(#error) => return #error,),
                Role::Internal => {
                    quote!(#ident::#variant { .. } => #krate::macro_support::stays_here(#error),)
                }
                Role::Own(own) => {
                    let Own {
                        code,
                        name,
                        properties,
                        ..
                    } = &**own;
                    let name = name.as_ref().map_or("Error".to_owned(), LitStr::value);
                    let idents = properties.iter().map(|it| &it.ident);
                    let with = properties.iter().map(|it| {
                        let (ident, wire) = (&it.ident, &it.wire);
                        quote!(.with_prop(#wire, #ident))
                    });
                    quote! {
                        #ident::#variant { #(#idents,)* .. } => {
                            #krate::Error::named(#name, #krate::macro_support::error_message(#error))
                                .with_code(#code)
                                #(#with)*
                        }
                    }
                }
            };
            // The variant for other errors is moved out, and all others are borrowed.
            match kind.role {
                Role::Other => (quote!(#(#cfgs)* #arm), TokenStream::new()),
                _ => (TokenStream::new(), quote!(#(#cfgs)* #arm)),
            }
        });
        let (moved, written): (Vec<_>, Vec<_>) = arms.unzip();
        quote! {
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            impl ::core::convert::From<#ident> for #krate::Error {
                fn from(#error: #ident) -> Self {
                    let #error = match #error {
                        #(#moved)*
                        #[allow(unreachable_patterns)]
                        #error => #error,
                    };
                    let #error = &#error;
                    match #error {
                        #(#written)*
                        #[allow(unreachable_patterns)]
                        _ => #krate::Error::internal(),
                    }
                }
            }
        }
    }

    fn read_back(&self) -> TokenStream {
        let (krate, ident, other) = (self.krate, &self.item.ident, self.other);
        let attempts = self.variants.iter().filter_map(|kind| {
            let Role::Own(own) = &kind.role else {
                return None;
            };
            let Own {
                code,
                name,
                properties,
                message,
            } = &**own;
            let (cfgs, variant) = (&kind.cfgs, &kind.ident);
            let name = match name {
                Some(name) => quote!(::core::option::Option::Some(#name)),
                None => quote!(::core::option::Option::None),
            };
            let read = properties.iter().map(|it| {
                let (ident, ty, wire) = (&it.ident, &it.ty, &it.wire);
                quote!(#ident: #krate::macro_support::error_property::<#ty>(error, #wire)?,)
            });
            let message = message.as_ref().map(|it| {
                let (ident, ty) = (&it.ident, &it.ty);
                quote!(#ident: <#ty as ::core::convert::From<&str>>::from(error.message()),)
            });
            Some(quote! {
                #(#cfgs)*
                {
                    let read = |error: &#krate::Error| -> ::core::option::Option<Self> {
                        ::core::option::Option::Some(#ident::#variant { #(#read)* #message })
                    };
                    if #krate::macro_support::is_error(&error, #code, #name) {
                        if let ::core::option::Option::Some(found) = read(&error) {
                            return found;
                        }
                    }
                }
            })
        });
        quote! {
            #[allow(deprecated, clippy::all, clippy::pedantic)]
            impl ::core::convert::From<#krate::Error> for #ident {
                fn from(error: #krate::Error) -> Self {
                    #(#attempts)*
                    #ident::#other(error)
                }
            }
        }
    }

    /// Returns the `Display` and `Error` implementations.
    fn display(&self) -> TokenStream {
        let ident = &self.item.ident;
        let f = Ident::new("f", Span::mixed_site());
        let arms = self.item.variants.iter().zip(self.variants).map(|(variant, kind)| {
            let (cfgs, name) = (&kind.cfgs, &kind.ident);
            match (&kind.message, &kind.role, &variant.fields) {
                (None, Role::Other, _) => {
                    quote!(#(#cfgs)* #ident::#name(error) => ::core::fmt::Display::fmt(error, #f),)
                }
                (None, ..) => {
                    let words = kind.words();
                    quote!(#(#cfgs)* #ident::#name { .. } => #f.write_str(#words),)
                }
                (Some(message), _, Fields::Named(fields)) => {
                    let fields = fields.named.iter().map(|field| &field.ident);
                    quote! {
                        #(#cfgs)*
                        #[allow(unused_variables)]
                        #ident::#name { #(#fields),* } => ::core::write!(#f, #message),
                    }
                }
                (Some(message), _, Fields::Unnamed(fields)) => {
                    let parts: Vec<_> = (0..fields.unnamed.len())
                        .map(|at| Ident::new(&format!("part{at}"), Span::mixed_site()))
                        .collect();
                    quote! {
                        #(#cfgs)*
                        #ident::#name(#(#parts),*) => ::core::write!(#f, #message #(, #parts)*),
                    }
                }
                (Some(message), _, Fields::Unit) => {
                    quote!(#(#cfgs)* #ident::#name => ::core::write!(#f, #message),)
                }
            }
        });
        quote! {
            impl ::core::fmt::Display for #ident {
                fn fmt(&self, #f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    match self {
                        #(#arms)*
                    }
                }
            }

            impl ::std::error::Error for #ident {}
        }
    }
}

/// Rejects `message` options in addition to a derived `Display`.
fn refuse_two_displays(item: &ItemEnum, variants: &[Kind], errors: &mut Errors) {
    let message = variants.iter().find_map(|it| it.message.as_ref());
    if let Some(message) = message.filter(|_| derives_error(&item.attrs)) {
        errors.at(
            message,
            "the derived `Error` provides the messages: write `#[error(\"…\")]` instead",
        );
    }
}

/// Returns true if the attributes derive `Error`, as thiserror's derive does, which writes
/// `Display`.
fn derives_error(attrs: &[Attribute]) -> bool {
    attrs
        .iter()
        .filter(|it| it.path().is_ident("derive"))
        .any(|attr| {
            let derived = attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
            derived.unwrap_or_default().iter().any(|path| {
                let last = path.segments.last();
                last.is_some_and(|last| last.ident.to_token_stream().to_string() == "Error")
            })
        })
}

//! `#[value]`: turns a struct or enum into sendable data.

mod argument;
mod deserialize;
mod pipeline;
pub(crate) mod serde_attributes;

use std::collections::HashMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Data, DeriveInput, Fields, GenericParam, Item, Path, Token, Type, Visibility,
    meta::ParseNestedMeta, parse_quote, punctuated::Punctuated, spanned::Spanned,
};

use self::serde_attributes::{ContainerAttributes, FieldAttributes};
use crate::{
    attributes::{Carried, refuse_conditional, take_rpc},
    errors::Errors,
    names::is_prototype_name,
    options::{Options, described_as, unknown},
    parameters::{FreshNames, Parameters, mentions, substituted},
    types::{Flaw, flaw, peeled},
};

/// The type, parsed.
struct Value {
    krate: Path,
    ident: Ident,
    vis: Visibility,
    carried: Carried,
    parameters: Parameters,
    fresh: FreshNames,
    shape: Shape,
}

/// The form of the type's values on the wire.
enum Shape {
    /// An object with these properties.
    Object(Vec<Property>),
    /// The form of the only field's values.
    Inner(Box<Type>),
    /// A form that is known not to be an array.
    Single,
    /// An unknown form.
    Unknown,
}

/// A field that can be read before its object is there.
struct Property {
    ident: Ident,
    ty: Type,
    vis: Visibility,
    carried: Carried,
    wire: String,
}

/// Expands `#[value(options)] item`.
pub(crate) fn expand(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::value(options, &mut errors);
    let Some(mut item) = parse(&tokens, &mut errors) else {
        let errors = errors.into_tokens();
        return quote!(#errors #tokens);
    };
    refuse_conditional(&mut item.attrs, &mut errors);
    let container = ContainerAttributes::read(&item.attrs);
    refuse_own_derives(&mut item.attrs, &mut errors);
    let is_sound = refuse_kinds_of_types(&mut item, &container, &mut errors);
    let written = item.clone();
    refuse_rpc_on_types(&mut item, &mut errors);
    let shape = Shape::read(&mut item, &container, &mut errors);
    let value = Value {
        carried: Carried::of(&item.attrs),
        parameters: Parameters::new(&item.generics, None),
        fresh: FreshNames::beside(item.to_token_stream()),
        ident: item.ident.clone(),
        vis: item.vis.clone(),
        krate: options.krate.clone(),
        shape,
    };
    let mut items = Vec::new();
    let mut description = None;
    if is_sound {
        items.extend(value.pipeline());
        items.extend(value.being_an_argument());
        let container = ContainerAttributes::read(&item.attrs);
        description = Some(crate::describe::value(&written, container, &options.krate));
    }
    let is_readable = deserialize::refuse_buffered(&item, &container, &mut errors);
    let reads_itself = is_sound && is_readable && deserialize::is_wanted(&item, &container);
    derive_serde(&mut item, &container, &options, reads_itself);
    if reads_itself {
        items.push(deserialize::implementation(&item, &container, &options));
    }
    let errors = errors.into_tokens();
    let cfgs = &value.carried.cfgs;
    let cfgs = quote!(#(#cfgs)*);
    // A deprecated item warns its users, but not in the expansion.
    quote! {
        #errors
        #item
        #(#cfgs #[allow(deprecated)] #items)*
        #cfgs #description
    }
}

fn parse(tokens: &TokenStream, errors: &mut Errors) -> Option<DeriveInput> {
    let item = errors.take(syn::parse2(tokens.clone()))?;
    let (at, what) = match item {
        Item::Struct(_) | Item::Enum(_) => return errors.take(syn::parse2(tokens.clone())),
        Item::Union(item) => (
            item.ident.span(),
            "a union cannot be sent, because its active field is unknown; make it an `enum`",
        ),
        Item::Trait(item) => (
            item.ident.span(),
            "`#[value]` needs a struct or enum; use `#[interface]` for a trait whose methods \
             peers call",
        ),
        _ => (
            Span::call_site(),
            "`#[value]` needs a struct or enum whose values are sent",
        ),
    };
    errors.at_span(at, what);
    None
}

/// Adds serde's derives, so that the user needs no dependency on serde. `Deserialize` is not
/// derived for a type that `reads_itself`.
fn derive_serde(
    item: &mut DeriveInput,
    container: &ContainerAttributes,
    options: &Options,
    reads_itself: bool,
) {
    let krate = &options.krate;
    let mut attrs: Vec<Attribute> = if reads_itself {
        vec![parse_quote!(#[derive(#krate::macro_support::serde::Serialize)])]
    } else {
        vec![parse_quote! {
            #[derive(
                #krate::macro_support::serde::Serialize,
                #krate::macro_support::serde::Deserialize,
            )]
        }]
    };
    if !container.has_crate {
        let serde = format!("{}::macro_support::serde", options.krate_text);
        attrs.push(parse_quote!(#[serde(crate = #serde)]));
    }
    let has_names = match &item.data {
        Data::Struct(data) => matches!(data.fields, Fields::Named(_)),
        Data::Enum(_) | Data::Union(_) => true,
    };
    if has_names && !container.has_rename_all {
        attrs.push(parse_quote!(#[serde(rename_all = "camelCase")]));
    }
    if matches!(item.data, Data::Enum(_)) && !container.has_rename_all_fields {
        attrs.push(parse_quote!(#[serde(rename_all_fields = "camelCase")]));
    }
    attrs.append(&mut item.attrs);
    item.attrs = attrs;
}

/// Rejects the user's own derives of serde's traits, and removes them.
fn refuse_own_derives(attrs: &mut [Attribute], errors: &mut Errors) {
    for attr in attrs
        .iter_mut()
        .filter(|attr| attr.path().is_ident("derive"))
    {
        let Ok(derived) = attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
        else {
            continue;
        };
        let is_ours = |path: &Path| {
            let last = path.segments.last();
            last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize")
        };
        let (ours, others): (Vec<_>, Vec<_>) = derived.into_iter().partition(is_ours);
        for path in &ours {
            let name = path.segments.last().map(|last| &last.ident);
            errors.at(
                path,
                format!("remove `{}`: `#[value]` derives it", quote!(#name)),
            );
        }
        if !ours.is_empty() {
            *attr = parse_quote!(#[derive(#(#others),*)]);
        }
    }
}

/// Rejects types that cannot be values. Returns true if there is nothing to reject.
fn refuse_kinds_of_types(
    item: &mut DeriveInput,
    container: &ContainerAttributes,
    errors: &mut Errors,
) -> bool {
    let mut is_sound = true;
    for param in &item.generics.params {
        if let GenericParam::Lifetime(param) = param {
            errors.at(
                param,
                "a value cannot have lifetime parameters, because received values are owned; hold \
                 a `String` for a `&str`, a `Vec<T>` for a `&[T]`",
            );
            is_sound = false;
        }
    }
    if let Some(remote) = &container.remote {
        // Without it, at least the derives make sense.
        item.attrs
            .retain(|attr| !mentions(attr.to_token_stream(), "remote"));
        errors.at(
            remote,
            "`remote` is for a type of another crate, but `#[value]` is for your own: derive \
             serde's traits for this type, and use it in a value with `#[serde(with = \"…\")]`",
        );
    }
    is_sound
}

fn refuse_rpc_on_types(item: &mut DeriveInput, errors: &mut Errors) {
    for attr in take_rpc(&mut item.attrs) {
        let known = "use `as = Type`, `skip` on a field, or serde for names on the wire: \
                     `#[serde(rename_all = \"…\")]`";
        let read = attr.parse_nested_meta(|meta| {
            if read_as(&meta)? {
                return Ok(());
            }
            Err(unknown(&meta, "a struct or enum", known))
        });
        errors.take(read);
    }
}

impl Shape {
    /// Reads the fields and removes our own attributes from them.
    fn read(item: &mut DeriveInput, container: &ContainerAttributes, errors: &mut Errors) -> Self {
        // In a field's type, `Self` is the struct. In the pipeline's methods it would be another
        // type.
        let (name, arguments) = (
            item.ident.clone(),
            Parameters::new(&item.generics, None).application(),
        );
        let itself = HashMap::from([("Self".to_owned(), quote!(#name #arguments))]);
        let fields = match &mut item.data {
            Data::Struct(data) => &mut data.fields,
            Data::Enum(data) => {
                let mut is_single = !container.is_untagged && !container.is_converted;
                for variant in &mut data.variants {
                    refuse_conditional(&mut variant.attrs, errors);
                    is_single &= !serde_attributes::is_untagged(&variant.attrs);
                    for rpc in take_rpc(&mut variant.attrs) {
                        errors.at(rpc, "`#[rpc(…)]` has no meaning on a variant");
                    }
                    for field in &mut variant.fields {
                        refuse_conditional(&mut field.attrs, errors);
                        if let Some(skip) = FieldOptions::read(&mut field.attrs, errors).skip {
                            errors.at_span(
                                skip,
                                "the promise of an enum has no pipeline, so there is nothing \
                                 to skip",
                            );
                        }
                        refuse_reference(&field.ty, errors);
                    }
                }
                return if is_single {
                    Self::Single
                } else {
                    Self::Unknown
                };
            }
            Data::Union(_) => return Self::Unknown,
        };
        let is_object = matches!(fields, Fields::Named(_)) && !container.is_transparent;
        let mut properties = Vec::new();
        let mut inner = Vec::new();
        for field in fields.iter_mut() {
            refuse_conditional(&mut field.attrs, errors);
            let is_skipped = FieldOptions::read(&mut field.attrs, errors).skip.is_some();
            let attributes = FieldAttributes::read(&field.attrs);
            if attributes.is_absent {
                continue;
            }
            if refuse_reference(&field.ty, errors) {
                continue;
            }
            let ty: Type = match syn::parse2(substituted(field.ty.to_token_stream(), &itself)) {
                Ok(ty) => ty,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let can_be_asked = !is_skipped && !attributes.is_converted && !attributes.is_flattened;
            if let (Some(ident), true) = (&field.ident, is_object) {
                let wire = attributes.wire_name(ident, container.case);
                refuse_name(ident, &wire, errors);
                if can_be_asked && !crate::names::is_taken(ident) {
                    properties.push(Property {
                        ident: ident.clone(),
                        ty,
                        vis: field.vis.clone(),
                        carried: Carried::of(&field.attrs),
                        wire,
                    });
                }
            } else {
                inner.push(can_be_asked.then_some(ty));
            }
        }
        let is_newtype = container.is_transparent || fields.len() == 1;
        match (is_object, &mut inner[..]) {
            _ if container.is_converted => Self::Unknown,
            (true, _) => Self::Object(properties),
            (false, [ty]) if is_newtype => ty
                .take()
                .map_or(Self::Unknown, |ty| Self::Inner(Box::new(ty))),
            _ => Self::Unknown,
        }
    }
}

/// The options of `#[rpc(…)]` on a field.
#[derive(Default)]
struct FieldOptions {
    skip: Option<Span>,
}

impl FieldOptions {
    /// Reads the options and removes their attributes.
    fn read(attrs: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attr in take_rpc(attrs) {
            let read = attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    options.skip = Some(meta.path.span());
                    return Ok(());
                }
                if read_as(&meta)? {
                    return Ok(());
                }
                Err(unknown(
                    &meta,
                    "a field",
                    "use `skip` or `as = Type`, or serde for names on the wire: \
                     `#[serde(rename = \"…\")]`",
                ))
            });
            errors.take(read);
        }
        options
    }
}

/// Reads `as = Type`, which is used for descriptions. Returns false for any other option.
fn read_as(meta: &ParseNestedMeta<'_>) -> syn::Result<bool> {
    if !meta.path.is_ident("as") {
        return Ok(false);
    }
    described_as(meta)?;
    Ok(true)
}

/// Rejects a field that is a reference. Returns true if it is one.
fn refuse_reference(ty: &Type, errors: &mut Errors) -> bool {
    if matches!(peeled(ty), Type::Reference(_))
        && let Some((at, Flaw::Reference(owned))) = flaw(ty)
    {
        let owned = owned.map(|owned| format!(": hold `{owned}`"));
        errors.at(
            at,
            format!(
                "a value cannot contain references, because received values are owned{}",
                owned.unwrap_or_default()
            ),
        );
        return true;
    }
    false
}

/// Rejects names that receivers drop.
fn refuse_name(ident: &Ident, wire: &str, errors: &mut Errors) {
    if is_prototype_name(wire) {
        errors.at(
            ident,
            format!(
                "a property `{wire}` never arrives: every JavaScript object has a property of \
                 this name, so receivers drop it; rename it on the wire with `#[serde(rename = \
                 \"…\")]`"
            ),
        );
    }
}

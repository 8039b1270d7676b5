//! The description of a value: its form on the wire, according to serde's attributes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Field, Fields, Path, Type, Variant, ext::IdentExt,
    parse_quote,
};

use super::{Scope, deprecation, docs, featured, module, quiet, source};
use crate::{
    attributes::Carried,
    names::Case,
    parameters::Parameters,
    types::is_option,
    value::serde_attributes::{ContainerAttributes, metas, written_text},
};

/// Returns the implementations of `Describe` and `DescribeWith` for a value. `item` has the user's
/// original attributes.
pub(crate) fn value(
    item: &DeriveInput,
    container: ContainerAttributes,
    krate: &Path,
) -> TokenStream {
    let module = module(krate);
    let bound = parse_quote!(#module::Describe);
    let described = Parameters::new(&item.generics, Some(&bound));
    let (name, application) = (&item.ident, described.application());
    let scope = Scope::new(krate, &item.generics, Some(quote!(#name #application)));
    let carried = Carried::of(&item.attrs);
    let (implementation, where_clause) = (
        described.implementation(None, &[]),
        described.where_clause(&[]),
    );
    let plain = Parameters::new(&item.generics, None);
    let (with, with_where) = (plain.implementation(None, &[]), plain.where_clause(&[]));
    let source = source(krate, name, &carried, scope.types());
    let (arguments, quiet) = (scope.arguments(), quiet());
    let form = Form {
        scope: &scope,
        module: module.clone(),
        container,
    };
    let form = form.of(item);
    featured(
        krate,
        quote! {
            #quiet
            impl #implementation #module::Describe for #name #application #where_clause {
                fn describe(d: &mut #module::Describer) -> #module::Type {
                    let arguments = #arguments;
                    <Self as #module::DescribeWith>::describe_with(d, arguments)
                }
            }
            #quiet
            impl #with #module::DescribeWith for #name #application #with_where {
                fn describe_with(
                    d: &mut #module::Describer,
                    arguments: ::std::vec::Vec<#module::Type>,
                ) -> #module::Type {
                    use #module::{Described as _, DescribedWith as _, Undescribed as _};
                    d.value(&#source, arguments, |d| #form)
                }
            }
        },
    )
}

/// The serde attributes of a field or variant.
#[derive(Default)]
struct Marks {
    rename: Option<String>,
    /// True if the field is neither written nor read.
    is_absent: bool,
    is_flattened: bool,
    may_be_missing: bool,
    is_untagged: bool,
    /// The module or function that writes or reads the field.
    with: Option<String>,
    /// The case of a variant's fields.
    case: Option<Option<Case>>,
}

impl Marks {
    fn read(attrs: &[Attribute]) -> Self {
        let mut found = Self::default();
        let (mut is_written, mut is_read) = (true, true);
        for meta in metas(attrs) {
            let name = meta.path().get_ident().map(ToString::to_string);
            match name.as_deref() {
                Some("rename") => found.rename = written_text(&meta),
                Some("skip") => (is_written, is_read) = (false, false),
                Some("skip_serializing") => is_written = false,
                Some("skip_deserializing") => is_read = false,
                Some("flatten") => found.is_flattened = true,
                Some("default" | "skip_serializing_if") => found.may_be_missing = true,
                Some("untagged") => found.is_untagged = true,
                Some("with" | "serialize_with" | "deserialize_with") => {
                    found.with = Some(written_text(&meta).unwrap_or_default());
                }
                Some("rename_all") => {
                    found.case = Some(written_text(&meta).and_then(|name| Case::named(&name)));
                }
                _ => {}
            }
        }
        found.is_absent = !is_written && !is_read;
        found.may_be_missing |= is_written != is_read;
        found
    }
}

/// Returns the type in `#[rpc(as = Type)]`.
fn described_as(attrs: &[Attribute]) -> Option<Type> {
    let mut found = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("rpc")) {
        // The macros report unknown options elsewhere.
        let _ = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("as") {
                found = Some(meta.value()?.parse()?);
            }
            Ok(())
        });
    }
    found
}

struct Form<'a> {
    scope: &'a Scope,
    module: TokenStream,
    container: ContainerAttributes,
}

impl Form<'_> {
    /// Returns an expression for the `Form` of the item.
    fn of(&self, item: &DeriveInput) -> TokenStream {
        let module = &self.module;
        if let (Data::Enum(data), None, None) =
            (&item.data, described_as(&item.attrs), &self.container.into)
        {
            return self.variants(data);
        }
        let ty = self.type_of(item);
        quote!({ let ty = #ty; #module::Form::new(ty) })
    }

    /// Returns an expression for the type of an item that is not an enum.
    fn type_of(&self, item: &DeriveInput) -> TokenStream {
        if let Some(ty) = described_as(&item.attrs) {
            return self.scope.describe(&ty);
        }
        if let Some(into) = &self.container.into {
            return self.scope.describe(into);
        }
        match &item.data {
            Data::Struct(data) => {
                if self.container.is_transparent {
                    let mut fields = data.fields.iter();
                    let field = fields.find(|field| !Marks::read(&field.attrs).is_absent);
                    return field.map_or_else(|| self.unknown(), |field| self.field_type(field));
                }
                let rust = item.ident.unraw().to_string();
                let name = self.container.rename.clone().unwrap_or(rust);
                let tag = self.container.tag.as_ref().map(|tag| (tag.clone(), name));
                self.fields(&data.fields, self.container.case, tag)
            }
            Data::Enum(_) | Data::Union(_) => self.unknown(),
        }
    }

    fn unknown(&self) -> TokenStream {
        let module = &self.module;
        quote!(#module::Type::Unknown)
    }

    fn literal(&self, name: &str) -> TokenStream {
        let module = &self.module;
        quote!(#module::Type::literal(#name))
    }

    fn single(&self, name: &str, ty: TokenStream) -> TokenStream {
        let module = &self.module;
        quote!({ let of = #ty; #module::Type::single(#name, of) })
    }

    /// Returns an expression for the form of these fields. A `tag` becomes a member of the object.
    fn fields(
        &self,
        fields: &Fields,
        case: Option<Case>,
        tag: Option<(String, String)>,
    ) -> TokenStream {
        let module = &self.module;
        match fields {
            Fields::Named(fields) => {
                let tag = tag.map(|(tag, name)| {
                    let name = self.literal(&name);
                    let none = quote!(::core::option::Option::None);
                    quote!(fields.push(#module::Field::new(#tag, &[], #none, #name, false));)
                });
                let fields = fields.named.iter().map(|field| self.named(field, case));
                quote!({
                    let mut fields = ::std::vec::Vec::new();
                    let mut with = ::std::vec::Vec::new();
                    #tag
                    #(#fields)*
                    #module::Type::object(fields, with)
                })
            }
            Fields::Unnamed(fields) => {
                let is_single = fields.unnamed.len() == 1;
                let present = fields
                    .unnamed
                    .iter()
                    .filter(|field| is_single || !Marks::read(&field.attrs).is_absent);
                let items: Vec<_> = present.map(|field| self.field_type(field)).collect();
                match &items[..] {
                    [item] if is_single => item.clone(),
                    items => quote!(#module::Type::Tuple { items: ::std::vec![#(#items),*] }),
                }
            }
            // A unit is `undefined` on its own, and `null` inside other data.
            Fields::Unit => quote!(#module::Type::Unit),
        }
    }

    fn named(&self, field: &Field, case: Option<Case>) -> TokenStream {
        let module = &self.module;
        let marks = Marks::read(&field.attrs);
        let Some(ident) = &field.ident else {
            return TokenStream::new();
        };
        if marks.is_absent {
            return TokenStream::new();
        }
        let carried = Carried::of(&field.attrs);
        let cfgs = &carried.cfgs;
        let ty = self.field_type(field);
        if marks.is_flattened {
            return quote!(#(#cfgs)* { let ty = #ty; with.push(ty); });
        }
        let rust = ident.unraw().to_string();
        let name = marks
            .rename
            .unwrap_or_else(|| case.map_or_else(|| rust.clone(), |case| case.of(&rust)));
        let may_be_missing = marks.may_be_missing
            || self.container.has_default
            || (is_option(&field.ty) && marks.with.is_none());
        let (docs, deprecated) = (docs(&carried.docs), deprecation(&carried.deprecated));
        quote! {
            #(#cfgs)*
            {
                let ty = #ty;
                fields.push(#module::Field::new(#name, #docs, #deprecated, ty, #may_be_missing));
            }
        }
    }

    fn field_type(&self, field: &Field) -> TokenStream {
        let module = &self.module;
        if let Some(ty) = described_as(&field.attrs) {
            return self.scope.describe(&ty);
        }
        match Marks::read(&field.attrs).with.as_deref() {
            None => self.scope.describe(&field.ty),
            Some("serde_bytes") => quote!(#module::Type::Bytes),
            Some("capnweb::date" | "capnweb_core::date" | "::capnweb::date") => {
                quote!(#module::Type::Date)
            }
            Some(_) => self.unknown(),
        }
    }

    fn variants(&self, data: &DataEnum) -> TokenStream {
        let module = &self.module;
        let variants = data.variants.iter().filter_map(|variant| {
            let marks = Marks::read(&variant.attrs);
            if marks.is_absent {
                return None;
            }
            let Carried {
                cfgs, docs: lines, ..
            } = Carried::of(&variant.attrs);
            let lines = docs(&lines);
            let ty = self.variant(variant, marks);
            Some(quote!(#(#cfgs)* { let ty = #ty; of.push(ty); variants.push(#lines as &[_]); }))
        });
        quote!({
            let mut of = ::std::vec::Vec::new();
            let mut variants = ::std::vec::Vec::new();
            #(#variants)*
            #module::Form::union(of, variants)
        })
    }

    fn variant(&self, variant: &Variant, marks: Marks) -> TokenStream {
        let module = &self.module;
        let rust = variant.ident.unraw().to_string();
        let name = marks.rename.unwrap_or_else(|| match self.container.case {
            Some(case) => case.of_variant(&rust),
            None => rust,
        });
        let case = marks.case.unwrap_or(self.container.field_case);
        let is_converted = marks.with.is_some();
        let content = |tag| match is_converted {
            true => self.unknown(),
            false => self.fields(&variant.fields, case, tag),
        };
        let is_unit = matches!(variant.fields, Fields::Unit);
        if self.container.is_untagged || marks.is_untagged {
            return content(None);
        }
        let ContainerAttributes {
            tag, content: held, ..
        } = &self.container;
        match (tag, held) {
            (None, _) if is_unit => self.literal(&name),
            (None, _) => self.single(&name, content(None)),
            (Some(tag), _) if is_unit => self.single(tag, self.literal(&name)),
            (Some(tag), Some(held)) => {
                let (name, content) = (self.literal(&name), content(None));
                let none = quote!(::core::option::Option::None);
                quote!(#module::Type::Object {
                    fields: ::std::vec![
                        #module::Field::new(#tag, &[], #none, #name, false),
                        #module::Field::new(#held, &[], #none, #content, false),
                    ],
                })
            }
            (Some(tag), None) if matches!(variant.fields, Fields::Named(_)) => {
                content(Some((tag.clone(), name)))
            }
            (Some(tag), None) => {
                let (tag, content) = (self.single(tag, self.literal(&name)), content(None));
                quote!(#module::Type::Intersection { of: ::std::vec![#tag, #content] })
            }
        }
    }
}

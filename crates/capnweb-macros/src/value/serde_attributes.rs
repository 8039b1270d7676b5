//! The effects of the user's serde attributes on names and forms on the wire. serde itself checks
//! the attributes.

use proc_macro2::Ident;
use syn::{
    Attribute, Expr, ExprLit, Lit, Meta, Token, Type, ext::IdentExt, parse_quote,
    punctuated::Punctuated,
};

use crate::names::Case;

/// Attributes of a struct or enum.
pub(crate) struct ContainerAttributes {
    pub(super) has_crate: bool,
    pub(super) has_rename_all: bool,
    pub(super) has_rename_all_fields: bool,
    pub(crate) rename: Option<String>,
    /// The case of a struct's fields or an enum's variants on the wire. `None` keeps the names
    /// unchanged.
    pub(crate) case: Option<Case>,
    /// The case of the fields of an enum's variants.
    pub(crate) field_case: Option<Case>,
    pub(crate) is_transparent: bool,
    pub(crate) is_untagged: bool,
    /// The name of the member that identifies the variant.
    pub(crate) tag: Option<String>,
    /// The name of the member that holds the variant's content.
    pub(crate) content: Option<String>,
    pub(crate) has_default: bool,
    /// The type that values are converted to for writing.
    pub(crate) into: Option<Type>,
    /// True if values are converted to another type for writing.
    pub(super) is_converted: bool,
    /// True if values are converted from another type after reading.
    pub(super) is_read_converted: bool,
    pub(super) remote: Option<Meta>,
}

impl ContainerAttributes {
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let mut found = Self {
            has_crate: false,
            has_rename_all: false,
            has_rename_all_fields: false,
            rename: None,
            case: Some(Case::Camel),
            field_case: Some(Case::Camel),
            is_transparent: false,
            is_untagged: false,
            tag: None,
            content: None,
            has_default: false,
            into: None,
            is_converted: false,
            is_read_converted: false,
            remote: None,
        };
        for meta in metas(attrs) {
            let name = meta.path().get_ident().map(ToString::to_string);
            let case = || written_text(&meta).and_then(|name| Case::named(&name));
            match name.as_deref() {
                Some("crate") => found.has_crate = true,
                Some("rename") => found.rename = written_text(&meta),
                Some("rename_all") => (found.has_rename_all, found.case) = (true, case()),
                Some("rename_all_fields") => {
                    (found.has_rename_all_fields, found.field_case) = (true, case());
                }
                Some("transparent") => found.is_transparent = true,
                Some("untagged") => found.is_untagged = true,
                Some("tag") => found.tag = written_text(&meta),
                Some("content") => found.content = written_text(&meta),
                Some("default") => found.has_default = true,
                Some("into") => {
                    found.is_converted = true;
                    found.into = written_text(&meta).and_then(|text| syn::parse_str(&text).ok());
                }
                Some("from" | "try_from") => found.is_read_converted = true,
                Some("remote") => found.remote = Some(meta),
                _ => {}
            }
        }
        found
    }

    /// Returns the attributes with the names that serde alone would write.
    pub(crate) fn without_camel_case(mut self) -> Self {
        if !self.has_rename_all {
            self.case = None;
        }
        if !self.has_rename_all_fields {
            self.field_case = None;
        }
        self
    }

    /// Returns the tag if it is a member of the variant's own object.
    pub(super) fn own_tag(&self) -> Option<&str> {
        self.tag.as_deref().filter(|_| self.content.is_none())
    }
}

/// Attributes of a field.
pub(super) struct FieldAttributes {
    rename: Option<String>,
    /// True if the field is not written at all.
    pub(super) is_absent: bool,
    /// True if the field's own fields replace it.
    pub(super) is_flattened: bool,
    /// True if a custom function reads the field.
    pub(super) is_converted: bool,
}

impl FieldAttributes {
    pub(super) fn read(attrs: &[Attribute]) -> Self {
        let mut found = Self {
            rename: None,
            is_absent: false,
            is_flattened: false,
            is_converted: false,
        };
        for meta in metas(attrs) {
            let name = meta.path().get_ident().map(ToString::to_string);
            match name.as_deref() {
                Some("rename") => found.rename = written_text(&meta),
                Some("skip" | "skip_serializing") => found.is_absent = true,
                Some("flatten") => found.is_flattened = true,
                Some("with" | "deserialize_with") => found.is_converted = true,
                _ => {}
            }
        }
        found
    }

    pub(super) fn wire_name(&self, ident: &Ident, case: Option<Case>) -> String {
        let name = ident.unraw().to_string();
        match (&self.rename, case) {
            (Some(rename), _) => rename.clone(),
            (None, Some(case)) => case.of(&name),
            (None, None) => name,
        }
    }
}

/// Returns whether an enum variant is untagged.
pub(super) fn is_untagged(attrs: &[Attribute]) -> bool {
    metas(attrs).any(|meta| meta.path().is_ident("untagged"))
}

/// Returns whether serde's attributes contain any of these words.
pub(super) fn says(attrs: &[Attribute], words: &[&str]) -> bool {
    metas(attrs).any(|meta| words.iter().any(|word| meta.path().is_ident(word)))
}

/// Returns the part of serde's attributes that starts with this word.
pub(super) fn find(attrs: &[Attribute], word: &str) -> Option<Meta> {
    metas(attrs).find(|meta| meta.path().is_ident(word))
}

/// Returns serde's attributes without those with a name in `words`.
pub(super) fn without(attrs: &[Attribute], words: &[&str]) -> Vec<Attribute> {
    metas(attrs)
        .filter(|meta| !words.iter().any(|word| meta.path().is_ident(word)))
        .map(|meta| parse_quote!(#[serde(#meta)]))
        .collect()
}

pub(crate) fn metas(attrs: &[Attribute]) -> impl Iterator<Item = Meta> {
    let attrs = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    attrs.flat_map(|attr| {
        attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .unwrap_or_default()
    })
}

/// Returns the text of `name = "text"` or `name(serialize = "text")`. The pipeline uses the written
/// name.
pub(crate) fn written_text(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        Meta::List(list) => {
            let inner = list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .ok()?;
            let serialize = inner.iter().find(|meta| meta.path().is_ident("serialize"));
            serialize.and_then(written_text)
        }
        Meta::Path(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use syn::{DeriveInput, Field};

    use super::*;

    fn container(item: DeriveInput) -> ContainerAttributes {
        ContainerAttributes::read(&item.attrs)
    }

    fn wire_name(field: Field, case: Option<Case>) -> String {
        FieldAttributes::read(&field.attrs).wire_name(field.ident.as_ref().unwrap(), case)
    }

    #[test]
    fn containers_say_how_names_are_written() {
        let plain = container(parse_quote!(
            struct User {}
        ));
        assert_eq!(plain.case, Some(Case::Camel));
        assert!(!plain.has_rename_all && !plain.has_crate);
        let kebab = container(parse_quote!(
            #[serde(crate = "other", rename_all = "kebab-case")]
            #[serde(tag = "type")]
            struct User {}
        ));
        assert_eq!(kebab.case, Some(Case::Kebab));
        assert!(kebab.has_rename_all && kebab.has_crate);
        let read_otherwise = container(parse_quote!(
            #[serde(rename_all(deserialize = "kebab-case"))]
            struct User {}
        ));
        assert_eq!(read_otherwise.case, None);
        let both = container(parse_quote!(
            #[serde(rename_all(serialize = "UPPERCASE", deserialize = "kebab-case"))]
            struct User {}
        ));
        assert_eq!(both.case, Some(Case::Upper));
    }

    #[test]
    fn tags_are_those_among_the_fields() {
        let tag = |item| container(item).own_tag().map(str::to_owned);
        assert_eq!(
            tag(parse_quote!(
                #[serde(tag = "type")]
                enum A {}
            )),
            Some("type".to_owned())
        );
        assert_eq!(
            tag(parse_quote!(
                #[serde(content = "data", tag = "type")]
                enum A {}
            )),
            None
        );
    }

    #[test]
    fn some_attributes_are_left_out() {
        let item: DeriveInput = parse_quote!(
            #[serde(tag = "type", rename_all = "UPPERCASE")]
            #[derive(Clone)]
            #[serde(bound(deserialize = ""))]
            enum A {}
        );
        let expected: Vec<Attribute> = vec![
            parse_quote!(#[serde(rename_all = "UPPERCASE")]),
            parse_quote!(#[serde(bound(deserialize = ""))]),
        ];
        assert!(without(&item.attrs, &["tag", "untagged"]) == expected);
        assert!(says(&item.attrs, &["other", "bound"]) && !says(&item.attrs, &["Clone"]));
    }

    #[test]
    fn fields_are_asked_for_by_the_name_they_are_written_with() {
        let camel = Some(Case::Camel);
        assert_eq!(
            wire_name(parse_quote!(photo_url: String), camel),
            "photoUrl"
        );
        assert_eq!(
            wire_name(parse_quote!(photo_url: String), None),
            "photo_url"
        );
        assert_eq!(wire_name(parse_quote!(r#type: String), camel), "type");
        assert_eq!(
            wire_name(
                parse_quote!(#[serde(default, rename = "URL")] url: String),
                camel
            ),
            "URL"
        );
        assert_eq!(
            wire_name(
                parse_quote!(#[serde(rename(serialize = "out", deserialize = "in"))] url: String),
                camel
            ),
            "out"
        );
    }

    #[test]
    fn some_fields_cannot_be_asked_for() {
        let read = |field: Field| FieldAttributes::read(&field.attrs);
        assert!(read(parse_quote!(#[serde(skip)] a: u32)).is_absent);
        assert!(read(parse_quote!(#[serde(skip_serializing)] a: u32)).is_absent);
        assert!(!read(parse_quote!(#[serde(skip_serializing_if = "no")] a: u32)).is_absent);
        assert!(read(parse_quote!(#[serde(flatten)] a: Other)).is_flattened);
        assert!(read(parse_quote!(#[serde(with = "hex")] a: Other)).is_converted);
        assert!(!read(parse_quote!(#[serde(serialize_with = "hex")] a: Other)).is_converted);
    }
}

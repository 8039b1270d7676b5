//! Properties of a type that its tokens show.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// Returns the type without parentheses and without the invisible groups that `macro_rules!`
/// leaves.
pub(crate) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peeled(&group.elem),
        Type::Paren(paren) => peeled(&paren.elem),
        ty => ty,
    }
}

/// Returns the last segment of a type that is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match peeled(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Returns the generic arguments of `path::Name<…>` if the name is `name` and all of them are
/// types.
pub(crate) fn arguments_of<'a>(ty: &'a Type, name: &str) -> Option<Vec<&'a Type>> {
    let segment = last_segment(ty).filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    let types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// Returns the type that a promise of `ty` resolves to, with nested promises removed.
pub(crate) fn awaited(ty: &Type) -> &Type {
    match arguments_of(ty, "Promise").as_deref() {
        Some([inner]) => awaited(inner),
        _ => ty,
    }
}

/// Returns true for `Option<…>`.
pub(crate) fn is_option(ty: &Type) -> bool {
    arguments_of(ty, "Option").is_some_and(|arguments| arguments.len() == 1)
}

/// Returns true for `Context`.
pub(crate) fn is_context(ty: &Type) -> bool {
    is_plain(ty, "Context")
}

/// Returns true for `String`.
pub(crate) fn is_string(ty: &Type) -> bool {
    is_plain(ty, "String")
}

fn is_plain(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name && segment.arguments.is_none())
}

/// A part of a type that no received value can have.
pub(crate) enum Flaw {
    /// `&`, with a replacement for the whole type if it is simple.
    Reference(Option<String>),
    /// `'a`
    Lifetime,
    /// `impl`, with the stub to use instead if it is one of an interface.
    Impl(Option<String>),
    /// `dyn`, with the stub to use instead if it is one of an interface.
    Dyn(Option<String>),
    /// `Self`
    SelfType,
}

/// The message for [`Flaw::SelfType`].
pub(crate) const SELF_TYPE: &str = "`Self` is the object behind the interface, which cannot be \
 sent: use its stub (`FooStub` for the trait `Foo`)";

/// Returns the first flaw with the tokens that show it.
pub(crate) fn flaw(ty: &Type) -> Option<(TokenStream, Flaw)> {
    if let Type::Reference(reference) = peeled(ty) {
        let flaw = Flaw::Reference(owned(peeled(&reference.elem)));
        return Some((ty.to_token_stream(), flaw));
    }
    flaw_in(ty.to_token_stream())
}

fn flaw_in(tokens: TokenStream) -> Option<(TokenStream, Flaw)> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let flaw = match &token {
            TokenTree::Punct(punct) if punct.as_char() == '&' => Flaw::Reference(None),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let name = tokens.next();
                return Some((quote!(#token #name), Flaw::Lifetime));
            }
            TokenTree::Ident(ident) if ident == "impl" => Flaw::Impl(stub_of(tokens)),
            TokenTree::Ident(ident) if ident == "dyn" => Flaw::Dyn(stub_of(tokens)),
            TokenTree::Ident(ident) if ident == "Self" => Flaw::SelfType,
            TokenTree::Group(group) => match flaw_in(group.stream()) {
                Some(found) => return Some(found),
                None => continue,
            },
            _ => continue,
        };
        return Some((token.into(), flaw));
    }
    None
}

/// Returns the stub of the trait that begins `bounds`, unless it is a well-known one.
fn stub_of(bounds: impl Iterator<Item = TokenTree>) -> Option<String> {
    const OTHERS: &[&str] = &[
        "Fn",
        "FnMut",
        "FnOnce",
        "AsyncFn",
        "Future",
        "Iterator",
        "Stream",
        "Sized",
        "Send",
        "Sync",
        "Any",
        "Error",
        "Display",
        "Debug",
        "Serialize",
        "Into",
        "AsRef",
        "ToString",
        "IntoIterator",
        "Clone",
    ];
    let path = bounds.map_while(|token| match token {
        TokenTree::Ident(ident) => Some(Some(ident)),
        TokenTree::Punct(punct) if punct.as_char() == ':' => Some(None),
        _ => None,
    });
    let name = path.flatten().last()?.to_string();
    (!OTHERS.contains(&&*name)).then(|| format!("{name}Stub"))
}

/// Returns the owned type to suggest for the target of a reference.
fn owned(ty: &Type) -> Option<String> {
    match ty {
        Type::Slice(slice) => Some(format!("Vec<{}>", spelled(&slice.elem))),
        Type::Path(path) if path.path.is_ident("str") => Some("String".to_owned()),
        Type::Path(_) | Type::Tuple(_) | Type::Array(_) => Some(spelled(ty)),
        _ => None,
    }
}

/// Returns a type as a person would write it.
pub(crate) fn spelled(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn types_are_spelled_without_gaps() {
        let spell = |ty: Type| spelled(&ty);
        assert_eq!(spell(parse_quote!(Vec<u32>)), "Vec<u32>");
        assert_eq!(
            spell(parse_quote!(std::collections::HashMap<String, Vec<(u32, &str)>>)),
            "std::collections::HashMap<String, Vec<(u32, &str)>>"
        );
        assert_eq!(spell(parse_quote!([u8; 4])), "[u8; 4]");
    }

    #[test]
    fn options_and_contexts_are_known_by_name() {
        assert!(is_option(&parse_quote!(std::option::Option<u32>)));
        assert!(!is_option(&parse_quote!(Options)));
        assert!(is_context(&parse_quote!(capnweb::Context)));
        assert!(!is_context(&parse_quote!(Context<u32>)));
    }

    #[test]
    fn stubs_are_suggested_for_objects_of_interfaces() {
        let suggestion = |ty: Type| match flaw(&ty) {
            Some((_, Flaw::Impl(stub) | Flaw::Dyn(stub))) => stub,
            _ => panic!("no object in {}", spelled(&ty)),
        };
        let stub = suggestion(parse_quote!(Arc<dyn crate::PublicApi + Send>));
        assert_eq!(stub.as_deref(), Some("PublicApiStub"));
        let stub = suggestion(parse_quote!(impl PublicApi<u32>));
        assert_eq!(stub.as_deref(), Some("PublicApiStub"));
        assert_eq!(suggestion(parse_quote!(Box<dyn Fn(u32)>)), None);
        assert_eq!(suggestion(parse_quote!(impl std::future::Future)), None);
    }

    #[test]
    fn owned_types_are_suggested_for_references() {
        let suggestion = |ty: Type| match flaw(&ty) {
            Some((_, Flaw::Reference(suggestion))) => suggestion,
            _ => panic!("no reference in {}", spelled(&ty)),
        };
        assert_eq!(suggestion(parse_quote!(&str)).unwrap(), "String");
        assert_eq!(suggestion(parse_quote!(&'a [u8])).unwrap(), "Vec<u8>");
        assert_eq!(suggestion(parse_quote!(&mut User)).unwrap(), "User");
        assert_eq!(suggestion(parse_quote!(Vec<&str>)), None);
        assert!(flaw(&parse_quote!(Vec<String>)).is_none());
    }
}

//! Rust names and wire names.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Path, ext::IdentExt};

/// The naming styles of serde's `rename_all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    /// Returns the style that serde names `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// Converts a snake_case name to this style, exactly as serde converts a field's name.
    pub(crate) fn of(self, name: &str) -> String {
        match self {
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => pascal(name),
            Self::Camel => {
                let mut camel = pascal(name);
                if let Some(first) = camel.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                camel
            }
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// Converts a PascalCase name to this style, exactly as serde converts a variant's name.
    pub(crate) fn of_variant(self, name: &str) -> String {
        match self {
            Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => {
                let mut camel = name.to_owned();
                if let Some(first) = camel.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                camel
            }
            Self::Snake => {
                let mut snake = String::with_capacity(name.len() + 4);
                for (at, letter) in name.char_indices() {
                    if at > 0 && letter.is_uppercase() {
                        snake.push('_');
                    }
                    snake.push(letter.to_ascii_lowercase());
                }
                snake
            }
            Self::ScreamingSnake => Self::Snake.of_variant(name).to_ascii_uppercase(),
            Self::Kebab => Self::Snake.of_variant(name).replace('_', "-"),
            Self::ScreamingKebab => Self::ScreamingSnake.of_variant(name).replace('_', "-"),
        }
    }
}

fn pascal(name: &str) -> String {
    let mut pascal = String::with_capacity(name.len());
    let mut begins = true;
    for letter in name.chars() {
        match letter {
            '_' => begins = true,
            letter if begins => {
                pascal.push(letter.to_ascii_uppercase());
                begins = false;
            }
            letter => pascal.push(letter),
        }
    }
    pascal
}

/// Converts a PascalCase name to snake_case. Both `HttpError` and `HTTPError` become `http_error`.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                let after = letters
                    .get(at + 1)
                    .is_some_and(|after| after.is_lowercase());
                *before != '_' && (!before.is_uppercase() || after)
            });
        if begins {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Returns the default wire name of a method or parameter.
pub(crate) fn wire_name(ident: &Ident) -> String {
    Case::Camel.of(&ident.unraw().to_string())
}

/// Returns true if the wire name differs from the Rust name.
pub(crate) fn is_renamed(ident: &Ident, wire: &str) -> bool {
    ident.unraw() != wire
}

/// Returns the expression for the `Name` of a member of `owner`.
pub(crate) fn new_name(krate: &Path, wire: &str, ident: &Ident, owner: &Ident) -> TokenStream {
    if is_renamed(ident, wire) {
        let rust = format!("{}::{}", owner.unraw(), ident.unraw());
        quote!(#krate::macro_support::Name::renamed(#wire, #rust))
    } else {
        quote!(#krate::macro_support::Name::new(#wire))
    }
}

/// Names that every JavaScript object has or treats specially (`toJSON`).
/// `capnweb_wire::is_prototype_name` returns true for them. If this crate depended on that one, it
/// would be built twice.
const PROTOTYPE_NAMES: &str = "__proto__ constructor toString valueOf hasOwnProperty isPrototypeOf \
     propertyIsEnumerable toLocaleString __defineGetter__ __defineSetter__ __lookupGetter__ \
     __lookupSetter__ toJSON";

/// Returns true for names that every JavaScript object has or treats specially.
pub(crate) fn is_prototype_name(wire: &str) -> bool {
    PROTOTYPE_NAMES.split(' ').any(|name| name == wire)
}

/// Returns the reason why no client can call a method with this wire name, if there is one.
pub(crate) fn unreachable_because(wire: &str) -> Option<&'static str> {
    Some(match wire {
        "then" | "catch" | "finally" => {
            "in JavaScript every stub is a promise, which has a method of this name"
        }
        "dup" | "map" | "onRpcBroken" => "in JavaScript every stub has a method of this name",
        name if is_prototype_name(name) => {
            "every JavaScript object has a property of this name, so calls of it are blocked"
        }
        _ => return None,
    })
}

/// Returns true for names that stubs and promises have themselves: the constructor, and the methods
/// of the prelude's traits.
pub(crate) fn is_taken(ident: &Ident) -> bool {
    matches!(
        ident.unraw().to_string().as_str(),
        "new" | "clone" | "clone_from" | "into" | "try_into" | "into_future" | "to_owned"
    )
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    #[test]
    fn names_on_the_wire_are_in_camel_case() {
        let wire = |name| wire_name(&Ident::new(name, Span::call_site()));
        assert_eq!(wire("get_user_profile"), "getUserProfile");
        assert_eq!(wire("get"), "get");
        assert_eq!(wire("_token"), "token");
        assert_eq!(wire("type_"), "type");
        assert_eq!(wire("get_2d"), "get2d");
        assert_eq!(wire("__"), "");
        let raw = Ident::new_raw("type", Span::call_site());
        assert_eq!(wire_name(&raw), "type");
    }

    #[test]
    fn codes_are_in_snake_case() {
        for (name, code) in [
            ("NotFound", "not_found"),
            ("HTTPError", "http_error"),
            ("E2Big", "e2_big"),
            ("Already_There", "already_there"),
            ("Gone", "gone"),
            ("X", "x"),
        ] {
            assert_eq!(snake_case(name), code);
        }
    }

    #[test]
    fn styles_are_those_of_serde() {
        let of = |style| Case::named(style).unwrap().of("photo_url2");
        assert_eq!(of("lowercase"), "photo_url2");
        assert_eq!(of("UPPERCASE"), "PHOTO_URL2");
        assert_eq!(of("PascalCase"), "PhotoUrl2");
        assert_eq!(of("camelCase"), "photoUrl2");
        assert_eq!(of("snake_case"), "photo_url2");
        assert_eq!(of("SCREAMING_SNAKE_CASE"), "PHOTO_URL2");
        assert_eq!(of("kebab-case"), "photo-url2");
        assert_eq!(of("SCREAMING-KEBAB-CASE"), "PHOTO-URL2");
        assert_eq!(Case::named("Title Case"), None);
        assert_eq!(Case::Camel.of("é_a"), "éA");
    }

    #[test]
    fn variants_are_styled_as_serde_does() {
        let of = |style| Case::named(style).unwrap().of_variant("LogInURL2");
        assert_eq!(of("lowercase"), "loginurl2");
        assert_eq!(of("UPPERCASE"), "LOGINURL2");
        assert_eq!(of("PascalCase"), "LogInURL2");
        assert_eq!(of("camelCase"), "logInURL2");
        assert_eq!(of("snake_case"), "log_in_u_r_l2");
        assert_eq!(of("SCREAMING_SNAKE_CASE"), "LOG_IN_U_R_L2");
        assert_eq!(of("kebab-case"), "log-in-u-r-l2");
        assert_eq!(of("SCREAMING-KEBAB-CASE"), "LOG-IN-U-R-L2");
    }

    #[test]
    fn what_every_object_or_stub_has_cannot_be_called() {
        for name in include!("../tests/names/of_every_object.rs") {
            assert!(unreachable_because(name).is_some(), "{name}");
        }
        for name in ["then", "catch", "finally", "dup", "map", "onRpcBroken"] {
            assert!(unreachable_because(name).is_some(), "{name}");
        }
        assert_eq!(unreachable_because("getUser"), None);
    }
}

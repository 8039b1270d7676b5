//! The names of declarations.

use std::collections::{BTreeMap, HashMap};

use super::super::{Description, Item};

/// Names that the declarations use or that no item can have. An item with one of them would hide
/// it.
const TAKEN: &[&str] = &[
    "any",
    "bigint",
    "boolean",
    "never",
    "null",
    "number",
    "object",
    "string",
    "symbol",
    "undefined",
    "unknown",
    "void",
    "ArrayBuffer",
    "BigInt64Array",
    "BigUint64Array",
    "Blob",
    "DataView",
    "Date",
    "Error",
    "Float32Array",
    "Float64Array",
    "Headers",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "Partial",
    "Promise",
    "ReadableStream",
    "Record",
    "Request",
    "Response",
    "RpcStub",
    "RpcTarget",
    "URL",
    "Uint16Array",
    "Uint32Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "WritableStream",
];

/// Words that cannot be names of parameters.
const RESERVED: &[&str] = &[
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Returns the name of each item, by its ID.
///
/// If several items have the same name, or an item has a name that the declarations use, the name
/// of the module is prepended: `ShopUser` for `shop::User`. So no name depends on the order of
/// discovery.
pub(in crate::describe) fn names(description: &Description) -> HashMap<String, String> {
    let mut by_name: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items(description) {
        by_name.entry(&item.name).or_default().push(item);
    }
    let mut names = HashMap::new();
    let mut used: Vec<String> = TAKEN.iter().map(|&it| it.to_owned()).collect();
    let is_alone = |name: &str, items: &[&Item]| items.len() == 1 && !TAKEN.contains(&name);
    for (name, items) in &by_name {
        if is_alone(name, items) {
            names.insert(items[0].id.clone(), (*name).to_owned());
            used.push((*name).to_owned());
        }
    }
    for (name, items) in by_name {
        if is_alone(name, &items) {
            continue;
        }
        let mut items = items;
        items.sort_by(|a, b| a.id.cmp(&b.id));
        for item in items {
            let module = item.module.rsplit("::").next().unwrap_or_default();
            let mut found = format!("{}{name}", pascal(module));
            while used.contains(&found) {
                found.push('_');
            }
            used.push(found.clone());
            names.insert(item.id.clone(), found);
        }
    }
    names
}

pub(super) fn items(description: &Description) -> impl Iterator<Item = &Item> {
    let interfaces = description.interfaces.iter().map(|it| &it.item);
    let values = description.values.iter().map(|it| &it.item);
    let errors = description.errors.iter().map(|it| &it.item);
    interfaces.chain(values).chain(errors)
}

fn pascal(name: &str) -> String {
    name.split('_').map(capitalized).collect()
}

/// Returns the word with a capital first letter.
pub(in crate::describe) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    let begins = |letter: char| letter.is_alphabetic() || matches!(letter, '_' | '$');
    letters.next().is_some_and(begins)
        && letters.all(|letter| begins(letter) || letter.is_ascii_digit())
}

/// Returns the name of a property, quoted if it needs to be.
pub(super) fn property(name: &str) -> String {
    if is_identifier(name) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// Returns a valid parameter name for the parameter `name` on the wire.
pub(super) fn parameter(name: &str) -> String {
    let mut name: String = name
        .chars()
        .map(|letter| match letter {
            letter if letter.is_alphabetic() || letter.is_ascii_digit() => letter,
            '$' => letter,
            _ => '_',
        })
        .collect();
    if !is_identifier(&name) {
        name.insert(0, '_');
    }
    if RESERVED.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// Returns a string literal.
pub(super) fn quoted(text: &str) -> String {
    // Any JSON string is a JavaScript string.
    serde_json::Value::from(text).to_string()
}

//! JSON Schemas of methods.

use std::collections::HashMap;

use capnweb_core::{
    Bytes, Callback, Date, Readable, Result, Stub, describe::Description, json_schema,
};
use serde_json::{Value, json};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Shop: Named {
    /// Orders an item.
    #[deprecated]
    fn order(&self, item: Item, count: Option<u8>, note: Option<String>) -> Result<u64, Refusal>;
    fn optional_first(&self, first: Option<u8>, second: bool) -> Result<Option<Date>>;
    fn rest(&self, first: String, #[rpc(rest)] others: Vec<i16>) -> Result<()>;
    fn reach(&self, shop: ShopStub, stub: Stub, call: Callback<u32>) -> Result<Readable<Bytes>>;
    fn pages(&self) -> Result<Pages>;
}

type Pages = (Page<Item>, Page<Page<u32>>, Page<(u32, String)>);

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Named {
    #[rpc(get)]
    fn name(&self) -> Result<String>;
}

/// An item for sale.
#[capnweb_macros::value(crate = "capnweb_core")]
struct Item {
    /// The price in cents.
    unit_price: u32,
    parts: Vec<Item>,
    kind: Kind,
    by_name: HashMap<String, f64>,
    size: Option<Size>,
}

#[capnweb_macros::value(crate = "capnweb_core")]
enum Kind {
    New,
    SecondHand,
}

#[capnweb_macros::value(crate = "capnweb_core")]
#[serde(tag = "unit")]
enum Size {
    Inches { length: f64 },
    Unknown,
}

#[capnweb_macros::value(crate = "capnweb_core")]
struct Page<T> {
    items: Vec<T>,
    next: Option<Box<Page<T>>>,
}

#[capnweb_macros::error(crate = "capnweb_core")]
#[derive(Debug)]
enum Refusal {
    /// Too few are left.
    #[rpc(message = "only {left}", name = "RangeError")]
    SoldOut { left: u32 },
    #[rpc(other)]
    Other(capnweb_core::Error),
}

fn parameters(method: &str) -> Value {
    let schemas = json_schema::of::<ShopStub>();
    serde_json::from_str(&schemas.parameters("Shop", method).unwrap()).unwrap()
}

fn result(method: &str) -> Value {
    let schemas = json_schema::of::<ShopStub>();
    serde_json::from_str(&schemas.result("Shop", method).unwrap()).unwrap()
}

#[test]
fn parameters_at_the_end_can_be_missing() {
    let schema = parameters("order");
    assert_eq!(schema["type"], "array");
    assert_eq!(schema["minItems"], 1);
    assert_eq!(schema["items"], false);
    assert_eq!(schema["prefixItems"][0]["$ref"], "#/$defs/Item");
    assert_eq!(schema["prefixItems"][0]["title"], "item");
    assert_eq!(
        schema["prefixItems"][1],
        json!({
            "title": "count",
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 255 }, { "type": "null" }],
        })
    );
    assert_eq!(parameters("optionalFirst")["minItems"], 2);
    let rest = parameters("rest");
    assert_eq!(rest["minItems"], 1);
    assert_eq!(rest["items"]["minimum"], -32768);
    assert_eq!(rest["items"]["title"], "others");
    assert_eq!(parameters("pages").get("prefixItems"), None);
}

#[test]
fn values_are_definitions_and_may_refer_to_themselves() {
    let item = &parameters("order")["$defs"]["Item"];
    assert_eq!(item["description"], "An item for sale.");
    assert_eq!(
        item["properties"]["unitPrice"]["description"],
        "The price in cents."
    );
    assert_eq!(item["properties"]["parts"]["items"]["$ref"], "#/$defs/Item");
    assert_eq!(
        item["properties"]["byName"]["additionalProperties"]["type"],
        "number"
    );
    assert_eq!(
        item["required"],
        json!(["unitPrice", "parts", "kind", "byName"])
    );
    let schema = parameters("order");
    let definitions = &schema["$defs"];
    assert_eq!(
        definitions["Kind"],
        json!({ "enum": ["new", "secondHand"] })
    );
    let sizes = definitions["Size"]["anyOf"].as_array().unwrap();
    assert_eq!(sizes[0]["properties"]["unit"], json!({ "const": "inches" }));
}

#[test]
fn generic_values_have_a_definition_for_each_argument() {
    let schema = result("pages");
    let items: Vec<_> = schema["prefixItems"].as_array().unwrap().to_vec();
    let names: Vec<_> = items
        .iter()
        .map(|it| it["$ref"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "#/$defs/PageOfItem",
            "#/$defs/PageOfPageOfU32",
            "#/$defs/PageOfTupleU32AndString"
        ]
    );
    let inner = &schema["$defs"]["PageOfPageOfU32"]["properties"]["items"]["items"];
    assert_eq!(inner["$ref"], "#/$defs/PageOfU32");
    for name in names {
        assert!(schema["$defs"].get(&name[8..]).is_some(), "{schema:#}");
    }
}

#[test]
fn a_value_around_ever_longer_types_ends() {
    // For example `struct Nest<T> { deeper: Option<Box<Nest<Vec<T>>>> }`, described by hand.
    let description = json!({
        "version": 1,
        "main": { "kind": "reference", "id": "I" },
        "interfaces": [{ "id": "I", "name": "I", "methods": [
            { "name": "get", "result": { "kind": "reference", "id": "N", "arguments": [{ "kind": "string" }] } },
        ] }],
        "values": [{ "id": "N", "name": "N", "parameters": ["T"], "type": { "kind": "object", "fields": [
            { "name": "deeper", "type": { "kind": "reference", "id": "N", "arguments": [
                { "kind": "list", "of": { "kind": "parameter", "index": 0 } },
            ] } },
        ] } }],
    });
    let description = Description::from_json(&description.to_string()).unwrap();
    let schema = json_schema::Schemas::new(description).to_string();
    assert!(schema.contains("NOfListListString"), "{schema}");
    assert!(schema.len() < 10_000, "{}", schema.len());
}

#[test]
fn what_has_no_form_in_json_says_what_it_is() {
    let schema = parameters("reach");
    let kind = |at: usize| schema["prefixItems"][at]["x-capnweb"].clone();
    assert_eq!(kind(0), json!({ "kind": "stub", "interface": "Shop" }));
    assert_eq!(kind(1), json!({ "kind": "stub" }));
    assert_eq!(kind(2), json!({ "kind": "function" }));
    assert_eq!(schema["prefixItems"][0]["not"], json!({}));
    assert_eq!(result("reach")["x-capnweb"]["kind"], "ReadableStream");
}

#[test]
fn the_document_has_methods_properties_and_errors() {
    let text = json_schema::of::<ShopStub>().to_string();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        document["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let shop = &document["interfaces"]["Shop"];
    assert_eq!(shop["extends"], json!(["Named"]));
    let order = &shop["methods"]["order"];
    assert_eq!(order["deprecated"], true);
    assert_eq!(order["description"], "Orders an item.");
    assert_eq!(order["result"]["maximum"], u64::MAX);
    assert_eq!(
        order["errors"],
        json!([{
            "description": "Too few are left.",
            "type": "object",
            "properties": {
                "code": { "const": "sold_out" },
                "name": { "const": "RangeError" },
                "left": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            },
            "required": ["code", "left"],
        }])
    );
    let named = &document["interfaces"]["Named"];
    assert_eq!(named["properties"]["name"]["result"]["type"], "string");
}

#[test]
fn inherited_methods_are_found_and_others_are_not() {
    let schemas = json_schema::of::<ShopStub>();
    assert!(schemas.result("Shop", "name").is_some());
    assert!(schemas.result("Shop", "order").is_some());
    assert!(schemas.parameters("Shop", "nothing").is_none());
    assert!(schemas.parameters("Nobody", "order").is_none());
}

#[test]
fn every_reference_is_to_a_definition() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|it| references(it, found));
            }
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }
    let text = json_schema::of::<ShopStub>().to_string();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert!(!text.contains(": null"), "{text}");
}

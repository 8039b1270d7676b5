//! Capabilities: tokens reach the types that request them, and no others.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::*;
use crate::{CAPABILITY, Hole, RAW, TOKEN_LEN, VALUE};

/// The mark of these tests' tokens.
const NONCE: [u8; 16] = *b"sixteen secret b";

/// Hands out tokens, and remembers the spans of raw content.
#[derive(Default)]
struct Tokens {
    raw: RefCell<Vec<Span>>,
}

fn token(number: usize) -> [u8; TOKEN_LEN] {
    let mut token = [0; TOKEN_LEN];
    token[..16].copy_from_slice(&NONCE);
    token[16..].copy_from_slice(&(number as u64).to_le_bytes());
    token
}

fn number(token: &[u8]) -> Option<u64> {
    let number = token.strip_prefix(&NONCE)?;
    Some(u64::from_le_bytes(number.try_into().ok()?))
}

impl CapabilitySource for Tokens {
    fn capability(&self, hole: usize) -> Option<[u8; TOKEN_LEN]> {
        Some(token(hole))
    }

    fn raw(&self, span: Span) -> Option<[u8; TOKEN_LEN]> {
        let mut raw = self.raw.borrow_mut();
        raw.push(span);
        Some(token(raw.len() - 1))
    }
}

struct TokenVisitor;

impl<'de> Visitor<'de> for TokenVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stub")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<u64, D::Error> {
        inner.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, token: &[u8]) -> Result<u64, E> {
        number(token).ok_or_else(|| E::custom("forged"))
    }
}

/// A stub: the number of its hole.
#[derive(Debug, PartialEq)]
struct Stub(u64);

impl<'de> Deserialize<'de> for Stub {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_newtype_struct(CAPABILITY, TokenVisitor)
            .map(Self)
    }
}

/// Raw content: its number.
#[derive(Debug, PartialEq)]
struct Raw(u64);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_newtype_struct(RAW, TokenVisitor)
            .map(Self)
    }
}

/// The outermost capabilities of a text.
fn holes(text: &str) -> Vec<Span> {
    let mut holes: Vec<Hole> = Vec::new();
    scan_expr(text, &Limits::default(), &mut holes).unwrap();
    let mut end = 0;
    let outer = holes.iter().filter(|hole| {
        let outer = hole.span.start >= end;
        end = end.max(hole.span.end);
        outer
    });
    outer.map(|hole| hole.span).collect()
}

/// Reads a text whose holes are its capability forms.
fn read_with<'a, T: Deserialize<'a>>(text: &'a str, holes: &'a [Span]) -> Result<T, DeError> {
    let tokens = Tokens::default();
    reader::read(text, 0, holes, &tokens, |reader| {
        let value = T::deserialize(&mut *reader)?;
        reader.finish()?;
        Ok(value)
    })
}

fn read_owned<T: DeserializeOwned>(text: &str) -> Result<T, DeError> {
    read_with(text, &holes(text))
}

#[derive(Debug, PartialEq, Deserialize)]
struct Inner {
    stub: Stub,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Outer {
    direct: Option<Stub>,
    nested: Vec<Inner>,
    #[serde(flatten)]
    flat: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, Stub>,
}

const OUTER: &str = r#"{"direct":["import",-1],"nested":[[{"stub":["export",-2]}]],"stub":["promise",-3],"more":["pipeline",1,["a"],[["import",2]]]}"#;

fn outer() -> Outer {
    Outer {
        direct: Some(Stub(0)),
        nested: vec![Inner { stub: Stub(1) }],
        flat: Inner { stub: Stub(2) },
        rest: BTreeMap::from([("more".into(), Stub(3))]),
    }
}

#[test]
fn everywhere_in_structs() {
    assert_eq!(read_owned::<Outer>(OUTER).unwrap(), outer());
    assert_eq!(read_owned::<Stub>(r#" ["import",-1] "#).unwrap(), Stub(0));
    assert_eq!(read_owned::<Option<Stub>>("null").unwrap(), None);
    assert_eq!(
        read_owned::<(Stub, u8, Stub)>(r#"[[["import",1],0,["export",-1]]]"#).unwrap(),
        (Stub(0), 0, Stub(1))
    );
}

#[test]
fn in_texts_with_placeholders() {
    let text = r#"{"direct":0,"nested":[[{"stub":0}]],"stub":0,"more":0}"#;
    let holes: Vec<_> = text
        .match_indices('0')
        .map(|(at, _)| Span {
            start: u32::try_from(at).unwrap(),
            end: u32::try_from(at + 1).unwrap(),
        })
        .collect();
    assert_eq!(read_with::<Outer>(text, &holes).unwrap(), outer());
    // A zero that is not a hole is a number, and a hole is not.
    let holes = [Span { start: 2, end: 3 }];
    assert_eq!(
        read_with::<(Stub, u8)>("[[0,0]]", &holes).unwrap(),
        (Stub(0), 0)
    );
    for error in [
        read_with::<(u8, u8)>("[[0,0]]", &holes).unwrap_err(),
        read_with::<(i128, u8)>("[[0,0]]", &holes).unwrap_err(),
        read_with::<(f32, u8)>("[[0,0]]", &holes).unwrap_err(),
        read_with::<(f64, u8)>("[[0,0]]", &holes).unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("got a stub"), "{error}");
    }
}

#[test]
fn in_enums() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum External {
        Stub(Stub),
        Pair(Stub, Stub),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
        Bytes(serde_bytes::ByteBuf),
        Stub(Stub),
        Object { stub: Stub },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "t")]
    enum Internal {
        A { stub: Stub },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A(Stub),
    }
    assert_eq!(
        read_owned::<External>(r#"{"Stub":["import",1]}"#).unwrap(),
        External::Stub(Stub(0))
    );
    assert_eq!(
        read_owned::<External>(r#"{"Pair":[[["import",1],["import",2]]]}"#).unwrap(),
        External::Pair(Stub(0), Stub(1))
    );
    assert_eq!(
        read_owned::<Untagged>(r#"["import",1]"#).unwrap(),
        Untagged::Stub(Stub(0))
    );
    assert_eq!(
        read_owned::<Untagged>(r#"{"stub":["import",1]}"#).unwrap(),
        Untagged::Object { stub: Stub(0) }
    );
    assert_eq!(
        read_owned::<Internal>(r#"{"stub":["import",1],"t":"A"}"#).unwrap(),
        Internal::A { stub: Stub(0) }
    );
    assert_eq!(
        read_owned::<Adjacent>(r#"{"c":["import",1],"t":"A"}"#).unwrap(),
        Adjacent::A(Stub(0))
    );
    assert_eq!(
        read_owned::<Adjacent>(r#"{"t":"A","c":["import",1]}"#).unwrap(),
        Adjacent::A(Stub(0))
    );
}

#[test]
fn that_are_ignored_are_passed_over() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Last {
        last: u8,
    }
    let text = r#"{"a":["pipeline",1,["x"],[["import",2]]],"toJSON":["import",3],"last":4}"#;
    assert_eq!(read_owned::<Last>(text).unwrap(), Last { last: 4 });
    assert_eq!(
        read_owned::<BTreeMap<String, serde::de::IgnoredAny>>(text)
            .unwrap()
            .len(),
        2
    );
    // The number counts the holes, not the stubs that were taken.
    let text = r#"{"a":["import",2],"toJSON":["import",3],"stub":["import",4]}"#;
    assert_eq!(read_owned::<Inner>(text).unwrap(), Inner { stub: Stub(2) });
    // The same when the object is read again because of a duplicate.
    let text = r#"{"stub":["import",2],"stub":["import",3]}"#;
    assert_eq!(read_owned::<Inner>(text).unwrap(), Inner { stub: Stub(1) });
}

#[test]
fn nobody_else_gets_a_token() {
    let text = r#"["import",1]"#;
    for error in [
        read_owned::<u8>(text).map(drop).unwrap_err(),
        read_owned::<bool>(text).map(drop).unwrap_err(),
        read_owned::<String>(text).map(drop).unwrap_err(),
        read_owned::<serde_bytes::ByteBuf>(text)
            .map(drop)
            .unwrap_err(),
        read_owned::<Vec<u8>>(text).map(drop).unwrap_err(),
        read_owned::<()>(text).map(drop).unwrap_err(),
        read_owned::<BTreeMap<String, u8>>(text)
            .map(drop)
            .unwrap_err(),
        read_owned::<Inner>(text).map(drop).unwrap_err(),
        read_owned::<External>(text).map(drop).unwrap_err(),
        read_owned::<serde_json::Value>(text).map(drop).unwrap_err(),
        read_owned::<Date>(text).map(drop).unwrap_err(),
        read_owned::<BigInt>(text).map(drop).unwrap_err(),
        read_owned::<Undefined>(text).map(drop).unwrap_err(),
    ] {
        assert!(
            error.to_string().starts_with("expected ")
                && error.to_string().ends_with(", got a stub"),
            "{error}"
        );
    }
    let error = read::<Stub>(text).unwrap_err();
    assert!(
        error.to_string().starts_with("expected a stub, got "),
        "{error}"
    );
    let source = Source {
        text,
        holes: &holes(text),
        capabilities: &NoCapabilities,
    };
    assert_eq!(
        from_expr::<Stub>(&source).unwrap_err().to_string(),
        "stubs and promises cannot be received here"
    );
    assert_eq!(
        from_expr::<Raw>(&source).unwrap_err().to_string(),
        "payloads cannot be received here"
    );
}

#[test]
fn what_is_no_capability_makes_no_stub() {
    for (text, found) in [
        ("3", "a number"),
        (r#""abc""#, "a string"),
        (r#"["bytes","AQ"]"#, "bytes"),
        ("[[1,2]]", "an array"),
        ("{}", "an object"),
        ("null", "null"),
        (r#"["undefined"]"#, "undefined"),
    ] {
        let error = read_owned::<Stub>(text).unwrap_err().to_string();
        assert_eq!(error, format!("expected a stub, got {found}"), "{text}");
    }
    // Through a buffer, bytes can look like a token. Then only the token itself counts.
    #[derive(Debug, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        #[expect(dead_code, reason = "there is none")]
        inner: Inner,
    }
    for forged in [
        r#"["bytes","AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]"#,
        "3",
        r#""sixteen secret b""#,
        "[[1]]",
        "{}",
    ] {
        read_owned::<Flat>(&format!(r#"{{"stub":{forged}}}"#)).unwrap_err();
    }
}

#[test]
fn raw_content_is_cut_out() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Holder {
        a: Raw,
        b: Vec<Raw>,
        c: Option<Raw>,
    }
    let text = r#"{"a": [[1, {"x":"]"}]] ,"b":[[["import",1],["date",0]]],"c":null}"#;
    let tokens = Tokens::default();
    let holes = holes(text);
    let holder: Holder = from_expr(&Source {
        text,
        holes: &holes,
        capabilities: &tokens,
    })
    .unwrap();
    assert_eq!(
        holder,
        Holder {
            a: Raw(0),
            b: vec![Raw(1), Raw(2)],
            c: None
        }
    );
    let spans = tokens.raw.borrow();
    let texts: Vec<_> = spans.iter().map(|span| span.of(text)).collect();
    assert_eq!(
        texts,
        [r#"[[1, {"x":"]"}]]"#, r#"["import",1]"#, r#"["date",0]"#]
    );
}

#[test]
fn in_arguments() {
    let text = r#"[["import",1],[[2]],["import",3]]"#;
    let holes = [Span { start: 1, end: 13 }, Span { start: 20, end: 32 }];
    let tokens = Tokens::default();
    let source = Source {
        text,
        holes: &holes,
        capabilities: &tokens,
    };
    assert_eq!(
        from_args::<(Stub, Raw, Stub)>(&source).unwrap(),
        (Stub(0), Raw(0), Stub(1))
    );
    assert_eq!(
        from_args::<(Stub, Raw, Stub, Raw)>(&source).unwrap().3,
        Raw(2)
    );
    assert_eq!(from_args::<(Stub,)>(&source).unwrap(), (Stub(0),));

    let mut args = ArgsReader::new(text, &holes);
    assert_eq!(args.next::<Stub>(&tokens).unwrap(), Stub(0));
    assert_eq!(args.next_span().unwrap().of(text), "[[2]]");
    assert_eq!(args.next::<Stub>(&tokens).unwrap(), Stub(1));
    let error = args.next::<Stub>(&tokens).unwrap_err();
    assert_eq!(error.to_string(), "expected a stub, got undefined");
    assert_eq!(args.next::<Raw>(&tokens).unwrap(), Raw(3));
    let end = u32::try_from(text.len()).unwrap();
    let spans = tokens.raw.borrow();
    assert_eq!(spans[0].of(text), "[[2]]");
    assert_eq!(
        spans[2..],
        [Span { start: end, end }; 2],
        "what is missing is an empty span"
    );
}

/// Any value, nothing blurred.
#[derive(Debug, PartialEq)]
enum Exact {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Exact>),
    Object(Vec<(String, Exact)>),
    Undefined,
    BigInt(String),
    Date(f64),
    Bytes(Vec<u8>),
    Error(Vec<(String, Exact)>),
    Url(String),
    Headers(Vec<(String, String)>),
    Response(Vec<(String, Exact)>),
    Capability(u64),
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(VALUE, ExactVisitor)
    }
}

struct ExactVisitor;

impl<'de> Visitor<'de> for ExactVisitor {
    type Value = Exact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Exact, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_unit<E>(self) -> Result<Exact, E> {
        Ok(Exact::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Exact, E> {
        Ok(Exact::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Exact, E> {
        Ok(Exact::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Exact, E> {
        Ok(Exact::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Exact, E> {
        Ok(Exact::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Exact, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Exact::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exact, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Exact::Object(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Exact, A::Error> {
        struct Entries(Vec<(String, Exact)>);
        impl<'de> Deserialize<'de> for Entries {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match deserializer.deserialize_map(ExactVisitor)? {
                    Exact::Object(entries) => Ok(Self(entries)),
                    _ => Err(D::Error::custom("not a map")),
                }
            }
        }
        let (name, content): (String, _) = data.variant()?;
        Ok(match name.as_str() {
            "undefined" => {
                content.unit_variant()?;
                Exact::Undefined
            }
            "bigint" => Exact::BigInt(content.newtype_variant()?),
            "date" => Exact::Date(
                content
                    .newtype_variant::<Date>()?
                    .millis()
                    .map_or(f64::NAN, |millis| millis as f64),
            ),
            "bytes" => Exact::Bytes(
                content
                    .newtype_variant::<serde_bytes::ByteBuf>()?
                    .into_vec(),
            ),
            "error" => Exact::Error(content.newtype_variant::<Entries>()?.0),
            "url" => Exact::Url(content.newtype_variant()?),
            "headers" => Exact::Headers(content.newtype_variant()?),
            "response" => Exact::Response(content.newtype_variant::<Entries>()?.0),
            "capability" => {
                let token = content.newtype_variant::<serde_bytes::ByteBuf>()?;
                Exact::Capability(number(&token).ok_or_else(|| A::Error::custom("forged"))?)
            }
            _ => return Err(A::Error::custom(name)),
        })
    }
}

#[test]
fn a_type_for_any_value_can_tell_all_apart() {
    let text = r#"[[null,["undefined"],true,1,["inf"],"a",["bigint","5"],["date",5],["bytes","AQ"],
        ["error","E","m",null,{"code":["bigint","1"]}],["url","https://a/"],["headers",[["a","b"]]],
        ["response",["bytes","AQ"],{"status":404}],["import",1],[[["export",-1]]],{"a":["undefined"]}]]"#;
    let entry = |name: &str, value| (name.to_owned(), value);
    let string = |text: &str| Exact::String(text.into());
    assert_eq!(
        read_owned::<Exact>(text).unwrap(),
        Exact::Array(vec![
            Exact::Null,
            Exact::Undefined,
            Exact::Bool(true),
            Exact::Number(1.0),
            Exact::Number(f64::INFINITY),
            string("a"),
            Exact::BigInt("5".into()),
            Exact::Date(5.0),
            Exact::Bytes(vec![1]),
            Exact::Error(vec![
                entry("name", string("E")),
                entry("message", string("m")),
                entry("code", Exact::BigInt("1".into())),
            ]),
            Exact::Url("https://a/".into()),
            Exact::Headers(vec![("a".into(), "b".into())]),
            Exact::Response(vec![
                entry("body", Exact::Bytes(vec![1])),
                entry("status", Exact::Number(404.0))
            ]),
            Exact::Capability(0),
            Exact::Array(vec![Exact::Capability(1)]),
            Exact::Object(vec![entry("a", Exact::Undefined)]),
        ])
    );
}

mod again;
mod buffers;
mod capabilities;
mod duplicates;
mod place;
mod round_trip;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::*;
use crate::{BigInt, Date, Limits, NoCapabilities, Undefined, scan_expr};

/// Reads a text that a scanner would have passed.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DeError> {
    scan_expr(text, &Limits::default(), &mut Vec::new()).unwrap();
    from_expr(&Source {
        text,
        holes: &[],
        capabilities: &NoCapabilities,
    })
}

#[track_caller]
fn reads<'a, T: Deserialize<'a> + PartialEq + Debug>(text: &'a str, value: T) {
    assert_eq!(read::<T>(text).unwrap(), value, "{text}");
}

#[track_caller]
fn refuses<T: DeserializeOwned + Debug>(text: &str, message: &str) {
    assert_eq!(read::<T>(text).unwrap_err().message(), message, "{text}");
}

#[test]
fn integers() {
    reads("0", 0_u8);
    reads("255", 255_u8);
    reads("-128", -128_i8);
    reads("1.0", 1_u8);
    reads("1e3", 1000_u16);
    reads("-1.5e1", -15_i8);
    reads("-0", 0_u32);
    reads("9007199254740993", 9_007_199_254_740_993_i64);
    reads("18446744073709551615", u64::MAX);
    reads("1e21", 1_000_000_000_000_000_000_000_i128);
    reads(r#"["bigint","5"]"#, 5_u8);
    reads(r#"["bigint","-5"]"#, -5_i64);
    reads(r#"[ "bigint" , "18446744073709551615" ]"#, u64::MAX);
    reads(&format!(r#"["bigint","{}"]"#, u128::MAX), u128::MAX);
    reads(&format!(r#"["bigint","{}"]"#, i128::MIN), i128::MIN);
    refuses::<u8>("256", "expected u8, got 256");
    refuses::<u8>("-1", "expected u8, got -1");
    refuses::<u8>("1.5", "expected u8, got 1.5");
    refuses::<u8>(r#"["bigint","256"]"#, "expected u8, got 256");
    refuses::<u64>("18446744073709551616", "expected u64, got a larger integer");
    refuses::<u64>(
        r#"["bigint","18446744073709551616"]"#,
        "expected u64, got a larger integer",
    );
    refuses::<u64>("1e30", "expected u64, got a larger integer");
    refuses::<u64>("1e400", "expected u64, got inf");
    let huge = format!(r#"["bigint","{}"]"#, "9".repeat(100));
    refuses::<i128>(&huge, "expected i128, got a larger bigint");
    let error = read::<i128>(&format!(r#"["bigint","{}"]"#, u128::MAX)).unwrap_err();
    assert!(
        error.to_string().starts_with("expected i128, got "),
        "{error}"
    );
    refuses::<u32>(r#""5""#, "expected u32, got a string");
    refuses::<u32>("null", "expected u32, got null");
    refuses::<u32>(r#"["undefined"]"#, "expected u32, got undefined");
    refuses::<u32>(r#"["inf"]"#, "expected u32, got Infinity");
    refuses::<u32>("[[1]]", "expected u32, got an array");
}

#[test]
fn floats() {
    reads("2", 2.0);
    reads("-2.5", -2.5);
    reads("1e400", f64::INFINITY);
    reads(r#"["inf"]"#, f64::INFINITY);
    reads(r#"["-inf"]"#, f32::NEG_INFINITY);
    reads("0.1", 0.1_f32);
    reads("16777217", 16_777_216_f32);
    reads(
        "123456789012345678901234567890",
        123_456_789_012_345_678_901_234_567_890_f64,
    );
    assert!(read::<f64>(r#"["nan"]"#).unwrap().is_nan());
    assert!(read::<f32>(r#"["nan", 1, [2]]"#).unwrap().is_nan());
    assert!(read::<f64>("-0").unwrap().is_sign_negative());
    refuses::<f64>(r#"["bigint","5"]"#, "expected f64, got a bigint");
    refuses::<f64>("true", "expected f64, got a boolean");
    refuses::<f32>(r#"["date",0]"#, "expected f32, got a date");
}

#[test]
fn strings() {
    reads(r#""abc""#, "abc");
    reads(r#""a\n""#, "a\n".to_owned());
    reads(r#""\ud800x\ud83d\ude00""#, "\u{fffd}x😀".to_owned());
    reads(r#""x""#, 'x');
    reads(r#"["url","https://a.b/"]"#, "https://a.b/");
    refuses::<char>(r#""xy""#, "expected a character, got \"xy\"");
    refuses::<String>("1", "expected a string, got a number");
    refuses::<String>(r#"["bytes",""]"#, "expected a string, got bytes");
    assert_eq!(
        read::<&str>(r#""\n""#).unwrap_err().to_string(),
        "expected a borrowed string, got a string"
    );

    #[derive(Deserialize)]
    struct Borrows<'a> {
        #[serde(borrow)]
        plain: Cow<'a, str>,
        #[serde(borrow)]
        escaped: Cow<'a, str>,
    }
    let value: Borrows<'_> = read(r#"{"plain":"a","escaped":"\t"}"#).unwrap();
    assert!(matches!(value.plain, Cow::Borrowed("a")));
    assert!(matches!(value.escaped, Cow::Owned(text) if text == "\t"));
}

#[test]
fn nothing() {
    reads("null", None::<u8>);
    reads(r#"["undefined"]"#, None::<u8>);
    reads("1", Some(1_u8));
    reads("null", ());
    reads(r#"[ "undefined" ]"#, ());
    reads("null", Undefined);
    reads(r#"["undefined"]"#, Undefined);
    refuses::<()>("1", "expected unit, got a number");
    refuses::<Undefined>("1", "expected undefined, got a number");

    #[derive(Debug, PartialEq, Deserialize)]
    struct Fields {
        a: Option<u8>,
        b: Undefined,
    }
    for text in [
        "{}",
        r#"{"a":null,"b":null}"#,
        r#"{"a":["undefined"],"b":["undefined"]}"#,
    ] {
        reads(
            text,
            Fields {
                a: None,
                b: Undefined,
            },
        );
    }
    #[derive(Debug, Deserialize)]
    struct Needs {
        #[expect(dead_code, reason = "only its absence matters")]
        a: u8,
    }
    refuses::<Needs>("{}", "missing field `a`");
    refuses::<Needs>(r#"{"a":["undefined"]}"#, "expected u8, got undefined");
}

#[test]
fn arrays() {
    reads("[[]]", Vec::<u8>::new());
    reads(" [ [ 1 , 2 ] ] ", vec![1, 2]);
    reads("[[1,[[2]]]]", (1, [2]));
    reads("[[1,2]]", [1, 2]);
    refuses::<(u8, u8)>("[[1]]", "expected a tuple of size 2, got 1 elements");
    refuses::<(u8, u8)>("[[1,2,3]]", "the array has more elements than expected");
    refuses::<(u8, u8)>("{}", "expected a tuple of size 2, got an object");
    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair(u8, String);
    reads(r#"[[1,"a"]]"#, Pair(1, "a".into()));
    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(Vec<u8>);
    reads("[[1]]", Wrapped(vec![1]));
}

#[test]
fn bytes() {
    for text in [
        r#"["bytes","AQID"]"#,
        r#"["bytes","AQID","Int8Array"]"#,
        r#"[ "bytes" , "AQID" , "DataView" ]"#,
    ] {
        reads(text, serde_bytes::ByteBuf::from([1, 2, 3]));
        reads(text, vec![1_u8, 2, 3]);
        reads(text, [1_u8, 2, 3]);
        reads(text, (1_u8, 2_u16, 3_f64));
    }
    reads(r#"["bytes","AQ=="]"#, serde_bytes::ByteBuf::from([1]));
    reads(
        r#"["bytes","-_8\/"]"#,
        serde_bytes::ByteBuf::from([0xfb, 0xff, 0x3f]),
    );
    reads("[[1,2]]", serde_bytes::ByteBuf::from([1, 2]));
    refuses::<serde_bytes::ByteBuf>(r#""AQ""#, "expected byte array, got a string");
    refuses::<[u8; 2]>(
        r#"["bytes","AQID"]"#,
        "expected 2 elements in sequence, got 3 elements",
    );
}

#[test]
fn typed_arrays_are_lists_of_numbers() {
    // Eight bytes: -1, 0, 0, 0 as 16-bit integers.
    let text = |container: &str| format!(r#"["bytes","//8AAAAAAAA=","{container}"]"#);
    for (container, numbers) in [
        (
            "Uint8Array",
            vec![255.0, 255.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ),
        ("Int8Array", vec![-1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        ("Int16Array", vec![-1.0, 0.0, 0.0, 0.0]),
        ("Uint16Array", vec![65_535.0, 0.0, 0.0, 0.0]),
        ("Int32Array", vec![65_535.0, 0.0]),
        ("Uint32Array", vec![65_535.0, 0.0]),
        ("BigInt64Array", vec![65_535.0]),
        ("BigUint64Array", vec![65_535.0]),
        ("Float32Array", vec![f64::from(f32::from_bits(65_535)), 0.0]),
        ("Float64Array", vec![f64::from_bits(65_535)]),
    ] {
        assert_eq!(read::<Vec<f64>>(&text(container)).unwrap(), numbers);
        let some: Vec<_> = numbers.iter().copied().map(Some).collect();
        assert_eq!(read::<Vec<Option<f64>>>(&text(container)).unwrap(), some);
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Meters(f64);
    reads(r#"["bytes","AQI="]"#, vec![Meters(1.0), Meters(2.0)]);
    refuses::<Vec<u8>>(r#"["bytes","/w==","Int8Array"]"#, "expected u8, got -1");
    refuses::<Vec<String>>(r#"["bytes","AQ=="]"#, "expected a string, got 1");
}

#[test]
fn maps() {
    reads(r#"{"a":1,"b":2}"#, BTreeMap::from([("a", 1), ("b", 2)]));
    reads(" { } ", HashMap::<String, u8>::new());
    reads(r#" { "a" : [[ 1 ]] } "#, HashMap::from([("a", vec![1])]));
    reads(r#"{"\u0061":1}"#, HashMap::from([("a".to_owned(), 1)]));
    reads(r#"{"1":1,"-2":2}"#, BTreeMap::from([(1_i8, 1), (-2, 2)]));
    reads(
        r#"{"340282366920938463463374607431768211455":1}"#,
        BTreeMap::from([(u128::MAX, 1)]),
    );
    reads(r#"{"true":1}"#, BTreeMap::from([(true, 1)]));
    reads(r#"{"x":1}"#, BTreeMap::from([('x', 1)]));
    reads(r#"{"x":1}"#, BTreeMap::from([(Some("x"), 1)]));
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    enum Color {
        Red,
    }
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Name(String);
    reads(r#"{"Red":1}"#, BTreeMap::from([(Color::Red, 1)]));
    reads(r#"{"Red":1}"#, BTreeMap::from([(Name("Red".into()), 1)]));
    refuses::<BTreeMap<u8, u8>>(r#"{"a":1}"#, "expected u8, got \"a\"");
    refuses::<BTreeMap<u8, u8>>(r#"{"256":1}"#, "expected u8, got 256");
    refuses::<BTreeMap<bool, u8>>(r#"{"yes":1}"#, "expected a boolean, got \"yes\"");
    refuses::<BTreeMap<Color, u8>>(r#"{"Blue":1}"#, "unknown variant `Blue`, expected `Red`");
    refuses::<BTreeMap<String, u8>>("[[]]", "expected a map, got an array");
}

#[test]
fn structs() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct User {
        user_name: String,
        #[serde(default)]
        age: u8,
    }
    let user = |age| User {
        user_name: "Ann".into(),
        age,
    };
    reads(r#"{"userName":"Ann"}"#, user(0));
    reads(
        r#"{"x":[[{"y":["date",0]}]],"userName":"Ann","age":7,"z":"}"}"#,
        user(7),
    );
    refuses::<User>(r#"{"userName":1}"#, "expected a string, got a number");
    refuses::<User>(r#"[["Ann",7]]"#, "expected struct User, got an array");

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[expect(dead_code, reason = "only its name matters")]
        a: Option<u8>,
    }
    refuses::<Strict>(r#"{"b":1}"#, "unknown field `b`, expected `a`");
}

#[test]
fn prototype_names_are_passed_over() {
    let text = r#"{"__proto__":{"a":1},"toJSON":1,"a":2,"constructor":"x","\u0074oString":[[1]]}"#;
    reads(text, BTreeMap::from([("a", 2)]));
    reads(text, json!({"a": 2}));
    #[derive(Debug, PartialEq, Deserialize)]
    struct Object {
        constructor: Option<String>,
        a: u8,
    }
    reads(
        text,
        Object {
            constructor: None,
            a: 2,
        },
    );
    reads(r#"{"toString":1}"#, BTreeMap::<String, u8>::new());
}

#[derive(Debug, PartialEq, Deserialize)]
enum External {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

#[test]
fn enums() {
    reads(r#""Unit""#, External::Unit);
    reads(r#"{"Unit":null}"#, External::Unit);
    reads(r#"{"Unit":["undefined"]}"#, External::Unit);
    reads(r#"{"Newtype":1}"#, External::Newtype(1));
    reads(r#" { "Tuple" : [[1,2]] } "#, External::Tuple(1, 2));
    reads(
        r#"{"toJSON":1,"Struct":{"a":1},"valueOf":2}"#,
        External::Struct { a: 1 },
    );
    reads(
        r#"[["Unit",{"Newtype":1},"Unit"]]"#,
        vec![External::Unit, External::Newtype(1), External::Unit],
    );
    refuses::<External>(
        r#""Other""#,
        "unknown variant `Other`, expected one of `Unit`, `Newtype`, `Tuple`, `Struct`",
    );
    refuses::<External>(
        r#""Newtype""#,
        "expected newtype variant, got a plain variant",
    );
    refuses::<External>("{}", "expected enum External, got an object without keys");
    refuses::<External>(
        r#"{"Newtype":1,"Unit":2}"#,
        "expected an object with one key, the variant's name, got more",
    );
    refuses::<External>("1", "expected enum External, got a number");
}

#[test]
fn dates_and_bigints() {
    reads(r#"["date",1500]"#, Date::from_millis(1500));
    reads(r#"["date",-1.9]"#, Date::from_millis(-1));
    reads(r#"["date",null]"#, Date::INVALID);
    reads(r#"["date",1e400]"#, Date::INVALID);
    reads(
        r#"{"a":["date",1]}"#,
        HashMap::from([("a", Date::from_millis(1))]),
    );
    reads(r#"["date",1]"#, Some(Date::from_millis(1)));
    refuses::<Date>("1500", "expected a date, got a number");
    refuses::<Date>(r#""2020""#, "expected a date, got a string");

    let huge = "-".to_owned() + &"9".repeat(50);
    reads(
        &format!(r#"["bigint","{huge}"]"#),
        huge.parse::<BigInt>().unwrap(),
    );
    reads("5", BigInt::from(5));
    reads("-5.0", BigInt::from(-5));
    refuses::<BigInt>(
        "1.5",
        "expected a bigint, got a number that is not an integer",
    );
    reads(
        "1e30",
        "1000000000000000019884624838656".parse::<BigInt>().unwrap(),
    );
    reads("-0", BigInt::from(0));
    refuses::<BigInt>(r#""5""#, "expected a bigint, got a string");
}

#[test]
fn anything() {
    for (text, value) in [
        ("null", json!(null)),
        (r#"["undefined"]"#, json!(null)),
        ("true", json!(true)),
        ("1", json!(1)),
        ("-1", json!(-1)),
        ("1.0", json!(1)),
        ("1.5", json!(1.5)),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        (r#""a\n""#, json!("a\n")),
        (r#"[[1,[["a"]]]]"#, json!([1, ["a"]])),
        (r#"{"a":{"b":[[]]}}"#, json!({"a": {"b": []}})),
        (r#"["bigint","18446744073709551615"]"#, json!(u64::MAX)),
        (r#"["bigint","-9223372036854775808"]"#, json!(i64::MIN)),
        (
            r#"["bigint","18446744073709551616"]"#,
            json!("18446744073709551616"),
        ),
        (r#"["date",5]"#, json!(5.0)),
        (r#"["url","https://a/"]"#, json!("https://a/")),
        (
            r#"["error","TypeError","no"]"#,
            json!({"name": "TypeError", "message": "no"}),
        ),
        (r#"["headers",[["a","b"]]]"#, json!([["a", "b"]])),
    ] {
        reads(text, value);
    }
    reads(r#"["bytes","AQ"]"#, serde_bytes::ByteBuf::from([1]));
}

#[test]
fn errors_are_maps() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Failure {
        name: String,
        message: String,
        stack: Option<String>,
        code: Option<u8>,
        cause: Option<Box<Failure>>,
    }
    let failure = |stack: Option<&str>, code, cause: Option<Failure>| Failure {
        name: "E".into(),
        message: "m".into(),
        stack: stack.map(str::to_owned),
        code,
        cause: cause.map(Box::new),
    };
    reads(r#"["error","E","m"]"#, failure(None, None, None));
    reads(r#"["error","E","m",null]"#, failure(None, None, None));
    reads(r#"["error","E","m","at"]"#, failure(Some("at"), None, None));
    reads(
        r#"["error","E","m","at",{"code":7},8]"#,
        failure(Some("at"), Some(7), None),
    );
    // The three members of the form itself cannot be set by properties, nor can names that
    // JavaScript reserves.
    reads(
        r#"["error","E","m",null,{"name":"x","code":7,"stack":[1,2],"toString":3,"message":4}]"#,
        failure(None, Some(7), None),
    );
    reads(
        r#"[ "error" , "E" , "m" , null , { "cause" : [ "error" , "E" , "m" ] , "code" : 7 } ]"#,
        failure(None, Some(7), Some(failure(None, None, None))),
    );
    reads(
        r#"[[["error","E","m",null,{}],["error","E","m"]]]"#,
        vec![failure(None, None, None), failure(None, None, None)],
    );
    reads(
        r#"["error","E","m","s",{"a":[[1]]}]"#,
        json!({"name": "E", "message": "m", "stack": "s", "a": [1]}),
    );
}

#[test]
fn http_forms_are_maps() {
    reads(
        r#"["request","https://a/",{"method":"POST","headers":[["a","b"],["c","d"]],"body":["bytes","AQ"],"cf":{"x":[1,[2]]}}]"#,
        BTreeMap::from([
            ("url", Field::Text("https://a/")),
            ("method", Field::Text("POST")),
            ("headers", Field::Pairs(vec![("a", "b"), ("c", "d")])),
            ("body", Field::Bytes(vec![1])),
            ("cf", Field::Object(BTreeMap::from([("x", (1, [2]))]))),
        ]),
    );
    reads(
        r#"["response",null,{"status":404}]"#,
        json!({"body": null, "status": 404}),
    );
    reads(r#"["headers",[["a","b"]]]"#, vec![("a", "b")]);
    reads(
        r#"[[["headers",[]],["headers",[["a","b"]]]]]"#,
        vec![vec![], vec![("a", "b")]],
    );
    refuses::<String>(r#"["headers",[]]"#, "expected a string, got headers");
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Field<'a> {
    Text(&'a str),
    Pairs(#[serde(borrow)] Vec<(&'a str, &'a str)>),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    Object(#[serde(borrow)] BTreeMap<&'a str, (u8, [u8; 1])>),
}

#[test]
fn arguments_as_a_whole() {
    fn args<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DeError> {
        from_args(&Source {
            text,
            holes: &[],
            capabilities: &NoCapabilities,
        })
    }
    assert_eq!(args::<(u32, f64)>("[2,3]").unwrap(), (2, 3.0));
    assert_eq!(
        args::<(u8, Vec<u8>)>(" [ 2 , [[3]] ] ").unwrap(),
        (2, vec![3])
    );
    args::<()>("[]").unwrap();
    args::<()>("[1,2]").unwrap();
    assert_eq!(args::<(u8,)>("[1,2,[[3]]]").unwrap(), (1,));
    args::<[u8; 0]>("[1,2]").unwrap();
    assert_eq!(
        args::<(u8, Option<u8>, Undefined)>("[1]").unwrap(),
        (1, None, Undefined)
    );
    assert_eq!(args::<(Option<u8>, ())>("[]").unwrap(), (None, ()));
    assert_eq!(args::<Vec<u8>>("[1,2]").unwrap(), [1, 2]);
    assert_eq!(
        args::<serde_json::Value>("[1,[[2]]]").unwrap(),
        json!([1, [2]])
    );
    assert_eq!(args::<Option<(u8,)>>("[1]").unwrap(), Some((1,)));
    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair(u8, Option<u8>);
    assert_eq!(args::<Pair>("[1]").unwrap(), Pair(1, None));
    assert_eq!(
        args::<(u8, u8)>("[1]").unwrap_err().to_string(),
        "expected u8, got undefined"
    );
    assert_eq!(
        args::<(u8,)>(r#"["a"]"#).unwrap_err().to_string(),
        "[0]: expected u8, got a string"
    );
    assert_eq!(
        args::<String>("[]").unwrap_err().to_string(),
        "expected a string, got an array"
    );
}

#[test]
fn arguments_one_by_one() {
    let text = r#" [ 1 , "a" , [[2]] , true , {"a":1,"a":2} ] "#;
    let mut args = ArgsReader::new(text, &[]);
    assert_eq!(args.next::<u8>(&NoCapabilities).unwrap(), 1);
    assert_eq!(args.next::<&str>(&NoCapabilities).unwrap(), "a");
    assert_eq!(args.next_span().unwrap().of(text), "[[2]]");
    args.next::<u8>(&NoCapabilities).unwrap_err();
    assert_eq!(
        args.next::<HashMap<&str, u8>>(&NoCapabilities).unwrap(),
        HashMap::from([("a", 2)])
    );
    assert_eq!(args.next_span(), None);
    args.next::<()>(&NoCapabilities).unwrap();
    assert_eq!(args.next::<Option<u8>>(&NoCapabilities).unwrap(), None);
    let error = args.next::<u8>(&NoCapabilities).unwrap_err();
    assert_eq!(error.to_string(), "expected u8, got undefined");

    for none in ["[]", " [ ] ", "", "1", "[,"] {
        assert_eq!(
            ArgsReader::new(none, &[])
                .next::<Option<u8>>(&NoCapabilities)
                .ok()
                .flatten(),
            None,
            "{none}"
        );
    }
}

#[test]
fn depth_does_not_exhaust_the_stack() {
    let lists = format!("{}1{}", "[[".repeat(255), "]]".repeat(255));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(255), "}".repeat(255));
    let errors = format!(
        "{}1{}",
        r#"["error","E","m",null,{"cause":"#.repeat(255),
        "}]".repeat(255)
    );
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Nested {
        #[expect(dead_code, reason = "only its shape matters")]
        Number(u8),
        #[expect(dead_code, reason = "only its shape matters")]
        List(Vec<Nested>),
        #[expect(dead_code, reason = "only its shape matters")]
        Object(HashMap<String, Nested>),
    }
    let run = || {
        for text in [&lists, &objects, &errors] {
            read::<serde_json::Value>(text).unwrap();
        }
        for text in [&lists, &objects] {
            assert!(matches!(
                read::<Nested>(text).unwrap(),
                Nested::List(_) | Nested::Object(_)
            ));
        }
    };
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn_scoped(scope, run)
            .unwrap()
            .join()
            .unwrap();
    });
}

#[test]
fn texts_that_no_scanner_passed_give_errors() {
    let deep = "[".repeat(100_000);
    for text in [
        "",
        " ",
        "[",
        "[[",
        "[[1",
        "[[1,",
        "[[1 2]]",
        "[[1]",
        "{",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\" 1}",
        "\"",
        "\"\\",
        "nul",
        "-",
        "1 2",
        "[\"",
        "[\"date\"",
        "[\"date\",",
        "[\"date\"]",
        "[\"bytes\",\"A\"]",
        "[\"bytes\"]",
        "[\"bigint\",5]",
        "[\"error\"",
        "[\"error\",\"a\"",
        "[\"error\",\"a\",\"b\",null,",
        "[1]",
        "[]",
        "[\"foo\",1]",
        "[\"import\",1]",
        "[\"request\",",
        "[\"headers\"]",
        "[\"headers\",",
        "[\"blob\",",
        "}",
        "]",
        "é",
        "[\"é",
        "{\"é",
        &deep,
    ] {
        let source = Source {
            text,
            holes: &[],
            capabilities: &NoCapabilities,
        };
        assert!(
            from_expr::<Vec<Option<serde_json::Value>>>(&source).is_err(),
            "{text:.40}"
        );
        assert!(
            from_expr::<(HashMap<String, Date>,)>(&source).is_err(),
            "{text:.40}"
        );
        drop(from_expr::<serde_json::Value>(&source));
        drop(from_expr::<Date>(&source));
        drop(from_expr::<BigInt>(&source));
        drop(from_expr::<serde_bytes::ByteBuf>(&source));
        drop(from_expr::<External>(&source));
        drop(from_args::<(serde_json::Value, Vec<u8>)>(&source));
        let mut args = ArgsReader::new(text, &[]);
        for _ in 0..3 {
            drop(args.next::<serde_json::Value>(&NoCapabilities));
        }
    }
}

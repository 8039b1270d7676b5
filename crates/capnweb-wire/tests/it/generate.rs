//! Random expressions and texts.

use capnweb_wire::{
    BigInt, Capture, Container, Date, ErrorValue, Expr, JsString, Message, PathStep, RawJson,
    Reference, RemapValue, RequestValue, ResponseValue,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Generates strings of all kinds, including escapes and lone surrogates.
pub(crate) fn string() -> impl Strategy<Value = JsString> {
    let odd = prop_oneof![
        Just(r"\ud800"),
        Just(r"\udfffx"),
        Just(r"\ud83d\ude00"),
        Just(r"\u0000"),
        Just(r#"\"\\\/\b\f\n\r\t"#),
    ];
    let odd = odd.prop_map(|literal| match format!("\"{literal}\"").parse() {
        Ok(Expr::String(text)) => text,
        other => panic!("{literal}: {other:?}"),
    });
    prop_oneof![
        6 => "[a-c]{0,3}".prop_map(|text| text.as_str().into()),
        2 => ".{0,40}".prop_map(|text| text.as_str().into()),
        1 => odd,
        1 => (0..3000_usize).prop_map(|length| "long ".repeat(length / 5).as_str().into()),
        1 => prop_oneof![Just("__proto__"), Just("toJSON"), Just("name"), Just("0"), Just("1")]
            .prop_map(JsString::from),
    ]
}

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![9 => -20..20_i64, 1 => -(1_i64 << 53) + 1..1 << 53]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-1000..1000_i32).prop_map(f64::from),
        2 => any::<f64>().prop_filter("NaN equals nothing", |number| !number.is_nan()),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)],
    ]
}

fn path() -> impl Strategy<Value = Vec<PathStep>> {
    let index = prop_oneof![
        3 => (0..5_u8).prop_map(f64::from),
        1 => any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()),
    ];
    vec(
        prop_oneof![
            string().prop_map(PathStep::Key),
            index.prop_map(PathStep::Number)
        ],
        0..4,
    )
}

fn bytes() -> impl Strategy<Value = Expr> {
    let container = prop_oneof![
        Just(None),
        Just(Some(Container::ArrayBuffer)),
        Just(Some(Container::Int16Array)),
        Just(Some(Container::Float32Array)),
        Just(Some(Container::BigUint64Array)),
    ];
    (vec(any::<u8>(), 0..40), container).prop_map(|(mut bytes, container)| {
        let element = container.map_or(1, Container::element_size);
        bytes.truncate(bytes.len() / element * element);
        Expr::Bytes(bytes, container)
    })
}

fn headers() -> impl Strategy<Value = Vec<(JsString, JsString)>> {
    let text = |pattern: &'static str| pattern.prop_map(|text: String| JsString::from(text));
    vec((text("[a-zA-Z-]{1,8}"), text("[ -~é]{0,12}")), 0..3)
}

fn body() -> impl Strategy<Value = Expr> {
    prop_oneof![
        Just(Expr::Null),
        string().prop_map(Expr::String),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Expr::Bytes(bytes, None)),
        id().prop_map(Expr::Readable),
    ]
}

fn request() -> impl Strategy<Value = Expr> {
    let method = prop_oneof![Just("GET"), Just("POST")].prop_map(Expr::from);
    (option::of(headers()), option::of(body()), method).prop_map(|(headers, body, method)| {
        let method = (JsString::from("method"), RawJson::from(&method));
        let mut request = RequestValue::new("https://example.com/");
        request.headers = headers;
        request.body = body;
        request.other = vec![method];
        Expr::Request(Box::new(request))
    })
}

fn response() -> impl Strategy<Value = Expr> {
    (option::of(headers()), body(), 200..600_u16).prop_map(|(headers, body, status)| {
        let status = RawJson::from(&Expr::Number(status.into()));
        let mut response = ResponseValue::new(body);
        response.headers = headers;
        response.other = vec![("status".into(), status)];
        Expr::Response(Box::new(response))
    })
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        2 => Just(Expr::Undefined),
        2 => Just(Expr::Null),
        1 => any::<bool>().prop_map(Expr::Bool),
        4 => number().prop_map(Expr::Number),
        4 => string().prop_map(Expr::String),
        1 => any::<i128>().prop_map(|number| Expr::BigInt(BigInt::from(number))),
        1 => any::<f64>().prop_map(|millis| Expr::Date(Date::from_f64(millis))),
        1 => bytes(),
        1 => Just(Expr::Url("https://example.com/?q=é".into())),
        1 => headers().prop_map(Expr::Headers),
        1 => request(),
        1 => response(),
        1 => (string(), id()).prop_map(|(media_type, id)| Expr::Blob(media_type, id)),
        1 => id().prop_map(Expr::Export),
        1 => id().prop_map(Expr::Promise),
        1 => id().prop_map(Expr::Writable),
        1 => id().prop_map(Expr::Readable),
    ]
}

fn capture() -> impl Strategy<Value = Capture> {
    prop_oneof![
        id().prop_map(Capture::Import),
        id().prop_map(Capture::Export)
    ]
}

/// Generates names of properties, except those that the error form itself uses.
fn property() -> impl Strategy<Value = JsString> {
    string().prop_filter("a part of the form", |key| {
        !matches!(&*key.to_str(), "name" | "message" | "stack")
    })
}

/// Generates expressions of every form.
pub(crate) fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(5, 60, 8, |inner| {
        let reference = (
            id(),
            option::of((path(), option::of(vec(inner.clone(), 0..4)))),
        );
        let reference = reference.prop_map(|(id, rest)| {
            let (path, args) = rest.unzip();
            let mut reference = Reference::to(id);
            reference.path = path;
            reference.args = args.flatten();
            reference
        });
        let reference = reference.boxed();
        let error = (
            string(),
            string(),
            option::of(string()),
            vec((property(), inner.clone()), 0..3),
        );
        let error = error.prop_map(|(name, message, stack, props)| {
            let mut error = ErrorValue::new(name, message);
            error.stack = stack;
            error.props = props;
            error
        });
        let instructions = vec(inner.clone().prop_map(|expr| RawJson::from(&expr)), 0..4);
        let remap = (id(), path(), vec(capture(), 0..3), instructions);
        let remap = remap.prop_map(|(id, path, captures, instructions)| {
            let mut remap = RemapValue::new(id, path);
            remap.captures = captures;
            remap.instructions = instructions;
            remap
        });
        prop_oneof![
            3 => vec(inner.clone(), 0..8).prop_map(Expr::Array),
            3 => vec((string(), inner), 0..8).prop_map(Expr::Object),
            1 => reference.clone().prop_map(Expr::Import),
            1 => reference.prop_map(Expr::Pipeline),
            1 => error.prop_map(|error| Expr::Error(Box::new(error))),
            1 => remap.prop_map(|remap| Expr::Remap(Box::new(remap))),
        ]
    })
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        4 => expr().prop_map(Message::Push),
        1 => expr().prop_map(Message::Stream),
        1 => Just(Message::Pipe),
        1 => id().prop_map(Message::Pull),
        2 => (id(), expr()).prop_map(|(id, expr)| Message::Resolve(id, expr)),
        2 => (id(), expr()).prop_map(|(id, expr)| Message::Reject(id, expr)),
        1 => (id(), 0..100_u64).prop_map(|(id, count)| Message::Release { id, count }),
        1 => expr().prop_map(Message::Abort),
    ]
}

/// Generates the text of a message, damaged in a few places.
pub(crate) fn damaged() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("0"),
        Just("-"),
        Just("1e9"),
        Just(" "),
        Just("null"),
        Just("\"import\""),
        Just("é"),
        Just("\u{0}"),
        Just("[["),
        Just("]]"),
        Just("\\u"),
        Just("\"push\""),
        Just(""),
    ];
    let damage = (any::<prop::sample::Index>(), 0..4_usize, piece);
    (message(), vec(damage, 0..4)).prop_map(|(message, damages)| {
        let mut chars: Vec<char> = message.to_string().chars().collect();
        for (place, removed, inserted) in damages {
            let start = place.index(chars.len() + 1);
            let end = (start + removed).min(chars.len());
            chars.splice(start..end, inserted.chars());
        }
        chars.into_iter().collect()
    })
}

/// Returns the same JSON with white space inserted after structural characters, as in `spaces`.
pub(crate) fn loosen(text: &str, spaces: &[&str]) -> String {
    let mut spaces = spaces.iter().copied().cycle();
    let mut loose = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        let structural = !quoted && matches!(c, '[' | ']' | '{' | '}' | ',' | ':');
        if structural {
            loose.extend(spaces.next());
        }
        loose.push(c);
        if structural {
            loose.extend(spaces.next());
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    loose
}

/// Generates white space for [`loosen`].
pub(crate) fn spaces() -> impl Strategy<Value = Vec<&'static str>> {
    let space = prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\r\n\t")];
    vec(space, 1..7)
}

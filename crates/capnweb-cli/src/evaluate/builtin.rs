//! JavaScript's built-in constructors and functions.

use base64::{Engine, engine::general_purpose::STANDARD};
use capnweb::{
    Date, Error, Value,
    typed::{Binary, Container},
};

use crate::{
    expression::{Problem, Span},
    output::{human, iso},
};

/// Returns whether a name is the constructor of a typed array or an `ArrayBuffer`.
pub(super) fn is_typed_array(name: &str) -> bool {
    name == "Uint8Array"
}

/// Converts a value to text, as a template string does.
pub(super) fn to_text(value: &Value) -> String {
    match value {
        Value::Undefined => "undefined".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => human::number(*value),
        Value::BigInt(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Date(date) => iso::format(*date),
        Value::Url(url) => url.to_string(),
        Value::Array(items) => items.iter().map(to_text).collect::<Vec<_>>().join(","),
        Value::Error(error) => error.to_string(),
        other => human::Printer::plain().one_line(other),
    }
}

/// Evaluates `new name(args)`.
pub(super) fn construct(name: &str, args: &[Value], span: Span) -> Result<Value, Problem> {
    match (name, args) {
        ("Date", []) => Ok(Date::from(std::time::SystemTime::now()).into()),
        ("Date", [Value::Number(millis)]) => Ok(Date::from_f64(*millis).into()),
        ("Date", [Value::Date(date)]) => Ok((*date).into()),
        ("Date", [Value::String(text)]) => match iso::parse(text) {
            Some(date) => Ok(date.into()),
            None => Err(Problem::new(span, format!("`{text}` is not a date")).help(
                "write \"2026-01-31\", \"2026-01-31T12:30:00Z\" or \"2026-01-31T12:30:00.5+01:00\"",
            )),
        },
        ("Date", _) => Err(Problem::new(span, "a date is made of one string or number")),
        ("URL", [Value::String(text)]) => text
            .parse()
            .map(Value::Url)
            .map_err(|error| Problem::new(span, format!("this is not a URL: {error}"))),
        ("Error" | "TypeError" | "RangeError", args) => {
            let message = args.first().map(to_text).unwrap_or_default();
            Ok(Value::Error(Error::named(name.to_owned(), message)))
        }
        ("Map" | "Set" | "RegExp" | "Promise", _) => {
            Err(Problem::new(span, format!("a `{name}` cannot be sent"))
                .help("use an array, an object or a string"))
        }
        (name, args) => {
            let Some(container) = Container::from_name(name) else {
                return Err(
                    Problem::new(span, format!("there is no `new {name}` here")).help(
                        "there are Date, URL, Error, TypeError, RangeError, ArrayBuffer and typed arrays such as Uint8Array",
                    ),
                );
            };
            binary(container, args, span)
        }
    }
}

/// Evaluates `global.name(args)`.
pub(super) fn call(global: &str, name: &str, args: &[Value], span: Span) -> Result<Value, Problem> {
    let bytes = |bytes: Vec<u8>| Ok(Value::Bytes(bytes.into()));
    match (global, name, args) {
        ("Date", "now", []) => {
            let now = Date::from(std::time::SystemTime::now());
            #[expect(clippy::cast_precision_loss, reason = "dates fit into doubles")]
            let millis = now.millis().unwrap_or_default() as f64;
            Ok(Value::Number(millis))
        }
        ("Uint8Array", "fromBase64", [Value::String(text)]) => match STANDARD.decode(text) {
            Ok(decoded) => bytes(decoded),
            Err(error) => Err(Problem::new(span, format!("this is not base64: {error}"))),
        },
        ("Uint8Array", "fromHex", [Value::String(text)]) => match from_hex(text) {
            Some(decoded) => bytes(decoded),
            None => Err(Problem::new(span, "this is not hexadecimal")),
        },
        _ => Err(Problem::new(
            span,
            format!("there is no `{global}.{name}` with these arguments"),
        )
        .help("there are Date.now(), Uint8Array.fromBase64(\"…\") and Uint8Array.fromHex(\"…\")")),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Creates bytes from a list of numbers.
fn binary(container: Container, args: &[Value], span: Span) -> Result<Value, Problem> {
    let name = container.name();
    let problem = |message: String| Problem::new(span, message);
    let content = match args {
        [] => Vec::new(),
        [Value::Bytes(bytes)] => bytes.to_vec(),
        [Value::Binary(binary)] => binary.as_bytes().to_vec(),
        [Value::Array(items)] => {
            let mut content = Vec::new();
            for item in items {
                if !push_element(name, item, &mut content) {
                    let shown = human::Printer::plain().one_line(item);
                    return Err(problem(format!("{shown} does not fit into a {name}")));
                }
            }
            content
        }
        _ => {
            return Err(problem(format!("a {name} is made of an array"))
                .help(format!("for instance: new {name}([1, 2, 3])")));
        }
    };
    match Binary::new(container, content) {
        Ok(binary) => Ok(binary.into()),
        Err(error) => Err(problem(error.to_string())),
    }
}

/// Appends an element to the bytes. Returns `false` if it does not fit.
fn push_element(container: &str, item: &Value, content: &mut Vec<u8>) -> bool {
    macro_rules! push {
        ($type:ty, $number:expr) => {
            match <$type>::try_from($number) {
                Ok(number) => content.extend_from_slice(&number.to_le_bytes()),
                Err(_) => return false,
            }
        };
    }
    if let Value::BigInt(number) = item {
        match container {
            "BigInt64Array" => push!(i64, number.clone()),
            "BigUint64Array" => push!(u64, number.clone()),
            _ => return false,
        }
        return true;
    }
    let Value::Number(number) = *item else {
        return false;
    };
    match container {
        #[expect(clippy::cast_possible_truncation, reason = "as JavaScript does")]
        "Float32Array" => content.extend_from_slice(&(number as f32).to_le_bytes()),
        "Float64Array" => content.extend_from_slice(&number.to_le_bytes()),
        _ if number.fract() != 0.0 || number.abs() > 1e15 => return false,
        _ => {
            #[expect(clippy::cast_possible_truncation, reason = "it was just checked")]
            let number = number as i64;
            match container {
                "Int8Array" => push!(i8, number),
                "Int16Array" => push!(i16, number),
                "Int32Array" => push!(i32, number),
                "Uint16Array" => push!(u16, number),
                "Uint32Array" => push!(u32, number),
                "Uint8Array" | "Uint8ClampedArray" | "ArrayBuffer" | "DataView" => {
                    push!(u8, number)
                }
                _ => return false,
            }
        }
    }
    true
}

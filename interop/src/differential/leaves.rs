//! Values that contain no others, and values of any kind.

use std::time::{Duration, SystemTime};

use capnweb::{
    BigInt, Bytes, Date, Error, Payload, Undefined, Url, Value,
    typed::{AsDate, Binary, Container, TypedArray},
};
use serde_json::{Value as Json, json};

use super::{Random, Sample, Shapes};

pub(super) fn shapes(shapes: &mut Shapes) {
    macro_rules! add {
        ($($leaf:ty),* $(,)?) => { $(shapes.add::<$leaf>();)* };
    }
    add!(
        (),
        Undefined,
        bool,
        u8,
        i8,
        u16,
        i16,
        u32,
        i32,
        u64,
        i64,
        u128,
        i128,
        f32,
        f64,
        char,
        String,
        Date,
        BigInt,
        Url,
        Bytes,
        Binary,
        TypedArray<f32>,
        TypedArray<i64>,
        Error,
        Value,
        Payload,
    );
    // The standard library's clock begins in 1970 on JavaScript hosts, and the dates of this
    // shape do not.
    if !cfg!(target_family = "wasm") {
        add!(AsDate<SystemTime>);
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(impl Sample for $integer {
            fn schema() -> Json {
                json!({ "integer": [<$integer>::MIN.to_string(), <$integer>::MAX.to_string()] })
            }

            fn sample(random: &mut Random) -> Self {
                #[expect(clippy::allow_attributes, reason = "not all of these are lossy")]
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_possible_wrap,
                    clippy::cast_lossless,
                    trivial_numeric_casts,
                    reason = "any bits will do"
                )]
                let edges = [0, 1, 2, Self::MIN, Self::MAX, Self::MAX - 1, (1_i64 << 53) as Self];
                let number = if random.once_in(2) {
                    random.pick(&edges)
                } else {
                    let high = Self::from_le_bytes(random_bytes(random));
                    high >> random.below(usize::try_from(Self::BITS).unwrap_or(8))
                };
                if random.once_in(4) { number.wrapping_sub(1) } else { number }
            }

            fn model(&self) -> Value {
                (*self).into()
            }
        })*
    };
}

integers!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128);

fn random_bytes<const N: usize>(random: &mut Random) -> [u8; N] {
    std::array::from_fn(|_| random.bits().to_le_bytes()[0])
}

impl Sample for () {
    fn schema() -> Json {
        json!({ "leaf": "nothing" })
    }

    fn sample(_: &mut Random) {}

    fn model(&self) -> Value {
        Value::Null
    }
}

impl Sample for Undefined {
    fn schema() -> Json {
        json!({ "leaf": "undefined" })
    }

    fn sample(_: &mut Random) -> Self {
        Self
    }

    fn model(&self) -> Value {
        Value::Undefined
    }
}

impl Sample for bool {
    fn schema() -> Json {
        json!({ "leaf": "boolean" })
    }

    fn sample(random: &mut Random) -> Self {
        random.once_in(2)
    }

    fn model(&self) -> Value {
        (*self).into()
    }
}

impl Sample for f64 {
    fn schema() -> Json {
        json!({ "leaf": "number" })
    }

    fn sample(random: &mut Random) -> Self {
        const EDGES: &[f64] = &[
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            1e21,
            1e-7,
            9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            1_152_921_504_606_846_976.0,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        match random.below(3) {
            0 => random.pick(EDGES),
            1 => f64::from_bits(random.bits()),
            _ => f64::from(i32::sample(random)) / 8.0,
        }
    }

    fn model(&self) -> Value {
        (*self).into()
    }
}

impl Sample for f32 {
    fn schema() -> Json {
        json!({ "leaf": "single" })
    }

    fn sample(random: &mut Random) -> Self {
        let single = match random.below(3) {
            0 => random.pick(&[0.0, -0.0, 0.1, f32::MAX, f32::NAN, f32::NEG_INFINITY]),
            1 => f32::from_le_bytes(random_bytes(random)),
            _ => f32::from(i16::sample(random)) / 8.0,
        };
        if is_between(single) { 0.5 } else { single }
    }

    fn model(&self) -> Value {
        Value::Number(written(*self))
    }
}

/// Returns whether a fraction is halfway between two numbers with as many digits as identify it.
/// Either of them may be written.
fn is_between(single: f32) -> bool {
    let shortest = format!("{single}").len();
    let exact = format!("{:.60}", f64::from(single));
    let exact = exact.trim_end_matches('0');
    exact.ends_with('5') && exact.len() == shortest + 1
}

/// Returns the double that is written: a fraction has only the digits that identify it within its
/// type.
fn written(single: f32) -> f64 {
    if single.is_finite() && single.fract() != 0.0 {
        format!("{single:e}").parse().unwrap_or(f64::NAN)
    } else {
        f64::from(single)
    }
}

impl Sample for char {
    fn schema() -> Json {
        json!({ "leaf": "character" })
    }

    fn sample(random: &mut Random) -> Self {
        const EDGES: &[char] = &[
            'a',
            '"',
            '\\',
            '/',
            '\0',
            '\n',
            '\u{7f}',
            'é',
            '\u{2028}',
            '\u{d7ff}',
            '\u{e000}',
            '\u{feff}',
            '\u{ffff}',
            '🦀',
            char::MAX,
        ];
        match random.below(2) {
            0 => random.pick(EDGES),
            _ => char::from_u32(u32::sample(random) % 0x11_0000).unwrap_or('x'),
        }
    }

    fn model(&self) -> Value {
        self.to_string().into()
    }
}

impl Sample for String {
    fn schema() -> Json {
        json!({ "leaf": "string" })
    }

    fn sample(random: &mut Random) -> Self {
        const EDGES: &[&str] = &[
            "",
            "text",
            "export",
            "bigint",
            "undefined",
            "https://example.com/",
            "https://example.com/?a\\b",
            "2020-01-01T00:00:00Z",
            "null",
            "1",
            "-5",
        ];
        match random.below(3) {
            0 => random.pick(EDGES).to_owned(),
            1 => random.items(12, char::sample).into_iter().collect(),
            _ => {
                let part = char::sample(random).to_string();
                let count = random.below(200);
                part.repeat(count)
            }
        }
    }

    fn model(&self) -> Value {
        self.as_str().into()
    }
}

impl Sample for Date {
    fn schema() -> Json {
        json!({ "leaf": "date" })
    }

    fn sample(random: &mut Random) -> Self {
        const EDGES: &[i64] = &[
            0,
            -1,
            1,
            1_700_000_000_123,
            8_640_000_000_000_000,
            -8_640_000_000_000_000,
        ];
        match random.below(8) {
            0 => Self::INVALID,
            1..=3 => Self::from_millis(random.pick(EDGES)),
            _ => Self::from_millis(i64::from(i32::sample(random)) * 1000 + 7),
        }
    }

    fn model(&self) -> Value {
        (*self).into()
    }
}

impl Sample for AsDate<SystemTime> {
    fn schema() -> Json {
        json!({ "leaf": "time" })
    }

    fn sample(random: &mut Random) -> Self {
        let millis = Duration::from_millis(u64::from(u32::sample(random)) * 1000);
        Self(if random.once_in(3) {
            SystemTime::UNIX_EPOCH - millis
        } else {
            SystemTime::UNIX_EPOCH + millis
        })
    }

    fn model(&self) -> Value {
        Date::from(self.0).into()
    }
}

impl Sample for BigInt {
    fn schema() -> Json {
        json!({ "leaf": "bigint" })
    }

    fn sample(random: &mut Random) -> Self {
        match random.below(3) {
            0 => Self::from(i128::sample(random)),
            1 => Self::from(i8::sample(random)),
            _ => {
                let digits: String = (0..1 + random.below(80))
                    .map(|_| char::from(b'1' + random.below(9).to_le_bytes()[0]))
                    .collect();
                let sign = if random.once_in(2) { "-" } else { "" };
                format!("{sign}{digits}").parse().unwrap_or_default()
            }
        }
    }

    fn model(&self) -> Value {
        self.clone().into()
    }
}

impl Sample for Url {
    fn schema() -> Json {
        json!({ "leaf": "url" })
    }

    fn sample(random: &mut Random) -> Self {
        const URLS: &[&str] = &[
            "https://example.com/",
            "https://example.com/a%20b?c=d#e",
            "https://example.com/?a\\b",
            "data:text/plain,hi",
            "http://[::1]:8080/x?y='z'",
            "mailto:ada@example.com",
        ];
        let url = random.pick(URLS).parse();
        url.unwrap_or_else(|_| unreachable!("all of these are URLs"))
    }

    fn model(&self) -> Value {
        self.clone().into()
    }
}

impl Sample for Bytes {
    fn schema() -> Json {
        json!({ "leaf": "bytes" })
    }

    fn sample(random: &mut Random) -> Self {
        let most = random.pick(&[0, 1, 2, 3, 40, 3000]);
        let count = random.below(most + 1);
        (0..count).map(|_| random.bits().to_le_bytes()[0]).collect()
    }

    fn model(&self) -> Value {
        self.clone().into()
    }
}

impl Sample for Binary {
    fn schema() -> Json {
        json!({ "leaf": "binary" })
    }

    fn sample(random: &mut Random) -> Self {
        const CONTAINERS: &[Container] = &[
            Container::Uint8Array,
            Container::ArrayBuffer,
            Container::DataView,
            Container::Int8Array,
            Container::Uint16Array,
            Container::Float64Array,
            Container::BigUint64Array,
        ];
        let container = random.pick(CONTAINERS);
        let bytes: Vec<u8> = (0..8 * random.below(4))
            .map(|_| u8::sample(random))
            .collect();
        Self::new(container, bytes).unwrap_or_else(|_| unreachable!("a multiple of all sizes"))
    }

    fn model(&self) -> Value {
        self.clone().into()
    }
}

macro_rules! typed_arrays {
    ($($element:ty => $name:literal),*) => {
        $(impl Sample for TypedArray<$element> {
            fn schema() -> Json {
                json!({ "leaf": $name })
            }

            fn sample(random: &mut Random) -> Self {
                // JavaScript may choose any bit pattern for NaN.
                let items = random.items(5, |random| match <$element>::sample(random) {
                    number if number == number => number,
                    _ => 1 as $element,
                });
                Self(items)
            }

            fn model(&self) -> Value {
                self.clone().into()
            }
        })*
    };
}

typed_arrays!(f32 => "Float32Array", i64 => "BigInt64Array");

impl Sample for Error {
    fn schema() -> Json {
        json!({ "leaf": "error" })
    }

    fn sample(random: &mut Random) -> Self {
        // Other names become `Error` in JavaScript.
        let name = random.pick(&["Error", "TypeError", "RangeError", "SyntaxError"]);
        let mut error = Self::named(name, String::sample(random));
        if random.once_in(2) {
            error = error.with_code("a_code");
        }
        if random.once_in(2) {
            error = error.with_prop("at", Date::sample(random));
        }
        if let (true, Some(detail)) = (random.once_in(2), random.nested(Value::sample)) {
            error = error.with_prop("detail", detail);
        }
        if let (true, Some(cause)) = (random.once_in(4), random.nested(Self::sample)) {
            error = error.with_cause(cause);
        }
        error
    }

    fn model(&self) -> Value {
        self.clone().into()
    }
}

impl Sample for Value {
    fn schema() -> Json {
        json!({ "leaf": "any" })
    }

    fn sample(random: &mut Random) -> Self {
        let leaf = |random: &mut Random| match random.below(13) {
            0 => Self::Undefined,
            1 => Self::Null,
            2 => bool::sample(random).model(),
            3 => f64::sample(random).model(),
            4 => BigInt::sample(random).model(),
            5 => String::sample(random).model(),
            6 => Date::sample(random).model(),
            7 => Bytes::sample(random).model(),
            8 => Binary::sample(random).model(),
            9 => Url::sample(random).model(),
            10 => TypedArray::<f32>::sample(random).model(),
            11 => i64::sample(random).model(),
            _ => Error::sample(random).model(),
        };
        let nested = match random.below(3) {
            0 => None,
            1 => random.nested(|random| Self::Array(random.items(4, Self::sample))),
            _ => random.nested(|random| {
                let entries = random.items(4, |random| (key(random), Self::sample(random)));
                Self::Object(entries.into_iter().collect())
            }),
        };
        nested.unwrap_or_else(|| leaf(random))
    }

    fn model(&self) -> Value {
        self.clone()
    }
}

/// Returns a key for an object. It is not one that receivers skip.
pub(super) fn key(random: &mut Random) -> String {
    const KEYS: &[&str] = &[
        "",
        "a",
        "b",
        "value",
        "type",
        "data",
        "0",
        "10",
        "with space",
        "ключ",
        "\"",
        "\\n",
    ];
    match random.below(4) {
        0 => String::sample(random),
        _ => random.pick(KEYS).to_owned(),
    }
}

impl Sample for Payload {
    fn schema() -> Json {
        json!({ "leaf": "payload" })
    }

    fn sample(random: &mut Random) -> Self {
        let value = Value::sample(random);
        Self::encode(&value).unwrap_or_else(|error| unreachable!("{value:?}: {error}"))
    }

    fn model(&self) -> Value {
        self.decode().unwrap_or_else(Value::Error)
    }
}

//! Rust values as the peer sees them, and their return.

use std::collections::BTreeMap;

use capnweb::{BigInt, Bytes, Date, Error, Promise, Undefined, Url, Value};
use serde::Serialize;

use super::check::{Checks, Outcome, Over, ensure, ensure_eq};
use crate::probe::ProbeStub;

#[capnweb::value]
#[derive(Debug, PartialEq)]
struct Everything {
    flag: bool,
    count: u32,
    ratio: f64,
    big: u64,
    text: String,
    list: Vec<Option<i8>>,
    map: BTreeMap<String, (u8, char)>,
    day: Date,
    raw_bytes: Bytes,
    kind: Kind,
    absent: Option<String>,
}

#[capnweb::value]
#[derive(Debug, PartialEq)]
enum Kind {
    Plain,
    With { n: u32 },
}

fn everything() -> Everything {
    Everything {
        flag: true,
        count: u32::MAX,
        ratio: 0.1 + 0.2,
        big: u64::MAX,
        text: "ünïcödé 🦀 \u{2028} \0 \" \\".to_owned(),
        list: vec![Some(-128), None, Some(127)],
        map: BTreeMap::from([("a".to_owned(), (1, 'x')), (String::new(), (2, '🦀'))]),
        day: Date::from_millis(1_700_000_000_123),
        raw_bytes: Bytes::from_static(&[0, 1, 2, 255]),
        kind: Kind::With { n: 5 },
        absent: None,
    }
}

pub(super) fn url(text: &str) -> Result<Value, Error> {
    let url: Url = text.parse().map_err(|_| Error::new("no URL"))?;
    Ok(Value::Url(url))
}

/// Returns one argument as the peer sees it.
async fn seen(probe: &ProbeStub, value: impl Serialize) -> Result<String, Error> {
    probe.describe(value).await
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "values: what the peer sees of plain values",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(seen(&peer.probe(), true).await?, "true");
            ensure_eq!(seen(&peer.probe(), 0).await?, "number 0");
            ensure_eq!(seen(&peer.probe(), -7_i8).await?, "number -7");
            ensure_eq!(seen(&peer.probe(), 1.5_f32).await?, "number 1.5");
            ensure_eq!(seen(&peer.probe(), 1e21).await?, "number 1e+21");
            ensure_eq!(
                seen(&peer.probe(), f64::MAX).await?,
                "number 1.7976931348623157e+308"
            );
            ensure_eq!(seen(&peer.probe(), f64::INFINITY).await?, "number Infinity");
            ensure_eq!(
                seen(&peer.probe(), f64::NEG_INFINITY).await?,
                "number -Infinity"
            );
            ensure_eq!(seen(&peer.probe(), f64::NAN).await?, "number NaN");
            ensure_eq!(seen(&peer.probe(), 'x').await?, "string \"x\"");
            ensure_eq!(
                seen(&peer.probe(), "\u{1}\"🦀").await?,
                "string \"\\u0001\\\"🦀\""
            );
            ensure_eq!(seen(&peer.probe(), Some("some")).await?, "string \"some\"");
            Ok(())
        },
    );

    checks.add(
        "values: nothing is null, undefined or left out",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(seen(&peer.probe(), ()).await?, "undefined");
            ensure_eq!(seen(&peer.probe(), Undefined).await?, "undefined");
            ensure_eq!(seen(&peer.probe(), None::<u32>).await?, "null");
            ensure_eq!(seen(&peer.probe(), Value::Undefined).await?, "undefined");
            ensure_eq!(seen(&peer.probe(), Value::Null).await?, "null");
            ensure_eq!(
                seen(&peer.probe(), (1, (), None::<u32>)).await?,
                "[number 1, null, null]"
            );
            ensure_eq!(seen(&peer.probe(), vec![Undefined]).await?, "[undefined]");
            Ok(())
        },
    );

    checks.add(
        "values: integers beyond 2^53-1 are bigints",
        Over::BOTH,
        |peer| async move {
            let edge = (1_u64 << 53) - 1;
            ensure_eq!(seen(&peer.probe(), edge).await?, "number 9007199254740991");
            ensure_eq!(
                seen(&peer.probe(), edge + 1).await?,
                "bigint 9007199254740992"
            );
            ensure_eq!(
                seen(&peer.probe(), i64::MIN).await?,
                "bigint -9223372036854775808"
            );
            ensure_eq!(
                seen(&peer.probe(), u128::MAX).await?,
                format!("bigint {}", u128::MAX)
            );
            ensure_eq!(seen(&peer.probe(), BigInt::from(5)).await?, "bigint 5");
            Ok(())
        },
    );

    checks.add(
        "values: what the peer sees of dates, bytes, URLs, errors",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(seen(&peer.probe(), Date::from_millis(-1)).await?, "date -1");
            ensure_eq!(seen(&peer.probe(), Date::INVALID).await?, "date invalid");
            for (bytes, hex) in [
                (&[][..], ""),
                (&[0], "00"),
                (&[1, 2], "0102"),
                (&[255, 254, 253], "fffefd"),
            ] {
                let sent = Bytes::copy_from_slice(bytes);
                ensure_eq!(seen(&peer.probe(), sent).await?, format!("bytes {hex}"));
            }
            let place = url("https://example.com/a b")?;
            ensure_eq!(
                seen(&peer.probe(), place).await?,
                "url https://example.com/a%20b"
            );
            let error = Error::range_error("far").with_prop("code", 5);
            ensure_eq!(
                seen(&peer.probe(), error).await?,
                "error RangeError: far {code: number 5}"
            );
            Ok(())
        },
    );

    checks.add(
        "values: what the peer sees of lists, maps and structs",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(seen(&peer.probe(), Vec::<u32>::new()).await?, "[]");
            ensure_eq!(
                seen(&peer.probe(), (1, "a", [true])).await?,
                "[number 1, string \"a\", [true]]"
            );
            let map = BTreeMap::from([("b", 1), ("a", 2)]);
            ensure_eq!(
                seen(&peer.probe(), map).await?,
                "{a: number 2, b: number 1}"
            );
            ensure_eq!(seen(&peer.probe(), Kind::Plain).await?, "string \"plain\"");
            ensure_eq!(
                seen(&peer.probe(), Kind::With { n: 1 }).await?,
                "{with: {n: number 1}}"
            );
            // Values that look like a special form are still data.
            ensure_eq!(
                seen(&peer.probe(), ("export", -1)).await?,
                "[string \"export\", number -1]"
            );
            ensure_eq!(
                seen(&peer.probe(), ["undefined"]).await?,
                "[string \"undefined\"]"
            );
            Ok(())
        },
    );

    for method in ["echo", "decode"] {
        let name = format!("values: a struct of everything comes back from {method}");
        checks.add(name, Over::BOTH, move |peer| async move {
            let back = if method == "echo" {
                Promise::cast(peer.api().echo(everything()))
            } else {
                Promise::cast(peer.probe().decode(everything()))
            };
            let back: Promise<Everything> = back;
            ensure_eq!(back.await?, everything());
            Ok(())
        });
    }

    checks.add(
        "values: a dynamic value comes back",
        Over::BOTH,
        |peer| async move {
            let value = Promise::cast::<Value>(peer.api().echo(everything())).await?;
            let again = peer.probe().decode(&value).await?;
            ensure_eq!(again, value);
            let keys: Vec<_> = match &value {
                Value::Object(object) => object.keys().map(String::as_str).collect(),
                _ => Vec::new(),
            };
            ensure_eq!(keys.first().copied(), Some("flag"));
            ensure_eq!(keys.last().copied(), Some("absent"));
            Ok(())
        },
    );

    checks.add(
        "values: a megabyte of text and bytes",
        Over::BOTH,
        |peer| async move {
            let text = "0123456789abcdef".repeat(1 << 16);
            let back = Promise::cast::<String>(peer.api().echo(&text));
            ensure_eq!(back.await?, text);
            let bytes = Bytes::from(vec![7; 1 << 20]);
            let back = Promise::cast::<Bytes>(peer.probe().decode(&bytes)).await?;
            ensure!(back == bytes, back.len());
            Ok(())
        },
    );

    checks.add(
        "values: nesting of 200 levels",
        Over::BOTH,
        |peer| async move {
            let deep = (0..200).fold(Value::from("bottom"), |inner, _| Value::from(vec![inner]));
            let back = Promise::cast::<Value>(peer.api().echo(&deep));
            ensure_eq!(back.await?, deep);
            ensure_eq!(peer.probe().decode(&deep).await?, deep);
            Ok(())
        },
    );

    checks.add(
        "values: what nests too deep for any peer fails here",
        Over::WS,
        too_deep,
    );
}

async fn too_deep(peer: std::sync::Arc<super::peer::Peer>) -> Outcome {
    let deep = (0..300).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    let refused = peer.api().echo(deep).await;
    ensure!(refused.is_err(), refused);
    ensure_eq!(peer.api().square(3.0).await?, 9.0);
    Ok(())
}

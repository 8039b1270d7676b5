//! Reading of the peer's values into Rust types. Most calls here are by name, since one result is
//! read as many types.

use capnweb::{BigInt, Bytes, Date, Payload, Promise, Stub, Value};
use serde::Deserialize;

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};
use super::values::url;

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "reading: integers of every width",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().call("square", (3,)).fetch::<u8>().await?, 9);
            ensure_eq!(peer.api().call("square", (3,)).fetch::<i64>().await?, 9);
            ensure_eq!(peer.api().call("square", (3,)).fetch::<u128>().await?, 9);
            ensure_eq!(peer.api().call("square", (3,)).fetch::<f32>().await?, 9.0);
            let big = peer.api().call("echo", (BigInt::from(9),));
            ensure_eq!(big.fetch::<u8>().await?, 9);
            Ok(())
        },
    );

    checks.add(
        "reading: what does not fit fails clearly and harms nothing",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            ensure_err!(api.call("square", (20,)).fetch::<u8>().await);
            ensure_err!(api.call("add", (1, 0.5)).fetch::<u32>().await);
            ensure_err!(api.call("add", (1, -2)).fetch::<u32>().await);
            ensure_err!(api.call("echo", (u64::MAX,)).fetch::<i64>().await);
            ensure_err!(api.call("ping", ()).fetch::<u32>().await);
            ensure_err!(api.call("getUser", ()).fetch::<Vec<u32>>().await);
            let error = ensure_err!(api.call("ping", ()).fetch::<Stub>().await);
            ensure!(error.is_type_error(), error);
            ensure_eq!(api.call("square", (3,)).fetch::<u8>().await?, 9);
            Ok(())
        },
    );

    checks.add(
        "reading: null and undefined are None, a value is Some",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(
                peer.api()
                    .call("returnNull", ())
                    .fetch::<Option<u32>>()
                    .await?,
                None
            );
            ensure_eq!(
                peer.api()
                    .call("returnUndefined", ())
                    .fetch::<Option<u32>>()
                    .await?,
                None
            );
            ensure_eq!(
                peer.api()
                    .call("returnNumber", (5,))
                    .fetch::<Option<u32>>()
                    .await?,
                Some(5)
            );
            ensure_eq!(peer.api().return_null().await?, None);
            peer.api().nothing().await?;
            ensure_eq!(peer.api().call("returnNull", ()).await?, Value::Null);
            ensure_eq!(peer.api().call("nothing", ()).await?, Value::Undefined);
            Ok(())
        },
    );

    checks.add(
        "reading: structs, with fields missing and to spare",
        Over::BOTH,
        |peer| async move {
            #[derive(Debug, Deserialize)]
            struct User {
                name: String,
                tags: Vec<String>,
                nickname: Option<String>,
            }
            #[derive(Debug, Deserialize)]
            struct Other {
                #[expect(dead_code, reason = "it is never there")]
                nowhere: u32,
            }
            let user = peer.api().call("getUser", ()).fetch::<User>().await?;
            ensure_eq!(
                (user.name.as_str(), user.tags.len(), user.nickname),
                ("Ada", 1, None)
            );
            let error = ensure_err!(peer.api().call("getUser", ()).fetch::<Other>().await);
            ensure!(error.message().contains("nowhere"), error);
            Ok(())
        },
    );

    checks.add(
        "reading: dates, bytes, URLs, errors, stubs",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let date = Promise::cast::<Date>(api.echo(Date::from_millis(5)));
            ensure_eq!(date.await?.millis(), Some(5));
            let bytes = Promise::cast::<Bytes>(api.echo(Bytes::from_static(b"hi")));
            ensure_eq!(&bytes.await?[..], b"hi");
            let url = url("https://example.com/a")?;
            ensure_eq!(Promise::cast::<Value>(api.echo(&url)).await?, url);
            let text = Promise::cast::<String>(api.echo(&url));
            ensure_eq!(text.await?, "https://example.com/a");
            let error = api.probe().rich_value().await?;
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "out of reach")
            );
            let counter = api.make_counter(5.0).await?;
            ensure_eq!(counter.increment(()).await?, 6.0);
            Ok(())
        },
    );

    checks
        .add(
            "reading: unpaired surrogates are U+FFFD, and pass on undecoded as they came",
            Over::BOTH,
            |peer| async move {
                let text = peer.probe().call("surrogate", ()).fetch::<String>().await?;
                ensure_eq!(text, "a\u{fffd}b");
                let undecoded = peer
                    .probe()
                    .call("surrogate", ())
                    .fetch::<Payload>()
                    .await?;
                let units = peer
                    .probe()
                    .call("codeUnits", (undecoded,))
                    .fetch::<Vec<u32>>()
                    .await?;
                ensure_eq!(units, [0x61, 0xd800, 0x62]);
                Ok(())
            },
        )
        .not_rust("a Rust handler has no such string to give");
}

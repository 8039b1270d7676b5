//! Errors, in both directions.

use capnweb::{Date, Error, Stub, Value};
use serde::{Deserialize, Serialize};

use super::check::{Checks, Outcome, Over, ensure, ensure_eq, ensure_err};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Data {
    list: Vec<u32>,
    when: Date,
}

fn ensure_rich(error: &Error) -> Outcome {
    ensure_eq!(
        (error.name(), error.message()),
        ("RangeError", "out of reach")
    );
    ensure_eq!(error.prop::<String>("code").as_deref(), Some("E_REACH"));
    let data = Data {
        list: vec![1, 2],
        when: Date::from_millis(0),
    };
    ensure_eq!(error.prop::<Data>("data"), Some(data));
    let cause = error.cause();
    let cause = cause.as_ref().map(|cause| (cause.name(), cause.message()));
    ensure_eq!(cause, Some(("TypeError", "the reason")));
    ensure_eq!(error.stack(), None);
    Ok(())
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "errors: name and message arrive, the stack does not",
        Over::BOTH,
        |peer| async move {
            let error = ensure_err!(peer.api().call("throwError", ()).await);
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "test error")
            );
            ensure_eq!(error.stack(), None);
            let error = ensure_err!(peer.api().call("fail", ("my own words: 🦀",)).await);
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "my own words: 🦀")
            );
            Ok(())
        },
    );

    checks.add(
        "errors: props and cause arrive, thrown and as a value",
        Over::BOTH,
        |peer| async move {
            ensure_rich(&ensure_err!(peer.probe().call("rich", ()).await))?;
            ensure_rich(&peer.probe().call("richValue", ()).fetch::<Error>().await?)?;
            let api = peer.api();
            let value = api.get("probe").call("richValue", ());
            let echoed = api.call("echoArgs", (&value,)).fetch::<(Error,)>().await?;
            ensure_rich(&echoed.0)
        },
    );

    checks.add(
        "errors: an AggregateError brings its errors",
        Over::BOTH,
        |peer| async move {
            let error = ensure_err!(peer.probe().call("aggregate", ()).await);
            ensure_eq!(
                (error.name(), error.message()),
                ("AggregateError", "several")
            );
            let errors = error.prop::<Vec<Error>>("errors").unwrap_or_default();
            let messages: Vec<_> = errors.iter().map(Error::message).collect();
            ensure_eq!(messages, ["first", "second"]);
            Ok(())
        },
    );

    checks.add(
        "errors: a Rust error comes back, decoded or not",
        Over::BOTH,
        |peer| async move {
            let sent = || {
                Error::type_error("sent")
                    .with_prop("code", 42)
                    .with_cause(Error::range_error("inner"))
                    .with_stack("at home")
            };
            for target in [
                peer.api().call("echo", (sent(),)),
                peer.probe().call("decode", (sent(),)),
            ] {
                let back = target.fetch::<Error>().await?;
                ensure_eq!((back.name(), back.message()), ("TypeError", "sent"));
                ensure_eq!(back.prop::<u32>("code"), Some(42));
                ensure_eq!(
                    back.cause()
                        .map(|cause| cause.message().to_owned())
                        .as_deref(),
                    Some("inner")
                );
                ensure_eq!(back.stack(), None);
            }
            Ok(())
        },
    );

    checks.add(
        "errors: what our callback throws comes back through the peer",
        Over::WS,
        |peer| async move {
            let thrower = Stub::function(|_: Value| async {
                Err::<(), _>(Error::named("SyntaxError", "ours").with_prop("code", "E_OURS"))
            });
            let error = ensure_err!(peer.api().call("callFunction", (&thrower, 1)).await);
            ensure_eq!((error.name(), error.message()), ("SyntaxError", "ours"));
            ensure_eq!(error.prop::<String>("code").as_deref(), Some("E_OURS"));
            Ok(())
        },
    );

    checks
        .add(
            "errors: a thrown value that is no error",
            Over::BOTH,
            |peer| async move {
                let thrown = |value: Value| {
                    let probe = peer.probe();
                    async move { probe.call("throwValue", (value,)).await }
                };
                let error = ensure_err!(thrown(Value::from("plain string")).await);
                let value = error
                    .thrown_value()
                    .map(|value| value.decode::<Value>())
                    .transpose()?;
                ensure_eq!(value, Some(Value::from("plain string")));
                for value in [Value::Undefined, Value::Null, Value::from(5.0)] {
                    ensure_err!(thrown(value).await);
                }
                Ok(())
            },
        )
        .not_rust("a Rust handler throws errors only");

    checks.add(
        "errors: a failed call fails what depends on it",
        Over::BOTH,
        |peer| async move {
            let failed = peer.api().call("fail", ("root",)).get("a").call("b", ());
            ensure_eq!(ensure_err!(failed.await).message(), "root");
            let api = peer.api();
            let error = ensure_err!(api.call("square", (api.call("fail", ("argument",)),)).await);
            ensure_eq!(error.message(), "argument");
            let error = ensure_err!(peer.probe().call("broken", ("inside",)).await);
            ensure_eq!((error.name(), error.message()), ("RangeError", "inside"));
            Ok(())
        },
    );

    checks.add("errors: telling them apart", Over::WS, |peer| async move {
        let error = ensure_err!(peer.api().call("throwError", ()).await);
        ensure!(error.is_range_error(), error);
        ensure!(
            !error.is_disconnected() && !error.is_protocol() && !error.is_limit(),
            error
        );
        Ok(())
    });
}

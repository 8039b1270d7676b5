//! Errors, in both directions.

use capnweb::{Callback, Date, Error, Promise, Value};

use super::check::{Checks, Failure, Outcome, Over, ensure, ensure_eq, ensure_err};
use crate::{moody::Mood, probe::ErrorData};

fn ensure_rich(error: &Error) -> Outcome {
    ensure_eq!(
        (error.name(), error.message()),
        ("RangeError", "out of reach")
    );
    ensure_eq!(error.prop::<String>("code").as_deref(), Some("E_REACH"));
    let data = ErrorData {
        list: vec![1.0, 2.0],
        when: Date::from_millis(0),
    };
    ensure_eq!(error.prop::<ErrorData>("data"), Some(data));
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
            let error = ensure_err!(peer.api().throw_error().await);
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "test error")
            );
            ensure_eq!(error.stack(), None);
            let error = ensure_err!(peer.api().fail("my own words: 🦀").await);
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
            ensure_rich(&ensure_err!(peer.probe().rich().await))?;
            ensure_rich(&peer.probe().rich_value().await?)?;
            let api = peer.api();
            let value = api.probe().rich_value();
            let echoed = api.call("echoArgs", (&value,)).fetch::<(Error,)>().await?;
            ensure_rich(&echoed.0)
        },
    );

    checks.add(
        "errors: one of our own type is read back as it was",
        Over::BOTH,
        |peer| async move {
            let mood = ensure_err!(peer.api().moody("unavailable").await);
            ensure!(matches!(mood, Mood::Busy { retry_after: 30.0 }), mood);
            let mood = ensure_err!(peer.api().moody("not_found").await);
            ensure!(
                matches!(
                    mood,
                    Mood::Lost {
                        retry_after: Some(5.0)
                    }
                ),
                mood
            );
            for (kind, message) in [("internal", "internal error"), ("new", "in a mood: new")] {
                let Mood::Other(error) = ensure_err!(peer.api().moody(kind).await) else {
                    return Err(Failure::new(format!(
                        "{kind} is not among the other errors"
                    )));
                };
                ensure_eq!(error.message(), message);
                ensure_eq!(error.code().as_deref(), Some(kind));
            }
            let error = ensure_err!(peer.api().call("moody", ("unavailable",)).await);
            ensure_eq!(error.message(), "busy, try again in 30 s");
            ensure_eq!(error.prop::<f64>("retryAfter"), Some(30.0));
            Ok(())
        },
    );

    checks.add(
        "errors: an AggregateError brings its errors",
        Over::BOTH,
        |peer| async move {
            let error = ensure_err!(peer.probe().aggregate().await);
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
            for back in [
                Promise::cast::<Error>(peer.api().echo(sent())),
                Promise::cast(peer.probe().decode(sent())),
            ] {
                let back = back.await?;
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
            let thrower = Callback::<Value>::new(|_: Value| async {
                Err(Error::named("SyntaxError", "ours").with_prop("code", "E_OURS"))
            });
            let thrown = peer.api().call_function(&thrower, 1).result();
            let error = ensure_err!(thrown.await);
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
            let failed = Promise::cast::<Value>(peer.api().fail("root"));
            let failed = failed.get("a").call("b", ());
            ensure_eq!(ensure_err!(failed.await).message(), "root");
            let api = peer.api();
            let error = ensure_err!(api.square(api.fail("argument")).await);
            ensure_eq!(error.message(), "argument");
            let broken = Promise::cast::<Value>(peer.probe().broken("inside"));
            let error = ensure_err!(broken.await);
            ensure_eq!((error.name(), error.message()), ("RangeError", "inside"));
            Ok(())
        },
    );

    checks.add("errors: telling them apart", Over::WS, |peer| async move {
        let error = ensure_err!(peer.api().throw_error().await);
        ensure!(error.is_range_error(), error);
        ensure!(
            !error.is_disconnected() && !error.is_protocol() && !error.is_limit(),
            error
        );
        Ok(())
    });
}
